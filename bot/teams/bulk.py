"""Buttons of cards that stand for several holds (see `bot.bulk`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bot import bulk
from bot.inputs import reason_of
from bot.teams import BULK_APPROVE, BULK_REJECT
from bot.teams.desk import ACT_WITHIN_S, Desk, Outcome, Pressed
from bot.teams.reactions import Opened
from bot.teams.render import CARD_CHARACTERS, bulk_reject_dialog
from holdpoint.errors import TooLate
from holdpoint.model import DecisionKind

DECIDE_WITHIN_S = ACT_WITHIN_S - 0.7  # the rest is for finding out who it is


async def approve(desk: Desk, pressed: Pressed) -> Outcome:
    """Approve all that the card lists, and tell the sum."""
    value = _value(pressed)
    covered = await desk.store.bundles.resolve(value)
    whole = await bulk.saw_whole(desk, value, covered, pressed.person, limit=CARD_CHARACTERS)
    done = await bulk.decide_all(
        desk, covered, pressed.person, DecisionKind.APPROVE, within_s=DECIDE_WITHIN_S, whole=whole
    )
    url = await bulk.ask(desk, covered, done, pressed.person, whole=whole)
    return Outcome(sentence=bulk.sum_of(done, DecisionKind.APPROVE), url=url, stale=any(each.why for each in done))


async def reject(desk: Desk, pressed: Pressed) -> Outcome:
    """Reject all that the card lists for one reason, and tell the sum."""
    covered = await desk.store.bundles.resolve(_value(pressed))
    reason = reason_of(pressed.inputs, await bulk.common_reasons(desk, covered))
    done = await bulk.decide_all(
        desk, covered, pressed.person, DecisionKind.REJECT, within_s=DECIDE_WITHIN_S, reason=reason
    )
    return Outcome(sentence=bulk.sum_of(done, DecisionKind.REJECT), stale=any(each.why for each in done))


async def reject_form(desk: Desk, pressed: Pressed) -> Opened:
    """Ask for the reason; the dialog decides."""
    covered = await desk.store.bundles.resolve(_value(pressed))
    reasons = await bulk.common_reasons(desk, covered)
    if not covered:
        raise TooLate("Nothing on this card waits any more.")
    dialog = bulk_reject_dialog(_value(pressed), len(covered), reasons)
    return Opened("Reject all", dialog, height="medium")


DOES: Mapping[str, Callable[[Desk, Pressed], Awaitable[Outcome]]] = {BULK_APPROVE: approve, BULK_REJECT: reject}
FORMS: Mapping[str, Callable[[Desk, Pressed], Awaitable[Opened]]] = {BULK_REJECT: reject_form}


def _value(pressed: Pressed) -> str:
    """What the button carries: a card, and which list of holds it showed (NotFound: nothing of ours)."""
    return f"{pressed.shown.hold} {pressed.shown.digest}"
