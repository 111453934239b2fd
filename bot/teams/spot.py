"""Where a command was typed, and what is said there: one message in its thread, which is replaced as more is known."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from bot.platform import MessageGone
from bot.teams.answers import notice_card
from bot.teams.arrived import Message
from bot.teams.reactions import CARD
from holdpoint.errors import ChannelError, ChannelUnavailable, StoreUnavailable

TRIES = 3
MOST_PAUSE_S = 20.0

Activity = Mapping[str, Any]

_log = logging.getLogger(__name__)


class Speaker(Protocol):
    """What is asked of `bot.teams.connector.Connector`; see there for what it raises."""

    async def post(self, conversation: str, activity: Activity, *, can_wait: bool = False) -> str:
        """A new message; its id."""
        ...

    async def reply(self, conversation: str, message: str, activity: Activity, *, can_wait: bool = False) -> str:
        """A message in a thread; its id."""
        ...

    async def update(self, conversation: str, message: str, activity: Activity, *, can_wait: bool = False) -> None:
        """Replace a message."""
        ...


class Spot:
    """The thread of one command."""

    def __init__(self, connector: Speaker, message: Message) -> None:
        self._connector = connector
        self._conversation = message.conversation
        self._thread = message.thread or message.message
        self._said = ""  # the id of our message

    async def say(self, activity: Activity) -> None:
        """Say it, in place of what was said before. A call that certainly had no effect is made again.

        Raises:
            ChannelError: it could not be said.
            StoreUnavailable: nobody knows where.
        """
        for attempt in range(1, TRIES + 1):
            try:
                await self._say(activity)
            except ChannelUnavailable as error:
                seconds = error.retry_after_seconds
                if seconds is None or seconds > MOST_PAUSE_S or attempt == TRIES:
                    raise
                await asyncio.sleep(seconds)
            else:
                return

    async def say_line(self, line: str) -> None:
        """Say one sentence of ours (raises as `say` does)."""
        await self.say(notice(line))

    async def say_in_passing(self, line: str) -> None:
        """Say one sentence, if that is possible."""
        try:
            await self._say(notice(line))
        except (ChannelError, StoreUnavailable) as error:
            _log.info("not said: %s", error)

    async def _say(self, activity: Activity) -> None:
        if self._said:
            try:
                await self._connector.update(self._conversation, self._said, activity)
                return
            except MessageGone:
                self._said = ""
        if self._thread:
            self._said = await self._connector.reply(self._conversation, self._thread, activity)
        else:
            self._said = await self._connector.post(self._conversation, activity)


def notice(line: str) -> Activity:
    """A message that is one sentence of ours."""
    return {"type": "message", "summary": line, "attachments": [{"contentType": CARD, "content": notice_card([line])}]}
