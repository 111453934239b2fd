"""The whole state of one fake Teams, with the few questions that everybody asks of it."""

from __future__ import annotations

import itertools
import time

from tests.fakes.teams.things import (
    BOT,
    TENANT,
    CannotBeDone,
    Dialog,
    Json,
    Message,
    Person,
    Place,
    Says,
    Team,
    bare,
    channel_id,
    group_id,
    personal_id,
)  # fmt: skip

CHANNEL_BYTES = 28 * 1024
CHAT_BYTES = 100 * 1024


class World:
    """People by key, places by bare id, messages by (place, id)."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.teams: dict[str, Team] = {}
        self.places: dict[str, Place] = {}
        self.messages: dict[tuple[str, str], Message] = {}
        self.dialogs: dict[str, Dialog] = {}
        self.notices: list[Json] = []  # what people were told in passing: {"person", "kind", "text"}
        self.problems: list[str] = []  # what the bot did that Teams would refuse or not show
        self.groups: dict[str, list[str]] = {}  # Entra groups: people's keys, and ids of groups inside
        self.graph_allowed = True
        self.old_rosters = False
        self.least_page = 1  # Teams may refuse pages of less than 50
        self.channel_bytes = CHANNEL_BYTES
        self.chat_bytes = CHAT_BYTES
        self.ahead_s = 0.0  # of the real time, for rates and the bot's tokens
        self.speed = 1.0  # so many times as fast as the real time these go
        self._since_s = time.time()
        self._ids = itertools.count(int(time.time() * 1000))

    def now_s(self) -> float:
        return self._since_s + (time.time() - self._since_s) * self.speed + self.ahead_s

    def new_id(self) -> str:
        return str(next(self._ids))

    # people and places

    def person(self, key: str) -> Person:
        if key not in self.people:
            raise CannotBeDone(f"nobody is called {key}")
        return self.people[key]

    def add_person(self, person: Person) -> Person:
        self.people[person.key] = person
        self.places[personal_id(person.key)] = Place(
            personal_id(person.key), "personal", "", person.tenant, members=[person.key]
        )
        return person

    def add_team(self, name: str, members: list[str], channels: list[str], tenant: str = TENANT) -> Team:
        ids = [channel_id(each) for each in channels]
        team = Team(ids[0], name, tenant, list(members), ids)
        self.teams[team.id] = team
        for channel, called in zip(ids, channels, strict=True):
            self.places[channel] = Place(channel, "channel", called, tenant, team=team.id)
        return team

    def add_channel(self, team_id: str, name: str, sort: str) -> Place:
        """One more; the app is in it where it is in the team."""
        team = self.teams[team_id]
        bot_in = sort == "standard" and self.places[team.id].bot_in
        region = self.places[team.id].region
        place = Place(channel_id(name), "channel", name, team.tenant, team.id, region=region, bot_in=bot_in, sort=sort)
        self.places[place.id] = place
        team.channels.append(place.id)
        return place

    def channels(self, team_id: str) -> list[Place]:
        """Those that are not deleted."""
        return [self.places[each] for each in self.teams[team_id].channels if not self.places[each].gone]

    def add_group(self, name: str, members: list[str], tenant: str = TENANT) -> Place:
        place = Place(group_id(name), "groupChat", name, tenant, members=list(members))
        self.places[place.id] = place
        return place

    def place(self, conversation: str) -> Place:
        place = self.places.get(bare(conversation))
        if place is None or place.gone:
            raise Says(404, "ConversationNotFound", "Conversation not found.")
        return place

    def member_keys(self, place: Place) -> list[str]:
        """Who is in a place, whether or not a roster shows them."""
        return self.teams[place.team].members if place.kind == "channel" else place.members

    def roster(self, place: Place) -> list[Person]:
        """Whom a roster shows: no bots, nobody disabled."""
        people = (self.people[key] for key in self.member_keys(place))
        return [person for person in people if not person.is_bot and not person.disabled]

    def member(self, place: Place, member: str) -> Person | None:
        """Somebody of the roster by 29:… or aadObjectId."""
        found = (p for p in self.roster(place) if member in {p.id, p.aad, p.upn} - {"", None})
        return next(found, None)

    def in_group(self, group: str) -> set[str]:
        """The object ids of an Entra group's people."""
        members = self.groups.get(group, [])
        inside = (self.in_group(each) for each in members if each in self.groups)
        return {self.people[each].aad for each in members if each in self.people}.union(*inside)

    # messages

    def put(self, conversation: str, activity: Json, *, sender: str = "bot", root: str = "") -> Message:
        """A new message; in a channel under ``root``, or the first of a new thread."""
        message_id = self.new_id()
        message = Message(message_id, bare(conversation), root or message_id, sender, activity)
        self.messages[message.conversation, message_id] = message
        return message

    def message(self, conversation: str, message_id: str) -> Message:
        message = self.messages.get((bare(conversation), message_id))
        if message is None or message.deleted:
            raise Says(404, "ActivityNotFoundInConversation", "The activity was not found in the conversation.")
        return message

    def in_place(self, conversation: str) -> list[Message]:
        here = bare(conversation)
        return [m for m in self.messages.values() if m.conversation == here and not m.deleted]

    # as the bot is told of them

    def conversation_json(self, place: Place, root: str = "") -> Json:
        """The ``conversation`` of an activity."""
        thread = f";messageid={root}" if root and place.kind == "channel" else ""
        described: Json = {"conversationType": place.kind, "tenantId": place.tenant, "id": place.id + thread}
        return described if place.kind == "personal" else described | {"isGroup": True}

    def channel_data(self, place: Place) -> Json:
        data: Json = {"tenant": {"id": place.tenant}}
        if place.kind == "channel":
            team = self.teams[place.team]
            data |= {"channel": {"id": place.id, "name": place.name}, "team": {"id": team.id, "name": team.name}}
        return data

    def problem(self, text: str) -> None:
        self.problems.append(text)


def bot_account() -> Json:
    return {"id": BOT, "name": "Holdpoint"}
