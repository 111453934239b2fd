"""What clicks, dialogs and commands in Teams have in common: who is it, what did they give, how are they told. See `bot.desk` for the rest.

What a button carries and what stands in an input comes from the client: it says what somebody wants, never what they may.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from bot import desk
from bot.accounts import UnknownPerson
from bot.desk import GONE, NOT_RECORDED, TOO_SLOW, Shown, Trouble, sentence
from bot.platform import Posted
from bot.teams import KIND, roster, strays
from bot.teams.arrived import Click, text_at
from bot.teams.connector import Connector
from bot.teams.people import People
from bot.teams.places import Places
from bot.teams.strays import Lately
from holdpoint.errors import NotFound, StoreUnavailable
from holdpoint.model import Hold, Reviewer

__all__ = ["GONE", "Desk", "Outcome", "Pressed", "Shown", "Trouble", "in_words", "is_old", "owner_of", "sentence"]

ACT_WITHIN_S = 3.3  # of the four that an invoke has here; the rest is for drawing what it came to
TEAMS_AWAY = "Not recorded: Teams does not answer Holdpoint's questions about you. Try again."
PRESS_AGAIN = frozenset({NOT_RECORDED, TOO_SLOW, TEAMS_AWAY})
UNKNOWN = "Holdpoint does not know this button any more. Look at the newest card, or open the inbox."

_BULK = "bulk_"

_log = logging.getLogger(__name__)


class Caller(Protocol):
    """Who acted, and where: a `Click` or a `Message` (see arrived.py)."""

    @property
    def user(self) -> str: ...
    @property
    def member(self) -> str: ...
    @property
    def conversation(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Desk(desk.Desk):
    """Everything that a callback needs."""

    connector: Connector
    people: People
    places: Places
    redrawn: Lately = field(default_factory=Lately)

    async def who(self, caller: Caller) -> Reviewer:
        """Who did this, as the roster says now.

        Raises:
            UnknownPerson, ChannelError, StoreUnavailable.
        """
        return await self._known(caller, fresh=True)

    async def known(self, caller: Caller) -> Reviewer:
        """Who looks at something, as of a minute ago at most; nothing is decided by it.

        Raises:
            UnknownPerson, ChannelError, StoreUnavailable.
        """
        return await self._known(caller, fresh=False)

    async def _known(self, caller: Caller, *, fresh: bool) -> Reviewer:
        if not caller.user:
            raise UnknownPerson(roster.ANONYMOUS)
        self.people.seen(user_id=caller.user, member=caller.member, conversation=caller.conversation)
        return await self.directory.by_platform(self.people, KIND, caller.user, fresh=fresh)

    def redraw_soon(self, click: Click, *, anyway: bool) -> None:
        """Bring the clicked copy up to date (see `bot.desk.Desk.bring_up_to_date`), if it is one.

        Many may press a card that is behind at the same moment: it is sent again once, since Teams rations updates.
        """
        owner, place = owner_of(click), posted_at(click)
        if owner and place is not None:
            anyway = anyway and self.redrawn.is_first(place, now_ms=self.clock())
            self.tasks.start("teams redraw", self._redraw_ours(owner, place, anyway=anyway))

    async def _redraw_ours(self, owner: str, place: Posted, *, anyway: bool) -> None:
        try:
            is_ours = await strays.is_of(owner, place, store=self.store, live=self.live)
        except (StoreUnavailable, NotFound) as error:
            _log.warning("could not redraw: %s", error, extra={"hold": owner})
            return
        if is_ours:
            self.bring_up_to_date(owner, place, anyway=anyway)
        else:
            _log.warning("a button carries a hold that its message cannot show", extra={"hold": owner})


@dataclass(frozen=True, slots=True)
class Pressed:
    """A click of somebody who is known."""

    click: Click
    person: Reviewer

    @property
    def shown(self) -> Shown:
        """What the button or dialog carries (NotFound: nothing of ours)."""
        return Shown.parse(self.click.data.get("hold"))

    @property
    def inputs(self) -> Mapping[str, str]:
        """What was typed or chosen, by the names of `bot.inputs`; of several forms on a card, that of the button."""
        ends = ("", self.click.verb, self.click.verb.removeprefix(_BULK))
        found: dict[str, str] = {}
        for key, value in self.click.data.items():
            name, _, end = key.partition(".")
            if end in ends and isinstance(value, str) and key not in ("verb", "hold", "here"):
                found[name] = value
        return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a click came to: the hold as it is now, or a sentence, or both. ``stale``: the clicked card is behind.

    ``url``: where the person confirms that it is them.
    """

    hold: Hold | None = None
    sentence: str = ""
    url: str = ""
    stale: bool = False


def posted_at(click: Click) -> Posted | None:
    """The message that was clicked; None where Teams does not say."""
    return Posted(click.conversation, click.message) if click.conversation and click.message else None


def owner_of(click: Click) -> str:
    """The hold or bundle that the button carries; empty for nothing of ours."""
    try:
        return Shown.parse(click.data.get("hold")).hold
    except NotFound:
        return ""


def is_old(click: Click) -> bool:
    """Whether it came as a message: such a client shows no card in answer, only what is written to it."""
    return click.raw.get("type") == "message"


def is_personal(click: Click) -> bool:
    """Whether it was pressed in the chat of one person with the bot."""
    return text_at(click.raw, "conversation", "conversationType") == "personal"


def in_words(*, within_s: float = ACT_WITHIN_S) -> AbstractAsyncContextManager[Trouble]:
    """Run the body within Teams' time (see `bot.desk.in_words`)."""
    return desk.in_words(within_s=within_s, away=TEAMS_AWAY)
