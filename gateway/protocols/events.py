"""The events of a stream (server-sent events), read without parsing each of them: most are alike but for one text.

::

    data: {"id":"c1","choices":[{"delta":{"content":" word"}}]}
    └──────────────── before ─────────────────────┘     └ after

A model sends hundreds of these. Whoever knows what one of them says knows it of every line that begins and ends with the
same bytes, as long as what stands between is the inside of one JSON string; and of a row of those at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import orjson

T = TypeVar("T")

Said = tuple[str, T | None]
"""The text that an event adds, and whatever else it says."""

_DATA = b"data:"
_TRIES = 3  # so many lines in a row are learned from in vain; then all are different, and are read one by one
_OTHER = "another text"
_BETWEEN = b'",\n"'  # a string that is left open by mistake runs into the line break, which no string may have


class _Alike(NamedTuple):
    """The bytes that lines have before and after the inside of their text."""

    before: bytes
    after: bytes


def read_events(raw: bytes, read: Callable[[bytes], Said[T]]) -> Iterator[Said[T]]:
    """What ``read`` says of all the data in ``raw``, in order; of lines that are alike together.

    ``read`` gets what a line has after ``data:``, and judges it by its JSON alone.
    """
    before = after = b""
    begin = end = 0
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
            yield from _of_row(before, row, after, read)
            row = []
            tries = _TRIES
        said = read(line[len(_DATA) :])
        yield said
        if tries and said[0] and said[1] is None and (learned := _learn(line, said[0], read)):
            tries -= 1
            before, after = learned
            begin, end = len(before), -len(after)
    if row:
        yield from _of_row(before, row, after, read)


def _learn(line: bytes, text: str, read: Callable[[bytes], Said[T]]) -> _Alike | None:
    """How lines like ``line`` look, which says ``text``; None when that is not sure.

    It is when the same line with another text there says that one: then the text is that one string, and nothing else.
    """
    inside = orjson.dumps(text)[1:-1]
    begin = line.find(b'"' + inside + b'"', len(_DATA)) + 1
    if not begin:
        return None
    before, after = line[:begin], line[begin + len(inside) :]
    other = before[len(_DATA) :] + orjson.dumps(text + _OTHER)[1:-1] + after
    return _Alike(before, after) if read(other) == (text + _OTHER, None) else None


def _of_row(before: bytes, row: list[bytes], after: bytes, read: Callable[[bytes], Said[T]]) -> Iterator[Said[T]]:
    """What the lines with these insides say."""
    text = _texts(row)
    if text is not None:
        yield text, None
        return
    for inside in row:
        yield read(before[len(_DATA) :] + inside + after)


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
