"""What is in a fake workspace: people, channels, messages, files, views. Plain state; the rules are in the methods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.slack.text import Seen, read_blocks, read_mrkdwn

Json = dict[str, Any]


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
    tz: str = "UTC"

    def as_json(self, *, with_email: bool) -> Json:
        profile: Json = {"real_name": self.name, "display_name": self.name.split()[0].lower()}
        if with_email and self.email is not None:
            profile["email"] = self.email
        body: Json = {
            "id": self.id, "team_id": self.team, "name": self.name.split()[0].lower(), "real_name": self.name,
            "deleted": self.deleted, "is_bot": self.is_bot, "is_app_user": False, "profile": profile, "tz": self.tz,
            "is_restricted": self.is_restricted, "is_ultra_restricted": self.is_ultra_restricted,
        }  # fmt: skip
        if self.is_stranger:
            body["is_stranger"] = True
        if self.enterprise is not None:
            body["enterprise_user"] = {"id": self.id, "enterprise_id": self.enterprise}
        return body


def buttons_of(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Every interactive element that is not an input, with the block that it is in."""
    for block in blocks:
        elements = block.get("elements", []) if block["type"] == "actions" else []
        accessory = [block["accessory"]] if "action_id" in block.get("accessory", {}) else []
        for element in [*elements, *accessory]:
            yield block, element


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
    team: str = "T0TEAM"
    bot_id: str = "B0BOT"
    thread_ts: str | None = None
    broadcast: bool = False
    files: list[Json] = field(default_factory=list)
    tombstone: bool = False  # deleted, but its thread is still there

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts

    def as_json(self, *, with_metadata: bool) -> Json:
        body: Json = {"type": "message", "ts": self.ts, "user": self.user, "text": self.text}
        if self.tombstone:
            return body | {"subtype": "tombstone", "user": "USLACKBOT", "hidden": True}
        if self.bot_id:
            body |= {"bot_id": self.bot_id, "team": self.team, "app_id": "A0APP"}
        if self.blocks:
            body["blocks"] = self.blocks
        if self.files:
            body["files"] = self.files
        if self.thread_ts is not None:
            body["thread_ts"] = self.thread_ts
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

    def button(self, action_id: str, *, holding: str = "") -> tuple[Json, Json] | None:
        """The block and the button of that id; the first one whose value starts with ``holding``."""
        return pick(self.blocks, action_id, holding)

    @property
    def buttons(self) -> list[str]:
        return [element["action_id"] for _, element in buttons_of(self.blocks)]


def pick(blocks: list[Json], action_id: str, holding: str = "") -> tuple[Json, Json] | None:
    for block, element in buttons_of(blocks):
        if element.get("action_id") == action_id and str(element.get("value", "")).startswith(holding):
            return block, element
    return None


@dataclass
class Channel:
    id: str
    name: str
    members: set[str] = field(default_factory=set)
    archived: bool = False
    messages: dict[str, Message] = field(default_factory=dict)  # replies too

    @property
    def scope(self) -> str:
        return {"C": "channels", "G": "groups", "D": "im"}[self.id[0]]


@dataclass
class Ephemeral:
    channel: str
    user: str
    text: str
    blocks: list[Json]
    thread_ts: str | None = None

    @property
    def seen(self) -> Seen:
        """What its reader sees: the blocks, or without any the text."""
        return read_blocks(self.blocks) if self.blocks else read_mrkdwn(self.text, verbatim=True)


@dataclass
class File:
    """``content`` is None until the bytes were uploaded; ``shared`` where the upload was completed."""

    id: str
    name: str
    length: int
    content: bytes | None = None
    title: str = ""
    shared: list[str] = field(default_factory=list)
    completed: bool = False

    def as_json(self) -> Json:
        return {"id": self.id, "name": self.name, "title": self.title or self.name, "size": self.length}


@dataclass
class View:
    """A modal, or with ``kind`` home the Home tab of one person."""

    id: str
    user: str
    content: Json
    root: str
    hash: str
    open: bool = True
    errors: dict[str, str] = field(default_factory=dict)
    team: str = "T0TEAM"
    bot_id: str = "B0BOT"
    kind: str = "modal"
    published: int = 1  # how often; Home only

    @property
    def seen(self) -> Seen:
        """What its reader sees."""
        return read_blocks(self.content["blocks"])

    @property
    def buttons(self) -> list[str]:
        return [element["action_id"] for _, element in buttons_of(self.content["blocks"])]

    def as_json(self) -> Json:
        filled: Json = {
            "callback_id": "", "external_id": "", "private_metadata": "", "clear_on_close": False,
            "notify_on_close": False, "submit": None, "close": None,
        }  # fmt: skip
        blocks = [{"block_id": f"b{n}", **block} for n, block in enumerate(self.content["blocks"])]
        return {
            **filled, **self.content, "blocks": blocks, "id": self.id, "team_id": self.team, "state": {"values": {}},
            "hash": self.hash, "root_view_id": self.root, "previous_view_id": None, "app_id": "A0APP",
            "app_installed_team_id": self.team, "bot_id": self.bot_id,
        }  # fmt: skip


@dataclass
class ResponseUrl:
    channel: str
    user: str
    message: str | None
    expires_ms: int
    uses: int = 0
