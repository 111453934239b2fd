"""What time does to a hold. Pure: a hold and a time in, the next step out.

The timer of every bot asks this about the holds that are due, and the store's scripts let each step happen once.

While a question to the requester is open the clock may stand (`Hold.paused_ms`). Then the deadline and what comes
before it move along with the time, for at most ``evaluation.timeout_ms`` in all. A client that left has no longer to
come back because of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum

from holdpoint.model import Claim, Evaluation, Hold, OnTimeout, State


class Step(StrEnum):
    """What is due."""

    NOTHING = "nothing"
    ESCALATE = "escalate"
    EXPIRE = "expire"
    CANCEL = "cancel"  # the client left and did not come back
    ALLOW = "allow"  # the rule says in as many words that silence is consent
    REMIND = "remind"  # half of the time is over
    RESUME = "resume"  # the clock has stood for as long as it may
    UNCLAIM = "unclaim"  # who said "I am on it" has not decided
    LAPSE = "lapse"  # who approved has not confirmed that it is them


def next_step(hold: Hold, now_ms: int) -> Step:
    """What is to happen to ``hold`` at ``now_ms``."""
    if hold.state is State.APPROVED:
        return Step.EXPIRE if now_ms >= hold.due_ms else Step.NOTHING
    if hold.state is not State.PENDING:
        return Step.NOTHING
    return next((step for step, at_ms in _ahead(hold) if now_ms >= at_ms), Step.NOTHING)


def pending_due_ms(hold: Hold) -> int:
    """When the timer looks next at a pending hold."""
    return min(at_ms for _, at_ms in _ahead(hold))


def deadline_after_escalation(hold: Hold, now_ms: int) -> int:
    """The deadline once the next group has joined: a new one where the old one had passed, else the same."""
    if now_ms >= hold.deadline_ms:
        return now_ms + hold.evaluation.timeout_ms
    return hold.deadline_ms


def longest_open_ms(evaluation: Evaluation) -> int:
    """For how long a hold may be pending: its time, as long again for questions, and once more for each group that joins then."""
    joining = len(evaluation.escalations) if evaluation.on_timeout is OnTimeout.ESCALATE else 0
    return evaluation.timeout_ms * (2 + joining)


def deadline_at(hold: Hold, now_ms: int) -> int:
    """The deadline as it is at ``now_ms``: it moves along while the clock stands."""
    return hold.deadline_ms + _stood_ms(hold, now_ms)


def is_late(hold: Hold, now_ms: int) -> bool:
    """Whether it is too late to decide on a pending hold, though the timer may not have been there yet."""
    return now_ms >= deadline_at(hold, now_ms)


def claim_at(hold: Hold, now_ms: int) -> Claim | None:
    """Who is on it at ``now_ms``, if anybody."""
    if hold.state is not State.PENDING or hold.claim is None or now_ms >= hold.claim.until_ms:
        return None
    return hold.claim


def pause_left_ms(hold: Hold) -> int:
    """For how long the clock of ``hold`` may stand, beyond the pauses that are over."""
    return max(hold.evaluation.timeout_ms - hold.paused_for_ms, 0)


def paused(hold: Hold, now_ms: int) -> Hold:
    """``hold`` with its clock standing; it runs on where it has stood for as long as it may."""
    if hold.paused_ms is not None or not pause_left_ms(hold):
        return hold
    return replace(hold, paused_ms=now_ms)


def resumed(hold: Hold, now_ms: int) -> Hold:
    """``hold`` with its clock running again, and everything moved by the time that it stood."""
    stood_ms = _stood_ms(hold, now_ms)
    return replace(
        hold,
        paused_ms=None,
        paused_for_ms=hold.paused_for_ms + stood_ms,
        deadline_ms=hold.deadline_ms + stood_ms,
    )


def _stood_ms(hold: Hold, now_ms: int) -> int:
    """For how long the clock has stood in the pause that is on."""
    if hold.paused_ms is None:
        return 0
    return min(max(now_ms - hold.paused_ms, 0), pause_left_ms(hold))


def _ahead(hold: Hold) -> Iterator[tuple[Step, int]]:
    """What is ahead of a pending hold and when. Of several that are due, the first one happens."""
    if hold.paused_ms is None:
        yield _at_deadline(hold), hold.deadline_ms
    if hold.return_by_ms is not None:
        yield Step.CANCEL, hold.return_by_ms
    if hold.paused_ms is not None:
        yield Step.RESUME, hold.paused_ms + pause_left_ms(hold)
    else:
        yield from _before_deadline(hold)
    if hold.claim is not None:
        yield Step.UNCLAIM, hold.claim.until_ms
    for each in hold.confirming:
        yield Step.LAPSE, each.until_ms


def _before_deadline(hold: Hold) -> Iterator[tuple[Step, int]]:
    evaluation = hold.evaluation
    running_from_ms = hold.created_ms + hold.paused_for_ms
    if hold.escalated < len(evaluation.escalations):
        yield Step.ESCALATE, running_from_ms + evaluation.escalations[hold.escalated].after_ms
    # A group that has joined was called in then; a reminder on top of that would be one call too many.
    if evaluation.terms.remind and hold.reminded_ms is None and not hold.escalated:
        yield Step.REMIND, running_from_ms + evaluation.timeout_ms // 2


def _at_deadline(hold: Hold) -> Step:
    match hold.evaluation.on_timeout:
        case OnTimeout.REJECT:
            return Step.EXPIRE
        case OnTimeout.ALLOW:
            return Step.ALLOW
        case OnTimeout.ESCALATE:
            return Step.ESCALATE if hold.escalated < len(hold.evaluation.escalations) else Step.EXPIRE
