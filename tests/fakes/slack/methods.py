"""The Web API methods of the fake: arguments in, answer out, or `SlackSays`. The rules of each are those of its page."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from typing import Any

from tests.fakes.slack.rules import VIEW_BYTES, message_problems, view_bytes, view_problems
from tests.fakes.slack.text import utf16
from tests.fakes.slack.workspace import Channel, Ephemeral, Json, Message, SlackSays, View, Workspace

METADATA_BYTES = 10_000


class Methods:
    """Call with the method's name, the token's scopes and the arguments."""

    def __init__(self, workspace: Workspace, link: Callable[[], str]) -> None:
        self.ws = workspace
        self._link = link  # a fresh single-use WebSocket URL
        self._table: dict[str, Callable[[Json, frozenset[str]], Json]] = {
            "auth.test": self._auth_test, "apps.connections.open": self._connections_open,
            "chat.postMessage": self._post, "chat.update": self._update, "chat.postEphemeral": self._ephemeral,
            "chat.delete": self._delete, "conversations.open": self._open, "conversations.info": self._info,
            "conversations.history": self._history, "users.info": self._user, "users.lookupByEmail": self._by_email,
            "usergroups.users.list": self._usergroup, "views.open": self._view_open, "views.push": self._view_push,
            "views.update": self._view_update,
        }  # fmt: skip

    def __call__(self, method: str, arguments: Json, scopes: frozenset[str]) -> Json:
        return {"ok": True, **self._table[method](arguments, scopes)}

    def _auth_test(self, _args: Json, _scopes: frozenset[str]) -> Json:
        answer: Json = {
            "url": "https://fake.slack.test/", "team": "Fake", "user": "holdpoint", "team_id": "T0TEAM",
            "user_id": "U0BOT", "bot_id": "B0BOT", "is_enterprise_install": False,
        }  # fmt: skip
        return answer | ({"enterprise_id": self.ws.enterprise} if self.ws.enterprise else {})

    def _connections_open(self, _args: Json, _scopes: frozenset[str]) -> Json:
        return {"url": self._link()}

    # chat

    def _post(self, args: Json, _scopes: frozenset[str]) -> Json:
        channel = self._writable(args["channel"])
        text, blocks = self._content(args)
        message = Message(
            channel.id, self._ts(), "U0BOT", text[:40_000], blocks, self._metadata(args),
            unfurl=args.get("unfurl_links") is not False or args.get("unfurl_media") is not False,
        )  # fmt: skip
        channel.messages[message.ts] = message
        return {"channel": channel.id, "ts": message.ts, "message": message.as_json(with_metadata=True)}

    def _update(self, args: Json, _scopes: frozenset[str]) -> Json:
        channel = self._channel(args["channel"])
        message = channel.messages.get(str(args["ts"]))
        if message is None:
            raise SlackSays("message_not_found")
        if message.user != "U0BOT":
            raise SlackSays("cant_update_message")
        if channel.archived:
            raise SlackSays("is_inactive")
        text, blocks = self._content(args)
        if utf16(text) > 4_000:
            raise SlackSays("msg_too_long")
        message.history.append((message.text, message.blocks))
        message.text, message.blocks, message.edits = text, blocks, message.edits + 1
        if "metadata" in args:
            message.metadata = self._metadata(args)
        return {"channel": channel.id, "ts": message.ts, "text": text, "message": message.as_json(with_metadata=True)}

    def _ephemeral(self, args: Json, _scopes: frozenset[str]) -> Json:
        channel = self._writable(args["channel"])
        if args["user"] not in channel.members:
            raise SlackSays("user_not_in_channel")
        text, blocks = self._content(args)
        if utf16(text) > 4_000:
            raise SlackSays("msg_too_long")
        self.ws.ephemerals.append(Ephemeral(channel.id, args["user"], text, blocks))
        return {"message_ts": self._ts()}  # no message is stored: it can never be updated

    def _delete(self, args: Json, _scopes: frozenset[str]) -> Json:
        channel = self._channel(args["channel"])
        message = channel.messages.get(str(args["ts"]))
        if message is None:
            raise SlackSays("message_not_found")
        if message.user != "U0BOT":
            raise SlackSays("cant_delete_message")
        del channel.messages[message.ts]
        return {"channel": channel.id, "ts": message.ts}

    def _content(self, args: Json) -> tuple[str, list[Json]]:
        text, blocks = args.get("text") or "", args.get("blocks") or []
        if not isinstance(text, str):
            raise SlackSays("invalid_arguments", "text must be a string")
        problems = message_problems(blocks)
        if problems:
            raise SlackSays("invalid_blocks", *problems)
        if not text and not blocks:
            raise SlackSays("no_text")
        return text, blocks

    def _metadata(self, args: Json) -> Json | None:
        metadata = args.get("metadata")
        if not metadata:
            return None
        if (
            not isinstance(metadata, dict)
            or metadata.keys() != {"event_type", "event_payload"}
            or not isinstance(metadata["event_payload"], dict)
        ):
            raise SlackSays("invalid_metadata_format")
        if len(json.dumps(metadata)) > METADATA_BYTES:
            raise SlackSays("metadata_too_large")
        return metadata

    # conversations, people

    def _open(self, args: Json, _scopes: frozenset[str]) -> Json:
        users = args.get("users")
        if not users:
            raise SlackSays("users_list_not_supplied")
        user = self.ws.users.get(users) if isinstance(users, str) else None
        if user is None or user.id == "U0BOT":
            raise SlackSays("user_not_found")
        if user.deleted:
            raise SlackSays("user_disabled")
        return {"channel": {"id": self.ws.direct(user.id).id}}

    def _info(self, args: Json, scopes: frozenset[str]) -> Json:
        channel = self._channel(args["channel"])
        self._need(f"{channel.scope}:read", scopes)
        return {
            "channel": {
                "id": channel.id,
                "name": channel.name,
                "is_archived": channel.archived,
                "is_member": "U0BOT" in channel.members,
            }
        }

    def _history(self, args: Json, scopes: frozenset[str]) -> Json:
        channel = self._channel(args["channel"])
        self._need(f"{channel.scope}:history", scopes)
        if "U0BOT" not in channel.members:
            raise SlackSays("not_in_channel")
        limit = int(args.get("limit") or 100)
        try:
            before = base64.b64decode(args["cursor"], validate=True).decode() if args.get("cursor") else "9"
        except ValueError:
            raise SlackSays("invalid_cursor") from None
        inclusive = str(args.get("inclusive", "")).lower() in ("1", "true")
        oldest, latest = str(args.get("oldest") or "0"), str(args.get("latest") or "9")
        found = [
            m for m in reversed(channel.messages.values())
            if (oldest < m.ts < latest or (inclusive and m.ts in (oldest, latest))) and m.ts < before
        ]  # fmt: skip
        page, more = found[:limit], len(found) > limit
        with_metadata = str(args.get("include_all_metadata", "")).lower() in ("1", "true")
        cursor = base64.b64encode(page[-1].ts.encode()).decode() if more else ""
        return {
            "messages": [m.as_json(with_metadata=with_metadata) for m in page], "has_more": more,
            "response_metadata": {"next_cursor": cursor},
        }  # fmt: skip

    def _user(self, args: Json, scopes: frozenset[str]) -> Json:
        user = self.ws.users.get(args["user"])
        if user is None:
            raise SlackSays("user_not_found")
        return {"user": user.as_json(with_email="users:read.email" in scopes)}

    def _by_email(self, args: Json, _scopes: frozenset[str]) -> Json:
        for user in self.ws.users.values():
            if user.email is not None and user.email.lower() == str(args["email"]).lower() and not user.deleted:
                return {"user": user.as_json(with_email=True)}
        raise SlackSays("users_not_found")

    def _usergroup(self, args: Json, _scopes: frozenset[str]) -> Json:
        members = self.ws.usergroups.get(args["usergroup"])
        if members is None:
            raise SlackSays("no_such_subteam")
        return {"users": members}

    # views

    def _view_open(self, args: Json, _scopes: frozenset[str]) -> Json:
        content = self._view(args)
        user = self.ws.spend_trigger(args.get("trigger_id"))
        return {"view": self.ws.open_view(user, content, None).as_json()}

    def _view_push(self, args: Json, _scopes: frozenset[str]) -> Json:
        content = self._view(args)
        user = self.ws.spend_trigger(args.get("trigger_id"))
        stack = [view for view in self.ws.views.values() if view.user == user and view.open]
        if not stack:
            raise SlackSays("not_found")
        if len(stack) >= 3:
            raise SlackSays("push_limit_reached")
        return {"view": self.ws.open_view(user, content, stack[-1].root).as_json()}

    def _view_update(self, args: Json, _scopes: frozenset[str]) -> Json:
        content = self._view(args)
        view = self.ws.views.get(str(args.get("view_id")))
        if view is None or not view.open:
            raise SlackSays("not_found")
        if "hash" in args and args["hash"] != view.hash:
            raise SlackSays("hash_conflict")
        return {"view": self.replace(view, content).as_json()}

    def replace(self, view: View, content: Json) -> View:
        self.check_view(content)
        view.content, view.hash, view.errors = content, secrets.token_hex(4), {}
        return view

    def check_view(self, content: Any) -> None:
        problems = view_problems(content)
        if problems:
            raise SlackSays("invalid_arguments", *problems)
        if view_bytes(content) > VIEW_BYTES:
            raise SlackSays("view_too_large")

    def _view(self, args: Json) -> Json:
        self.check_view(args["view"])
        view: Json = args["view"]
        return view

    # helpers

    def _channel(self, channel_id: Any) -> Channel:
        channel = self.ws.channels.get(channel_id)
        # A private channel that the bot is not in does not exist for it.
        if channel is None or (channel.id[0] in "GD" and "U0BOT" not in channel.members):
            raise SlackSays("channel_not_found")
        return channel

    def _writable(self, channel_id: Any) -> Channel:
        user = self.ws.users.get(channel_id)
        if user is not None and user.id != "U0BOT" and not user.deleted:
            return self.ws.direct(user.id)  # posting to a U… id opens the DM
        channel = self._channel(channel_id)
        if channel.archived:
            raise SlackSays("is_archived")
        if "U0BOT" not in channel.members:
            raise SlackSays("not_in_channel")
        return channel

    def _need(self, scope: str, scopes: frozenset[str]) -> None:
        if scope not in scopes:
            raise SlackSays("missing_scope", scope)

    def _ts(self) -> str:
        return f"{self.ws.now_ms() // 1000}.{self.ws.number():06}"
