"""Where the bot is: conversations, learnt from every callback of theirs, and kept for what is said there later.

::

    activity ─▶ origin (pure) ─▶ learn ─ another than is known? ─▶ store.conversations ─▶ get, of_person
    the list of a team's channels (channels.py) ─▶ has_channels ─────────┘

An activity is read after its token was verified, which vouches for its service URL; Teams moves conversations between
service URLs, and the newest one counts, for all of a team. Only conversations of tenants whose people may count are kept: anybody in the
world can write to a multi-tenant bot. Whose a personal chat is says the roster, not the activity (`bot.teams.people`).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.teams import KIND
from bot.teams.arrived import Activity, bare
from bot.teams.origin import (
    channel_meant,
    channels_in,
    conversation_of,
    deleted,
    general_of,
    in_team,
    is_going,
    merged,
    new_team_name,
    team_name,
)
from holdpoint.clock import Clock
from holdpoint.errors import StoreUnavailable
from holdpoint.store.conversations import Conversation, ConversationKind, Conversations

__all__ = ["Places", "bare", "teams_of"]

FRESH_MS = 3_000  # how old what is known here may be: another bot may have heard more
MOST_KNOWN = 2_000

_log = logging.getLogger(__name__)


class Places:
    """Every method raises `StoreUnavailable` when Redis cannot do it.

    But for `get`, which then says what was known last: so that people can be told that the store does not answer.
    """

    def __init__(self, conversations: Conversations, *, clock: Clock, is_trusted: Callable[[str], bool]) -> None:
        """``is_trusted``: whether conversations of the tenant of that (lower-case) id are kept."""
        self._conversations = conversations
        self._clock = clock
        self._is_trusted = is_trusted
        self._known: OrderedDict[str, tuple[int, Conversation | None]] = OrderedDict()

    async def get(self, conversation: str) -> Conversation | None:
        """What is known of the conversation, some seconds old at most; None where the bot is not."""
        key = bare(conversation)
        known = self._known.get(key)
        try:
            return await self._recent(key)
        except StoreUnavailable:
            if known is None:
                raise
            return known[1]

    async def of_person(self, principal: str) -> Conversation | None:
        """The personal chat of ``principal``, as far as the roster has ever said so."""
        return await self._conversations.of_person(KIND, principal)

    async def all(self) -> list[Conversation]:
        """All of them, by id."""
        return await self._conversations.all(KIND)

    async def teams(self) -> list[Conversation]:
        """One channel of each team."""
        return teams_of(await self.all())

    async def again(self, conversation: str) -> Conversation | None:
        """As `get`, but what the store says this moment: another bot may just have heard of it."""
        return await self._read(bare(conversation))

    async def learn(self, activity: Activity) -> Conversation | None:
        """Take note of where ``activity`` comes from, if that is news; the conversation, or None for no place to be."""
        gone = deleted(activity)
        if gone is not None:
            await self.forget(gone)
            return None
        if is_going(activity):
            return None
        found = conversation_of(activity, now_ms=self._clock())
        if found is None or not self._is_trusted(found.tenant):
            _log.debug("not a place to note", extra={"activity": str(activity.get("type"))[:40]})
            return None
        self._known.setdefault(found.id, (0, found))  # long out of date, but better than nothing (see `get`)
        team = await self.get(found.team) if found.team else None
        learnt = await self._noted(found)
        if found.team:
            await self._note_team(activity, found, team)
        return learnt

    async def has_channels(self, team: Conversation, entries: Sequence[Mapping[str, Any]]) -> None:
        """Teams says that the team of the channel ``team`` has these channels (id, name, type), and we are in it."""
        known = {each.id: each for each in await self.all()}
        key = team.team or team.id
        of_team = [each for each in known.values() if each.team == key]
        if not of_team:
            return  # we were removed meanwhile
        like = replace(team, team=key, at_ms=self._clock())
        for channel in channels_in(entries, like, called=team_name(of_team)):
            there = known.get(channel.id)
            if there is None:
                await self._put(channel)
            elif channel.id != key and (there.team, there.name) != (key, channel.name):
                # Where it is reached it has said itself; and who speaks of General calls it by its name.
                await self._put(replace(there, team=key, name=channel.name or there.name))

    async def belongs_to(self, conversation: str, principal: str) -> None:
        """The personal chat ``conversation`` is with ``principal``: the roster said so. Empty: with nobody we know."""
        known = await self._read(bare(conversation))
        if known is not None and known.kind is ConversationKind.PERSONAL and known.person != principal:
            await self._put(replace(known, person=principal, at_ms=self._clock()))

    async def opened(self, conversation: Conversation) -> None:
        """A personal chat that the bot has opened itself."""
        await self._put(conversation)

    async def forget(self, conversation: str) -> None:
        """The bot was removed: from there, and, where that is a whole team, from all its channels."""
        key = bare(conversation)
        if not key:
            return
        gone = {key, *(each.id for each in await self.all() if each.team == key)}
        for each in gone:
            await self._conversations.forget(KIND, each)
            self._remember(each, None)

    async def _note_team(self, activity: Activity, found: Conversation, team: Conversation | None) -> None:
        """What ``activity`` says of the team and its other channels; ``team`` is what was known of it."""
        if team is None and found.team != found.id:
            await self._noted(general_of(found, activity))
        meant = channel_meant(activity)
        if meant is not None:
            called = team_name([each for each in await self.all() if each.team == found.team])
            for channel in channels_in([meant], found, called=called):
                await self._noted(channel)
        name = new_team_name(activity)
        if name or (team is not None and team.service_url != found.service_url):
            for each in await self.all():
                if each.team == found.team:
                    named = in_team(name, each) if name else each.name
                    await self._put(replace(each, service_url=found.service_url, name=named))

    async def _noted(self, found: Conversation) -> Conversation:
        known = await self._recent(found.id)
        if known is None or merged(known, found) != known:
            known = await self._read(found.id)  # another bot may have noted it already
            whole = found if known is None else merged(known, found)
            if whole != known:
                await self._put(replace(whole, at_ms=self._clock()))
                return whole
        return known

    async def _recent(self, key: str) -> Conversation | None:
        known = self._known.get(key)
        if known is not None and 0 <= self._clock() - known[0] < FRESH_MS:
            return known[1]
        return await self._read(key)

    async def _read(self, key: str) -> Conversation | None:
        found = await self._conversations.get(KIND, key)
        self._remember(key, found)
        return found

    async def _put(self, conversation: Conversation) -> None:
        await self._conversations.put(conversation)
        self._remember(conversation.id, conversation)

    def _remember(self, key: str, conversation: Conversation | None) -> None:
        self._known[key] = (self._clock(), conversation)
        self._known.move_to_end(key)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


def teams_of(places: Sequence[Conversation]) -> list[Conversation]:
    """One channel of each team, General where it is known. All channels have the team's roster."""
    teams: dict[str, Conversation] = {}
    for place in places:
        if place.kind is ConversationKind.CHANNEL:
            key = place.team or place.id
            if key not in teams or place.id == key:
                teams[key] = place
    return list(teams.values())
