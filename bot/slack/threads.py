"""What is said in the thread of a Slack card, and who is mentioned there. Ids of Slack are all that is ever a mention.

A group with a Slack user group is called by it, and who stands in for its members beside it; of any other one, its members
whom Slack knows by e-mail, ten at most. The requester is never called, nor who has decided or is away (`bot.presence`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from bot.callers import MOST_CALLED, REASONS
from bot.platform import Call, Reply
from bot.presence import Calling, callings
from bot.slack.blocks import load
from bot.slack.directory import People
from bot.slack.places import local, split
from bot.slack.text import inert
from bot.units import clip
from holdpoint.live import Live
from holdpoint.model import Mention

_LINE = 400
_MOST_LINES = 20
_ID = re.compile(r"[A-Z0-9]{2,30}")


class Callers:
    """Whom a call means in Slack."""

    def __init__(self, people: People, live: Live) -> None:
        self._people = people
        self._live = live

    async def mentions(self, calls: Sequence[Call], *, place: str) -> dict[Mention, list[tuple[str, str]]]:
        """For each reason the ids to call, ("subteam" | "user", id), each once, as the workspace ``place`` knows them.

        Raises:
            ChannelError: Slack could not be asked.
        """
        found: dict[Mention, dict[tuple[str, str], None]] = {}
        for call in calls:
            ids = found.setdefault(call.reason, {})
            for calling in callings(call, self._live.snapshot, self._live.now_ms()):
                ids.update(dict.fromkeys(await self._of(calling)))
        return {reason: _limited(_here(ids, place)) for reason, ids in found.items()}

    async def _of(self, calling: Calling) -> list[tuple[str, str]]:
        usergroup = calling.group.slack_usergroup
        listed = [("subteam", usergroup)] if usergroup is not None else []
        people = calling.people if usergroup is None else calling.others
        ids = [await self._people.id_of(principal) for principal in people]
        return [*listed, *(("user", user_id) for user_id in ids if user_id is not None)]


def reply_payload(reply: Reply, mentions: dict[Mention, list[tuple[str, str]]]) -> dict[str, Any]:
    """``text`` and ``blocks`` of the message. Lines are never parsed by Slack; mentions are made of ids alone."""
    calls: list[dict[str, Any]] = [
        {"reason": REASONS[reason], "ids": [{"kind": kind, "id": name} for kind, name in ids if _ID.fullmatch(name)]}
        for reason, ids in mentions.items()
        if ids
    ]
    lines = [clip(line, _LINE) for text in reply.lines for line in text.split("\n")][:_MOST_LINES]
    first = lines[0] if lines else "".join(call["reason"] for call in calls[:1])
    return {"text": inert(first, _LINE), "blocks": load("slack/reply.json.j2", lines=lines, calls=calls)}


def _here(ids: Iterable[tuple[str, str]], place: str) -> list[tuple[str, str]]:
    """Those that the workspace ``place`` knows: nobody can be mentioned in a workspace that they are not in."""
    return [(kind, local(name)) for kind, name in ids if split(name)[0] == place]


def _limited(ids: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """All user groups, and people up to ten."""
    teams = [each for each in ids if each[0] == "subteam"]
    return [*teams, *[each for each in ids if each[0] == "user"][:MOST_CALLED]]
