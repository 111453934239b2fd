"""Everything that is held, as pages of a dialog: passages of a bounded length, in their order. Pure; knows no platform."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.cards import CardView
from bot.passages import Segment
from bot.units import head, units


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


def _passages(segments: Iterable[Segment], most_units: int, most_segments: int) -> list[tuple[Segment, ...]]:
    found: list[list[Segment]] = []
    room = 0
    for segment in segments:
        text = segment.text
        while text:
            if room <= 0 or len(found[-1]) >= most_segments:
                found.append([])
                room = most_units
            # A surrogate pair may not fit into the last unit: at least one character moves on.
            piece = head(text, max(room, 2))
            found[-1].append(Segment(piece, segment.marked, segment.gap))
            room -= units(piece)
            text = text[len(piece) :]
    return [tuple(each) for each in found]
