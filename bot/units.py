"""Texts measured and cut as chat platforms count them: in UTF-16 units. Pure.

Microsoft's limits are in UTF-16; what Slack calls a character is not documented, and UTF-16 units are the stricter reading.
"""

from __future__ import annotations

ELLIPSIS = "…"


def units(text: str) -> int:
    """The length of ``text`` in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def clip(text: str, most: int) -> str:
    """``text`` in at most ``most`` units, with an ellipsis where something is missing. Apply before `escape`."""
    if len(text) <= most and units(text) <= most:
        return text
    return text[: _fitting(text, most - 1)] + ELLIPSIS


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
