"""Every channel of the teams that have the app: asked of Teams, which names one of them only when the app is added.

::

    heard of a team for the first time ─▶ look (in the background) ─▶ the list of its channels ─▶ places
    a card for a channel that nobody knows ─▶ find ─▶ look at every known team, until it is there

A bot may post into every standard channel of a team that has the app. What is new later comes as an event, which
`Places.learn` understands; `find` is for what was missed. A team is looked at once a minute at most.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bot.locks import Locks
from bot.teams import KIND
from bot.teams.arrived import Activity, text_at
from bot.teams.places import Places, bare
from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused, ChannelUnavailable, StoreUnavailable
from holdpoint.store.conversations import Conversation
from holdpoint.tasks import Tasks

EVERY_MS = 60_000  # a team is looked at once in so long
AGAIN_MS = 10_000  # … but sooner where Teams did not answer, since a card may wait for it
LONGEST_MS = 600_000
MOST_TEAMS = 2_000
NOT_THERE = (
    "Holdpoint is not in that conversation yet: add the app to the team or chat, or mention it there. It cannot be in "
    "private and shared channels."
)
NOBODY_KNOWS = "Teams does not say at the moment whether Holdpoint is in that conversation: type doctor in a while."

_CHAT = "@thread.v2"  # group chats and meetings: in no team

_log = logging.getLogger(__name__)


class Lists(Protocol):
    """What is asked of `bot.teams.connector.Connector`; see there for what it raises."""

    async def channels(self, conversation: str) -> Sequence[Mapping[str, Any]]:
        """The channels of the team of which ``conversation`` is one: id, name, type."""
        ...


@dataclass(frozen=True, slots=True)
class _Look:
    """What came of looking at a team; ``until_ms`` is when it may be looked at again."""

    until_ms: int
    away: ChannelUnavailable | None = None


class Channels:
    """`learn` lets nobody wait for Teams; `find` and `why_not` may."""

    def __init__(self, lists: Lists, places: Places, *, clock: Clock) -> None:
        self._lists = lists
        self._places = places
        self._clock = clock
        self._locks = Locks()
        self._looks: OrderedDict[str, _Look] = OrderedDict()

    async def learn(self, activity: Activity, *, tasks: Tasks) -> Conversation | None:
        """`Places.learn`; where that is the first we hear of a team, its other channels follow in one of ``tasks``."""
        team = text_at(activity, "channelData", "team", "id")
        is_news = bool(team) and await self._places.get(team) is None
        learnt = await self._places.learn(activity)
        if is_news and learnt is not None and learnt.team == team:
            self._looks.pop(team, None)
            tasks.start("teams channels", self._follow(learnt))
        return learnt

    async def find(self, conversation: str) -> Conversation | None:
        """The conversation, where the bot is in it; if need be after a look at the channels of all known teams.

        Raises:
            ChannelUnavailable: it may be in a team that Teams does not tell of now. Nothing was done.
            StoreUnavailable: nobody knows any team.
        """
        key = bare(conversation)
        found = await self._places.get(key) or await self._places.again(key)
        if found is not None or not key.startswith("19:") or key.endswith(_CHAT):
            return found
        away: ChannelUnavailable | None = None
        for team in await self._places.teams():
            away = await self._look(team) or away
            found = await self._places.get(key)
            if found is not None:
                return found
        if away is not None:
            raise away
        return None

    async def why_not(self, channel: str) -> str:
        """A `bot.admin.office.Lookup`: why no card can appear at ``teams:<conversation>`` now."""
        try:
            return "" if await self.find(channel.removeprefix(f"{KIND}:")) is not None else NOT_THERE
        except ChannelUnavailable as error:
            _log.info("a route was not looked up: %s", error)
            return NOBODY_KNOWS

    async def _follow(self, team: Conversation) -> None:
        try:
            away = await self._look(team)
        except StoreUnavailable as error:
            _log.warning("the channels of a team were not noted: %s", error)
            return
        if away is not None:
            _log.warning("the channels of a team are not known yet: %s", away)

    async def _look(self, place: Conversation) -> ChannelUnavailable | None:
        """Learn the channels of the team of ``place``, unless that was done lately; why Teams did not say."""
        team = place.team or place.id
        async with self._locks.of(team):
            look = self._looks.get(team)
            if look is None or not 0 < look.until_ms - self._clock() <= LONGEST_MS:
                look = self._looks[team] = await self._ask(place)
                self._looks.move_to_end(team)
                while len(self._looks) > MOST_TEAMS:
                    self._looks.popitem(last=False)
            if look.away is None:
                return None
            left_ms = max(0, look.until_ms - self._clock())
            # Nothing was done, whatever became of the question: who wanted to post may try again.
            return type(look.away)(str(look.away), retry_after_seconds=left_ms / 1000)

    async def _ask(self, place: Conversation) -> _Look:
        try:
            await self._places.has_channels(place, await self._lists.channels(place.id))
        except ChannelUnavailable as error:
            wait_ms = min(max(AGAIN_MS, int((error.retry_after_seconds or 0) * 1000)), LONGEST_MS)
            return _Look(self._clock() + wait_ms, error)
        except ChannelRefused as error:
            _log.info("a team was passed over: %s", error)
        return _Look(self._clock() + EVERY_MS)
