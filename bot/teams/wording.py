"""What a person typed, of what Teams makes of it. Pure but for asking the roster who is mentioned.

https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/channel-and-group-conversations#work-with-mentions
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from bot.teams.arrived import Message, text_at
from holdpoint.errors import ChannelError, StoreUnavailable

MOST_MENTIONS = 20

_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "#39": "'", "nbsp": " "}
_ENTITY = re.compile(rf"&({'|'.join(_ENTITIES)});")  # with its semicolon: R&D and &copy are what they are
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li)>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_BLANKS = (" ", "\u00a0", "&nbsp;")  # between the words of a name
_NAME = re.compile(r"[/@]?holdpoint(?=\s|$)", re.IGNORECASE)


class Addresses(Protocol):
    """What is asked of `bot.teams.people.People`."""

    async def address_of(self, conversation: str, member: str) -> str:
        """The principal of a member; empty for nobody."""
        ...


async def as_typed(people: Addresses, message: Message) -> str:
    """The command in ``message``, without "holdpoint" before it; people who are mentioned by their principal.

    Somebody whom Holdpoint does not know stays a display name behind an @, which is nobody's principal.
    """
    text = message.text
    for mention, member, name in _mentioned(message):
        try:
            address = await people.address_of(message.conversation, member)
        except (ChannelError, StoreUnavailable):
            address = ""
        text = text.replace(mention, address or f"@{name}", 1)
    return plain(text, is_xml=message.raw.get("textFormat") == "xml")


def plain(text: str, *, is_xml: bool = False) -> str:
    """``text`` as it was typed, but for "holdpoint" at its beginning. ``is_xml``: Teams has put formatting into it."""
    if is_xml:
        text = _TAG.sub("", _BREAK.sub("\n", text))
    text = _ENTITY.sub(lambda match: _ENTITIES[match[1]], text).replace("\u00a0", " ").strip()
    return _NAME.sub("", text, count=1).strip() if _NAME.match(text) else text


def _mentioned(message: Message) -> list[tuple[str, str, str]]:
    """Everybody but the bot who is mentioned: how it stands in the text, their id and display name.

    Some clients make a mention of each word of a name: those of one person that follow each other are one.
    """
    found: list[tuple[str, str, str]] = []
    for mention, member, name in _each_mentioned(message):
        if found and found[-1][1] == member:
            before, _, names = found[-1]
            both = next(
                (f"{before}{blank}{mention}" for blank in _BLANKS if f"{before}{blank}{mention}" in message.text), ""
            )
            if both:
                found[-1] = (both, member, f"{names} {name}")
                continue
        found.append((mention, member, name))
    return found


def _each_mentioned(message: Message) -> Iterator[tuple[str, str, str]]:
    """The same, as Teams lists them."""
    entities = message.raw.get("entities")
    us = text_at(message.raw, "recipient", "id")
    for entity in (entities if isinstance(entities, list) else [])[:MOST_MENTIONS]:
        if not isinstance(entity, dict) or entity.get("type") != "mention":
            continue
        mention, member = text_at(entity, "text"), text_at(entity, "mentioned", "id")
        if mention and member and member != us:
            yield mention, member, " ".join(_TAG.sub("", mention).split())
