"""What time does to a hold. Pure: a hold and a time in, the next step out.

The timer of every bot asks this about the holds that are due, and the store's scripts let each step happen once.
"""

from __future__ import annotations

from enum import StrEnum

from holdpoint.model import Hold, OnTimeout, State


class Step(StrEnum):
    """What is due."""

    NOTHING = "nothing"
    ESCALATE = "escalate"
    EXPIRE = "expire"
    CANCEL = "cancel"  # the client left and did not come back
    ALLOW = "allow"  # the rule says in as many words that silence is consent


def next_step(hold: Hold, now_ms: int) -> Step:
    """What is to happen to ``hold`` at ``now_ms``."""
    if hold.state is State.APPROVED:
        return Step.EXPIRE if now_ms >= hold.due_ms else Step.NOTHING
    if hold.state is not State.PENDING:
        return Step.NOTHING
    if now_ms >= hold.deadline_ms:
        return _at_deadline(hold)
    if hold.return_by_ms is not None and now_ms >= hold.return_by_ms:
        return Step.CANCEL
    next_escalation = _next_escalation_ms(hold)
    if next_escalation is not None and now_ms >= next_escalation:
        return Step.ESCALATE
    return Step.NOTHING


def pending_due_ms(hold: Hold) -> int:
    """When the timer looks next at a pending hold."""
    times = [hold.deadline_ms, hold.return_by_ms, _next_escalation_ms(hold)]
    return min(time for time in times if time is not None)


def deadline_after_escalation(hold: Hold, now_ms: int) -> int:
    """The deadline once the next group has joined: a new one where the old one had passed, else the same."""
    if now_ms >= hold.deadline_ms:
        return now_ms + hold.evaluation.timeout_ms
    return hold.deadline_ms


def _at_deadline(hold: Hold) -> Step:
    match hold.evaluation.on_timeout:
        case OnTimeout.REJECT:
            return Step.EXPIRE
        case OnTimeout.ALLOW:
            return Step.ALLOW
        case OnTimeout.ESCALATE:
            return Step.ESCALATE if hold.escalated < len(hold.evaluation.escalations) else Step.EXPIRE


def _next_escalation_ms(hold: Hold) -> int | None:
    steps = hold.evaluation.escalations
    if hold.escalated >= len(steps):
        return None
    return hold.created_ms + steps[hold.escalated].after_ms
