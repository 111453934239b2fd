"""chat.*: posts, threads, updates, ephemeral messages, deletion."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes.slack.base import Base, Scopes, is_true
from tests.fakes.slack.rules import POSTED_UNITS, message_problems, posted_units
from tests.fakes.slack.text import utf16
from tests.fakes.slack.things import Ephemeral, Json, Message, SlackSays

METADATA_BYTES = 10_000
MOST_ATTACHMENTS = 100


class Chat(Base):
    def _post(self, args: Json, _scopes: Scopes) -> Json:
        channel = self._writable(args["channel"])
        text, blocks = self._content(args)
        if posted_units(blocks) > POSTED_UNITS:
            raise SlackSays("msg_blocks_too_long")
        metadata, thread = self._metadata(args), self._parent(channel, args)
        message = Message(
            channel.id, self.ws.ts(), self.ws.bot_user, text[:40_000], blocks, metadata,
            unfurl=args.get("unfurl_links") is not False or args.get("unfurl_media") is not False,
            team=self.ws.team, bot_id=self.ws.bot_id, thread_ts=thread, broadcast=is_true(args.get("reply_broadcast")),
        )  # fmt: skip
        channel.messages[message.ts] = message
        return {"channel": channel.id, "ts": message.ts, "message": message.as_json(with_metadata=True)}

    def _update(self, args: Json, _scopes: Scopes) -> Json:
        channel = self._channel(args["channel"])
        message = self._own(channel, args, "cant_update_message")
        if channel.archived:
            raise SlackSays("is_inactive")
        window = self.ws.edit_window_s
        if window is not None and self.ws.now_ms() / 1000 - float(message.ts) > window:
            raise SlackSays("edit_window_closed")
        text, blocks = self._content(args)
        if utf16(text) > 4_000:
            raise SlackSays("msg_too_long")
        message.history.append((message.text, message.blocks))
        message.text, message.blocks, message.edits = text, blocks, message.edits + 1
        if "metadata" in args:
            message.metadata = self._metadata(args)
        return {"channel": channel.id, "ts": message.ts, "text": text, "message": message.as_json(with_metadata=True)}

    def _ephemeral(self, args: Json, _scopes: Scopes) -> Json:
        channel = self._writable(args["channel"])
        if args["user"] not in channel.members:
            raise SlackSays("user_not_in_channel")
        text, blocks = self._content(args)
        if utf16(text) > 4_000:
            raise SlackSays("msg_too_long")
        thread = self._parent(channel, args)
        self.ws.ephemerals.append(Ephemeral(channel.id, args["user"], text, blocks, thread))
        return {"message_ts": self.ws.ts()}  # no message is stored: it can never be updated

    def _delete(self, args: Json, _scopes: Scopes) -> Json:
        channel = self._channel(args["channel"])
        message = self._own(channel, args, "cant_delete_message")
        self.ws.delete(message)
        return {"channel": channel.id, "ts": message.ts}

    def _content(self, args: Json) -> tuple[str, list[Json]]:
        text, blocks = args.get("text") or "", args.get("blocks") or []
        if not isinstance(text, str):
            raise SlackSays("invalid_arguments", "text must be a string")
        if not isinstance(blocks, list):
            raise SlackSays("invalid_blocks_format")
        if args.get("markdown_text") and (text or blocks):
            raise SlackSays("markdown_text_conflict")
        attachments = args.get("attachments") or []
        if isinstance(attachments, list) and len(attachments) > MOST_ATTACHMENTS:
            raise SlackSays("too_many_attachments")
        problems = message_problems(blocks)
        if problems:
            raise SlackSays("invalid_blocks", *problems)
        if not text and not blocks:
            raise SlackSays("no_text")
        return text, blocks

    def _metadata(self, args: Json) -> Json | None:
        metadata: Any = args.get("metadata")
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
