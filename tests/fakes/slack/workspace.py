"""The state of one fake workspace: people, channels, messages, tokens, triggers, views. No HTTP in here."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.slack.text import Seen, read_blocks, read_mrkdwn

Json = dict[str, Any]
BOT_SCOPES = frozenset({
    "chat:write", "commands", "im:write", "users:read", "users:read.email", "usergroups:read",
    "channels:history", "groups:history", "im:history",
})  # fmt: skip
TRIGGER_MS = 3_000
RESPONSE_URL_MS = 30 * 60_000
RESPONSE_URL_USES = 5


class SlackSays(Exception):
    """``{"ok": false, "error": …}``."""

    def __init__(self, error: str, *messages: str) -> None:
        super().__init__(error)
        self.error = error
        self.messages = messages


@dataclass
class User:
    id: str
    name: str
    email: str | None
    team: str
    enterprise: str | None = None
    is_bot: bool = False
    deleted: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False

    def as_json(self, *, with_email: bool) -> Json:
        profile: Json = {"real_name": self.name, "display_name": self.name.split()[0].lower()}
        if with_email and self.email is not None:
            profile["email"] = self.email
        body: Json = {
            "id": self.id, "team_id": self.team, "name": self.name.split()[0].lower(), "real_name": self.name,
            "deleted": self.deleted, "is_bot": self.is_bot, "is_app_user": False, "profile": profile, "tz": "UTC",
            "is_restricted": self.is_restricted, "is_ultra_restricted": self.is_ultra_restricted,
        }  # fmt: skip
        if self.is_stranger:
            body["is_stranger"] = True
        if self.enterprise is not None:
            body["enterprise_user"] = {"id": self.id, "enterprise_id": self.enterprise}
        return body


@dataclass
class Message:
    channel: str
    ts: str
    user: str
    text: str
    blocks: list[Json]
    metadata: Json | None = None
    unfurl: bool = False
    edits: int = 0
    history: list[tuple[str, list[Json]]] = field(default_factory=list)

    def as_json(self, *, with_metadata: bool) -> Json:
        body: Json = {
            "type": "message",
            "ts": self.ts,
            "user": self.user,
            "text": self.text,
            "bot_id": "B0BOT",
            "team": "T0TEAM",
            "app_id": "A0APP",
        }
        if self.blocks:
            body["blocks"] = self.blocks
        if with_metadata and self.metadata is not None:
            body["metadata"] = self.metadata
        return body

    @property
    def seen(self) -> Seen:
        """What a reader sees and who is notified; the top-level text notifies too."""
        seen = read_blocks(self.blocks) if self.blocks else Seen()
        top = read_mrkdwn(self.text, verbatim=True)
        seen.notified += top.notified
        if not self.blocks:
            seen.text = top.text
        return seen

    def button(self, action_id: str) -> tuple[Json, Json] | None:
        """The actions block and the button of that id."""
        for block in self.blocks:
            for element in block.get("elements", []) if block["type"] == "actions" else []:
                if element.get("action_id") == action_id:
                    return block, element
        return None

    @property
    def buttons(self) -> list[str]:
        return [e["action_id"] for b in self.blocks if b["type"] == "actions" for e in b["elements"]]


@dataclass
class Channel:
    id: str
    name: str
    members: set[str] = field(default_factory=set)
    archived: bool = False
    messages: dict[str, Message] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        return {"C": "channels", "G": "groups", "D": "im"}[self.id[0]]


@dataclass
class Ephemeral:
    channel: str
    user: str
    text: str
    blocks: list[Json]


@dataclass
class View:
    id: str
    user: str
    content: Json
    root: str
    hash: str
    open: bool = True
    errors: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> Json:
        filled = {
            "callback_id": "",
            "external_id": "",
            "private_metadata": "",
            "clear_on_close": False,
            "notify_on_close": False,
            "submit": None,
            "close": None,
        }
        blocks = [{"block_id": f"b{n}", **block} for n, block in enumerate(self.content["blocks"])]
        return {
            **filled, **self.content, "blocks": blocks, "id": self.id, "team_id": "T0TEAM", "state": {"values": {}},
            "hash": self.hash, "root_view_id": self.root, "previous_view_id": None, "app_id": "A0APP",
            "app_installed_team_id": "T0TEAM", "bot_id": "B0BOT",
        }  # fmt: skip


@dataclass
class ResponseUrl:
    channel: str
    user: str
    message: str | None
    expires_ms: int
    uses: int = 0


class Workspace:
    """``clock`` is milliseconds since 1970; `forward` moves the fake's own time on top of it."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._base = clock
        self._offset = 0
        self.bot_tokens: dict[str, frozenset[str]] = {"xoxb-fake-bot": BOT_SCOPES}
        self.app_tokens: dict[str, frozenset[str]] = {"xapp-fake-app": frozenset({"connections:write"})}
        self.users: dict[str, User] = {"U0BOT": User("U0BOT", "Holdpoint", None, "T0TEAM", is_bot=True)}
        self.channels: dict[str, Channel] = {}
        self.usergroups: dict[str, list[str]] = {}
        self.ephemerals: list[Ephemeral] = []
        self.views: dict[str, View] = {}
        self.triggers: dict[str, tuple[str, int, bool]] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.enterprise: str | None = None
        self._numbers = itertools.count(1)

    def now_ms(self) -> int:
        return self._base() + self._offset

    def forward(self, *, seconds: float) -> None:
        self._offset += int(seconds * 1000)

    def number(self) -> int:
        return next(self._numbers)

    # people and places

    def add_user(
        self, name: str, email: str | None, *, user_id: str | None = None, team: str = "T0TEAM", **flags: Any
    ) -> User:
        user = User(user_id or f"U{self.number():04}", name, email, team, **flags)
        self.users[user.id] = user
        return user

    def add_channel(
        self, name: str, *members: User, channel_id: str | None = None, private: bool = False, bot: bool = True
    ) -> Channel:
        channel = Channel(channel_id or f"{'G' if private else 'C'}{self.number():04}", name, {m.id for m in members})
        if bot:
            channel.members.add("U0BOT")
        self.channels[channel.id] = channel
        return channel

    def direct(self, user_id: str) -> Channel:
        """The bot's DM with that person, opened when it is not there."""
        for channel in self.channels.values():
            if channel.id[0] == "D" and user_id in channel.members:
                return channel
        channel = Channel(f"D{self.number():04}", "directmessage", {user_id, "U0BOT"})
        self.channels[channel.id] = channel
        return channel

    def messages(self, channel_id: str) -> list[Message]:
        """In the order of posting."""
        return list(self.channels[channel_id].messages.values())

    # triggers, response URLs, views

    def new_trigger(self, user_id: str) -> str:
        trigger = f"{self.number()}.{secrets.token_hex(8)}"
        self.triggers[trigger] = (user_id, self.now_ms() + TRIGGER_MS, False)
        return trigger

    def spend_trigger(self, trigger: Any) -> str:
        """The user behind a trigger, once and within 3 s."""
        if trigger not in self.triggers:
            raise SlackSays("invalid_trigger_id")
        user, expires_ms, used = self.triggers[trigger]
        if used:
            raise SlackSays("exchanged_trigger_id")
        if self.now_ms() > expires_ms:
            raise SlackSays("expired_trigger_id")
        self.triggers[trigger] = (user, expires_ms, True)
        return user

    def new_response_url(self, channel: str, user: str, message: str | None) -> str:
        key = secrets.token_hex(8)
        self.response_urls[key] = ResponseUrl(channel, user, message, self.now_ms() + RESPONSE_URL_MS)
        return key

    def open_view(self, user: str, content: Json, root: str | None) -> View:
        view_id = f"V{self.number():04}"
        view = View(view_id, user, content, root or view_id, secrets.token_hex(4))
        self.views[view_id] = view
        return view

    def stack(self, root: str) -> list[View]:
        return [view for view in self.views.values() if view.root == root and view.open]

    def modals(self, user: User) -> list[View]:
        """The open modals of that person, the top one last."""
        return [view for view in self.views.values() if view.user == user.id and view.open]
