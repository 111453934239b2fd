"""What happened to a hold, oldest first, as lines for cards and pages. Pure. `bot.happenings` has the lines of threads.

Names and texts that people typed go through ``clean`` (masks, hidden characters) before they stand in a line.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.sentences import Clean, channel_words, decision_word, factor_words, full_person, in_place_of
from holdpoint.model import Decision, Hold, Question, State


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """One thing that happened. ``note`` is what a person typed, or empty; it may have several lines.

    ``talk``: a question or an answer, which cards show by themselves.
    """

    at_ms: int
    text: str
    note: str = ""
    talk: bool = False

    @property
    def line(self) -> str:
        """Both on one line."""
        note = " ".join(self.note.split())
        return f"{self.text}: {note}" if note else self.text


def timeline(hold: Hold, *, clean: Clean) -> tuple[TimelineLine, ...]:
    """What happened to the hold, oldest first."""
    lines = [TimelineLine(hold.created_ms, "Held by the policy")]
    lines += (
        TimelineLine(hold.created_ms + step.after_ms, _one(f"Escalated: {step.group} joined", clean))
        for step in hold.evaluation.escalations[: hold.escalated]
    )
    if hold.reminded_ms is not None:
        lines.append(TimelineLine(hold.reminded_ms, "Reminded: half of the time is over"))
    if hold.left_ms is not None:
        lines.append(TimelineLine(hold.left_ms, "The client left"))
    for question in hold.questions:
        lines += _talk(question, clean)
    lines += (_decided(decision, clean) for decision in hold.decisions)
    lines.sort(key=lambda line: line.at_ms)
    if hold.closed_ms is not None and hold.state is not State.REJECTED:
        note = hold.outcome.error if hold.outcome else hold.close_reason
        lines.append(TimelineLine(hold.closed_ms, hold.state.value.capitalize(), clean(note)))
    return tuple(lines)


def _one(text: str, clean: Clean) -> str:
    """On one line: a name with a line break in it must not make a line that looks like another event."""
    return " ".join(clean(text).split())


def _talk(question: Question, clean: Clean) -> list[TimelineLine]:
    asked = TimelineLine(
        question.at_ms, _one(f"{question.name or question.by} asked", clean), clean(question.text), talk=True
    )
    if question.answered_ms is None:
        return [asked]
    text = _one(f"{question.answered_by} answered", clean)
    return [asked, TimelineLine(question.answered_ms, text, clean(question.answer), talk=True)]


def _decided(decision: Decision, clean: Clean) -> TimelineLine:
    glass = ", breaking the glass," if decision.glass else ""
    text = f"{decision_word(decision)} by {full_person(decision)}{in_place_of(decision)}{glass} {channel_words(decision.channel)}{factor_words(decision)}"
    return TimelineLine(decision.at_ms, _one(text, clean), clean(decision.reason))
