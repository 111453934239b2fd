from __future__ import annotations

from dataclasses import replace

import pytest

from bot.cards import Action, CardView, card_view, plain_text
from bot.passages import Change
from holdpoint.model import (
    Claim,
    DecisionKind,
    Edit,
    GrantLimits,
    GrantScope,
    Hold,
    Part,
    PartRole,
    Question,
    Requester,
    Requirement,
    ReviewTerms,
    Risk,
    RuleHit,
    Span,
    State,
    Verdict,
)
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
    assert view.requester_line == "dana@example.com (contractors) → llama-3.3-70b → demo · production"
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
    assert "4111 1111" not in repr(view)
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
    view = view_of(world, hold, limit=500, fold=False)
    assert (view.cut, view.folded, view.left_out) == (700, 0, "700 characters left out")
    assert sum(part.cut for part in view.parts) == 700
    # The builder's rule matched the first four characters of the first message: they stay, with what is around them.
    folding = view_of(world, hold, limit=500)
    assert (folding.cut, folding.folded) == (900 - 124, 0)
    assert view_of(world, hold).left_out == ""


FOLDING = (
    (PartRole.SYSTEM, "system " * 20),
    (PartRole.USER, "the older question"),
    (PartRole.ASSISTANT, "an answer"),
    (PartRole.TOOL, "a tool's result"),
    (PartRole.USER, "the newest question"),
)


async def test_a_limited_card_shows_the_newest_turn_and_folds_the_rest(world: World) -> None:
    hold = await world.hold_draft(conversation(*FOLDING, hits=()))
    view = view_of(world, hold, limit=1_000)
    assert [part.plain for part in view.parts if part.shows_text] == ["the newest question"]
    assert view.folded == sum(part.is_folded for part in view.parts) == 4
    assert view.cut == sum(len(text) for _, text in FOLDING[:-1])
    assert view.left_out == f"4 more parts, {view.cut} characters"
    assert [len(part.text) for part in view.parts][:2] == [19, 15]  # folded parts keep their text, for editing


async def test_what_matched_is_shown_wherever_it_stands(world: World) -> None:
    long = "x" * 3_000 + " password " + "y" * 3_000
    spans = (Span("messages/0/content", 3_001, 3_009),)
    hits = (RuleHit("secrets", "d", Verdict.REVIEW, Risk.HIGH, spans),)
    turns = ((PartRole.SYSTEM, long), (PartRole.TOOL, "folded"), (PartRole.USER, "z" * 5_000))
    view = view_of(world, await world.hold_draft(conversation(*turns, hits=hits)), limit=1_200)
    newest, matched, folded = view.parts
    assert newest.plain.startswith("z" * 700)
    assert [s.text for s in matched.segments if s.marked] == ["password"]
    assert len(matched.plain) < 400
    assert folded.is_folded
    assert view.folded == 1


async def test_without_a_user_turn_the_first_part_is_shown(world: World) -> None:
    hold = await world.hold_draft(conversation((PartRole.SYSTEM, "one"), (PartRole.ASSISTANT, "two"), hits=()))
    view = view_of(world, hold, limit=1_000)
    assert [part.plain for part in view.parts if part.shows_text] == ["two"]


async def test_line_breaks_do_not_push_the_buttons_away(world: World) -> None:
    hold = await world.hold_draft(conversation((PartRole.USER, "\n" * 900 + "end"), hits=()))
    view = view_of(world, hold, limit=1_000)
    assert view.parts[0].plain.count("\n") < 25
    assert view.cut > 800


async def test_line_breaks_around_what_matched_do_not_push_it_off_the_card(world: World) -> None:
    text = "\n" * 400 + "password" + "\n" * 400
    hits = (RuleHit("secrets", "d", Verdict.REVIEW, Risk.HIGH, (Span("messages/0/content", 400, 408),)),)
    view = view_of(world, await world.hold_draft(conversation((PartRole.USER, text), hits=hits)), limit=3000)
    (part,) = view.parts
    assert [segment.text for segment in part.segments if segment.marked] == ["password"]
    assert part.plain.count("\n") < 24


@pytest.mark.parametrize("risk", list(Risk))
@pytest.mark.parametrize(
    ("turns", "limit", "is_left_out"),
    [
        (((PartRole.USER, "short"),), 100, False),
        (((PartRole.USER, "x" * 101),), 100, True),
        (((PartRole.SYSTEM, "s"), (PartRole.USER, "short")), 100, True),
        (((PartRole.SYSTEM, "s"), (PartRole.USER, "x" * 101)), None, False),
    ],
    ids=["all is shown", "cut", "folded", "everything"],
)
async def test_high_risk_must_be_read_in_full_when_something_is_left_out(
    world: World, risk: Risk, turns: tuple[tuple[PartRole, str], ...], limit: int | None, is_left_out: bool
) -> None:
    hold = await world.hold_draft(conversation(*turns, hits=(), risk=risk))
    view = view_of(world, hold, limit=limit)
    assert bool(view.left_out) is is_left_out
    assert view.needs_full_view is (is_left_out and risk is Risk.HIGH)


async def test_the_line_of_who_what_where(world: World) -> None:
    draft = conversation(
        (PartRole.USER, "x"), requester=Requester("build-bot", frozenset({"ci"}), owner="dana@example.com")
    )
    view = view_of(world, await world.hold_draft(draft))
    assert view.requester_line == "build-bot (agent of dana@example.com) → llama-3.3-70b → demo · production"
    many = Requester("dana@example.com", frozenset("abcde"))
    view = view_of(world, await world.hold_draft(conversation((PartRole.USER, "x"), requester=many)))
    assert view.requester_line.startswith("dana@example.com (a, b, c, 2 more) → ")


@pytest.mark.promise(8)
async def test_reveal_draws_without_masks_and_offers_itself_only_where_something_is_hidden(world: World) -> None:
    draft = replace(conversation(*TURNS), justification="for 4111 1111 1111 1111")
    hold = await world.hold_draft(draft)
    masked = view_of(world, hold)
    assert (masked.masked, masked.revealed) == (True, False)
    assert Action.REVEAL in masked.actions
    revealed = view_of(world, hold, reveal=True)
    assert (revealed.masked, revealed.revealed) == (False, True)
    assert revealed.justification == "for 4111 1111 1111 1111"
    assert "4111 1111 1111 1111" in plain_text(revealed)
    plain = view_of(world, await world.hold("nothing secret, but a password"))
    assert not plain.masked
    assert Action.REVEAL not in plain.actions


async def test_a_claim_is_on_the_card_and_can_be_handed_back(world: World) -> None:
    hold = replace(await world.hold(), claim=Claim("sam@example.com", "Sam\u202e", 5_000))
    for viewer, offered in (
        (None, Action.UNCLAIM),
        (await world.who("sam@example.com"), Action.UNCLAIM),
        (await world.who("kim@example.com"), Action.CLAIM),
    ):
        view = view_of(world, hold, viewer=viewer)
        assert view.claim is not None
        assert (view.claim.by, view.claim.name, view.claim.until_ms) == ("sam@example.com", "Sam⟨U+202E⟩", 5_000)
        assert {Action.CLAIM, Action.UNCLAIM} & set(view.actions) == {offered}
    assert view_of(world, replace(hold, state=State.CANCELLED)).claim is None


async def test_questions_and_answers_are_on_the_card(world: World) -> None:
    hold = await world.hold()
    answered = Question("q1", "sam@example.com", "Sam", "with 4111 1111 1111 1111?", 1, "yes", "dana@example.com", 2)
    waiting = Question("q2", "kim@example.com", "", "when?", 3)
    view = view_of(world, replace(hold, questions=(answered, waiting), paused_ms=hold.created_ms))
    assert [(q.by, q.text, q.answer, q.is_open) for q in view.questions] == [
        ("Sam", "with ⟦card number 1⟧?", "yes", False),
        ("kim@example.com", "when?", "", True),
    ]
    assert view.open_question == view.questions[1]
    assert view.paused_ms == hold.created_ms
    late = view_of(world, replace(hold, questions=(answered,)))
    assert late.open_question is None


async def test_while_the_clock_stands_nobody_is_late(world: World) -> None:
    hold = await world.hold()
    paused = replace(hold, paused_ms=hold.deadline_ms - 1_000)
    masks = world.live.snapshot.policy.masks
    view = card_view(paused, now_ms=hold.deadline_ms + 500, link_base="", masks=masks)
    assert Action.APPROVE in view.actions
    assert view.deadline_words == "1.0 s left"


GRANT = GrantLimits(5, 3_600_000, frozenset({GrantScope.REQUESTER}))


@pytest.mark.parametrize(
    ("limits", "requirements", "offered"),
    [
        (GRANT, (Requirement("security", 1),), True),
        (None, (Requirement("security", 1),), False),
        (GRANT, (Requirement("security", 2),), False),
        (GRANT, (Requirement("security", 1), Requirement("legal", 1)), False),
    ],
)
async def test_a_grant_is_offered_where_the_policy_allows_it_and_one_approval_is_enough(
    world: World, limits: GrantLimits | None, requirements: tuple[Requirement, ...], offered: bool
) -> None:
    hold = await world.hold_draft(conversation(*TURNS, requirements=requirements))
    hold = replace(hold, evaluation=replace(hold.evaluation, terms=ReviewTerms(grant=limits)))
    view = view_of(world, hold)
    assert (Action.GRANT in view.actions) is offered
    assert view.grant == limits


async def test_an_edit_that_needs_confirmation_says_so(world: World) -> None:
    hold = await world.hold("one\npassword two")
    terms = ReviewTerms(confirm_edits=True, reasons=("Contains credentials",))
    sam = await world.who("sam@example.com")
    edits = [Edit("messages/0/content", "one\ntwo")]
    decided = await world.decider.decide(hold.id, sam, DecisionKind.APPROVE, digest=hold.digest, edits=edits)
    waiting = replace(decided, state=State.PENDING, evaluation=replace(hold.evaluation, terms=terms))
    view = view_of(world, waiting)
    assert view.confirmation == "an approval by somebody other than Sam, who edited the text"
    assert view.state_sentence == f"Waiting for {view.confirmation}"
    assert view.reasons == ("Contains credentials",)
    assert view_of(world, decided).confirmation == ""


async def test_broken_glass_is_on_the_card(world: World) -> None:
    hold = await hold_in(world.store, State.COMPLETED, gateway="g#1")
    broken = replace(hold, decisions=(replace(hold.decisions[0], glass=True, reason="outage"),))
    view = view_of(world, broken)
    assert view.glass.startswith("sam@example.com broke the glass")
    assert view.reason == "outage"
    assert view.took == "0.0 s"


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


EVERYTHING = (Action.APPROVE, Action.EDIT, Action.REJECT, Action.ASK, Action.CLAIM, Action.VIEW)


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
    assert view.outcome.line == "Answered with 200 after 0.0 s, 3 tokens in, 1 out, 4 bytes"
    failed = await hold_in(world.store, State.FAILED, gateway="g#1")
    assert failed.outcome == OUTCOME
    failed_view = view_of(
        world, replace(failed, outcome=replace(OUTCOME, status=0, error="connection lost", prompt_tokens=None))
    )
    assert failed_view.outcome is not None
    assert failed_view.outcome.line == "Failed: connection lost, 1 token out, 4 bytes"
