from __future__ import annotations

from dataclasses import replace

import pytest

from bot.cards import Action, CardView, card_view, plain_text
from bot.passages import Change
from holdpoint.model import DecisionKind, Edit, Hold, Part, PartRole, Requirement, Risk, RuleHit, Span, State, Verdict
from tests.bot.world import World, conversation
from tests.support.builders import OUTCOME, hold_in


def view_of(world: World, hold: Hold, **more: object) -> CardView:
    return card_view(
        hold, now_ms=world.clock(), link_base="https://hp.example", masks=world.live.snapshot.policy.masks, **more  # type: ignore[arg-type]
    )  # fmt: skip


TURNS = (
    (PartRole.SYSTEM, "be careful"),
    (PartRole.USER, "first question"),
    (PartRole.ASSISTANT, "an answer"),
    (PartRole.USER, "the card is 4111 1111 1111 1111 and the pass\u200bword is x"),
)


async def test_a_card_says_who_where_and_why(world: World) -> None:
    view = view_of(world, await world.hold_draft(conversation(*TURNS)))
    assert view.requester_line == "dana@example.com → demo · llama-3.3-70b · production"
    assert view.title == "Credentials in a prompt"
    assert view.state_sentence == "Waiting for 1 approval from security"
    assert (view.risk, view.rules[0].id) == (Risk.HIGH, "secrets")
    assert view.url == f"https://hp.example/review/{view.id}"
    assert view.deadline_words == "10 min left"


async def test_the_newest_question_comes_first_and_what_matched_before_the_rest(world: World) -> None:
    hits = (RuleHit("secrets", "d", Verdict.REVIEW, Risk.HIGH, (Span("messages/0/content", 0, 2),)),)
    view = view_of(world, await world.hold_draft(conversation(*TURNS, hits=hits)))
    assert [part.path for part in view.parts] == [f"messages/{n}/content" for n in (3, 0, 2, 1)]
    assert [part.label for part in view.parts][:2] == ["User · message 4", "System · message 1"]


async def test_tools_and_parameters_come_last_and_in_order(world: World) -> None:
    draft = conversation(*TURNS)
    more = tuple(Part(f"tools/0/{n}", PartRole.DEFINITION, text) for n, text in enumerate(("a", "b", "c")))
    body = draft.query.body[:-1] + b',"tools":[["a","b","c"]]}'
    hold = await world.hold_draft(
        replace(draft, query=replace(draft.query, body=body, parts=(*draft.query.parts, *more)))
    )
    view = view_of(world, hold)
    assert [part.path for part in view.parts if part.is_detail] == ["tools/0/0", "tools/0/1", "tools/0/2"]
    assert [part.is_detail for part in view.parts] == [False] * 4 + [True] * 3


@pytest.mark.promise(8)
async def test_what_the_policy_masks_is_on_no_card(world: World) -> None:
    draft = conversation(*TURNS)
    hold = await world.hold_draft(replace(draft, justification="for 4111 1111 1111 1111"))
    sam = await world.who("sam@example.com")
    rejected = await world.decider.decide(
        hold.id, sam, DecisionKind.REJECT, digest=hold.digest, reason="it has 4111 1111 1111 1111"
    )
    view = view_of(world, rejected)
    assert "4111" not in repr(view)
    assert "⟦card number 1⟧" in plain_text(view)


@pytest.mark.promise(7)
async def test_hidden_characters_are_shown_everywhere(world: World) -> None:
    draft = conversation((PartRole.USER, "a\u202eb"))
    draft = replace(
        draft, justification="j\u2066", query=replace(draft.query, model="m\u200b", uninspectable=("x\u00ad",))
    )
    text = (
        plain_text(view_of(world, await world.hold_draft(draft)))
        + view_of(world, await world.hold_draft(draft)).justification
    )
    assert all(f"⟨U+{code}⟩" in text for code in ("202E", "200B", "00AD", "2066"))
    assert not any(hidden in text for hidden in "\u202e\u200b\u00ad\u2066")


async def test_a_limited_card_says_how_much_is_missing(world: World) -> None:
    hold = await world.hold_draft(conversation((PartRole.USER, "x" * 900), (PartRole.USER, "y" * 300)))
    view = view_of(world, hold, limit=500)
    assert view.cut == 700
    assert sum(part.cut for part in view.parts) == 700
    assert view_of(world, hold).cut == 0


async def test_progress_counts_people_per_requirement(world: World) -> None:
    requirements = (Requirement("security", 2), Requirement("legal", 1))
    hold = await world.hold_draft(conversation(*TURNS, requirements=requirements))
    sam = await world.who("sam@example.com")
    hold = await world.decider.decide(hold.id, sam, DecisionKind.APPROVE, digest=hold.digest)
    view = view_of(world, hold)
    assert [item.line for item in view.progress] == ["1 of 2 from security: Sam", "0 of 1 from legal"]
    assert view.state_sentence == "Waiting for 1 more approval from security and 1 approval from legal"


async def test_an_escalated_group_is_named(world: World) -> None:
    hold = await world.store.holds.escalate(await world.hold())
    assert view_of(world, hold).progress[0].line == "0 of 1 from security or platform-leads"


async def test_edits_are_a_diff(world: World) -> None:
    hold = await world.hold("one\npassword two")
    sam = await world.who("sam@example.com")
    edits = [Edit("messages/0/content", "one\ntwo")]
    view = view_of(
        world, await world.decider.decide(hold.id, sam, DecisionKind.APPROVE, digest=hold.digest, edits=edits)
    )
    assert [(line.change, line.text) for line in view.edits[0].lines] == [
        (Change.SAME, "one"), (Change.REMOVED, "password two"), (Change.ADDED, "two"),
    ]  # fmt: skip
    assert view.parts[0].plain == "one\ntwo"


EVERYTHING = (Action.APPROVE, Action.EDIT, Action.REJECT, Action.VIEW)


async def test_actions_are_there_only_while_somebody_may_act(world: World) -> None:
    hold = await world.hold()
    assert view_of(world, hold).actions == EVERYTHING
    assert view_of(world, hold, viewer=await world.who("sam@example.com")).actions == EVERYTHING
    own = view_of(world, hold, viewer=await world.who("dana@example.com"))
    assert own.actions == (Action.VIEW,)
    assert own.may_not_decide.startswith("This is your own request")
    late = card_view(hold, now_ms=hold.deadline_ms, link_base="", masks=world.live.snapshot.policy.masks)
    assert late.actions == (Action.VIEW,)


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
async def test_a_decided_hold_offers_no_action(world: World, state: State) -> None:
    view = view_of(world, await hold_in(world.store, state, gateway="g#1"))
    assert view.actions == (Action.VIEW,)
    assert view.deadline_words == ""


async def test_the_outcome_is_one_line(world: World) -> None:
    view = view_of(world, await hold_in(world.store, State.COMPLETED, gateway="g#1"))
    assert view.outcome is not None
    assert view.outcome.line == "Answered with 200 after 0.0 s, 3 tokens in, 1 out"
    failed = await hold_in(world.store, State.FAILED, gateway="g#1")
    assert failed.outcome == OUTCOME
    failed_view = view_of(
        world, replace(failed, outcome=replace(OUTCOME, status=0, error="connection lost", prompt_tokens=None))
    )
    assert failed_view.outcome is not None
    assert failed_view.outcome.line == "Failed: connection lost, 1 out"
