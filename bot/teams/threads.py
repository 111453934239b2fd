"""What is said in the thread of a Teams card, and who is mentioned there. Pure but for asking who is in the roster.

Lines stand in a card, where nothing is markup, a link or a mention. The message's own text is made of our words and
mentions alone; a mention is one only through its entity, and its entity is made of ids from the roster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from bot.callers import MOST_CALLED, REASONS
from bot.platform import Call, Reply
from bot.presence import callings
from bot.teams.render import notice_card
from bot.units import clip
from holdpoint.live import Live
from holdpoint.model import Mention

ADAPTIVE = "application/vnd.microsoft.card.adaptive"
_LINE = 400
_MOST_LINES = 20
_MOST_NAME = 60
_UNSAFE = re.compile(r"[^\w' -]+")
_MEMBER = re.compile(r"29:[\w-]{1,200}", re.ASCII)

Member = tuple[str, str]  # the roster's id and display name


class Roster(Protocol):
    """What is asked of `bot.teams.people.People` here."""

    async def members_of(self, conversation: str, principals: Sequence[str]) -> list[Member]:
        """Those of ``principals`` who are in the conversation, in the given order.

        Raises:
            ChannelError: Teams could not be asked.
        """
        ...


class Callers:
    """Whom a call means in one conversation of Teams."""

    def __init__(self, people: Roster, live: Live) -> None:
        self._people = people
        self._live = live

    async def mentions(self, calls: Sequence[Call], *, conversation: str) -> dict[Mention, list[Member]]:
        """For each reason whom to call, each once and ten at most: the members of the policy's groups who are there.

        Raises:
            ChannelError: Teams could not be asked.
        """
        wanted: dict[Mention, dict[str, None]] = {}
        for call in calls:
            people = wanted.setdefault(call.reason, {})
            for calling in callings(call, self._live.snapshot, self._live.now_ms()):
                people.update(dict.fromkeys(calling.people))
        found: dict[Mention, list[Member]] = {}
        for reason, principals in wanted.items():
            members = await self._people.members_of(conversation, list(principals)) if principals else []
            found[reason] = [each for each in members if _MEMBER.fullmatch(each[0])][:MOST_CALLED]
        return found


def reply_activity(reply: Reply, mentions: Mapping[Mention, Sequence[Member]]) -> dict[str, Any]:
    """The message: mentions in its text, lines in its card. ``loud`` ones are marked as important."""
    lines = [clip(line, _LINE) for text in reply.lines for line in text.split("\n")][:_MOST_LINES]
    called, entities = _called(mentions)
    activity: dict[str, Any] = {"type": "message"}
    if called:
        # Not markdown, which would give a meaning to more characters of a name.
        activity |= {"text": "<br>".join(called), "textFormat": "xml", "entities": entities}
    if lines:
        activity["attachments"] = [{"contentType": ADAPTIVE, "content": notice_card(lines)}]
        activity["summary"] = "News of a request"
    if reply.loud:
        activity["importance"] = "high"
    return activity


def _called(mentions: Mapping[Mention, Sequence[Member]]) -> tuple[list[str], list[dict[str, Any]]]:
    """The lines that call, and the entities that make mentions of them."""
    lines: list[str] = []
    entities: list[dict[str, Any]] = []
    for reason, members in mentions.items():
        marks: list[str] = []
        for member, name in members:
            shown = _inert_name(name)
            marks.append(f"<at>{shown}</at>")
            entities.append({"type": "mention", "text": marks[-1], "mentioned": {"id": member, "name": shown}})
        if marks:
            lines.append(f"{REASONS[reason]} {' '.join(marks)}")
    return lines, entities


def _inert_name(name: str) -> str:
    """Letters, digits and spaces of a display name: nobody can call themselves a tag, a link or somebody's markup."""
    return clip(" ".join(_UNSAFE.sub(" ", name).split()), _MOST_NAME) or "reviewer"
