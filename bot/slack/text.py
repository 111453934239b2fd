"""Text on its way to Slack: escaped for mrkdwn. Pure.

Three characters are markup in mrkdwn, ``& < >``; escaped, nothing of a text can be a mention, a link or a date
(https://docs.slack.dev/messaging/formatting-message-text#escaping). What Slack calls a character is not documented;
UTF-16 units are the stricter reading, so all limits are kept in them.
"""

from __future__ import annotations

import re

from bot.units import ELLIPSIS, units

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
