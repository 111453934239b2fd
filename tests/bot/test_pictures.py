"""The picture of the numbers: what has to be seen on it is there, whatever the numbers and names are."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.pictures import HEIGHT, OUTCOMES, PAPER, PLOT, TIME, WIDTH, stats_png
from holdpoint.model import EventKind
from holdpoint.stats import DAY_MS, Accounts, Ending, Stats, first_ms

NOW = 20_780 * DAY_MS + 5_000_000
COLORS = {name: color for name, color, _ in OUTCOMES}
ENDS = {
    "approved": EventKind.HOLD_APPROVED,
    "rejected": EventKind.HOLD_REJECTED,
    "expired": EventKind.HOLD_EXPIRED,
    "cancelled": EventKind.HOLD_CANCELLED,
}
Color = tuple[int, int, int]


def numbers(*days: Sequence[str], group: str = "contractors", name: str = "Sam", wait_ms: int = 60_000) -> Stats:
    """Each day with the outcomes of its holds."""
    accounts = Accounts(since_ms=first_ms(len(days), NOW), until_ms=NOW)
    for number, outcomes in enumerate(days):
        at_ms = first_ms(len(days), NOW) + number * DAY_MS
        for outcome in outcomes:
            by = name if outcome in ("approved", "rejected") else ""
            endings = [Ending(ENDS[outcome], at_ms + wait_ms, by, by)] if outcome != "waiting" else []
            accounts.add(at_ms, (group,), endings)
    return accounts.result()


def picture(stats: Stats) -> Image.Image:
    image = Image.open(io.BytesIO(stats_png(stats)))
    assert (image.format, image.size, image.mode) == ("PNG", (WIDTH, HEIGHT), "RGB")
    return image


def row(image: Image.Image, y: int) -> list[Color]:
    return [pixel(image, x, y) for x in range(PLOT[0], PLOT[2])]


def pixel(image: Image.Image, x: int, y: int) -> Color:
    found = image.getpixel((x, y))
    assert isinstance(found, tuple)
    return (int(found[0]), int(found[1]), int(found[2]))


def bars(image: Image.Image, color: Color) -> int:
    """How many separate runs of ``color`` stand on the ground line."""
    return sum(is_bar for is_bar, _ in groupby(pixel == color for pixel in row(image, PLOT[3] - 3)) if is_bar)


def height(image: Image.Image, color: Color) -> int:
    """Of the tallest column of ``color``, in pixels."""
    columns = range(PLOT[0], PLOT[2], 2)
    return max(sum(pixel(image, x, y) == color for y in range(PLOT[1], PLOT[3])) for x in columns)


@pytest.mark.parametrize("days", [1, 2, 7, 30, 90])
def test_there_is_a_bar_for_each_day_with_holds(days: int) -> None:
    filled = [["approved"] * 3 if number % 2 == 0 else [] for number in range(days)]
    assert bars(picture(numbers(*filled, wait_ms=1_000_000)), COLORS["approved"]) == (days + 1) // 2


@pytest.mark.parametrize("outcome", list(COLORS))
def test_each_outcome_has_its_color_and_no_other(outcome: str) -> None:
    image = picture(numbers([outcome] * 4, [outcome] * 2))
    seen = {color for color in row(image, PLOT[3] - 3) if color in COLORS.values()}
    assert seen == {COLORS[outcome]}


def test_bars_are_as_tall_as_their_numbers_say() -> None:
    image = picture(numbers(["approved"] * 10 + ["rejected"] * 30 + ["expired"] * 10, []))
    approved, rejected, expired = (height(image, COLORS[name]) for name in ("approved", "rejected", "expired"))
    assert abs(rejected - 3 * approved) <= 6
    assert abs(expired - approved) <= 2
    whole = PLOT[3] - PLOT[1]
    assert abs(approved + rejected + expired - whole) <= 8  # 50 is the end of the axis


def test_the_line_of_times_rises_with_them_and_breaks_where_nothing_was_decided() -> None:
    slow = numbers(["approved"], ["approved"], ["waiting"], ["waiting"], wait_ms=60_000)
    image = picture(slow)
    step = (PLOT[2] - PLOT[0]) // 4
    seen = [x for x in range(PLOT[0], PLOT[2]) if any(pixel(image, x, y) == TIME for y in range(PLOT[1], PLOT[3]))]
    assert min(seen) < PLOT[0] + step < max(seen) < PLOT[0] + 2 * step
    none = picture(numbers(["waiting"]))
    assert TIME not in {pixel(none, x, y) for x in range(PLOT[0], PLOT[2]) for y in range(PLOT[1], PLOT[3], 2)}


def test_a_picture_of_nothing_says_so() -> None:
    image = picture(numbers([], [], []))
    assert not {*COLORS.values(), TIME} & {pixel(image, x, y) for x in range(0, WIDTH, 3) for y in range(0, HEIGHT, 3)}
    words = {
        pixel(image, x, y) for x in range(WIDTH // 4, 3 * WIDTH // 4) for y in range(HEIGHT // 2 - 9, HEIGHT // 2 + 9)
    }
    assert len(words) > 2


def test_other_numbers_are_another_picture_and_the_same_are_the_same() -> None:
    first = stats_png(numbers(["approved"], ["rejected"]))
    assert first == stats_png(numbers(["approved"], ["rejected"]))
    assert first != stats_png(numbers(["rejected"], ["approved"]))
    assert first != stats_png(numbers(["approved"], ["rejected"], group="staff"))


@pytest.mark.promise(7)
@pytest.mark.parametrize(
    "name", ["x" * 5000, "a\nb\tc", "\u202egnp.exe", "\u200b", "中文" * 40, "<b>&{}%", "\ud800", "é" * 99]
)
def test_a_name_is_drawn_as_text_within_its_room(name: str) -> None:
    """Nothing is drawn beyond the right edge of the tables, or to their left."""
    image = picture(numbers(["approved"], group=name, name=name))
    for xs in (range(WIDTH - 27, WIDTH), range(895, 918)):
        assert {pixel(image, x, y) for x in xs for y in range(125, HEIGHT)} == {PAPER}


@given(name=st.text(max_size=60), most=st.integers(1, 40), wait_ms=st.integers(0, 10**12))
@settings(max_examples=15, deadline=None)
def test_no_name_or_number_makes_it_fail(name: str, most: int, wait_ms: int) -> None:
    picture(numbers(["approved"] * most, ["expired"], group=name, name=name, wait_ms=wait_ms))
