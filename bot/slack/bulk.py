"""Buttons of cards that stand for several holds (see `bot.bulk`)."""

from __future__ import annotations

from collections.abc import Mapping

from bot import bulk
from bot.inputs import reason_of
from bot.slack import BULK_APPROVE, BULK_REJECT, BULK_REJECT_MODAL
from bot.slack.desk import ACT_WITHIN_S, Ack, Act, Body, Desk, NotTold, answer, in_words
from bot.slack.forms import bulk_reject_modal
from bot.slack.inputs import close, filled, metadata, say
from bot.slack.render import CARD_CHARACTERS
from bot.slack.windows import open_modal
from holdpoint.errors import TooLate
from holdpoint.model import DecisionKind

DECIDE_WITHIN_S = ACT_WITHIN_S - 0.7  # the rest is for finding out who it is, and for the answer


async def approve(desk: Desk, ack: Ack, body: Body) -> None:
    """Approve all that the card lists, and tell the sum."""
    all_done = False
    async with in_words() as trouble:
        value = str(body["actions"][0].get("value"))
        reviewer = await desk.who(body)
        covered = await desk.store.bundles.resolve(value)
        whole = await bulk.saw_whole(desk, value, covered, reviewer, limit=CARD_CHARACTERS)
        done = await bulk.decide_all(
            desk, covered, reviewer, DecisionKind.APPROVE, within_s=DECIDE_WITHIN_S, whole=whole
        )
        trouble.url = await bulk.ask(desk, covered, done, reviewer, whole=whole)
        trouble.sentence = bulk.sum_of(done, DecisionKind.APPROVE)
        trouble.stale = any(each.why for each in done)
        all_done = all(each.decided for each in done)
    try:
        await answer(desk, ack, body, trouble)
    except NotTold:
        if not all_done:
            raise
        await ack()  # all is recorded, and the card will say so


async def reject(desk: Desk, ack: Ack, body: Body) -> None:
    """Ask for the reason; the modal decides."""
    async with in_words() as trouble:
        value = str(body["actions"][0].get("value"))
        await desk.who(body)
        covered = await desk.store.bundles.resolve(value)
        reasons = await bulk.common_reasons(desk, covered)
        if not covered:
            raise TooLate("Nothing on this card waits any more.")
        await open_modal(desk.client, body, bulk_reject_modal(value, len(covered), reasons))
    await answer(desk, ack, body, trouble)


async def send_rejection(desk: Desk, ack: Ack, body: Body) -> None:
    """Reject all that the card listed, and tell the sum in the modal."""
    told = ""
    async with in_words() as trouble:
        covered = await desk.store.bundles.resolve(metadata(body))
        reviewer = await desk.who(body)
        reason = reason_of(filled(body), await bulk.common_reasons(desk, covered))
        done = await bulk.decide_all(
            desk, covered, reviewer, DecisionKind.REJECT, within_s=DECIDE_WITHIN_S, reason=reason
        )
        told = bulk.sum_of(done, DecisionKind.REJECT)
    if told and not trouble.sentence:
        await say(ack, told)
    else:
        await close(ack, body, trouble)


ACTIONS: Mapping[str, Act] = {BULK_APPROVE: approve, BULK_REJECT: reject}
VIEWS: Mapping[str, Act] = {BULK_REJECT_MODAL: send_rejection}
