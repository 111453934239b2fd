"""What Teams says of the members of conversations, remembered for a minute: platforms ration such questions.

A person is asked for alone, which is quick in the largest team. Where many open a channel at once, its whole roster is
asked for instead, once: Teams takes 14 such calls a second
(https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from bot.accounts import UnknownPerson
from bot.remembered import Remembered
from bot.teams.places import Places
from bot.teams.roster import Member
from holdpoint.clock import Clock
from holdpoint.store.conversations import Conversation

RUSH_MS = 1_000
MOST_SINGLE = 5  # people of one conversation who are asked for one by one within `RUSH_MS`
MOST_COUNTED = 2_000
MOST_WHOLE = 200  # rosters of up to ten thousand people
NOT_THERE = "Teams does not list you as a member of this conversation, so you cannot decide from here."


class Rosters(Protocol):
    """What is asked of `bot.teams.connector.Connector`; see there for what it raises."""

    async def member(self, conversation: str, member: str) -> Mapping[str, Any] | None:
        """One entry; None where they are not in it."""
        ...

    async def members(self, conversation: str) -> Sequence[Mapping[str, Any]]:
        """All entries."""
        ...

    async def open_personal(self, conversation: Conversation, member: str) -> str:
        """The id of the chat with a member of ``conversation``."""
        ...


class RosterBook:
    """Entries of rosters. Conversations are bare ids; all channels of a team have the roster of the team."""

    def __init__(self, rosters: Rosters, places: Places, *, clock: Clock) -> None:
        self._rosters = rosters
        self._places = places
        self._clock = clock
        self._entries: Remembered[Member] = Remembered(clock)
        self._all: Remembered[tuple[Member, ...]] = Remembered(clock, most=MOST_WHOLE)
        self._asked: OrderedDict[str, tuple[int, int]] = OrderedDict()  # conversation: since when, how often

    async def member(self, conversation: str, member: str, *, fresh: bool = False) -> Member:
        """The entry of ``member`` (``29:…``), a minute old at most; ``fresh``: asked for after this call was made.

        Raises:
            UnknownPerson: they are not in the roster.
            ChannelError: Teams could not be asked.
        """
        where = await self._where(conversation)
        if self._is_rush(where):
            found = next((each for each in await self.members(where, fresh=fresh) if each.id == member), None)
            if found is not None:
                return found

        async def ask() -> Member:
            entry = await self._rosters.member(where, member)
            if entry is None:
                self._all.forget(where)  # it may list them still
                raise UnknownPerson(NOT_THERE)
            return Member.of(entry)

        return await self._entries.get(f"{where} {member}", ask, fresh=fresh)

    async def left(self, conversation: str, members: Iterable[str]) -> None:
        """Teams says that ``members`` are not in it any more: what was remembered of them is forgotten."""
        where = await self._where(conversation)
        self._all.forget(where)
        for each in members:
            self._entries.forget(f"{where} {each}")

    async def members(self, conversation: str, *, fresh: bool = False) -> tuple[Member, ...]:
        """All entries (ChannelError: Teams could not be asked). ``fresh``: see `member`."""
        where = await self._where(conversation)

        async def ask() -> tuple[Member, ...]:
            return tuple(Member.of(entry) for entry in await self._rosters.members(where))

        return await self._all.get(where, ask, fresh=fresh)

    async def _where(self, conversation: str) -> str:
        place = await self._places.get(conversation)
        return conversation if place is None else place.team or place.id

    def _is_rush(self, conversation: str) -> bool:
        now_ms = self._clock()
        since_ms, count = self._asked.pop(conversation, (now_ms, 0))
        since_ms, count = (since_ms, count + 1) if 0 <= now_ms - since_ms < RUSH_MS else (now_ms, 1)
        self._asked[conversation] = since_ms, count
        while len(self._asked) > MOST_COUNTED:
            self._asked.popitem(last=False)
        return count > MOST_SINGLE
