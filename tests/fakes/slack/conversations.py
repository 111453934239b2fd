"""conversations.*, users.*, usergroups.*: where things stand, and who is who."""

from __future__ import annotations

from collections.abc import Iterable

from tests.fakes.slack.base import Base, Scopes, decode_cursor, encode_cursor, is_true
from tests.fakes.slack.things import Channel, Json, Message, SlackSays


class Conversations(Base):
    def _open(self, args: Json, _scopes: Scopes) -> Json:
        users = args.get("users")
        if not users:
            raise SlackSays("users_list_not_supplied")
        user = self.ws.users.get(users) if isinstance(users, str) else None
        if user is None or user.id == self.ws.bot_user:
            raise SlackSays("user_not_found")
        if user.deleted:
            raise SlackSays("user_disabled")
        return {"channel": {"id": self.ws.direct(user.id).id}}

    def _info(self, args: Json, scopes: Scopes) -> Json:
        channel = self._channel(args["channel"])
        self._need(f"{channel.scope}:read", scopes)
        return {"channel": self._described(channel)}

    def _described(self, channel: Channel) -> Json:
        return {
            "id": channel.id, "name": channel.name, "is_archived": channel.archived,
            "is_member": self.ws.bot_user in channel.members, "is_private": channel.id[0] == "G",
        }  # fmt: skip

    def _list(self, args: Json, scopes: Scopes) -> Json:
        kinds = {"public_channel": "C", "private_channel": "G", "im": "D"}
        wanted = str(args.get("types") or "public_channel").split(",")
        if not set(wanted) <= kinds.keys():
            raise SlackSays("invalid_types")
        letters = {kinds[kind] for kind in wanted}
        for letter, scope in (("C", "channels:read"), ("G", "groups:read"), ("D", "im:read")):
            if letter in letters:
                self._need(scope, scopes)
        after = decode_cursor(args, "")
        found = sorted(
            (
                c for c in self.ws.channels.values()
                if c.id[0] in letters and c.id > after and (c.id[0] == "C" or self.ws.bot_user in c.members)
                and not (c.archived and is_true(args.get("exclude_archived")))
            ),
            key=lambda c: c.id,
        )  # fmt: skip
        page = found[: int(args.get("limit") or 100)]
        cursor = encode_cursor(page[-1].id) if len(page) < len(found) else ""
        return {
            "channels": [self._described(c) for c in page], "response_metadata": {"next_cursor": cursor},
        }  # fmt: skip

    def _members(self, args: Json, scopes: Scopes) -> Json:
        channel = self._channel(args["channel"])
        self._need(f"{channel.scope}:read", scopes)
        return {"members": sorted(channel.members), "response_metadata": {"next_cursor": ""}}

    def _history(self, args: Json, scopes: Scopes) -> Json:
        channel = self._readable(args, scopes)
        shown = (m for m in reversed(channel.messages.values()) if not m.is_reply or m.broadcast)
        return self._page(args, shown, newest_first=True)

    def _replies(self, args: Json, scopes: Scopes) -> Json:
        channel = self._readable(args, scopes)
        parent = channel.messages.get(str(args["ts"]))
        if parent is None:
            raise SlackSays("thread_not_found")
        root = parent.thread_ts or parent.ts
        thread = [m for m in channel.messages.values() if root in (m.ts, m.thread_ts)]
        return self._page(args, thread, newest_first=False)

    def _page(self, args: Json, messages: Iterable[Message], *, newest_first: bool) -> Json:
        limit = int(args.get("limit") or 100)
        seen = decode_cursor(args, "")
        inclusive = is_true(args.get("inclusive", ""))
        oldest, latest = str(args.get("oldest") or "0"), str(args.get("latest") or "9")
        found = [
            m for m in messages
            if (oldest < m.ts < latest or (inclusive and m.ts in (oldest, latest)))
            and (not seen or (m.ts < seen if newest_first else m.ts > seen))
        ]  # fmt: skip
        page, more = found[:limit], len(found) > limit
        with_metadata = is_true(args.get("include_all_metadata", ""))
        return {
            "messages": [m.as_json(with_metadata=with_metadata) for m in page], "has_more": more,
            "response_metadata": {"next_cursor": encode_cursor(page[-1].ts) if more else ""},
        }  # fmt: skip

    def _user(self, args: Json, scopes: Scopes) -> Json:
        user = self.ws.users.get(args["user"])
        if user is None:
            raise SlackSays("user_not_found")
        return {"user": user.as_json(with_email="users:read.email" in scopes)}

    def _by_email(self, args: Json, _scopes: Scopes) -> Json:
        for user in self.ws.users.values():
            if user.email is not None and user.email.lower() == str(args["email"]).lower() and not user.deleted:
                return {"user": user.as_json(with_email=True)}
        raise SlackSays("users_not_found")

    def _usergroup(self, args: Json, _scopes: Scopes) -> Json:
        members = self.ws.usergroups.get(args["usergroup"])
        if members is None:
            raise SlackSays("no_such_subteam")
        return {"users": members}
