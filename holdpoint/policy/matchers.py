"""The matching engine: many patterns over one text in linear time. Pure, but for the turns it gives while it compiles.

::

    patterns ─ PatternSet (an RE2 Set or a few) ─ inspect(text) ─▶ Inspected: which patterns hit, raw or normalised
                                                                     └─ spans(pattern) ─▶ where, in the raw text

A Set says *which* patterns match, at a cost that hardly depends on their number; only those are run singly for their
spans. A Set that runs out of memory answers "no match", so each has a pattern that always matches, once, at the very
end of the text: when it is missing, the text was not inspected (`NotInspected`). Two more patterns of the first Set find
invisible and foldable characters, so that plain text pays nothing for normalisation.

RE2 compiles a Set in one call that holds the interpreter, so many patterns become several Sets, with turns for the other
threads in between. Each Set reads the text once more: 2 µs per KB.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import re2  # type: ignore[import-untyped]  # google-re2 ships no types: see `patterns`

from holdpoint.policy.normalise import FOLDABLE_CLASS, HIDDEN_CLASS, Mapped, clean, compose, fold, mapped
from holdpoint.policy.patterns import BadPattern, TextPattern, encode

SHOWN_SPANS = 100  # of one pattern in one text
EDIT_SPANS = 10_000
SHOWN_WORK_BYTES = 16 * 1024 * 1024
EDIT_WORK_BYTES = 512 * 1024 * 1024
_SET_MEMORY_BYTES = 64 * 1024 * 1024
_SET_MEMORY_PER_INSTRUCTION_BYTES = 128

_SENTINEL, _HIDDEN, _FOLDABLE, _FIRST = 0, 1, 2, 3
_END = r"\z"  # the sentinel; an empty pattern matches before every byte, which makes each of them cost twice as much
_SET_INSTRUCTIONS = 80_000  # of one Set; RE2 takes some 30 ms to compile them
_TURN_S = 0.02  # behind each of several Sets: enough for all requests that came meanwhile


class NotInspected(Exception):
    """The engine could not look at the whole text."""


class PatternSet:
    """All patterns that look at the same text. Immutable once made; safe for any number of threads."""

    __slots__ = ("_more", "_set", "patterns")

    def __init__(self, patterns: Sequence[TextPattern]) -> None:
        """Raises BadPattern when the patterns are too large together."""
        self.patterns = tuple(patterns)
        pieces = _pieces(self.patterns)
        end = len(pieces[0])
        self._set = _compile(_END, HIDDEN_CLASS, FOLDABLE_CLASS, patterns=pieces[0])
        self._more: list[tuple[int, re2.Set]] = []  # each with how much its numbers are too low
        for piece in pieces[1:]:
            time.sleep(_TURN_S)
            self._more.append((end + _FIRST - 1, _compile(_END, patterns=piece)))
            end += len(piece)
        if self._more:
            time.sleep(_TURN_S)

    def inspect(self, text: str) -> Inspected | None:
        """Which patterns match; None when none does.

        Raises:
            NotInspected: the engine ran out of memory on this text.
        """
        found = self._look(text)
        # The short way out that nearly every request takes: nothing hit, and nothing that normalising could change.
        if len(found) == 1 and text.isascii():
            return None
        variants = [_variant(found)]
        if _HIDDEN in found or not text.isascii():
            cleaned = clean(text) if _HIDDEN in found else compose(text)
            if cleaned != text:
                found = self._look(cleaned)
                variants.append(_variant(found))
            else:
                variants.append(frozenset())
            if _FOLDABLE in found:
                folded = fold(cleaned)
                if folded != cleaned:
                    variants.append(_variant(self._look(folded)))
        hits = frozenset().union(*variants)
        return Inspected(self, text, variants, hits) if hits else None

    def _look(self, text: str) -> list[int]:
        data = encode(text)
        found = _match(self._set, data)
        for behind, each in self._more:
            found += [number + behind for number in _match(each, data) if number != _SENTINEL]
        return found


def _pieces(patterns: Sequence[TextPattern]) -> list[list[TextPattern]]:
    """The patterns in order, one list for each Set; the first is there even when it is empty."""
    pieces: list[list[TextPattern]] = [[]]
    size = 0
    for pattern in patterns:
        size += pattern.size
        if size > _SET_INSTRUCTIONS and pieces[-1]:
            pieces.append([])
            size = pattern.size
        pieces[-1].append(pattern)
    return pieces


def _compile(*regexes: str, patterns: Sequence[TextPattern]) -> re2.Set:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _SET_MEMORY_BYTES + _SET_MEMORY_PER_INSTRUCTION_BYTES * sum(p.size for p in patterns)
    made = re2.Set.SearchSet(options)
    try:
        for regex in (*regexes, *(p.regex for p in patterns)):
            made.Add(regex)
        made.Compile()
    except re2.error:
        raise BadPattern("the patterns are too large together") from None
    return made


def _match(patterns: re2.Set, data: bytes) -> list[int]:
    """The numbers of what matches. Raises NotInspected when the sentinel does not."""
    try:
        found: list[int] | None = patterns.Match(data)
    except (re2.error, MemoryError):
        raise NotInspected from None
    if not found or _SENTINEL not in found:
        raise NotInspected
    return found


def _variant(found: list[int]) -> frozenset[int]:
    return frozenset(index - _FIRST for index in found if index >= _FIRST)


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
    """One text that patterns hit. ``hits`` are indexes into the set's patterns."""

    __slots__ = ("_mapped", "_set", "_text", "_variants", "hits")

    def __init__(
        self, patterns: PatternSet, text: str, variants: Sequence[frozenset[int]], hits: frozenset[int]
    ) -> None:
        self._set = patterns
        self._text = text
        self._variants = variants  # raw, clean, folded, as far as they were needed
        self._mapped: dict[int, tuple[Mapped, bytes]] = {}
        self.hits = hits

    def spans(self, index: int, search: Search) -> list[tuple[int, int]]:
        """Where pattern ``index`` matches, as code points of the raw text; not merged, zero-length ones left out."""
        found: list[tuple[int, int]] = []
        for number, variant in enumerate(self._variants):
            if index in variant:
                found += self._in_variant(self._set.patterns[index], number, search)
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
    """Where each of several texts stands once they are joined by newlines."""

    starts: tuple[int, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Offsets:
        starts, position = [], 0
        for text in texts:
            starts.append(position)
            position += len(text) + 1
        return cls(tuple(starts), tuple(len(text) for text in texts))

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


def find(patterns: PatternSet, text: str) -> list[list[tuple[int, int]]]:
    """For each pattern of the set, its merged spans in ``text``, none left out. Used where text is masked.

    Raises:
        NotInspected: the engine ran out of memory on this text.
    """
    inspected = patterns.inspect(text)
    if inspected is None:
        return [[] for _ in patterns.patterns]
    search = Search(for_edit=True)
    return [
        merge(inspected.spans(index, search)) if index in inspected.hits else []
        for index in range(len(patterns.patterns))
    ]
