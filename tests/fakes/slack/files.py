"""files.*: the upload in three steps. A URL, the bytes to it, then where the file is to appear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.slack.base import Base, Scopes
from tests.fakes.slack.rules import message_problems
from tests.fakes.slack.things import File, Json, Message, SlackSays
from tests.fakes.slack.workspace import Workspace

ALT_TEXT = 1_000


class Files(Base):
    def __init__(self, workspace: Workspace, upload_url: Callable[[str], str]) -> None:
        super().__init__(workspace)
        self._upload_url = upload_url  # file id → where its bytes go

    def _upload_begin(self, args: Json, _scopes: Scopes) -> Json:
        length = str(args["length"])
        if not length.isdigit() or int(length) == 0:
            raise SlackSays("invalid_arguments", "length must be a positive number")
        if len(str(args.get("alt_txt", ""))) > ALT_TEXT:
            raise SlackSays("alt_txt_too_large")
        file = File(f"F{self.ws.number():04}", str(args["filename"]), int(length))
        self.ws.files[file.id] = file
        return {"upload_url": self._upload_url(file.id), "file_id": file.id}

    def _upload_complete(self, args: Json, _scopes: Scopes) -> Json:
        entries: Any = args["files"]
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise SlackSays("invalid_arguments", "files must be an array of objects")
        files = [self._uploaded(entry) for entry in entries]
        if args.get("channel_id"):
            self._share(files, args)
        for file in files:
            file.completed = True
        return {"files": [file.as_json() for file in files]}

    def _uploaded(self, entry: Json) -> File:
        file = self.ws.files.get(str(entry.get("id")))
        if file is None or file.content is None or file.completed:
            raise SlackSays("file_not_found")
        file.title = str(entry.get("title") or "")
        return file

    def _share(self, files: list[File], args: Json) -> None:
        channel = self._channel(args["channel_id"])
        if self.ws.bot_user not in channel.members:
            raise SlackSays("not_in_channel")
        if channel.archived:
            raise SlackSays("posting_to_channel_denied")
        blocks = args.get("blocks") or []
        if message_problems(blocks):
            raise SlackSays("invalid_blocks")
        thread = args.get("thread_ts")
        if thread is not None and str(thread) not in channel.messages:
            raise SlackSays("invalid_arguments", "thread_ts")
        message = Message(
            channel.id, self.ws.ts(), self.ws.bot_user, str(args.get("initial_comment") or ""), blocks,
            team=self.ws.team, bot_id=self.ws.bot_id, thread_ts=thread, files=[file.as_json() for file in files],
        )  # fmt: skip
        channel.messages[message.ts] = message
        for file in files:
            file.shared.append(channel.id)
