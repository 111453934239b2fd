"""Reading everything that is held, in pages of a dialog; and without the policy's masks, which is recorded.

A page *is* the answer to the click that asked for it. That somebody came to the last page is noted when the page is made
and about to be answered: it proves that this person asked for every page, one after the other, and that their client was
sent each before it could ask for the next one; not that the last one was on their screen, which no platform tells. The
client itself says which page it has (``here``), and the pages follow each other from there: whoever manipulates their own
client can skip what they should read, as they could turn pages without looking.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bot import acts
from bot.teams import REVEAL, VIEW
from bot.teams.desk import Desk, Pressed, Shown
from bot.teams.reactions import Opened
from bot.teams.render import view_dialog
from holdpoint.model import Hold

PLATFORM = "Teams"
_TITLE, _REVEALED = "Everything that is held", "Without masks, for you alone"


async def view(desk: Desk, pressed: Pressed) -> Opened:
    """Everything that is held, from its first page."""
    return await first(desk, pressed)


async def first(desk: Desk, pressed: Pressed, *, note: str = "") -> Opened:
    """The first page. ``note`` says why it opens by itself.

    Raises:
        MayNotDecide: they may not read it, or it is too long for Teams.
        NotFound, TooLate, StoreUnavailable.
    """
    hold = await acts.may_read(desk, pressed.shown, pressed.person, platform=PLATFORM)
    return await _page(desk, hold, pressed, 1, note=note)


async def reveal(desk: Desk, pressed: Pressed) -> Opened:
    """The same without masks, for who clicked alone: first recorded, then shown."""
    hold = await _revealed(desk, pressed)
    return await _page(desk, hold, pressed, 1, revealed=True)


async def turn(desk: Desk, pressed: Pressed) -> Opened:
    """Another page, in the same dialog."""
    hold = await acts.may_read(desk, pressed.shown, pressed.person, platform=PLATFORM)
    return await _page(desk, hold, pressed, _number(pressed, hold))


async def turn_revealed(desk: Desk, pressed: Pressed) -> Opened:
    """Another page without masks. Whoever looks on is asked again whether they may, and the record says that they did."""
    hold = await _revealed(desk, pressed)
    return await _page(desk, hold, pressed, _number(pressed, hold), revealed=True)


FORMS: Mapping[str, Callable[[Desk, Pressed], Awaitable[Opened]]] = {VIEW: view, REVEAL: reveal}
TURNS: Mapping[str, Callable[[Desk, Pressed], Awaitable[Opened]]] = {VIEW: turn, REVEAL: turn_revealed}


async def _revealed(desk: Desk, pressed: Pressed) -> Hold:
    hold = await desk.conversation.reveal(pressed.shown.hold, pressed.person, pressed.shown.digest)
    acts.refuse_long(desk, hold, platform=PLATFORM)
    return hold


async def _page(
    desk: Desk, hold: Hold, pressed: Pressed, number: int, *, revealed: bool = False, note: str = ""
) -> Opened:
    seen = await desk.view(hold, pressed.person, limit=None, reveal=revealed)
    card, page, pages = view_dialog(seen, number, revealed=revealed, note=note)
    await acts.note_read(desk, hold, pressed.person, page=page, pages=pages)
    return Opened(_REVEALED if revealed else _TITLE, card, width="large")


def _number(pressed: Pressed, hold: Hold) -> int:
    return acts.page_after(pressed.shown, Shown.parse(pressed.click.data.get("here")), hold)
