"""What must hold of one hold, whatever happened to it: its story in the outbox, its decisions, what the model was sent."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from holdpoint import canonical
from holdpoint.lifecycle import pending_due_ms
from holdpoint.model import TRANSITIONS, DecisionKind, Event, EventKind, Hold, State

ONCE = (EventKind.HOLD_REMINDED, EventKind.HOLD_RELEASED)
NOT_WHILE_IT_STANDS = (EventKind.HOLD_REMINDED, EventKind.HOLD_ESCALATED, EventKind.HOLD_EXPIRED)


def check_story(hold: Hold, told: Sequence[Event]) -> None:
    """``told`` are all events of the hold."""
    revs = [event.data["rev"] for event in told]
    assert revs == sorted(set(revs)), "each change is told once, in order"
    states = [State(event.data["state"]) for event in told]
    for before, after in itertools.pairwise(states):
        assert before is after or after in TRANSITIONS[before], "the state machine is kept"
    assert states[-1] is hold.state, "promise 4: state and record agree"
    for kind in ONCE:
        assert sum(event.kind is kind for event in told) <= 1
    _check_clock(hold, told)
    _check_words(hold, told)


def _check_clock(hold: Hold, told: Sequence[Event]) -> None:
    standing = False
    for event in told:
        if event.kind is EventKind.HOLD_ASKED:
            standing = standing or event.data["pauses"]
        elif event.kind is EventKind.HOLD_RESUMED or (
            event.kind is EventKind.HOLD_ANSWERED and event.data["rev"] == _last_answer_rev(told, event)
        ):
            standing = False
        waiting = event.data["state"] == State.PENDING or event.kind is EventKind.HOLD_EXPIRED
        assert not (waiting and standing and event.kind in NOT_WHILE_IT_STANDS), (
            "nothing is late while the clock stands"
        )
    assert hold.paused_for_ms <= hold.evaluation.timeout_ms, "the clock stands no longer than the timeout in all"
    if hold.state is State.PENDING:
        assert standing is (hold.paused_ms is not None), "promise 4: clock and record agree"
        assert hold.due_ms == pending_due_ms(hold), "the timer looks when something is due, and not before"


def _last_answer_rev(told: Sequence[Event], answer: Event) -> int | None:
    """The rev of ``answer`` when no question was open after it."""
    so_far = [event for event in told if event.data["rev"] <= answer.data["rev"]]
    asked = sum(event.kind is EventKind.HOLD_ASKED for event in so_far)
    answered = sum(event.kind is EventKind.HOLD_ANSWERED for event in so_far)
    return int(answer.data["rev"]) if asked == answered else None


def _check_words(hold: Hold, told: Sequence[Event]) -> None:
    """Every question, answer and justification that stands was told, by somebody whose word it is."""
    theirs = {hold.requester.principal, hold.requester.owner}
    asked = [event.data["question"]["text"] for event in told if event.kind is EventKind.HOLD_ASKED]
    assert [question.text for question in hold.questions] == asked
    answers = {e.data["question"]["id"]: e.data["question"] for e in told if e.kind is EventKind.HOLD_ANSWERED}
    assert len(answers) == sum(event.kind is EventKind.HOLD_ANSWERED for event in told), "answered once"
    for question in hold.questions:
        assert question.by not in theirs
        assert (question.answered_ms is not None) is (question.id in answers)
        assert question.answered_ms is None or question.answered_by in theirs, "promise 5: nobody answers for others"
    justified = [event.data for event in told if event.kind is EventKind.HOLD_JUSTIFIED]
    assert all(each["by"] in theirs for each in justified)
    assert hold.justification == (justified[-1]["justification"] if justified else "")


def check_decisions(hold: Hold, groups: Mapping[str, set[str]]) -> None:
    """``groups`` are those of every person, all the time."""
    allowed = {r.group for r in hold.requirements} | {g for r in hold.requirements for g in r.alternates}
    for decision in hold.decisions:
        assert allowed & groups[decision.by], "promise 5: the right group"
        assert decision.by not in (hold.requester.principal, hold.requester.owner), "promise 5: not one's own"


def check_forwarded(hold: Hold, body: bytes) -> None:
    """The model was sent ``body``."""
    digest = canonical.digest(connection=hold.connection, method=hold.method, target=hold.target, body=body)
    approvals = [d for d in hold.decisions if d.kind is DecisionKind.APPROVE and d.result_digest == digest]
    assert digest == hold.digest, "promise 2: what was approved is what was forwarded"
    people = {decision.by for decision in approvals}
    needed = sum(requirement.approvals for requirement in hold.requirements)
    assert len(people) >= needed, "promises 1 and 5: a quorum of distinct people approved this very text"
    assert not any(d.kind is DecisionKind.REJECT for d in hold.decisions)
    editors = [decision.by for decision in hold.decisions if decision.edits]
    if editors and hold.evaluation.terms.confirm_edits:
        assert people - {editors[-1]}, "promise 5: somebody else has confirmed the edit"
