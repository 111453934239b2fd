"""What the methods of the fake have in common: finding channels and people, and refusing."""

from __future__ import annotations

import base64
from typing import Any

from tests.fakes.slack.things import Channel, Json, Message, SlackSays
from tests.fakes.slack.workspace import Workspace

Scopes = frozenset[str]


class Base:
    """Methods of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.ws = workspace

    def _channel(self, channel_id: Any) -> Channel:
        channel = self.ws.channels.get(channel_id)
        # A private channel that the bot is not in does not exist for it.
        if channel is None or (channel.id[0] in "GD" and self.ws.bot_user not in channel.members):
            raise SlackSays("channel_not_found")
        return channel

    def _writable(self, channel_id: Any) -> Channel:
        user = self.ws.users.get(channel_id)
        if user is not None and user.id != self.ws.bot_user and not user.deleted:
            channel = self.ws.direct(user.id)  # posting to a U… id opens the DM
        else:
            channel = self._channel(channel_id)
        if channel.id[0] == "D" and not self.ws.messages_tab:
            raise SlackSays("messages_tab_disabled")
        if channel.archived:
            raise SlackSays("is_archived")
        if self.ws.bot_user not in channel.members:
            raise SlackSays("not_in_channel")
        return channel

    def _parent(self, channel: Channel, args: Json) -> str | None:
        """The thread to reply in, or None. It hangs on a message of this channel that is no reply itself."""
        thread = args.get("thread_ts")
        if thread is None:
            return None
        parent = channel.messages.get(str(thread))
        if parent is None or parent.is_reply:
            raise SlackSays("cannot_reply_to_message")
        parent.thread_ts = parent.ts
        return parent.ts

    def _own(self, channel: Channel, args: Json, otherwise: str) -> Message:
        message = channel.messages.get(str(args["ts"]))
        if message is None or message.tombstone:
            raise SlackSays("message_not_found")
        if message.user != self.ws.bot_user:
            raise SlackSays(otherwise)
        return message

    def _readable(self, args: Json, scopes: Scopes) -> Channel:
        channel = self._channel(args["channel"])
        self._need(f"{channel.scope}:history", scopes)
        if self.ws.bot_user not in channel.members:
            raise SlackSays("not_in_channel")
        return channel

    def _need(self, scope: str, scopes: Scopes) -> None:
        if scope not in scopes:
            raise SlackSays("missing_scope", scope)


def is_true(value: Any) -> bool:
    """Flags come as JSON or as text."""
    return str(value).lower() in ("1", "true")


def encode_cursor(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decode_cursor(args: Json, otherwise: str) -> str:
    """What a cursor of ours stands for; ``otherwise`` without one."""
    try:
        return base64.b64decode(args["cursor"], validate=True).decode() if args.get("cursor") else otherwise
    except ValueError:
        raise SlackSays("invalid_cursor") from None
