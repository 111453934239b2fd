"""What is worth another mail. Pure.

A mail cannot be changed, so it is not sent again for everything that changes a card in a chat: a claim, a client that
left, the model's answer to an approved request. Everything that counts here only grows, so no news ever comes twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.happenings import happenings
from holdpoint.model import Hold, State
from holdpoint.policy.mask import Masks
from holdpoint.store.bundles import Bundle, BundleKind

_CHAPTERS = {State.RELEASED: State.APPROVED, State.COMPLETED: State.APPROVED}


def of_hold(hold: Hold) -> str:
    """For reviewers: its state, its text, decisions, questions and answers, escalations and the reminder."""
    return _written([_of(hold)])


def for_requester(hold: Hold) -> str:
    """For who sent it: its state, and what they are asked."""
    return _written([("mine", _chapter(hold), str(len(hold.questions)))])


def of_bundle(bundle: Bundle, holds: Sequence[Hold]) -> str:
    """Of identical requests what is new of any of them, not how many there are; of a digest what is listed, too."""
    if bundle.kind is BundleKind.SAME:
        return _written(sorted({_of(hold) for hold in holds}))
    chapters = {(_chapter(hold),) for hold in holds}
    return _written([(*bundle.holds,), *sorted(chapters)])


def latest(hold: Hold, *, masks: Masks) -> str:
    """What happened last, in a line; empty where nothing has, since it was held."""
    timed = [each.text for each in happenings(hold, masks=masks) if each.at_ms is not None]
    return timed[-1].partition("\n")[0] if timed else ""


def _of(hold: Hold) -> tuple[str, ...]:
    answered = sum(question.answered_ms is not None for question in hold.questions)
    counts = (len(hold.decisions), hold.escalated, len(hold.questions), answered, int(hold.reminded_ms is not None))
    return (_chapter(hold), hold.digest, *map(str, counts))


def _chapter(hold: Hold) -> str:
    """The state, as far as it is news: an approved request is with the model and answered soon after."""
    return _CHAPTERS.get(hold.state, hold.state).value


def _written(parts: Sequence[Sequence[str]]) -> str:
    return "\n".join(" ".join(part) for part in parts)
