"""Commands by @mention, or as plain text in one's own chat with the bot: the grammar of bot/commands.py.

::

    own chat ─▶ the answer, there
    channel, group chat ─ help, route here ─▶ the answer, in the thread
                        └ all else ─▶ the answer in the asker's own chat, and a notice in the thread

A channel has no messages for one person only, and what may be read depends on who asks. What takes longer than two
seconds begins with "Working…", which the answer replaces. A question carries a button; whose it is decides who asked.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from bot.answers import Answer, Picture
from bot.commands import Commands
from bot.dashboard import Dashboards
from bot.grammar import tokens_of
from bot.pictures import smaller
from bot.platform import NobodyThere
from bot.teams import KIND, strays
from bot.teams.answers import answer_card, answer_summary
from bot.teams.arrived import Click, Message
from bot.teams.desk import TEAMS_AWAY, Desk, is_personal, posted_at
from bot.teams.elements import Card
from bot.teams.home import CHARACTERS, WORD, Home, no_median
from bot.teams.reactions import CARD, Reaction, Said, Showed
from bot.teams.spot import Spot
from bot.teams.wording import as_typed
from bot.typed import WORKING, result
from bot.typed import run as run_typed
from holdpoint.errors import ChannelError, StoreUnavailable
from holdpoint.model import Reviewer

QUICK_S = 2.0
# https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/conversation-messages#picture-messages
PICTURE_PIXELS = 1_024
PICTURE_BYTES = 36_000  # in base64 and UTF-16 what Teams takes as one message

IN_CHAT = "The answer is in your chat with Holdpoint."
NO_CHAT = (
    "Holdpoint cannot write to you, and the answer is for you only: add the app for yourself (Apps → Holdpoint → Add), "
    "and ask again."
)
CHAT_AWAY = "The answer is for you only, and could not be brought to your chat with Holdpoint. Ask again."
MADE = "If it was a change, it has been made."

_log = logging.getLogger(__name__)


async def run(desk: Desk, typed: Commands, message: Message) -> None:
    """Answer what was written to the bot.

    Raises:
        ChannelError: the answer is lost.
        StoreUnavailable: nobody knows where to answer.
    """
    spot = Spot(desk.connector, message)
    asker: list[Reviewer] = []

    async def who() -> Reviewer:
        asker.append(await desk.who(message))
        return asker[0]

    text = await as_typed(desk.people, message)
    place = "" if message.personal else f"{KIND}:{message.conversation}"
    home = _home(desk, typed) if text.casefold() == WORD else None
    running = run_typed(home or typed, text, who, away=TEAMS_AWAY, place=place)
    working = desk.tasks.start("teams command", running)
    if not await _is_quick(working):
        await spot.say_in_passing(WORKING)
        await asyncio.wait({working})
    answer = result(working)
    activity = _activity(answer, home.card if home is not None else None)
    if message.personal:
        await spot.say(activity)
        await _send_picture(desk, message.conversation, answer.picture)
    elif not asker or _is_harmless(text):
        await spot.say(activity)
    else:
        await _privately(desk, spot, asker[0], answer, activity)


async def confirm(desk: Desk, typed: Commands, click: Click) -> Reaction:
    """Do what was asked about; the answer takes the place of the question. What goes wrong only the clicker reads."""
    value = click.data.get("hold")
    text = value if isinstance(value, str) and value.startswith("confirm ") else "confirm"

    working = desk.tasks.start("teams confirmation", run_typed(typed, text, partial(desk.who, click), away=TEAMS_AWAY))
    desk.tasks.start("teams answer", _replace(desk, click, working))
    if not await _is_quick(working):
        return Said(WORKING)
    answer = result(working)
    return Showed(answer_card(answer)) if answer.ok else Said(" ".join(answer.lines))


async def _replace(desk: Desk, click: Click, working: asyncio.Task[Answer]) -> None:
    """Put the answer where the question stands, for everybody who can see it; over no card, whatever the client pressed."""
    await asyncio.wait({working})
    answer, place = result(working), posted_at(click)
    try:
        if place is None or not (answer.ok or is_personal(click)):
            return
        if await strays.is_waiting(place, store=desk.store):
            _log.warning("a question's button was pressed on a card")
        else:
            await desk.connector.update(place.channel, place.message, _activity(answer))
    except (ChannelError, StoreUnavailable) as error:
        _log.warning("a question still stands where its answer should: %s", error)


async def _privately(desk: Desk, spot: Spot, asker: Reviewer, answer: Answer, activity: Mapping[str, Any]) -> None:
    try:
        chat = await desk.people.personal(asker.principal)
        await desk.connector.post(chat.id, activity)
    except NobodyThere as error:
        _log.info("an answer had nowhere to go: %s", error)
        await spot.say_line(_lost(NO_CHAT, answer))
    except (ChannelError, StoreUnavailable) as error:
        _log.warning("an answer was lost: %s", error)
        await spot.say_line(_lost(CHAT_AWAY, answer))
    else:
        await spot.say_line(IN_CHAT)
        await _send_picture(desk, chat.id, answer.picture)


def _lost(why: str, answer: Answer) -> str:
    return f"{why} {MADE}" if answer.ok and not answer.confirm else why


async def _send_picture(desk: Desk, conversation: str, picture: Picture | None) -> None:
    """A message of its own: where it is refused, the numbers have been said already."""
    if picture is None:
        return
    png = await asyncio.to_thread(smaller, picture.png, most=PICTURE_PIXELS)
    if len(png) > PICTURE_BYTES:
        _log.warning("a picture is too large for Teams", extra={"bytes": len(png)})
        return
    data = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    attachment = {"contentType": "image/png", "contentUrl": data, "name": "holdpoint-stats.png"}
    try:
        await desk.connector.post(conversation, {"type": "message", "attachments": [attachment]})
    except (ChannelError, StoreUnavailable) as error:
        _log.warning("a picture was not sent: %s", error)


def _is_harmless(text: str) -> bool:
    """Whether everybody in the channel may read the answer: help, or a route of that very channel."""
    words = [token.text.casefold() for token in tokens_of(text)[:2]]
    return not words or words[0] == "help" or words == ["route", "here"]


def _home(desk: Desk, typed: Commands) -> Home:
    history = typed.office.history
    dashboards = Dashboards(
        desk.store, desk.live, clock=desk.clock, link_base=desk.link_base, characters=CHARACTERS,
        median_of=no_median if history is None else history.decision_median_ms,
    )  # fmt: skip
    return Home(dashboards, desk.link_base)


def _activity(answer: Answer, card: Card | None = None) -> Mapping[str, Any]:
    """``card`` in place of the answer's own."""
    attachment = {"contentType": CARD, "content": answer_card(answer) if card is None else card}
    return {"type": "message", "summary": answer_summary(answer), "attachments": [attachment]}


async def _is_quick(working: asyncio.Task[Answer]) -> bool:
    done, _ = await asyncio.wait({working}, timeout=QUICK_S)
    return bool(done)
