"""The matching engine: many patterns over one text in linear time. Pure, but for the turns it gives while it compiles.

::

    patterns ─ PatternSet (an RE2 Set or a few) ─ inspect(text) ─▶ Inspected: which patterns hit, raw or normalised
                                                                     └─ spans(pattern) ─▶ where, in the raw text (`spans`)

A Set says *which* patterns match, at a cost that hardly depends on their number; only those are run singly for their
spans. A Set that runs out of memory answers "no match", so each has a pattern that always matches, once, at the very
end of the text: when it is missing, the text was not inspected (`NotInspected`). Two more patterns of the first Set find
invisible and foldable characters, so that plain text pays nothing for normalisation.

RE2 compiles a Set in one call that holds the interpreter, so many patterns become several Sets, with turns for the other
threads in between. Each Set reads the text once more: 2 µs per KB.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import re2  # type: ignore[import-untyped]  # google-re2 ships no types: see `patterns`

from holdpoint.policy.normalise import FOLDABLE_CLASS, HIDDEN_CLASS, clean, compose, fold, unescape
from holdpoint.policy.patterns import BadPattern, TextPattern, encode
from holdpoint.policy.spans import Inspected, Search, merge

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
        return Inspected(self.patterns, text, variants, hits) if hits else None

    def inspect_escaped(self, text: str) -> Inspected | None:
        """`inspect` for what ``text`` says to who reads it as JSON; None where that is the same. Raises as it does."""
        plain = unescape(text)
        found = self.inspect(plain) if plain != text else None
        return found.within(text) if found is not None else None

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


def find(patterns: PatternSet, text: str) -> list[list[tuple[int, int]]]:
    """For each pattern of the set, its merged spans in ``text``, none left out. Used where text is masked.

    Raises:
        NotInspected: the engine ran out of memory on this text.
    """
    spans: list[list[tuple[int, int]]] = [[] for _ in patterns.patterns]
    search = Search(for_edit=True)
    for inspected in filter(None, (patterns.inspect(text), patterns.inspect_escaped(text))):
        for index in inspected.hits:
            spans[index] += inspected.spans(index, search)
    return [merge(found) for found in spans]
