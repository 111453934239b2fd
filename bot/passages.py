"""Text from a request, cut into segments that can be shown: masked, marked, shortened, with nothing hidden. Pure.

::

    text + spans  ─mask→  pieces (what is shown for which characters)  ─mark→  segments  ─shorten→  segments and gaps

Everything here is plain text. Channels escape it for themselves, in their templates (promise 7).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from holdpoint.visible import visible

_AROUND = 120  # characters that stay on either side of what matched, when the rest is left out
_DIFF_LINES = 4000  # beyond, a diff is shown as one block removed and one added: difflib is quadratic


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of text. ``marked``: a rule matched it. ``gap``: not text of the request, but a note that some is left out."""

    text: str
    marked: bool = False
    gap: bool = False


class Change(StrEnum):
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a diff, without its newline."""

    change: Change
    text: str

    @property
    def sign(self) -> str:
        return {Change.SAME: " ", Change.ADDED: "+", Change.REMOVED: "−"}[self.change]


def segments(
    text: str, spans: Iterable[tuple[int, int]], originals: Mapping[str, str], masked: str
) -> tuple[Segment, ...]:
    """``text`` as shown: ``masked`` in place of it, with everything that overlaps a span marked.

    ``originals`` maps each token that stands in ``masked`` to the characters of ``text`` that it replaces.
    """
    wanted = _merged(spans, len(text))
    found: list[Segment] = []
    for piece in _aligned(masked, originals):
        if piece.token:
            marked = any(start < piece.end and end > piece.start for start, end in wanted)
            found.append(Segment(visible(piece.shown), marked))
            continue
        at = piece.start
        for span in wanted:
            start, end = max(span[0], piece.start), min(span[1], piece.end)
            if start >= end:
                continue
            found += [Segment(visible(text[at:start])), Segment(visible(text[start:end]), marked=True)]
            at = end
        found.append(Segment(visible(text[at : piece.end])))
    return _joined(found)


def shorten(whole: Sequence[Segment], limit: int, *, fill: bool = True) -> tuple[tuple[Segment, ...], int]:
    """At most about ``limit`` characters of the segments, and how many were left out.

    What matched stays, with some text around it, as far as the limit goes; then the beginning is filled up. Without
    ``fill`` only what matched stays, also where the limit would allow for more.
    """
    total = sum(len(segment.text) for segment in whole)
    if total <= limit and fill:
        return tuple(whole), 0
    kept = _windows(whole, limit, total)
    if fill:
        kept = _filled_up(kept, limit, total)
    found: list[Segment] = []
    at = shown = 0
    for segment in whole:
        start, end = at, at + len(segment.text)
        for window in kept:
            low, high = max(window[0], start), min(window[1], end)
            if low < high:
                if low > shown:
                    found.append(_gap(low - shown))
                found.append(Segment(segment.text[low - start : high - start], segment.marked))
                shown = high
        at = end
    if total > shown:
        found.append(_gap(total - shown))
    return _joined(found), total - sum(len(s.text) for s in found if not s.gap)


def diff_lines(before: str, after: str) -> tuple[DiffLine, ...]:
    """The change from ``before`` to ``after``, line by line, with hidden characters written out."""
    old, new = visible(before).split("\n"), visible(after).split("\n")
    if len(old) + len(new) > _DIFF_LINES:
        return (*(DiffLine(Change.REMOVED, line) for line in old), *(DiffLine(Change.ADDED, line) for line in new))
    found: list[DiffLine] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found += (DiffLine(Change.SAME, line) for line in old[i1:i2])
        else:
            found += (DiffLine(Change.REMOVED, line) for line in old[i1:i2])
            found += (DiffLine(Change.ADDED, line) for line in new[j1:j2])
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Piece:
    """``shown`` stands for the characters ``start`` to ``end`` of the text; ``token`` when it is not those themselves."""

    shown: str
    start: int
    end: int
    token: bool


def _aligned(masked: str, originals: Mapping[str, str]) -> list[_Piece]:
    """Which run of the masked text stands for which characters of the original one."""
    places = sorted((at, token) for token in originals for at in _occurrences(masked, token))
    pieces: list[_Piece] = []
    read = written = 0
    for at, token in places:
        if at < written:  # one token inside another
            continue
        plain = masked[written:at]
        pieces.append(_Piece(plain, read, read + len(plain), token=False))
        read += len(plain)
        pieces.append(_Piece(token, read, read + len(originals[token]), token=True))
        read += len(originals[token])
        written = at + len(token)
    rest = masked[written:]
    pieces.append(_Piece(rest, read, read + len(rest), token=False))
    return pieces


def _occurrences(text: str, token: str) -> Iterable[int]:
    at = text.find(token)
    while at >= 0:
        yield at
        at = text.find(token, at + len(token))


def _merged(spans: Iterable[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """Spans in order, overlapping ones as one, none beyond the text."""
    found: list[tuple[int, int]] = []
    for start, end in sorted((max(s, 0), min(e, length)) for s, e in spans):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _windows(whole: Sequence[Segment], limit: int, total: int) -> list[tuple[int, int]]:
    """The runs of characters to keep: each mark, and around it what the limit leaves, while it lasts."""
    room = limit
    kept: list[tuple[int, int]] = []
    at = 0
    for segment in whole:
        end = at + len(segment.text)
        if segment.marked and room > 0:
            before = min(_AROUND, at, max(room - len(segment.text), 0))
            low, high = at - before, min(end + _AROUND, total)
            high = min(high, low + room)
            room -= high - low
            kept.append((low, high))
        at = end
    return _merged(kept, total)


def _filled_up(kept: Sequence[tuple[int, int]], limit: int, total: int) -> list[tuple[int, int]]:
    """The windows, and from the beginning as much of what lies between them as the limit allows."""
    room = limit - sum(high - low for low, high in kept)
    filled = list(kept)
    at = 0
    for low, high in (*kept, (total, total)):
        more = min(max(low - at, 0), max(room, 0))
        filled.append((at, at + more))
        room -= more
        at = high
    return _merged(filled, total)


def _gap(count: int) -> Segment:
    return Segment(f"… {count:,} character{'' if count == 1 else 's'} left out …", gap=True)


def _joined(found: Iterable[Segment]) -> tuple[Segment, ...]:
    """Without empty segments, and with equal neighbours as one."""
    joined: list[Segment] = []
    for segment in found:
        if not segment.text:
            continue
        if joined and not segment.gap and (joined[-1].marked, joined[-1].gap) == (segment.marked, segment.gap):
            joined[-1] = Segment(joined[-1].text + segment.text, segment.marked)
        else:
            joined.append(segment)
    return tuple(joined)
