"""What has happened to a hold, as things to say once, each under a name; and whom the policy wants called. Pure.

Everything is read from the hold itself, so it does not matter how many events were missed, or which bot read them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from bot.cards import edit_lines
from bot.pieces import OutcomeView
from bot.platform import Call
from bot.sentences import Clean, channel_words, decision_word, factor_words, full_person, in_place_of
from holdpoint.model import Decision, Hold, Mention, State
from holdpoint.policy import authority
from holdpoint.policy.mask import Masks, mask
from holdpoint.visible import visible_line

_MOST_CHANGED = 3  # lines of a diff
_LINE = 160  # characters of one of them


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened. ``at_ms`` is None where the hold does not say when; ``loud``: everybody has to see it."""

    key: str
    at_ms: int | None
    text: str
    loud: bool = False


def happenings(hold: Hold, *, masks: Masks) -> tuple[Happening, ...]:
    """All of them, oldest first, as sentences without markup, on one line but for the lines of a diff."""

    def clean(text: str) -> str:
        return visible_line(mask(text, masks).text)

    found: list[Happening] = []
    if hold.justification:
        key = hashlib.sha256(hold.justification.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        found.append(Happening(f"justified {key}", None, clean(f"The requester says: {hold.justification}")))
    for number, step in enumerate(hold.evaluation.escalations[: hold.escalated]):
        at_ms = hold.created_ms + step.after_ms
        found.append(Happening(f"escalated {number}", at_ms, clean(f"Escalated: {step.group} may decide, too.")))
    if hold.reminded_ms is not None:
        found.append(Happening("reminded", hold.reminded_ms, "Half of the time is over."))
    for question in hold.questions:
        who = question.name or question.by
        found.append(Happening(f"asked {question.id}", question.at_ms, clean(f"{who} asked: {question.text}")))
        if question.answered_ms is not None:
            text = clean(f"{question.answered_by} answered: {question.answer}")
            found.append(Happening(f"answered {question.id}", question.answered_ms, text))
    for number, decision in enumerate(hold.decisions):
        found.append(Happening(f"decided {number}", decision.at_ms, _decided(decision, clean, masks), decision.glass))
    found.sort(key=lambda each: each.at_ms or 0)
    return (*found, *_ended(hold, clean))


def calls(hold: Hold) -> tuple[Call, ...]:
    """Whom to call now: what the policy asks for has happened, and the hold still waits."""
    if hold.state is not State.PENDING:
        return ()
    mentions, found = hold.evaluation.terms.mentions, list[Call]()
    asked = authority.progress(hold, hold.decisions).missing
    missing = tuple(group for requirement in asked for group in (requirement.group, *requirement.alternates))
    if Mention.HELD in mentions:
        found.append(Call("call held", Mention.HELD, missing, hold))
        # Each group whose turn comes later is called when it does.
        found += (Call(f"call {each.group}", Mention.HELD, (each.group,), hold) for each in asked if each.after)
    if Mention.REMINDER in mentions and hold.reminded_ms is not None:
        found.append(Call("call reminder", Mention.REMINDER, missing, hold))
    if Mention.ESCALATION in mentions:
        steps = enumerate(hold.evaluation.escalations[: hold.escalated])
        found += (Call(f"call escalation {number}", Mention.ESCALATION, (step.group,), hold) for number, step in steps)
    return tuple(found)


def _decided(decision: Decision, clean: Clean, masks: Masks) -> str:
    glass = ", breaking the glass," if decision.glass else ""
    said = f": {decision.reason}" if decision.reason else ""
    how = f"{channel_words(decision.channel)}{factor_words(decision)}"
    line = clean(f"{decision_word(decision)} by {full_person(decision)}{in_place_of(decision)}{glass} {how}{said}")
    before = {edit.path: edit.text for edit in decision.before}
    changed = [
        visible_line(f"{each.sign} {each.text}"[:_LINE])
        for edit in decision.edits
        for each in edit_lines(before.get(edit.path, ""), edit.text, masks)
        if each.sign.strip()
    ]
    more = [f"and {len(changed) - _MOST_CHANGED} more changed lines"] if len(changed) > _MOST_CHANGED else []
    return "\n".join([line, *changed[:_MOST_CHANGED], *more])


def _ended(hold: Hold, clean: Clean) -> list[Happening]:
    match hold.state:
        case State.RELEASED:
            return [Happening("released", hold.decisions[-1].at_ms if hold.decisions else None, "With the model.")]
        case State.COMPLETED | State.FAILED if hold.outcome is not None:
            made = hold.outcome
            view = OutcomeView(
                status=made.status, ok=hold.state is State.COMPLETED, duration_ms=made.duration_ms, error=made.error,
                prompt_tokens=made.prompt_tokens, completion_tokens=made.completion_tokens, size_bytes=made.size_bytes,
            )  # fmt: skip
            return [Happening("result", hold.closed_ms, clean(f"{view.line}."))]
        case State.EXPIRED | State.CANCELLED:
            why = f": {hold.close_reason}" if hold.close_reason else ""
            return [Happening("ended", hold.closed_ms, clean(f"{hold.state.value.capitalize()}{why}"))]
        case _:
            return []
