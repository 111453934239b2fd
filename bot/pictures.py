"""Numbers as a picture: how the waiting of held requests ended, day by day, and how long people took. The user of Pillow.

Drawn twice as large and reduced, which makes slanted lines smooth. Names in it are anybody's text: they are drawn as plain
characters, cut where their room ends; what is hidden, or has no glyph in the font, is written out. Takes a tenth of a
second: not for an event loop.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import date
from functools import cache
from typing import Final
from unicodedata import combining, normalize

from PIL import Image, ImageDraw, ImageFont

from bot import sentences
from bot.axes import count_scale, short, time_scale
from holdpoint.clock import iso
from holdpoint.stats import Counts, Day, Stats
from holdpoint.visible import visible_line

WIDTH: Final = 1280
HEIGHT: Final = 675
PLOT: Final = (84, 140, 804, 560)
"""Left, top, right, bottom of the bars' field, in pixels of the picture."""

Color = tuple[int, int, int]
OUTCOMES: Final[tuple[tuple[str, Color, Callable[[Counts], int]], ...]] = (
    ("approved", (0, 148, 108), lambda counts: counts.approved),
    ("rejected", (213, 84, 24), lambda counts: counts.rejected),
    ("expired", (232, 176, 40), lambda counts: counts.expired),
    ("cancelled", (158, 166, 176), lambda counts: counts.cancelled),
    ("waiting", (126, 184, 232), lambda counts: counts.waiting),
)
"""From the bottom of a bar to its top. Told apart by people who see no red or green, too."""

TIME: Final[Color] = (24, 40, 92)
PAPER: Final[Color] = (255, 255, 255)
_INK: Final[Color] = (28, 34, 44)
_SOFT: Final[Color] = (98, 108, 122)
_RULE: Final[Color] = (226, 230, 236)
_TWICE = 2
_MOST_DOTS = 62
_MOST_DATES = 9
_MOST_LINES = 6
_SIDE = 920  # where the tables begin
_RIGHT = WIDTH - 28


def stats_png(stats: Stats) -> bytes:
    """A PNG of `WIDTH` x `HEIGHT` pixels."""
    image = Image.new("RGB", (WIDTH * _TWICE, HEIGHT * _TWICE), PAPER)
    pen = _Pen(ImageDraw.Draw(image))
    _heading(pen, stats)
    if stats.counts.held:
        _bars(pen, stats.by_day)
        _times(pen, stats.by_day)
        _legend(pen)
        _tables(pen, stats)
    else:
        pen.text((WIDTH / 2, HEIGHT / 2), "Nothing was held in these days", 24, _SOFT, anchor="mm")
    written = io.BytesIO()
    image.reduce(_TWICE).save(written, "PNG", optimize=True)
    return written.getvalue()


def smaller(png: bytes, *, most: int) -> bytes:
    """``png`` with ``most`` pixels at most in each direction, in 128 colours: half the bytes."""
    written = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.thumbnail((most, most), Image.Resampling.LANCZOS)
        image.quantize(128).save(written, "PNG", optimize=True)
    return written.getvalue()


class _Pen:
    """Draws in pixels of the picture, whatever it is drawn on."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw

    def text(
        self,
        at: tuple[float, float],
        text: str,
        size: int,
        color: Color = _INK,
        *,
        anchor: str = "ls",
        room: float | None = None,
    ) -> None:
        """``anchor``: see Pillow's text anchors. ``room``: how wide it may be; what is longer ends with three dots."""
        plain = _drawable(text)
        font = _font(size * _TWICE)
        if room is not None and font.getlength(plain) > room * _TWICE:
            too_long = bisect_right(
                range(len(plain)), room * _TWICE, key=lambda end: font.getlength(f"{plain[:end]}...")
            )
            plain = f"{plain[: max(too_long - 1, 0)].rstrip()}..."
        self._draw.text((at[0] * _TWICE, at[1] * _TWICE), plain, fill=color, font=font, anchor=anchor)

    def box(self, left: float, top: float, right: float, bottom: float, color: Color) -> None:
        """Filled, at least half a pixel high and wide."""
        x, y = round(left * _TWICE), round(top * _TWICE)
        self._draw.rectangle((x, y, max(round(right * _TWICE) - 1, x), max(round(bottom * _TWICE) - 1, y)), fill=color)

    def line(self, points: Sequence[tuple[float, float]], color: Color, width: float) -> None:
        """Through all points."""
        scaled = [(x * _TWICE, y * _TWICE) for x, y in points]
        self._draw.line(scaled, fill=color, width=round(width * _TWICE), joint="curve")

    def dot(self, at: tuple[float, float], radius: float, color: Color) -> None:
        """A disc with a rim of paper, to be seen on a bar."""
        for size, fill in ((radius + 1.5, PAPER), (radius, color)):
            self._draw.circle((at[0] * _TWICE, at[1] * _TWICE), size * _TWICE, fill=fill)


def _heading(pen: _Pen, stats: Stats) -> None:
    first, last = iso(stats.since_ms)[:10], iso(stats.until_ms - 1)[:10]
    days = len(stats.by_day)
    pen.text((28, 50), f"Held requests, {first} to {last}" if days > 1 else f"Held requests, {first}", 28)
    pen.text((_RIGHT, 50), f"{days} day{'s' * (days > 1)}, UTC", 16, _SOFT, anchor="rs")
    numbers = [("held", stats.counts.held), *((name, count(stats.counts)) for name, _, count in OUTCOMES)]
    told = [f"{short(number)} {name}" for name, number in numbers if number or name == "held"]
    if stats.counts.failed:
        told.append(f"{short(stats.counts.failed)} of the approved failed")
    pen.text((28, 82), "  ·  ".join(told), 17, _SOFT, room=_RIGHT - 28)
    if stats.median_ms is not None and stats.p95_ms is not None:
        median, p95 = sentences.duration(stats.median_ms), sentences.duration(stats.p95_ms)
        pen.text((28, 108), f"Time to decision: median {median}, 95 % within {p95}", 17, _SOFT)


def _bars(pen: _Pen, days: Sequence[Day]) -> None:
    left, _, right, bottom = PLOT
    top_count, ticks = count_scale(max(day.counts.held for day in days))
    for tick in ticks:
        y = _height(tick / top_count)
        pen.box(left, y - 0.5, right, y + 0.5, _RULE)
        pen.text((left - 10, y), short(tick), 14, _SOFT, anchor="rm")
    gap = min(max((right - left) / len(days) * 0.22, 0.5), 24)
    for (start, end), day in zip(_slots(len(days)), days, strict=True):
        middle, half = (start + end) / 2, min((end - start - gap) / 2, 60)
        done = 0
        for _, color, count in OUTCOMES:
            number = count(day.counts)
            if number > 0:
                low, high = _height(done / top_count), _height((done + number) / top_count)
                pen.box(middle - half, high, middle + half, low, color)
                done += number
    pen.box(left, bottom, right, bottom + 1, _SOFT)
    every = -(-len(days) // _MOST_DATES)
    for index in range(0, len(days), every):
        start, end = _slots(len(days))[index]
        day_ = date.fromisoformat(days[index].date)
        pen.text(((start + end) / 2, bottom + 22), f"{day_.day} {day_:%b}", 14, _SOFT, anchor="ms")


def _times(pen: _Pen, days: Sequence[Day]) -> None:
    known = [day.median_ms for day in days if day.median_ms is not None]
    if not known:
        return
    top_ms, ticks = time_scale(max(known))
    for tick in ticks:
        label = sentences.duration(tick).replace(".0 s", " s") if tick else "0"
        pen.text((PLOT[2] + 10, _height(tick / top_ms)), label, 14, TIME, anchor="lm")
    run: list[tuple[float, float]] = []
    for (start, end), day in zip([*_slots(len(days)), (0.0, 0.0)], [*days, None], strict=True):
        if day is not None and day.median_ms is not None:
            run.append(((start + end) / 2, _height(day.median_ms / top_ms)))
            continue
        if len(run) > 1:
            width = 2.5 if len(days) <= _MOST_DOTS else 1.5
            pen.line(run, PAPER, 2 * width)  # so that it is seen on every color
            pen.line(run, TIME, width)
        if len(days) <= _MOST_DOTS or len(run) == 1:
            for point in run:
                pen.dot(point, 3.5, TIME)
        run = []


def _legend(pen: _Pen) -> None:
    x, y = float(PLOT[0]), PLOT[3] + 62
    for name, color, _ in OUTCOMES:
        pen.box(x, y - 7, x + 14, y + 7, color)
        pen.text((x + 20, y), name, 15, anchor="lm")
        x += 34 + _font(15 * _TWICE).getlength(name) / _TWICE + 14
    pen.box(x, y - 1.5, x + 22, y + 1.5, TIME)
    pen.dot((x + 11, y), 3.5, TIME)
    pen.text((x + 30, y), "median time to decision (right)", 15, anchor="lm")


def _tables(pen: _Pen, stats: Stats) -> None:
    groups = [(group.group, group.counts.held, group.median_ms) for group in stats.groups]
    reviewers = [
        (each.name or each.reviewer, each.approved + each.rejected, each.median_ms) for each in stats.reviewers
    ]
    end = _table(pen, 150, ("Requesters of", "held"), groups)
    _table(pen, end + 40, ("Reviewers", "decided"), reviewers)


def _table(pen: _Pen, top: float, headings: tuple[str, str], all_rows: Sequence[tuple[str, int, int | None]]) -> float:
    """Name, number and median of each; returns where it ends."""
    rows, more = all_rows[:_MOST_LINES], len(all_rows) - _MOST_LINES
    pen.text((_SIDE, top), headings[0], 15, _SOFT)
    pen.text((_RIGHT - 92, top), headings[1], 15, _SOFT, anchor="rs")
    pen.text((_RIGHT, top), "median", 15, _SOFT, anchor="rs")
    pen.box(_SIDE, top + 9, _RIGHT, top + 10, _RULE)
    for number, (name, count, median_ms) in enumerate(rows):
        y = top + 34 + 27 * number
        pen.text((_SIDE, y), name, 16, room=_RIGHT - 160 - _SIDE)
        pen.text((_RIGHT - 92, y), short(count), 16, anchor="rs")
        pen.text((_RIGHT, y), "-" if median_ms is None else sentences.duration(median_ms), 16, anchor="rs", room=86)
    if more > 0:
        pen.text((_SIDE, top + 34 + 27 * len(rows)), f"and {more:,} more", 14, _SOFT)
    if not rows:
        pen.text((_SIDE, top + 34), "nobody", 16, _SOFT)
    return top + 34 + 27 * (max(len(rows), 1) - 1 + (more > 0))


def _height(part: float) -> float:
    """Where ``part`` of the whole scale stands."""
    return PLOT[3] - (PLOT[3] - PLOT[1]) * part


def _slots(count: int) -> list[tuple[float, float]]:
    """The left and right end of the room of each day."""
    left, right = PLOT[0], PLOT[2]
    step = (right - left) / count
    return [(left + step * number, left + step * (number + 1)) for number in range(count)]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own: nothing depends on what a machine has. Its layout is the basic one, which reorders nothing."""
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("this build of Pillow has no FreeType")  # every wheel has it
    return font


@cache
def _has_glyph(character: str) -> bool:
    font = _font(16)
    return bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))


def _drawable(text: str) -> str:
    """``text`` in characters that the font has: accents are left off, the rest is written out."""
    shown = visible_line(text).replace("⟨", "<").replace("⟩", ">")
    decomposed = [each for each in normalize("NFKD", shown) if not combining(each)]
    return "".join(each if _has_glyph(each) else f"<U+{ord(each):04X}>" for each in decomposed)
