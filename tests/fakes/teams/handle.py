"""`FakeTeams`: the typed handle of a test on the fake's process; `TeamsUser`: the hands and eyes of one person."""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.fakes.teams.arranging import CannotDo
from tests.fakes.teams.mishaps import Mishaps
from tests.fakes.teams.seen import Answer, DialogSeen, Result, Seen
from tests.fakes.teams.things import Json, Person, personal_id

__all__ = ["CannotDo", "FakeTeams", "TeamsUser"]


class TeamsUser:
    """One person. A place is a name of a channel or group chat, or a conversation's id."""

    def __init__(self, teams: FakeTeams, person: Person) -> None:
        self._teams = teams
        self.person = person
        self.key = person.key
        self.id = person.id  # 29:…
        self.aad = person.aad
        self.user = person.user  # <tenant>/<aadObjectId>
        self.name = person.name
        self.email = person.email or ""
        self.chat = personal_id(person.key)  # the id of the 1:1 chat with the bot

    # eyes

    async def messages(self, place: str = "") -> list[Seen]:
        """What they see in a place ("": the chat with the bot), in order; refused where they are not."""
        conversation = self._teams.conversation(place) if place else self.chat
        found = await self._teams.call("messages", conversation=conversation, person=self.key)
        return [Seen(**each) for each in found]

    async def look(self, message: Seen) -> Seen:
        """The message as they see it now."""
        return await self._teams.message(message, person=self.key)

    async def dialog(self) -> DialogSeen | None:
        """The dialog that is open at their client."""
        found = await self._teams.call("dialog", person=self.key)
        return DialogSeen(**found) if found else None

    async def told(self) -> list[str]:
        """The texts that they were shown in passing."""
        return [each["text"] for each in await self._teams.call("notices", person=self.key)]

    # hands

    async def click(
        self, message: Seen, wanted: str, inputs: Json | None = None, *, old_client: bool = False,
        forged: Json | None = None,
    ) -> Result:  # fmt: skip
        """Press the button of that title, verb or id on the card that they see. Raises `CannotDo`.

        ``inputs`` by id; what is not given keeps its value. ``forged`` is put over the data by a manipulated client.
        """
        found = await self._teams.call(
            "click", key=self.key, conversation=message.conversation, message_id=message.id, wanted=wanted,
            inputs=inputs or {}, old=old_client, forged=forged,
        )  # fmt: skip
        return Result(**found)

    async def open(self, message: Seen) -> Result:
        """See the message: it refreshes by itself where they are in refresh.userIds; kind "nothing" where not."""
        return await self._open(message, manual=False)

    async def refresh(self, message: Seen) -> Result:
        """ "Refresh card" in the message's menu."""
        return await self._open(message, manual=True)

    async def _open(self, message: Seen, *, manual: bool) -> Result:
        found = await self._teams.call(
            "open", key=self.key, conversation=message.conversation, message_id=message.id, manual=manual
        )
        return Result(**found)

    async def submit(self, wanted: str, inputs: Json | None = None, *, forged: Json | None = None) -> Result:
        """Press a button of their open dialog."""
        found = await self._teams.call("submit", key=self.key, wanted=wanted, inputs=inputs or {}, forged=forged)
        return Result(**found)

    async def close_dialog(self) -> None:
        """By the X: the bot is not told."""
        await self._teams.call("close_dialog", person=self.key)

    async def say(self, text: str, place: str = "", *, mention: bool | None = None, thread: str = "") -> Result:
        """Type into a place ("": the chat with the bot), under the message ``thread`` if given.

        ``mention``: to the bot; as usual where None (in channels and groups, not in the 1:1 chat).
        """
        conversation = self._teams.conversation(place) if place else self.chat
        to_bot = bool(place) if mention is None else mention
        found = await self._teams.call(
            "say", key=self.key, conversation=conversation, text=text, mention=to_bot, thread=thread
        )
        return Result(**found)

    async def install(self, *, tell: bool = True) -> list[Answer]:
        """Add the app for themselves. ``tell`` False: without the bot hearing of it."""
        return await self._teams.answers("install_personal", key=self.key, tell=tell)

    async def uninstall(self, *, tell: bool = True) -> list[Answer]:
        return await self._teams.answers("uninstall_personal", key=self.key, tell=tell)

    async def change(self, **changes: Any) -> None:
        """``name, email, upn, role, disabled, blocked, installed …`` of the person from now on."""
        await self._teams.call("change_person", key=self.key, **changes)
        for name, value in changes.items():
            setattr(self.person, name, value)


class FakeTeams(Mishaps):
    """The world, and what is to go wrong in it."""

    async def start(self) -> None:
        """An empty world with the usual people and places (see arranging.py)."""
        self._session = aiohttp.ClientSession()
        await self.start_again()

    async def start_again(self) -> None:
        """The world as it was at first; what was under way is dropped."""
        self.people, self.places, self.teams = {}, {}, {}
        await self.call("reset")
        await self.populate()

    async def stop(self) -> None:
        await self.call("reset")
        await self._session.close()

    def user(self, key: str) -> TeamsUser:
        return TeamsUser(self, self.people[key])

    def conversation(self, place: str) -> str:
        """The id of a place by name; an id stays."""
        return self._id(place)

    async def messages(self, place: str) -> list[Seen]:
        """What everybody sees in a place, in order."""
        found = await self.call("messages", conversation=self.conversation(place), person="")
        return [Seen(**each) for each in found]

    async def cards(self, place: str) -> list[Seen]:
        """The bot's messages with a card."""
        return [each for each in await self.messages(place) if each.sender == "bot" and each.card is not None]

    async def thread(self, message: Seen) -> list[Seen]:
        """The replies under a message."""
        here = await self.messages(message.conversation)
        return [each for each in here if each.root == message.root and each.id != message.root]

    async def remove(self, message: Seen) -> None:
        """Somebody who may deletes the message; the bot is not told."""
        await self.call("remove", conversation=message.conversation, message_id=message.id)

    async def message(self, message: Seen, *, person: str = "") -> Seen:
        """The message as it is now, also when it was deleted."""
        found = await self.call("message", conversation=message.conversation, message_id=message.id, person=person)
        return Seen(**found)
