"""Where patterns match in a text that they hit, as spans of code points; and what is worked out with spans. Pure.

`matchers` says which patterns hit a text; only those are run here, one by one, and found in the text as it was written
even where they matched only after it was normalised.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdpoint.policy.normalise import Mapped, mapped, unescaped
from holdpoint.policy.patterns import TextPattern, encode

SHOWN_SPANS = 100  # of one pattern in one text
EDIT_SPANS = 10_000
SHOWN_WORK_BYTES = 16 * 1024 * 1024
EDIT_WORK_BYTES = 512 * 1024 * 1024


class Search:
    """How spans are looked for, and how much work is left: each search may read the whole rest of the text.

    For showing, what exceeds the bounds is left out. For an edit nothing may be left out: where a bound is reached, the
    last span goes to the end of the text.
    """

    __slots__ = ("for_edit", "left_bytes", "spans_per_pattern")

    def __init__(self, *, for_edit: bool) -> None:
        self.for_edit = for_edit
        self.left_bytes = EDIT_WORK_BYTES if for_edit else SHOWN_WORK_BYTES
        self.spans_per_pattern = EDIT_SPANS if for_edit else SHOWN_SPANS


class Inspected:
    """One text that some of ``patterns`` hit. ``hits`` are their indexes."""

    __slots__ = ("_escaped", "_mapped", "_patterns", "_text", "_variants", "hits")

    def __init__(
        self, patterns: Sequence[TextPattern], text: str, variants: Sequence[frozenset[int]], hits: frozenset[int]
    ) -> None:
        self._patterns = patterns
        self._text = text
        self._variants = variants  # raw, clean, folded, as far as they were needed
        self._mapped: dict[int, tuple[Mapped, bytes]] = {}
        self._escaped: str | None = None
        self.hits = hits

    def within(self, escaped: str) -> Inspected:
        """The same for the text that this one is without its escapes."""
        self._escaped = escaped
        return self

    def spans(self, index: int, search: Search) -> list[tuple[int, int]]:
        """Where pattern ``index`` matches, as code points of the raw text; not merged, zero-length ones left out."""
        found: list[tuple[int, int]] = []
        for number, variant in enumerate(self._variants):
            if index in variant:
                found += self._in_variant(self._patterns[index], number, search)
        if found and self._escaped is not None:
            way_back = unescaped(self._escaped)
            found = [way_back.back(start, end) for start, end in found]
        return found

    def _in_variant(self, wanted: TextPattern, number: int, search: Search) -> list[tuple[int, int]]:
        if number == 0:
            return list(_locate(wanted, self._text, encode(self._text), search))
        if number not in self._mapped:
            way_back = mapped(self._text, folded=number == 2)
            self._mapped[number] = way_back, encode(way_back.text)
        way_back, data = self._mapped[number]
        located = list(_locate(wanted, way_back.text, data, search))
        if not located and wanted.compiled.search(data) is None:
            return [(0, len(self._text))]  # found in the text as a whole, but not character by character
        return [way_back.back(start, end) for start, end in located]


def _locate(wanted: TextPattern, text: str, data: bytes, search: Search) -> Iterator[tuple[int, int]]:
    """The matches in ``data`` (``text`` in UTF-8) as code points, within the bounds of ``search``."""
    ascii_only = len(data) == len(text)
    number = search.spans_per_pattern
    position, counted_bytes, counted = 0, 0, 0
    while position <= len(data):
        if number <= 0 or search.left_bytes <= 0:
            first = position if ascii_only else counted
            if search.for_edit and first < len(text):
                yield first, len(text)
            return
        match = wanted.compiled.search(data, position)
        if match is None:
            return
        number -= 1
        search.left_bytes -= len(data) - position
        start, end = match.span(wanted.group)
        if ascii_only:
            first, last = start, end
        else:
            first = counted + _code_points(data[counted_bytes:start])
            last = first + _code_points(data[start:end])
            counted_bytes, counted = end, last
        if last > first:
            yield first, last
        position = end if end > position else _next_character(data, position)


def _code_points(data: bytes) -> int:
    return len(data.decode("utf-8", "ignore"))  # RE2's \\C may cut a character: count the whole ones


def _next_character(data: bytes, position: int) -> int:
    position += 1
    while position < len(data) and data[position] & 0xC0 == 0x80:
        position += 1
    return position


@dataclass(frozen=True, slots=True)
class Offsets:
    """Where each of several texts stands once they are joined: in runs with nothing in between, these by newlines."""

    starts: tuple[int, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, runs: Sequence[Sequence[str]]) -> Offsets:
        starts, position = [], 0
        for run in runs:
            for text in run:
                starts.append(position)
                position += len(text)
            position += 1
        return cls(tuple(starts), tuple(len(text) for run in runs for text in run))

    def split(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """A span of the joined text as ``(text number, start, end)`` for each text that it touches."""
        number = max(bisect_right(self.starts, start) - 1, 0)
        while number < len(self.starts) and self.starts[number] < end:
            base = self.starts[number]
            first, last = max(start - base, 0), min(end - base, self.lengths[number])
            if last > first:
                yield number, first, last
            number += 1


def merge(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, with overlapping and touching spans made one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
