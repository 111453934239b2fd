from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from holdpoint.policy.schedule import Window, parse_duration, parse_size, parse_time_of_day


@pytest.mark.parametrize(
    ("text", "ms"),
    [("45s", 45_000), ("10m", 600_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("1d2h3m4s", 93_784_000)],
)
def test_durations(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "text", ["", "10", "m", "10m10", "5m1h", "1m1m", "-5m", "1.5h", "10 m", "0s", "31d", "9999999999s", "１m"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer than 0"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("512B", 512), ("2KB", 2_000), ("100KiB", 102_400), ("3 MiB", 3 * 2**20), ("1gb", 10**9)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "KiB", "-1", "1.5MB", "10 parsecs", "1KiBi", "1_000"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(("text", "minutes"), [("00:00", 0), ("9:05", 545), ("24:00", 1440)])
def test_times_of_day(text: str, minutes: int) -> None:
    assert parse_time_of_day(text) == minutes


@pytest.mark.parametrize("text", ["", "9", "24:01", "12:60", "12:5", "-1:00", "noon", "1:2:3"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time of day"):
        parse_time_of_day(text)


BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-20T08:59:59", False),  # a Friday
        ("2026-11-20T09:00", True),
        ("2026-11-20T16:59:59", True),
        ("2026-11-20T17:00", False),
        ("2026-11-21T12:00", False),
    ],
)
def test_a_window_by_day_has_a_first_minute_and_no_last_one(moment: str, *, inside: bool) -> None:
    assert Window(frozenset({4}), 9 * 60, 17 * 60, BERLIN).contains(at(moment)) is inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-20T21:59", False),
        ("2026-11-20T22:00", True),
        ("2026-11-21T05:59", True),  # Saturday morning belongs to Friday night
        ("2026-11-21T06:00", False),
        ("2026-11-21T22:00", False),
        ("2026-11-20T05:00", False),  # Friday morning belongs to Thursday night
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_starts(moment: str, *, inside: bool) -> None:
    assert Window(frozenset({4}), 22 * 60, 6 * 60, BERLIN).contains(at(moment)) is inside


def test_a_sunday_night_runs_into_monday() -> None:
    window = Window(frozenset({6}), 22 * 60, 6 * 60, BERLIN)
    assert window.contains(at("2026-11-23T03:00"))
    assert not window.contains(at("2026-11-22T03:00"))


def test_a_window_follows_summer_time() -> None:
    window = Window(frozenset(range(7)), 9 * 60, 10 * 60, BERLIN)
    assert window.contains(at("2026-01-10T08:30", ZoneInfo("UTC")))
    assert not window.contains(at("2026-07-10T08:30", ZoneInfo("UTC")))
    assert window.contains(at("2026-07-10T07:30", ZoneInfo("UTC")))


def test_a_time_before_1970_is_a_time() -> None:
    assert Window(frozenset(range(7)), 0, 24 * 60, BERLIN).contains(-1)
