"""The events of a stream (server-sent events), read without parsing each of them: most are alike but for one text.

::

    data: {"id":"c1","choices":[{"delta":{"content":" word"}}]}
    └──────────────── before ─────────────────────┘     └ after

A model sends hundreds of these. Whoever knows what one of them says knows it of every line that begins and ends with the
same bytes, as long as what stands between is the inside of one JSON string; and of a row of those at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import orjson

T = TypeVar("T")

EVENT_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")
"""A blank line, by the three line breaks that there are."""

_COMMENTS = re.compile(rb"(?::[^\r\n]*\r?\n)*")  # belong to no event: with them a server only says that it is there

Said = tuple[str, T | None]
"""The text that an event adds, and whatever else it says."""

_DATA = b"data:"
_WORTH_IT = 3  # lines of a row, below which each of them is read
_TRIES = 3  # so many lines are looked at in vain for what others may have in common with them; then all are different
_OTHER = "another text"
_BETWEEN = b'",\n"'  # a string that is left open by mistake runs into the line break, which no string may have


class _Alike(NamedTuple):
    """The bytes that lines have before and after the inside of their text; and the text of the first of them."""

    before: bytes
    after: bytes
    text: str


_UNLIKE = _Alike(b"", b"", "")


def size_of_whole_events(data: bytes, *, before: bytes) -> int:
    """How many bytes of ``data`` are events that have come to their end, and comments behind them.

    ``before``: the last two bytes of an event that has begun earlier; empty when none has.
    """
    size = _end_of_last(data) or max(_end_of_last(before + data[:2]) - len(before), 0)
    if before and not size:
        return 0
    comments = _COMMENTS.match(data, size)
    return size if comments is None else comments.end()


def read_events(raw: bytes, read: Callable[[bytes], Said[T]]) -> Iterator[Said[T]]:
    """What ``read`` says of all the data in ``raw``, in order; of lines that are alike together.

    ``read`` gets what a line has after ``data:``, and judges it by its JSON alone.
    """
    alike = _UNLIKE
    before = after = b""
    begin = end = 0
    skip = len(_DATA)
    row: list[bytes] = []
    tries = _TRIES
    for line in filter(None, raw.splitlines() if b"\r" in raw else raw.split(b"\n")):
        # Without anything inside, the two may overlap: that is left to `read`.
        if begin and line.startswith(before) and line.endswith(after) and (inside := line[begin:end]):
            row.append(inside)
            continue
        if not line.startswith(_DATA):
            continue
        if row:
            yield from _of_row(alike, row, read)
            tries = _TRIES if len(row) >= _WORTH_IT else tries
            row = []
        said = read(line[skip:])
        yield said
        if tries and said[0] and said[1] is None:
            tries -= 1
            before, after, _ = alike = _around(line, said[0])
            begin, end = len(before), -len(after)
    if row:
        yield from _of_row(alike, row, read)


def _end_of_last(data: bytes) -> int:
    return max((at + len(end) for end in EVENT_ENDS if (at := data.rfind(end)) >= 0), default=0)


def _around(line: bytes, text: str) -> _Alike:
    """How lines look that are like ``line``, which says ``text``; it may be that they say something else all the same."""
    inside = orjson.dumps(text)[1:-1]
    begin = line.find(b'"' + inside + b'"', len(_DATA)) + 1
    return _Alike(line[:begin], line[begin + len(inside) :], text) if begin else _UNLIKE


def _of_row(alike: _Alike, row: list[bytes], read: Callable[[bytes], Said[T]]) -> Iterator[Said[T]]:
    """What the lines with these insides say.

    When the same line with another text in that place says that one, then the text is that one string and nothing else.
    """
    before, after = alike.before[len(_DATA) :], alike.after
    if len(row) >= _WORTH_IT:
        other = alike.text + _OTHER
        if read(before + orjson.dumps(other)[1:-1] + after) == (other, None):
            text = _texts(row)
            if text is not None:
                yield text, None
                return
    for inside in row:
        yield read(before + inside + after)


def _texts(insides: list[bytes]) -> str | None:
    """The strings with these insides, put together; None when one of them is not the inside of one string.

    None of them has a line break. One that ends its string too early adds to the array, and makes more of it than there
    are insides; or it opens something that goes on in the next, and then not all of them are strings.
    """
    try:
        found = orjson.loads(b'["' + _BETWEEN.join(insides) + b'"]')
        return "".join(found) if len(found) == len(insides) else None
    except (orjson.JSONDecodeError, TypeError):
        return None
