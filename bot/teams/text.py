"""Text on its way to Teams: kept from being expanded or formatted. Pure.

Teams parses the text of a TextBlock, and the titles of facts, as Markdown; the runs of a RichTextBlock it takes as they
are, but for ``{{DATE(…)}}`` and ``{{TIME(…)}}``, which it expands in both
(https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features#datetime-formatting-and-localization). So a text
from outside stands in runs, and where one would begin such a date, it goes on in another run.
"""

from __future__ import annotations

import re

from bot.units import clip

_BEFORE_DATE = re.compile(r"(?<=\{)(?=\{\s*(?:DATE|TIME))", re.IGNORECASE)
# What a client might make of a line that is meant to be plain: Markdown, HTML, a date that it expands.
_LOOKALIKES = str.maketrans(
    {
        "*": "∗", "_": "ˍ", "~": "∼", "`": "ˋ", "[": "［", "]": "］", "<": "＜", ">": "＞", "{": "｛", "}": "｝", "#": "＃",
        "\\": "＼", "|": "｜", "&": "＆",
    }
)  # fmt: skip
_BLANKS = re.compile(r" {2,}|(?<=\n) ")
_INSIDE_WORD = re.compile(r"(?<=[A-Za-z0-9])_(?=[A-Za-z0-9])")


def unexpanded(text: str) -> list[str]:
    """``text`` in pieces of which none has ``{{DATE`` or ``{{TIME``; together they are the text."""
    return _BEFORE_DATE.split(text)


def spaced(text: str) -> str:
    """``text`` whose columns and indents stay where a client runs blanks together: some stand as blanks that it keeps."""
    return _BLANKS.sub(_kept, text.replace("\t", "    "))


def _kept(match: re.Match[str]) -> str:
    pairs, one = divmod(len(match[0]), 2)
    return "\u00a0 " * pairs + "\u00a0" * one


def inert(text: str, most: int) -> str:
    """One line in at most ``most`` units of which no client makes more than a line: for notifications, and in lists.

    There is no way to write ``*`` as such there, so that characters which could format stand as others that look like them.
    """
    line = _INSIDE_WORD.sub("\x00", " ".join(text.split())).translate(_LOOKALIKES).replace("\x00", "_")
    return clip(line, most)
