"""Times as people type them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.until import read_until, told, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
NOW = int(datetime(2026, 11, 23, 9, 30, tzinfo=BERLIN).timestamp() * 1000)  # a Monday


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("2026-12-02", "Wed 2026-12-02 00:00"),
        ("2026-12-02 09:00", "Wed 2026-12-02 09:00"),
        ("2026-12-02 24:00", "Thu 2026-12-03 00:00"),
        ("2026-12-02T09:00", "Wed 2026-12-02 09:00"),
        ("2026-12-02t09:00z", "Wed 2026-12-02 10:00"),
        ("2026-12-02T09:00-05:00", "Wed 2026-12-02 15:00"),
        ("monday", "Mon 2026-11-30 00:00"),
        ("Mon", "Mon 2026-11-30 00:00"),
        ("monday 09:30", "Mon 2026-11-30 09:30"),  # this very minute is over
        ("MONDAY 09:31", "Mon 2026-11-23 09:31"),
        ("sunday", "Sun 2026-11-29 00:00"),
        ("tomorrow", "Tue 2026-11-24 00:00"),
        ("tomorrow  8:15", "Tue 2026-11-24 08:15"),
        ("today 17:00", "Mon 2026-11-23 17:00"),
        ("17:30", "Mon 2026-11-23 17:30"),
        ("09:00", "Tue 2026-11-24 09:00"),
        ("2d", "Wed 2026-11-25 09:30"),
        ("1d12h", "Tue 2026-11-24 21:30"),
        ("45M", "Mon 2026-11-23 10:15"),
        ("180d", "Sat 2027-05-22 10:30"),  # of 24 hours each, over the change to summer time
        ("2027-03-28 02:30", "Sun 2027-03-28 03:30"),  # a time that no clock shows
    ],
)
def test_what_is_understood(text: str, until: str) -> None:
    assert told(read_until(text, now_ms=NOW, zone=BERLIN), BERLIN) == f"{until} Europe/Berlin"


def test_of_a_time_that_comes_twice_the_first_is_meant() -> None:
    now_ms = int(datetime(2026, 10, 24, 12, tzinfo=BERLIN).timestamp() * 1000)
    expected = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=0).timestamp() * 1000
    assert read_until("sunday 02:30", now_ms=now_ms, zone=BERLIN) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "cannot read"), ("soon", "cannot read"), ("next week", "cannot read"), ("friday the 13th", "cannot read"),
        ("10:00 monday", "cannot read"), ("5", "cannot read"), ("-2d", "cannot read"), ("2026-02-30", "cannot read"),
        ("24:30", "cannot read"), ("٢d", "cannot read"), ("２０２６-12-02", "cannot read"), ("x" * 41, "cannot read"),
        ("0001-01-01", "cannot read"), ("02.12.2026", "cannot read"), ("12/02/2026", "cannot read"),
        ("2d 2d", "cannot read"), ("tomorrow 9", "cannot read"),
        ("1y", "not a duration"), ("0d", "longer than 0"), ("181d", "at most 180d"),
        ("2026-11-23", "is over already"), ("today", "is over already"), ("2026-11-23 09:30", "is over already"),
        ("1999-01-01", "Fri 1999-01-01 00:00 Europe/Berlin is over already"),
        ("2027-05-23", "too far"), ("9999-12-31", "too far"),
    ],
)  # fmt: skip  # a table
def test_what_is_not(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_until(text, now_ms=NOW, zone=BERLIN)


@pytest.mark.parametrize("text", ["0001-01-01T00:00Z", "9999-12-31T23:59Z", "0001-01-01T00:00+14:00"])
@pytest.mark.parametrize("zone", ["Pacific/Honolulu", "Pacific/Kiritimati", "UTC"])
def test_the_ends_of_the_calendar_are_refused(text: str, zone: str) -> None:
    with pytest.raises(ValueError, match=r"cannot read|over already|too far"):
        read_until(text, now_ms=NOW, zone=ZoneInfo(zone))


@given(st.text(max_size=60), st.sampled_from(["Europe/Berlin", "America/New_York", "Pacific/Kiritimati"]))
def test_any_text_is_a_time_ahead_or_refused(text: str, zone: str) -> None:
    with suppress(ValueError):
        assert NOW < read_until(text, now_ms=NOW, zone=ZoneInfo(zone)) <= NOW + 180 * 86_400_000


@pytest.mark.parametrize(
    ("name", "key"), [("Europe/Berlin", "Europe/Berlin"), ("", "UTC"), ("Mars/Olympus", "UTC"), ("/etc/passwd", "UTC")]
)
def test_a_zone_that_nobody_knows_is_utc(name: str, key: str) -> None:
    assert zone_of(name).key == key
