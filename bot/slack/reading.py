"""Reading everything that is held, in pages; and without the policy's masks, which is recorded.

Who has come to the last page has read it, and that is recorded once. The pages follow each other: the modal itself says
where its reader is, so that no button leads past pages that were never shown.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot import acts
from bot.slack import PAGES, REVEAL, REVEAL_MODAL, VIEW
from bot.slack.desk import Ack, Act, Body, Desk, Shown, answer, in_words, shown_by
from bot.slack.modals import PageOf, view_modal
from bot.slack.windows import in_modal, open_modal, turn_modal
from holdpoint.model import Hold, Reviewer

PLATFORM = "Slack"


async def view(desk: Desk, ack: Ack, body: Body) -> None:
    """Everything that is held, from its first page."""
    async with in_words() as trouble:
        await open_first(desk, body, shown_by(body), await desk.who(body))
    await answer(desk, ack, body, trouble)


async def reveal(desk: Desk, ack: Ack, body: Body) -> None:
    """The same without masks, for who clicked alone: first recorded, then shown."""
    async with in_words() as trouble:
        shown = shown_by(body)
        reviewer = await desk.who(body)
        hold = await desk.conversation.reveal(shown.hold, reviewer, shown.digest)
        acts.refuse_long(desk, hold, platform=PLATFORM)
        page = await _page(desk, hold, reviewer, 1, revealed=True)
        await open_modal(desk.client, body, page.modal)
        await acts.note_read(desk, hold, reviewer, page=page.page, pages=page.pages)
    await answer(desk, ack, body, trouble)


async def turn(desk: Desk, ack: Ack, body: Body) -> None:
    """Another page, in the same modal."""
    async with in_words() as trouble:
        shown = shown_by(body)
        reviewer = await desk.who(body)
        revealed = in_modal(body) and body["view"].get("callback_id") == REVEAL_MODAL
        if revealed:
            # Whoever looks on is asked again whether they may, and the record says that they did.
            hold = await desk.conversation.reveal(shown.hold, reviewer, shown.digest)
        else:
            hold = await acts.may_read(desk, shown, reviewer, platform=PLATFORM)
        number = _number(body, shown, hold)
        page = await _page(desk, hold, reviewer, number, revealed=revealed)
        await turn_modal(desk.client, body, page.modal)
        await acts.note_read(desk, hold, reviewer, page=page.page, pages=page.pages)
    await answer(desk, ack, body, trouble)


async def open_first(desk: Desk, body: Body, shown: Shown, reviewer: Reviewer, *, note: str = "") -> None:
    """Open the first page. ``note`` says why it opens by itself.

    Raises:
        MayNotDecide: they may not read it, or it is too long for Slack.
        NotFound, TooLate, ChannelError, StoreUnavailable.
    """
    hold = await acts.may_read(desk, shown, reviewer, platform=PLATFORM)
    page = await _page(desk, hold, reviewer, 1, note=note)
    await open_modal(desk.client, body, page.modal)
    await acts.note_read(desk, hold, reviewer, page=page.page, pages=page.pages)


ACTIONS: Mapping[str, Act] = {VIEW: view, REVEAL: reveal, **dict.fromkeys(PAGES, turn)}


async def _page(
    desk: Desk, hold: Hold, reviewer: Reviewer, number: int, *, revealed: bool = False, note: str = ""
) -> PageOf:
    seen = await desk.view(hold, reviewer, limit=None, reveal=revealed)
    return view_modal(seen, number, revealed=revealed, note=note)


def _number(body: Body, shown: Shown, hold: Hold) -> int:
    return acts.page_after(shown, Shown.parse(body["view"].get("private_metadata")), hold)
