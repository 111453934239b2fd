"""A command as it was typed on a platform → what to answer, within a time, whatever goes wrong. Knows no platform."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from bot.accounts import UnknownPerson
from bot.answers import Answer, refusal
from bot.desk import sentence
from holdpoint.errors import ChannelError, StoreUnavailable
from holdpoint.model import Reviewer

LONGEST_S = 60.0
WORKING = "Working…"
STORE_AWAY = "Holdpoint's store does not answer. If this was a change, look whether it was made before you try again."
TOO_SLOW = "This took too long, and was given up. If it was a change, look whether it was made before you try again."
FAILED = "Something went wrong in Holdpoint; its log says what. If this was a change, look whether it was made."
PICTURE = "A picture of this comes in your direct messages with Holdpoint."

_log = logging.getLogger(__name__)


class Runs(Protocol):
    """What runs a command: `bot.commands.Commands`, or a platform's own for what only it has."""

    async def run(self, text: str, reviewer: Reviewer, *, place: str = "") -> Answer:
        """The answer (StoreUnavailable)."""
        ...


async def run(typed: Runs, text: str, who: Callable[[], Awaitable[Reviewer]], *, away: str, place: str = "") -> Answer:
    """The answer to ``text``, typed by ``who`` in the channel ``place``; ``away`` where the platform does not say who that is.

    Only a bug raises.
    """
    try:
        async with asyncio.timeout(LONGEST_S):
            return await typed.run(text, await who(), place=place)
    except UnknownPerson as error:
        return refusal(sentence(error))
    except StoreUnavailable:
        return refusal(STORE_AWAY)
    except ChannelError as error:
        _log.warning("a command came to nothing: %s", error)
        return refusal(away)
    except TimeoutError:
        return refusal(TOO_SLOW)


def result(working: asyncio.Task[Answer]) -> Answer:
    """What a task of `run` came to; it is done. A bug is in the log already."""
    return refusal(FAILED) if working.cancelled() or working.exception() is not None else working.result()
