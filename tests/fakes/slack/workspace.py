"""The state of one fake workspace: people, channels, messages, tokens, triggers, views. No HTTP in here."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from tests.fakes.slack.things import (
    Channel,
    Ephemeral,
    File,
    Json,
    Message,
    ResponseUrl,
    SlackSays,
    User,
    View,
)

__all__ = [
    "Channel", "Ephemeral", "File", "Json", "Message", "ResponseUrl", "SlackSays", "User", "View", "Workspace",
]  # fmt: skip
BOT_SCOPES = frozenset({
    "chat:write", "commands", "im:write", "users:read", "users:read.email", "usergroups:read", "files:write",
    "channels:history", "groups:history", "im:history", "channels:read", "groups:read",
})  # fmt: skip
TRIGGER_MS = 3_000
RESPONSE_URL_MS = 30 * 60_000
RESPONSE_URL_USES = 5
MOST_STACKED = 3


class Workspace:
    """``clock`` is milliseconds since 1970; `forward` moves the fake's own time on top of it.

    ``numbers`` is shared by the workspaces of one fake, so that no id occurs twice.
    """

    def __init__(
        self, clock: Callable[[], int], *, team: str = "T0TEAM", name: str = "Fake", token: str | None = "xoxb-fake-bot",
        enterprise: str | None = None, numbers: Iterator[int] | None = None,
    ) -> None:  # fmt: skip
        self._base = clock
        self._offset = 0
        self._numbers = numbers or itertools.count(1)
        self.team = team
        self.name = name
        self.enterprise = enterprise
        mark = "" if team == "T0TEAM" else team[1:]
        self.bot_user, self.bot_id = f"U0BOT{mark}", f"B0BOT{mark}"
        self.bot_tokens: dict[str, frozenset[str]] = {token: BOT_SCOPES} if token else {}
        self.app_tokens: dict[str, frozenset[str]] = {"xapp-fake-app": frozenset({"connections:write"})}
        self.revoked: dict[str, str] = {}  # token → token_revoked, account_inactive, token_expired
        self.org_wide: set[str] = set()  # tokens of an installation for the whole enterprise
        self.users: dict[str, User] = {self.bot_user: User(self.bot_user, "Holdpoint", None, team, is_bot=True)}
        self.channels: dict[str, Channel] = {}
        self.usergroups: dict[str, list[str]] = {}
        self.ephemerals: list[Ephemeral] = []
        self.views: dict[str, View] = {}
        self.homes: dict[str, View] = {}
        self.files: dict[str, File] = {}
        self.triggers: dict[str, tuple[str, int, bool]] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.edit_window_s: float | None = None  # how long messages may be edited; None: for ever
        self.home_tab = True
        self.messages_tab = True
        self.guide_triggers = False  # trigger errors as the guide spells them, not as the method's page does

    def now_ms(self) -> int:
        return self._base() + self._offset

    def forward(self, *, seconds: float) -> None:
        self._offset += int(seconds * 1000)

    def number(self) -> int:
        return next(self._numbers)

    # people and places

    def add_user(
        self, name: str, email: str | None, *, user_id: str | None = None, team: str | None = None, **flags: Any
    ) -> User:
        flags.setdefault("enterprise", self.enterprise)
        user = User(user_id or f"U{self.number():04}", name, email, team or self.team, **flags)
        self.users[user.id] = user
        return user

    def add_channel(
        self, name: str, *members: User, channel_id: str | None = None, private: bool = False, bot: bool = True
    ) -> Channel:
        channel = Channel(channel_id or f"{'G' if private else 'C'}{self.number():04}", name, {m.id for m in members})
        if bot:
            channel.members.add(self.bot_user)
        self.channels[channel.id] = channel
        return channel

    def direct(self, user_id: str) -> Channel:
        """The bot's DM with that person, opened when it is not there."""
        for channel in self.channels.values():
            if channel.id[0] == "D" and user_id in channel.members:
                return channel
        channel = Channel(f"D{self.number():04}", "directmessage", {user_id, self.bot_user})
        self.channels[channel.id] = channel
        return channel

    def messages(self, channel_id: str) -> list[Message]:
        """What the channel shows, in the order of posting: no replies but those that were sent to the channel too."""
        found = self.channels[channel_id].messages.values()
        return [m for m in found if not m.tombstone and (not m.is_reply or m.broadcast)]

    def replies(self, message: Message) -> list[Message]:
        """The thread under a message, in the order of posting."""
        found = self.channels[message.channel].messages.values()
        return [m for m in found if m.is_reply and m.thread_ts == message.ts]

    def delete(self, message: Message) -> None:
        """Away with it; a thread that hangs on it stays, under a tombstone."""
        if self.replies(message):
            message.tombstone, message.text, message.blocks = True, "This message was deleted.", []
            message.metadata = None
        else:
            del self.channels[message.channel].messages[message.ts]

    def ts(self) -> str:
        return f"{self.now_ms() // 1000}.{self.number():06}"

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
            raise SlackSays("trigger_exchanged" if self.guide_triggers else "exchanged_trigger_id")
        if self.now_ms() > expires_ms:
            raise SlackSays("trigger_expired" if self.guide_triggers else "expired_trigger_id")
        self.triggers[trigger] = (user, expires_ms, True)
        return user

    def new_response_url(self, channel: str, user: str, message: str | None) -> str:
        key = secrets.token_hex(8)
        self.response_urls[key] = ResponseUrl(channel, user, message, self.now_ms() + RESPONSE_URL_MS)
        return key

    def open_view(self, user: str, content: Json, root: str | None, *, kind: str = "modal") -> View:
        view_id = f"V{self.number():04}"
        view = View(
            view_id, user, content, root or view_id, secrets.token_hex(4), team=self.team, bot_id=self.bot_id, kind=kind
        )
        self.views[view_id] = view
        return view

    def stack(self, root: str) -> list[View]:
        return [view for view in self.views.values() if view.root == root and view.open and view.kind == "modal"]

    def modals(self, user: User) -> list[View]:
        """The open modals of that person, the top one last."""
        return [view for view in self.views.values() if view.user == user.id and view.open and view.kind == "modal"]
