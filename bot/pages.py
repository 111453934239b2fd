"""Everything that is held, as pages of a dialog: passages of a bounded length, in their order. Pure; knows no platform.

A passage ends at a line's end where that leaves it at least half full, else between two words, else where it is full; in
front of what stands for a secret (``⟦card number 1⟧``), never inside of it. Together the passages are the text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from bot.cards import CardView
from bot.passages import Segment
from bot.units import head

_LONGEST_MASK = 200  # characters; a bracket of the text itself may stand open for longer


@dataclass(frozen=True, slots=True)
class Passage:
    """A run of one part's segments, under the part's label."""

    label: str
    segments: tuple[Segment, ...]


def pages_of(view: CardView, *, passage_units: int, most_segments: int, passages: int) -> list[list[Passage]]:
    """The parts in pages of at most ``passages`` passages, each of at most ``passage_units`` and ``most_segments``.

    At least one page, which may be empty.
    """
    found = [
        Passage(part.label, segments)
        for part in view.parts
        for segments in _passages(part.segments, passage_units, most_segments)
    ]
    return [found[at : at + passages] for at in range(0, len(found), passages)] or [[]]


def _passages(segments: Sequence[Segment], most_units: int, most_segments: int) -> list[tuple[Segment, ...]]:
    text = "".join(segment.text for segment in segments)
    ends = list(accumulate(len(segment.text) for segment in segments))
    found: list[tuple[Segment, ...]] = []
    at = 0
    while at < len(text):
        first = bisect_right(ends, at)
        # A surrogate pair may not fit into one unit: at least one character moves on.
        most = max(most_units, 2)
        end = at + len(head(text[at : at + most], most))
        end = _good_end(text, at, min(end, ends[min(first + most_segments, len(ends)) - 1]))
        found.append(_between(segments, ends, first, at, end))
        at = end
    return found


def _between(segments: Sequence[Segment], ends: Sequence[int], first: int, start: int, end: int) -> tuple[Segment, ...]:
    """The characters ``start`` to ``end`` of all segments; ``first`` is the segment that ``start`` is in."""
    found: list[Segment] = []
    number, at = first, start
    while at < end:
        segment = segments[number]
        begin, stop = ends[number] - len(segment.text), min(ends[number], end)
        if at < stop:
            found.append(Segment(segment.text[at - begin : stop - begin], segment.marked, segment.gap))
        number, at = number + 1, stop
    return tuple(found)


def _good_end(text: str, start: int, end: int) -> int:
    """Where a passage ends that begins at ``start`` and has room up to ``end``: there, or before."""
    if end == len(text):
        return end
    end = _before_mask(text, start, end)
    half = (start + end) // 2
    line = text.rfind("\n", half, end) + 1
    if line:
        return _before_mask(text, start, line)
    if text[end - 1].isspace() or text[end].isspace():
        return end
    word = end - len(text[half:end].rsplit(None, 1)[-1])
    return _before_mask(text, start, word) if word > half else end


def _before_mask(text: str, start: int, end: int) -> int:
    """``end``, or the beginning of the mask that it lies in."""
    opened = text.rfind("⟦", start, end)
    if opened <= start or text.find("⟧", opened, end) >= 0:
        return end
    return opened if text.find("⟧", end, opened + _LONGEST_MASK) >= 0 else end
