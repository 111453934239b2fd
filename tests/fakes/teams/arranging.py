"""Arranging the world from a test: people, places, installations, faults, keys, rates, and looking at what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.fakes.teams.login import OPENID
from tests.fakes.teams.seen import Answer
from tests.fakes.teams.things import (
    APP_ID,
    APP_SECRET,
    OTHER_TENANT,
    TENANT,
    Json,
    Person,
    channel_id,
    group_id,
    guid,
)  # fmt: skip

USUAL = ("dana", "sam", "kim", "lee", "ola")
CHANNELS = ("General", "security", "second", "leads")
GROUP = "huddle"


class CannotDo(AssertionError):
    """The person cannot do that at a real client: no such button, not in the place, a required field is empty."""


@dataclass(frozen=True)
class Call:
    """One call of the bot to the connector. ``status`` 0: the connection was broken.

    ``operation``: create, post, reply, update, delete, member, members, pagedmembers or channels; ``conversation`` is bare.
    """

    operation: str
    conversation: str
    message: str
    status: int
    code: str
    why: str
    at_s: float
    body: Any


class Arranging:
    """``people`` by key, ``places`` (name → conversation id), ``teams`` (name → data)."""

    app_id = APP_ID
    app_secret = APP_SECRET
    tenant = TENANT
    other_tenant = OTHER_TENANT

    def __init__(self, url: str) -> None:
        self.url = url
        self.people: dict[str, Person] = {}
        self.places: dict[str, str] = {}
        self.teams: dict[str, Json] = {}
        self._session: aiohttp.ClientSession

    @property
    def settings(self) -> dict[str, str]:
        """The bot's settings, by the names of the environment."""
        return {
            "MicrosoftAppId": APP_ID, "MicrosoftAppPassword": APP_SECRET, "MicrosoftAppType": "SingleTenant",
            "MicrosoftAppTenantId": TENANT, "ToBotFromChannelOpenIdMetadataUrl": self.url + OPENID,
            "ToChannelFromBotLoginUrl": self.url,
        }  # fmt: skip

    @property
    def service_url(self) -> str:
        """Where the bot reaches every place until it is moved."""
        return f"{self.url}/amer/"

    async def call(self, verb: str, **arguments: Any) -> Any:
        """One verb of control.py."""
        async with self._session.post(f"{self.url}/_fake/{verb}", json=arguments) as answer:
            if answer.status == 409:
                raise CannotDo((await answer.json())["refused"])
            assert answer.status == 200, f"{verb}: {await answer.text()}"
            return (await answer.json())["result"]

    async def answers(self, verb: str, **arguments: Any) -> list[Answer]:
        return [Answer(**each) for each in await self.call(verb, **arguments)]

    async def populate(self) -> None:
        """dana, sam, kim, lee and ola, all in the team "Holdpoint" (General, security, second, leads) and in the group
        chat "huddle". The app is installed nowhere yet."""
        for key in USUAL:
            await self.add_person(key)
        await self.add_team("Holdpoint", *USUAL, channels=CHANNELS)
        await self.add_group(GROUP, *USUAL)

    # people and places

    async def add_person(
        self, key: str, *, name: str | None = None, email: str | None = "", upn: str | None = "", **more: Any
    ) -> Person:
        """``email`` None: has none. ``more``: tenant, role ("guest", "anonymous"), is_bot, disabled, installed."""
        address = f"{key}@example.com"
        person = Person(
            key, name or f"{key.capitalize()} Example", address if email == "" else email,
            address if upn == "" else upn, **more,
        )  # fmt: skip
        await self.call("add_person", **vars(person))
        self.people[key] = person
        return person

    async def add_guest(self, key: str) -> Person:
        """A guest of this tenant: userRole guest, a #EXT# UPN."""
        upn = f"{key}_partner.example#EXT#@example.onmicrosoft.com"
        return await self.add_person(key, email=f"{key}@partner.example", upn=upn, role="guest")

    async def add_anonymous(self, key: str) -> Person:
        return await self.add_person(key, email=None, upn=None, role="anonymous")

    async def add_bot(self, key: str) -> Person:
        return await self.add_person(key, email=None, upn=None, is_bot=True)

    async def add_team(self, name: str, *members: str, channels: tuple[str, ...], tenant: str = TENANT) -> Json:
        """A team; its id is that of its first channel."""
        team: Json = await self.call(
            "add_team", name=name, members=list(members), channels=list(channels), tenant=tenant
        )
        self.places |= {each: channel_id(each) for each in channels}
        self.teams[name] = team
        return team

    async def add_group(self, name: str, *members: str, tenant: str = TENANT) -> str:
        await self.call("add_group", name=name, members=list(members), tenant=tenant)
        self.places[name] = group_id(name)
        return self.places[name]

    async def add_entra_group(self, name: str, *members: str) -> str:
        """A group of Entra with people (keys) and groups (ids) in it; its id. Graph is at ``url``."""
        group: str = guid(f"entra group {name}")
        await self.call("add_entra_group", group=group, members=list(members))
        return group

    # the app and its places

    async def connect(self, url: str) -> None:
        """Where the bot listens: the whole URL of ``/api/messages``."""
        await self.call("connect", url=url)

    async def install(self, place: str = "security", *, by: str = "lee", tell: bool = True) -> list[Answer]:
        """Into the channel's team, or a group chat. ``tell`` False: without the bot hearing of it."""
        return await self.answers("install", conversation=self._id(place), by=by, tell=tell)

    async def uninstall(self, place: str = "security", *, by: str = "lee", tell: bool = True) -> list[Answer]:
        return await self.answers("uninstall", conversation=self._id(place), by=by, tell=tell)

    async def install_everywhere(self, *, tell: bool = True) -> None:
        """Into the team, the group chat, and for every person."""
        await self.install("security", tell=tell)
        await self.install(GROUP, tell=tell)
        for key in USUAL:
            await self.answers("install_personal", key=key, tell=tell)

    async def join(self, place: str, key: str, *, tell: bool = True) -> list[Answer]:
        """A person comes into the team or group chat."""
        return await self.answers("join", conversation=self._id(place), key=key, tell=tell)

    async def leave(self, place: str, key: str, *, tell: bool = True) -> list[Answer]:
        return await self.answers("leave", conversation=self._id(place), key=key, tell=tell)

    async def rename(self, place: str, name: str, *, by: str = "lee", tell: bool = True) -> list[Answer]:
        return await self.answers("rename", conversation=self._id(place), name=name, by=by, tell=tell)

    async def rename_team(self, place: str, name: str, *, by: str = "lee") -> list[Answer]:
        """The team of that channel."""
        return await self.answers("rename_team", conversation=self._id(place), name=name, by=by)

    async def add_channel(
        self, name: str, *, team: str = "Holdpoint", sort: str = "standard", by: str = "lee", tell: bool = True
    ) -> list[Answer]:
        """A new channel of the team; ``sort``: or "private", "shared", where the app is not."""
        self.places[name] = channel_id(name)
        return await self.answers(
            "add_channel", team=self.teams[team]["id"], name=name, sort=sort, by=by, tell=tell
        )  # fmt: skip

    async def drop_channel(self, place: str, *, back: bool = False, by: str = "lee", tell: bool = True) -> list[Answer]:
        """A channel is deleted, or restored (``back``)."""
        return await self.answers("drop_channel", conversation=self._id(place), by=by, back=back, tell=tell)

    async def move(self, region: str, place: str = "") -> str:
        """Another service URL from now on (of one place, or everything); the old one answers 404. The new one."""
        moved: str = await self.call("move", region=region, conversation=self._id(place) if place else "")
        return moved

    async def trouble(self, place: str, code: str) -> None:
        """Every call about the place gets 403 with that code (see connector.TROUBLES); "": no more."""
        await self.call("change_place", conversation=self._id(place), trouble=code)

    async def vanish(self, place: str, *, gone: bool = True) -> None:
        """The place is deleted: 404 ConversationNotFound."""
        await self.call("change_place", conversation=self._id(place), gone=gone)

    def _id(self, place: str) -> str:
        return place if place.startswith(("19:", "a:")) else self.places[place]
