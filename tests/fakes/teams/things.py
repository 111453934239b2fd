"""What there is in a fake Teams: people, teams, conversations, messages, dialogs. Plain state; the rules are elsewhere."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

APP_ID = "11111111-2222-4333-8444-555555555555"
APP_SECRET = "fake~app.secret"
BOT = f"28:{APP_ID}"
BOT_NAME = "Holdpoint"
TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER_TENANT = "bbbbbbbb-0000-4000-8000-000000000002"
ADAPTIVE = "application/vnd.microsoft.card.adaptive"


class Says(Exception):
    """What the connector answers instead: ``{"error": {"code", "message"}}`` with this status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class BotsFault(Says):
    """What no bot should have sent: noted as a problem too."""


class CannotBeDone(Exception):
    """A person at a client cannot do that: no such button, not a member, a required field is empty."""


def guid(name: str) -> str:
    """The same made-up id for the same name, every time."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def opaque(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def channel_id(name: str) -> str:
    """The id of the channel of that name, known before there is one: for policies."""
    return f"19:{opaque(f'channel {name}')[:32]}@thread.tacv2"


def group_id(name: str) -> str:
    """The id of the group chat of that name."""
    return f"19:{opaque(f'group {name}')[:32]}@thread.v2"


def personal_id(person: str) -> str:
    """The id of the 1:1 chat of the bot with the person of that key."""
    return f"a:1{opaque(f'personal {person}')}"


def bare(conversation: str) -> str:
    return conversation.split(";messageid=", 1)[0]


@dataclass
class Person:
    """Somebody. ``role`` is the roster's userRole: user, guest or anonymous."""

    key: str
    name: str
    email: str | None
    upn: str | None
    tenant: str = TENANT
    role: str = "user"
    is_bot: bool = False
    disabled: bool = False
    installed: bool = False  # the app, in their personal scope
    blocked: bool = False  # they blocked the bot

    @property
    def aad(self) -> str:
        return "" if self.role == "anonymous" or self.is_bot else guid(f"aad {self.key}")

    @property
    def id(self) -> str:
        return f"28:{guid(self.key)}" if self.is_bot else f"29:1{opaque(f'member {self.key}')}"

    @property
    def user(self) -> str:
        """``<tenant>/<aadObjectId>``."""
        return f"{self.tenant}/{self.aad}"

    def account(self) -> Json:
        """The ``from`` of their activities."""
        account: Json = {"id": self.id, "name": self.name}
        return account | {"aadObjectId": self.aad} if self.aad else account

    def member(self, *, old: bool = False) -> Json:
        """Their entry in a roster; ``old``: without ``aadObjectId``, as some clouds still answer."""
        given, _, surname = self.name.partition(" ")
        entry: Json = {
            "id": self.id, "name": self.name, "givenName": given, "surname": surname, "tenantId": self.tenant,
            "userRole": self.role,
        }  # fmt: skip
        if self.aad:
            entry["objectId"] = self.aad
            if not old:
                entry["aadObjectId"] = self.aad
        if self.email is not None:
            entry["email"] = self.email
        if self.upn is not None:
            entry["userPrincipalName"] = self.upn
        return entry


@dataclass
class Place:
    """A conversation. ``kind``: personal, groupChat or channel. ``trouble``: a 403 that every call gets."""

    id: str
    kind: str
    name: str
    tenant: str = TENANT
    team: str = ""  # the id of its team
    members: list[str] = field(default_factory=list)  # people's keys; a channel has those of its team
    region: str = "amer"
    bot_in: bool = False
    trouble: str = ""
    gone: bool = False
    sort: str = "standard"  # of a channel: or private, shared, where the app is not by being in the team


@dataclass
class Team:
    id: str  # the id of its General channel
    name: str
    tenant: str
    members: list[str]
    channels: list[str]  # ids

    def data(self) -> Json:
        return {"id": self.id, "name": self.name, "aadGroupId": guid(f"group of {self.name}")}


@dataclass
class Message:
    """One message. ``views``: what single people see instead of the card since they clicked or it was refreshed."""

    id: str
    conversation: str  # bare
    root: str  # the id of the thread's first message; its own for that one, and outside channels
    sender: str  # a person's key, or "bot"
    activity: Json
    edits: int = 0
    deleted: bool = False
    history: list[Json] = field(default_factory=list)
    views: dict[str, Json] = field(default_factory=dict)

    @property
    def card(self) -> Json | None:
        return card_of(self.activity)

    def seen_by(self, person: str) -> Json | None:
        return self.views.get(person) or self.card

    def as_json(self, person: str = "") -> Json:
        return {
            "id": self.id, "conversation": self.conversation, "root": self.root, "sender": self.sender,
            "text": self.activity.get("text", ""), "summary": self.activity.get("summary", ""),
            "card": self.seen_by(person), "edits": self.edits, "deleted": self.deleted, "activity": self.activity,
            "history": self.history, "refreshed": person in self.views,
        }  # fmt: skip


@dataclass
class Dialog:
    """A task module that is open at one person's client."""

    person: str
    title: str
    card: Json
    conversation: str
    message: str

    def as_json(self) -> Json:
        return {
            "person": self.person, "title": self.title, "card": self.card, "conversation": self.conversation,
            "message": self.message,
        }  # fmt: skip


def card_of(activity: Json) -> Json | None:
    """The first adaptive card of an activity."""
    for attachment in activity.get("attachments") or []:
        if attachment.get("contentType") == ADAPTIVE:
            card: Json = attachment["content"]
            return card
    return None
