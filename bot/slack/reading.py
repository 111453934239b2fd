"""Reading everything that is held, in pages; and without the policy's masks, which is recorded.

Who has come to the last page has read it, and that is recorded once. The pages follow each other: the modal itself says
where its reader is, so that no button leads past pages that were never shown.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.slack import PAGES, REVEAL, REVEAL_MODAL, VIEW
from bot.slack.desk import Ack, Act, Body, Desk, Shown, answer, in_words, shown_by
from bot.slack.modals import PageOf, view_modal
from bot.slack.windows import in_modal, open_modal, turn_modal
from bot.visibility import may_see
from bot.withdraw import is_requester
from holdpoint.errors import MayNotDecide
from holdpoint.model import Hold, Reviewer

PAGED_CHARACTERS = 200_000  # longer requests are read in the web inbox
READ_FIRST = (
    "The risk is high, and the card showed only a part of the text. Read it to its last page, then press Approve."
)


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
        _refuse_long(desk, hold)
        page = await _page(desk, hold, reviewer, 1, revealed=True)
        await open_modal(desk.client, body, page.modal)
        await _note(desk, hold, reviewer, page)
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
            hold = await _may_read(desk, shown, reviewer)
        number = _number(body, shown, hold)
        page = await _page(desk, hold, reviewer, number, revealed=revealed)
        await turn_modal(desk.client, body, page.modal)
        await _note(desk, hold, reviewer, page)
    await answer(desk, ack, body, trouble)


async def open_first(desk: Desk, body: Body, shown: Shown, reviewer: Reviewer, *, note: str = "") -> None:
    """Open the first page. ``note`` says why it opens by itself.

    Raises:
        MayNotDecide: they may not read it, or it is too long for Slack.
        NotFound, TooLate, ChannelError, StoreUnavailable.
    """
    hold = await _may_read(desk, shown, reviewer)
    page = await _page(desk, hold, reviewer, 1, note=note)
    await open_modal(desk.client, body, page.modal)
    await _note(desk, hold, reviewer, page)


ACTIONS: Mapping[str, Act] = {VIEW: view, REVEAL: reveal, **dict.fromkeys(PAGES, turn)}


async def _page(
    desk: Desk, hold: Hold, reviewer: Reviewer, number: int, *, revealed: bool = False, note: str = ""
) -> PageOf:
    seen = await desk.view(hold, reviewer, limit=None, reveal=revealed)
    return view_modal(seen, number, revealed=revealed, note=note)


async def _note(desk: Desk, hold: Hold, reviewer: Reviewer, page: PageOf) -> None:
    """After Slack took it: whoever has the last page on the screen has read it all, if it is theirs to review."""
    if page.page == page.pages and may_see(hold, reviewer):
        await desk.conversation.read(hold.id, reviewer, hold.digest)


def _number(body: Body, shown: Shown, hold: Hold) -> int:
    """The page that was asked for: beside the one that is shown, or the first one of a text that has changed since."""
    here = Shown.parse(body["view"].get("private_metadata"))
    if here.digest != hold.digest:
        return 1
    asked, at = (int(word) if word.isdecimal() else 1 for word in (shown.word, here.word))
    return min(asked, at + 1)


async def _may_read(desk: Desk, shown: Shown, reviewer: Reviewer) -> Hold:
    hold = await desk.look(shown.hold)
    if not may_see(hold, reviewer) and not is_requester(hold, reviewer.principal):
        raise MayNotDecide("Only those who may decide on this request, admins and auditors may read all of it.")
    _refuse_long(desk, hold)
    return hold


def _refuse_long(desk: Desk, hold: Hold) -> None:
    if sum(len(part.text) for part in hold.query.parts) > PAGED_CHARACTERS:
        raise MayNotDecide(
            f"This request is too long for Slack. Read it and decide in the inbox: {desk.link_base}/review/{hold.id}"
        )
