"""Installing and removing the app, people coming and going, a service URL that moves: what Teams tells the bot then."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fakes.teams import payloads
from tests.fakes.teams.clients import Clients
from tests.fakes.teams.delivery import Answer
from tests.fakes.teams.things import Json, Person, Place, personal_id
from tests.fakes.teams.world import World, bot_account


@dataclass
class Installs:
    world: World
    clients: Clients

    async def _tell(self, activities: list[Json]) -> list[Json]:
        answers: list[Answer] = []
        for activity in activities:
            answers += await self.clients.post.deliver(activity)
        return [answer.as_json() for answer in answers]

    async def install(self, conversation: str, by: str, *, tell: bool = True) -> list[Json]:
        """Into a team (through one of its channels) or a group chat."""
        person, place = self.world.person(by), self.world.places[conversation]
        for each in self._with(place):
            each.bot_in, each.trouble = True, ""
        return await self._tell(self._both(person, place, added=True)) if tell else []

    async def uninstall(self, conversation: str, by: str, *, tell: bool = True) -> list[Json]:
        person, place = self.world.person(by), self.world.places[conversation]
        for each in self._with(place):
            each.bot_in = False
        return await self._tell(self._both(person, place, added=False)) if tell else []

    def _with(self, place: Place) -> list[Place]:
        """The place, or every standard channel of its team."""
        if not place.team:
            return [place]
        channels = (self.world.places[each] for each in self.world.teams[place.team].channels)
        return [each for each in channels if each.sort == "standard"]

    def _both(self, person: Person, place: Place, *, added: bool) -> list[Json]:
        head = self.clients.head
        first = payloads.installation(
            head("installationUpdate", person, place), self.world, place, added=added
        )  # fmt: skip
        # Only of its own coming the bot hears from the channel that was chosen.
        come = (
            head("conversationUpdate", person, place) if added or not place.team else self._from_team(place, person.key)
        )
        second = payloads.membership(come, self.world, place, [bot_account()], added=added)
        return [first, second]

    async def install_personal(self, key: str, *, tell: bool = True) -> list[Json]:
        """A person adds the app for themselves."""
        person, place = self.world.person(key), self.world.places[personal_id(key)]
        person.installed, place.bot_in, person.blocked = True, True, False
        added = payloads.installation(
            self.clients.head("installationUpdate", person, place), self.world, place, added=True
        )
        joined = payloads.membership(
            self.clients.head("conversationUpdate", person, place), self.world, place,
            [bot_account(), person.account()], added=True,
        )  # fmt: skip
        return await self._tell([added, joined]) if tell else []

    async def uninstall_personal(self, key: str, *, tell: bool = True) -> list[Json]:
        """Nothing but the installation is told in a personal chat."""
        person, place = self.world.person(key), self.world.places[personal_id(key)]
        person.installed, place.bot_in = False, False
        removed = payloads.installation(
            self.clients.head("installationUpdate", person, place), self.world, place, added=False
        )
        return await self._tell([removed]) if tell else []

    async def join(self, conversation: str, key: str, *, tell: bool = True) -> list[Json]:
        """A person comes into a team or a group chat."""
        person, place = self.world.person(key), self.world.places[conversation]
        self.world.member_keys(place).append(key)
        activity = payloads.membership(
            self.clients.head("conversationUpdate", person, place), self.world, place, [person.account()], added=True
        )
        return await self._tell([activity]) if tell else []

    async def leave(self, conversation: str, key: str, *, tell: bool = True) -> list[Json]:
        person, place = self.world.person(key), self.world.places[conversation]
        self.world.member_keys(place).remove(key)
        activity = payloads.membership(
            self.clients.head("conversationUpdate", person, place), self.world, place, [person.account()], added=False
        )
        return await self._tell([activity]) if tell else []

    async def rename(self, conversation: str, name: str, by: str, *, tell: bool = True) -> list[Json]:
        place = self.world.places[conversation]
        place.name = name
        return await self._tell_of("channelRenamed", place, by) if tell else []

    async def rename_team(self, conversation: str, name: str, by: str) -> list[Json]:
        place = self.world.places[conversation]
        self.world.teams[place.team].name = name
        return await self._tell([payloads.team_renamed(self._from_team(place, by), self.world, place)])

    async def add_channel(self, team: str, name: str, sort: str, by: str, *, tell: bool = True) -> list[Json]:
        """Teams tells of it where the app is in the team."""
        place = self.world.add_channel(team, name, sort)
        return await self._tell_of("channelCreated", place, by) if tell else []

    async def drop_channel(self, conversation: str, by: str, *, back: bool, tell: bool = True) -> list[Json]:
        """Somebody deletes it, or takes that ``back``."""
        place = self.world.places[conversation]
        place.gone = not back
        return await self._tell_of("channelRestored" if back else "channelDeleted", place, by) if tell else []

    async def _tell_of(self, event: str, place: Place, by: str) -> list[Json]:
        return await self._tell([payloads.team_event(self._from_team(place, by), event, place)])

    def _from_team(self, place: Place, by: str) -> Json:
        """The conversation is the team's for everything but the bot's own coming."""
        return self.clients.head("conversationUpdate", self.world.person(by), self.world.places[place.team])

    def move(self, region: str, conversation: str) -> str:
        """From now on the service URL is another one, and the old one knows nothing; "": of everything."""
        for place in [self.world.places[conversation]] if conversation else self.world.places.values():
            place.region = region
        return f"{self.clients.base}/{region}/"
