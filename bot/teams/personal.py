"""People's own places in Teams: their chats with the bot, as far as the roster has said whose they are."""

from __future__ import annotations

from bot.platform import NobodyThere
from bot.teams import KIND
from bot.teams.people import People
from bot.teams.places import Places
from holdpoint.store.conversations import ConversationKind


class TeamsPersonal:
    """A `bot.personal.Personal`."""

    def __init__(self, people: People, places: Places) -> None:
        self._people = people
        self._places = places

    async def whose(self, target: str) -> str:
        """See `bot.personal.Personal.whose`."""
        place = await self._places.get(target.removeprefix(f"{KIND}:"))
        return place.person if place is not None and place.kind is ConversationKind.PERSONAL else ""

    async def place_of(self, principal: str) -> str:
        """See `bot.personal.Personal.place_of`. The chat is opened if need be."""
        try:
            return f"{KIND}:{(await self._people.personal(principal)).id}"
        except NobodyThere:
            return ""
