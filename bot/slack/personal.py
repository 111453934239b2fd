"""People's own places in Slack: a route to ``slack:U0123`` is the bot's direct message with that person."""

from __future__ import annotations

from bot.directory import Directory
from bot.slack import KIND
from bot.slack.directory import People
from bot.slack.places import is_person


class SlackPersonal:
    """A `bot.personal.Personal`."""

    def __init__(self, people: People, directory: Directory) -> None:
        self._people = people
        self._directory = directory

    async def whose(self, target: str) -> str:
        """See `bot.personal.Personal.whose`."""
        user_id = target.removeprefix(f"{KIND}:")
        if not is_person(user_id):
            return ""
        return (await self._directory.by_platform(self._people, KIND, user_id)).principal

    async def place_of(self, principal: str) -> str:
        """See `bot.personal.Personal.place_of`."""
        user_id = await self._people.id_of(principal)
        return f"{KIND}:{user_id}" if user_id is not None else ""
