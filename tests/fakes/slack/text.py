"""What a reader of Slack would see, and whom a text would notify: the test's eye for injected markup.

In mrkdwn, ``<…>`` is markup and ``&lt; &gt; &amp;`` are characters. ``plain_text`` and the text elements of
``rich_text`` are never markup. `notified` collects what would ring somebody or turn into a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_MARKUP = re.compile(r"<([^<>\n]*)>")
_ENTITY = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_BARE_URL = re.compile(r"https?://[^\s<>|]+")
MENTIONS = ("broadcast", "user", "usergroup", "channel", "link", "emoji")


@dataclass
class Seen:
    """``text`` as displayed; ``notified``: mentions and links, as ``!channel``, ``@U1``, ``link https://…``."""

    text: str = ""
    notified: list[str] = field(default_factory=list)
    dates: list[int] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        self.text += ("\n" if self.text and other.text else "") + other.text
        self.notified += other.notified
        self.dates += other.dates


def utf16(text: str) -> int:
    """The length that Slack's clients count: UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def decode(text: str) -> str:
    return re.sub(r"&(?:lt|gt|amp);", lambda match: _ENTITY[match.group()], text)


def read_mrkdwn(text: str, *, verbatim: bool) -> Seen:
    """``text`` as mrkdwn. Without ``verbatim``, bare URLs become links, ``@here`` and ``#name`` become mentions."""
    seen = Seen()

    def markup(match: re.Match[str]) -> str:
        target, _, label = match.group(1).partition("|")
        if target.startswith("!date^"):
            seen.dates.append(int(target.split("^")[1]))
            return label
        if target[:1] in ("!", "@", "#"):
            seen.notified.append(target)
        else:
            seen.notified.append(f"link {target}")
        return label or target

    if not verbatim:
        outside = _MARKUP.sub("", text)
        seen.notified += [f"link {decode(url)}" for url in _BARE_URL.findall(outside)]
        seen.notified += [f"!{name}" for name in re.findall(r"(?<!\w)@(here|channel|everyone)\b", outside)]
    seen.text = decode(_MARKUP.sub(markup, text))
    return seen


def read_object(thing: dict[str, Any]) -> Seen:
    """A text object."""
    if thing["type"] == "mrkdwn":
        return read_mrkdwn(thing["text"], verbatim=bool(thing.get("verbatim")))
    return Seen(decode(thing["text"]))


def read_rich(element: dict[str, Any]) -> Seen:
    """A rich_text block or anything inside it. Text elements are literal."""
    if element["type"] == "text":
        return Seen(element["text"])
    if element["type"] == "date":
        return Seen(element.get("fallback", ""), dates=[element["timestamp"]])
    if element["type"] in MENTIONS:
        name = next(
            str(element[k]) for k in ("range", "user_id", "usergroup_id", "channel_id", "url", "name") if k in element
        )
        return Seen(f"<{name}>", [f"{element['type']} {name}"])
    seen = Seen()
    for child in element.get("elements", []):
        inner = read_rich(child)
        if child["type"].startswith("rich_text"):
            seen.add(inner)
        else:
            seen.text += inner.text
            seen.notified += inner.notified
            seen.dates += inner.dates
    return seen


def read_blocks(blocks: list[dict[str, Any]]) -> Seen:
    """Everything that is visible in ``blocks``, in order."""
    seen = Seen()
    for block in blocks:
        for part in _parts(block):
            seen.add(part)
    return seen


def _parts(block: dict[str, Any]) -> Iterator[Seen]:
    if block["type"] == "rich_text":
        yield read_rich(block)
        return
    for key in ("text", "label", "hint", "title"):
        if isinstance(block.get(key), dict):
            yield read_object(block[key])
    for item in block.get("fields", []):
        yield read_object(item)
    for item in block.get("elements", []):
        if item["type"] in ("mrkdwn", "plain_text"):
            yield read_object(item)
        else:
            yield from _control(item)
    if "accessory" in block:
        yield from _control(block["accessory"])
    if block["type"] == "input":
        yield from _control(block["element"])
        if block["element"].get("initial_value"):
            yield Seen(block["element"]["initial_value"])
    if block["type"] == "markdown":
        yield read_mrkdwn(block["text"], verbatim=False)
    for row in block.get("rows", []):
        for cell in row:
            yield Seen(cell["text"]) if cell["type"] == "raw_text" else read_rich(cell)


def _control(element: dict[str, Any]) -> Iterator[Seen]:
    """A button's words, or those of a menu's options."""
    if isinstance(element.get("text"), dict):
        yield read_object(element["text"])
    groups = element.get("option_groups") or [{"options": element.get("options", [])}]
    for option in (option for group in groups for option in group["options"]):
        yield read_object(option["text"])
        if "description" in option:
            yield read_object(option["description"])
