"""What became of a hold, in words: the state sentence, the timeline, durations. Pure.

Names and reasons that people typed go through ``clean`` (masks, hidden characters) before they stand in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from holdpoint.model import Decision, DecisionKind, Hold, State

Clean = Callable[[str], str]

_CHANNELS = {
    "web": "from the web",
    "slack": "from Slack",
    "teams": "from Teams",
    "email": "by e-mail",
    "api": "through the API",
    "timer": "by the policy",
}


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """One thing that happened. ``note`` is what a person typed, or empty."""

    at_ms: int
    text: str
    note: str = ""


def duration(milliseconds: int) -> str:
    """``0.8 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``: two units at most."""
    if milliseconds < 9_950:
        return f"{max(milliseconds, 0) / 1000:.1f} s"
    seconds = round(milliseconds / 1000)
    for size, unit, smaller, smaller_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size} {unit}" + (f" {rest} {smaller_unit}" if rest else "")
    return f"{seconds} s"


def channel_words(channel: str) -> str:
    """``from Slack`` for "slack", and so on."""
    return _CHANNELS.get(channel, f"from {channel}")


def person(decision: Decision) -> str:
    """How to call who decided, on a line."""
    return decision.name or decision.by


def full_person(decision: Decision) -> str:
    """The same beyond doubt: a display name may be anybody's."""
    return f"{decision.name} ({decision.by})" if decision.name and decision.name != decision.by else decision.by


def counted(names: Sequence[str]) -> str:
    """``Sam``, ``Sam and Kim``, ``Sam, Kim and Ola``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def state_sentence(hold: Hold, *, waiting_for: str, clean: Clean) -> str:
    """One sentence: the state, who brought it about, from where, and after how long."""
    match hold.state:
        case State.PENDING:
            return f"Waiting for {waiting_for}" if waiting_for else "Waiting for a decision"
        case State.APPROVED:
            return _approval(hold, clean)
        case State.RELEASED:
            return f"{_approval(hold, clean)}; with the model now"
        case State.COMPLETED:
            return f"{_approval(hold, clean)}; the model has answered"
        case State.FAILED:
            return f"{_approval(hold, clean)}; the model's answer failed"
        case State.REJECTED:
            return _deed("Rejected", _last(hold, DecisionKind.REJECT), hold, clean)
        case State.EXPIRED:
            return _with_reason("Expired", hold, clean)
        case State.CANCELLED:
            return _with_reason("Cancelled", hold, clean)
        case _:
            assert_never(hold.state)


def already_sentence(hold: Hold, *, now_ms: int) -> str:
    """For who comes too late: what the hold is, who did it, how long ago."""
    decision = hold.decisions[-1] if hold.decisions else None
    match hold.state:
        case State.REJECTED | State.APPROVED | State.RELEASED | State.COMPLETED | State.FAILED if decision:
            word = "rejected" if hold.state is State.REJECTED else "approved"
            return f"Already {word} by {full_person(decision)} {duration(now_ms - decision.at_ms)} ago"
        case State.EXPIRED | State.CANCELLED if hold.closed_ms is not None:
            why = f" ({hold.close_reason})" if hold.close_reason else ""
            return f"Already {hold.state.value} {duration(now_ms - hold.closed_ms)} ago{why}"
        case State.PENDING:
            return "The deadline has passed"
        case _:
            return f"Already {hold.state.value}"


def timeline(hold: Hold, *, clean: Clean) -> tuple[TimelineLine, ...]:
    """What happened to the hold, oldest first."""
    lines = [TimelineLine(hold.created_ms, "Held by the policy")]
    steps = hold.evaluation.escalations[: hold.escalated]
    lines += (TimelineLine(hold.created_ms + step.after_ms, f"Escalated: {step.group} joined") for step in steps)
    if hold.left_ms is not None:
        lines.append(TimelineLine(hold.left_ms, "The client left"))
    for decision in hold.decisions:
        word = _word(decision)
        text = f"{word} by {full_person(decision)} {channel_words(decision.channel)}"
        lines.append(TimelineLine(decision.at_ms, clean(text), clean(decision.reason)))
    lines.sort(key=lambda line: line.at_ms)
    if hold.closed_ms is not None and hold.state is not State.REJECTED:
        note = hold.outcome.error if hold.outcome else hold.close_reason
        lines.append(TimelineLine(hold.closed_ms, hold.state.value.capitalize(), clean(note)))
    return tuple(lines)


def _word(decision: Decision) -> str:
    if decision.kind is DecisionKind.REJECT:
        return "Rejected"
    return "Approved with edits" if decision.edits else "Approved"


def _last(hold: Hold, kind: DecisionKind) -> Decision | None:
    return next((each for each in reversed(hold.decisions) if each.kind is kind), None)


def _approval(hold: Hold, clean: Clean) -> str:
    approvals = [each for each in hold.decisions if each.kind is DecisionKind.APPROVE]
    if len(approvals) < 2:
        return _deed(
            _word(approvals[0]) if approvals else "Approved", approvals[-1] if approvals else None, hold, clean
        )
    names = list(dict.fromkeys(person(each) for each in approvals))
    word = "Approved with edits" if any(each.edits for each in approvals) else "Approved"
    return clean(f"{word} by {counted(names)} after {duration(approvals[-1].at_ms - hold.created_ms)}")


def _deed(word: str, decision: Decision | None, hold: Hold, clean: Clean) -> str:
    if decision is None:
        return word
    after = duration(decision.at_ms - hold.created_ms)
    if decision.channel == "timer":
        return f"{word} by the policy after {after}"
    return clean(f"{word} by {person(decision)} {channel_words(decision.channel)} after {after}")


def _with_reason(word: str, hold: Hold, clean: Clean) -> str:
    after = f" after {duration(hold.closed_ms - hold.created_ms)}" if hold.closed_ms is not None else ""
    return clean(f"{word}{after}: {hold.close_reason}" if hold.close_reason else f"{word}{after}")
