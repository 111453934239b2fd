"""Text on its way to Slack: escaped for mrkdwn, and measured as Slack measures. Pure.

Three characters are markup in mrkdwn, ``& < >``; escaped, nothing of a text can be a mention, a link or a date
(https://docs.slack.dev/messaging/formatting-message-text#escaping). What Slack calls a character is not documented;
UTF-16 units are the stricter reading, so all limits are kept in them.
"""

from __future__ import annotations

import re

ELLIPSIS = "…"

# What mrkdwn makes of a line beyond the three characters: > quote, *bold*, _italic_, ~strike~, `code`, :emoji:.
_FORMAT = re.compile(r"^>|[*_~`]|:(?=[^\s:]+:)")
LOOKALIKES = {">": "＞", "*": "∗", "_": "ˍ", "~": "∼", "`": "ˋ", ":": "∶"}
_INSIDE_WORD = re.compile(r"(?<=[A-Za-z0-9])_(?=[A-Za-z0-9])")


def escape(text: str) -> str:
    """``text`` as characters in mrkdwn, and in a message's top-level ``text``."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def inert(text: str, most: int) -> str:
    """One line for a message's top-level ``text``, in at most ``most`` units, of which mrkdwn makes nothing.

    Slack offers no way to write ``*`` or ``:`` as such there, so that characters which could format stand as others that
    look like them. Everything else shows such texts in ``rich_text``, as they are.
    """
    line = " ".join(text.split())
    kept = _INSIDE_WORD.sub("\x00", line)
    plain = _FORMAT.sub(lambda match: LOOKALIKES[match[0]], kept).replace("\x00", "_")
    return clip_escaped(plain, most)


def units(text: str) -> int:
    """The length of ``text`` in UTF-16 units."""
    return len(text) + sum(character > "\uffff" for character in text)


def clip(text: str, most: int) -> str:
    """``text`` in at most ``most`` units, with an ellipsis where something is missing. Apply before `escape`."""
    if units(text) <= most:
        return text
    return text[: _fitting(text, most - 1)] + ELLIPSIS


def clip_escaped(text: str, most: int) -> str:
    """`escape`, in at most ``most`` units, never cutting an entity in two."""
    whole = escape(text)
    if units(whole) <= most:
        return whole
    kept: list[str] = []
    room = most - 1
    for character in text:
        piece = escape(character)
        room -= units(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + ELLIPSIS


def pieces(text: str, most: int) -> list[str]:
    """``text`` cut into runs of at most ``most`` units; together they are the text."""
    found: list[str] = []
    at = 0
    while at < len(text):
        found.append(head(text[at : at + most], most))
        at += len(found[-1])
    return found


def head(text: str, most: int) -> str:
    """The beginning of ``text`` that fits into ``most`` units."""
    return text[: _fitting(text, most)]


def _fitting(text: str, most: int) -> int:
    """How many characters of ``text`` fit into ``most`` units."""
    room = most
    for index, character in enumerate(text):
        room -= 2 if character > "\uffff" else 1
        if room < 0:
            return index
    return len(text)
