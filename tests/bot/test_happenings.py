"""What is said of a hold, and whom the policy wants called: read from the hold alone."""

from __future__ import annotations

from dataclasses import replace

from bot.happenings import calls, happenings
from holdpoint.model import DecisionKind, Edit, Escalation, Hold, Mention, Question, Requirement, ReviewTerms, State
from holdpoint.policy.mask import Masks
from holdpoint.store import Store
from tests.support.builders import OUTCOME, make_decision, make_draft, make_evaluation

ALL = ReviewTerms(mentions=frozenset(Mention))
NO_MASKS = Masks()


async def held(store: Store, **evaluation: object) -> Hold:
    draft = make_draft(evaluation=make_evaluation(**{"terms": ALL, **evaluation}))
    return await store.holds.hold(draft, gateway="g1", idempotency_key=None)


def said(hold: Hold) -> list[str]:
    return [each.text for each in happenings(hold, masks=NO_MASKS)]


async def test_nothing_has_happened_to_a_new_hold(store: Store) -> None:
    assert said(await held(store)) == []


async def test_everything_that_happened_is_said_in_its_order(store: Store) -> None:
    hold = await held(store)
    at = hold.created_ms
    edit = Edit("messages/0/content", "fine")
    hold = replace(
        hold,
        state=State.COMPLETED,
        justification="it is urgent",
        escalated=1,
        reminded_ms=at + 300_001,
        questions=(Question("q1", "sam@example.com", "Sam", "why?", at + 1, "because", "dana@example.com", at + 2),),
        decisions=(
            replace(
                make_decision(hold), at_ms=at + 400_000, reason="ok", edits=(edit,), before=(Edit(edit.path, "bad"),)
            ),
        ),
        outcome=OUTCOME,
        closed_ms=at + 400_001,
    )
    assert said(hold) == [
        "The requester says: it is urgent",
        "Sam asked: why?",
        "dana@example.com answered: because",
        "Escalated: platform-leads may decide, too.",
        "Half of the time is over.",
        "Approved with edits by sam@example.com through the API: ok\n− bad\n+ fine",
        "Answered with 200 after 0.0 s, 3 tokens in, 1 out, 4 bytes.",
    ]
    keys = [each.key for each in happenings(hold, masks=NO_MASKS)]
    assert len(set(keys)) == len(keys)


async def test_ends_without_a_decision_are_said(store: Store) -> None:
    hold = replace(await held(store), closed_ms=5)
    assert said(replace(hold, state=State.EXPIRED, close_reason="nobody decided in time")) == [
        "Expired: nobody decided in time"
    ]
    assert said(replace(hold, state=State.CANCELLED)) == ["Cancelled"]
    assert said(replace(hold, state=State.REJECTED, decisions=(make_decision(hold, DecisionKind.REJECT),))) == [
        "Rejected by sam@example.com through the API"
    ]


async def test_hidden_characters_are_written_out_and_lines_stay_one(store: Store) -> None:
    hold = await held(store)
    question = Question("q1", "sam@example.com", "Sam\u202e", "why\nnot\u200b?", hold.created_ms)
    (line,) = said(replace(hold, questions=(question,)))
    assert "\u202e" not in line
    assert "\u200b" not in line
    assert "\n" not in line


def called(hold: Hold) -> dict[str, tuple[str, ...]]:
    return {call.key: call.groups for call in calls(hold)}


async def test_who_is_missing_is_called_and_who_has_decided_is_not(store: Store) -> None:
    needs = (Requirement("security", 1), Requirement("legal", 1, ("legal-leads",)))
    hold = await held(store, requirements=needs, escalations=())
    assert called(hold) == {"call held": ("security", "legal", "legal-leads")}
    hold = replace(hold, decisions=(make_decision(hold),), reminded_ms=5)
    assert called(hold) == {"call held": ("legal", "legal-leads"), "call reminder": ("legal", "legal-leads")}


async def test_each_step_of_an_escalation_calls_who_joins(store: Store) -> None:
    steps = (Escalation(1, "leads"), Escalation(2, "board"))
    hold = replace(await held(store, escalations=steps), escalated=2)
    assert called(hold) == {
        "call held": ("security", "leads", "board"),
        "call escalation 0": ("leads",),
        "call escalation 1": ("board",),
    }


async def test_never_more_than_the_policy_says(store: Store) -> None:
    hold = await held(store, terms=ReviewTerms(mentions=frozenset({Mention.REMINDER})))
    assert called(hold) == {}
    assert set(called(replace(hold, reminded_ms=5, escalated=1))) == {"call reminder"}
    assert called(replace(await held(store, terms=ReviewTerms(mentions=frozenset())), reminded_ms=5, escalated=1)) == {}


async def test_nobody_is_called_once_it_is_decided(store: Store) -> None:
    hold = replace(await held(store), reminded_ms=5, escalated=1, state=State.APPROVED)
    assert called(hold) == {}
