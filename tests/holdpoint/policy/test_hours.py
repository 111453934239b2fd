"""When the people of a group work: reading, daylight saving time, nights, when the next window begins."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.errors import PolicyError
from holdpoint.policy.hours import Hours
from holdpoint.policy.parse import parse_policy

DOCUMENT = """
version: 1
defaults: {{verdict: allow}}
connections: {{demo: {{upstream: "http://127.0.0.1:9000", protocol: openai}}}}
groups:
  security: {{members: [sam@example.com], hours: {hours}}}
"""
OFFICE = '{days: mon-fri, from: "09:00", to: "17:30", zone: Europe/Berlin}'
NIGHTS = '{days: [fri, sat], from: "22:00", to: "06:00", zone: Europe/Berlin}'
EARLY = '{days: sun, from: "02:15", to: "02:45", zone: Europe/Berlin}'
BREAKFAST = '{days: sun, from: "02:30", to: "10:00", zone: Europe/Berlin}'


def hours_of(text: str) -> Hours:
    found = parse_policy(DOCUMENT.format(hours=text)).groups["security"].hours
    assert found is not None
    return found


def ms(text: str, zone: str = "Europe/Berlin", *, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


@pytest.mark.parametrize(
    ("hours", "at", "is_in", "opens"),
    [
        (OFFICE, "2026-11-23T08:59:59", False, "2026-11-23T09:00"),
        (OFFICE, "2026-11-23T09:00", True, "2026-11-24T09:00"),
        (OFFICE, "2026-11-23T17:29:59", True, "2026-11-24T09:00"),
        (OFFICE, "2026-11-23T17:30", False, "2026-11-24T09:00"),
        (OFFICE, "2026-11-27T17:30", False, "2026-11-30T09:00"),  # Friday evening to Monday
        (OFFICE, "2026-11-29T12:00", False, "2026-11-30T09:00"),
        (OFFICE, "2026-03-27T18:00", False, "2026-03-30T09:00"),  # over the night in which summer time begins
        (OFFICE, "2026-10-23T18:00", False, "2026-10-26T09:00"),  # and in which it ends
        (NIGHTS, "2026-11-27T21:59", False, "2026-11-27T22:00"),
        (NIGHTS, "2026-11-28T05:59", True, "2026-11-28T22:00"),  # Saturday morning belongs to Friday night
        (NIGHTS, "2026-11-28T06:00", False, "2026-11-28T22:00"),
        (NIGHTS, "2026-11-29T05:59", True, "2026-12-04T22:00"),
        (NIGHTS, "2026-11-29T22:30", False, "2026-12-04T22:00"),
        (EARLY, "2026-03-28T12:00", False, "2026-04-05T02:15"),  # no clock shows 02:15 on 29 March
        (BREAKFAST, "2026-03-28T12:00", False, "2026-03-29T03:30"),
        (f"[{OFFICE}, {NIGHTS}]", "2026-11-27T18:00", False, "2026-11-27T22:00"),
        ('{from: "00:00", to: "24:00"}', "2026-11-27T18:00", True, "2026-11-28T01:00"),
        ("{days: sat-mon, from: 9:00, to: 12:00, zone: Europe/Berlin}", "2026-11-24T10:00", False, "2026-11-28T09:00"),
        ("[{days: [mon-tue, sun], from: 09:00, to: 12:00, zone: Europe/Berlin}]", "2026-11-24T12:00", False, "2026-11-29T09:00"),
    ],
)  # fmt: skip  # a table
def test_who_works_when(hours: str, at: str, *, is_in: bool, opens: str) -> None:
    found = hours_of(hours)
    assert found.contains(ms(at)) is is_in
    begins = found.opens(ms(at))
    assert begins is not None
    assert begins[0] == ms(opens)


def test_an_hour_that_comes_twice_counts_twice() -> None:
    found = hours_of('{days: sun, from: "02:00", to: "02:30", zone: Europe/Berlin}')
    assert found.contains(ms("2026-10-25T02:15"))
    assert found.contains(ms("2026-10-25T02:15", fold=1))
    assert not found.contains(ms("2026-10-25T02:45"))


def test_the_zone_that_is_told_is_that_of_the_window_which_begins_first() -> None:
    found = hours_of(f'[{OFFICE}, {{days: mon-fri, from: "09:00", to: "17:00", zone: Asia/Tokyo}}]')
    assert found.opens(ms("2026-11-29T12:00")) == (ms("2026-11-30T09:00", "Asia/Tokyo"), ZoneInfo("Asia/Tokyo"))


@given(
    st.integers(0, 4_000_000_000_000), st.sets(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1),
    st.integers(0, 1439), st.integers(1, 1440),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)  # fmt: skip
def test_a_window_begins_where_it_says_and_not_before(
    at_ms: int, days: set[str], start: int, end: int, zone: str
) -> None:
    if start == end:
        end = 1440 if end != 1440 else 1439
    text = f'{{days: [{", ".join(days)}], from: "{start // 60:02}:{start % 60:02}", to: "{end // 60:02}:{end % 60:02}", zone: {zone}}}'
    found = hours_of(text)
    begins = found.opens(at_ms)
    if begins is not None:
        assert begins[0] > at_ms
        assert found.contains(begins[0])
        if not found.contains(at_ms):
            middle = at_ms + (begins[0] - at_ms) // 2
            assert not found.contains(middle)


@pytest.mark.parametrize(
    ("hours", "why"),
    [
        ("[]", "empty list"),
        ("mon-fri", "must be a list"),
        ("{}", "lacks 'from'"),
        ('{from: "09:00"}', "lacks 'to'"),
        ('{from: "9", to: "17:00"}', "not a time of day"),
        ('{from: "09:00", to: "25:00"}', "not a time of day"),
        ('{from: "09:00", to: "09:00"}', "from and to are the same"),
        ('{from: "24:00", to: "09:00"}', "no day begins at 24:00"),
        ('{days: monday, from: "09:00", to: "17:00"}', "names no days"),
        ('{days: mon-, from: "09:00", to: "17:00"}', "names no days"),
        ('{days: [], from: "09:00", to: "17:00"}', "empty list"),
        ('{days: {mon: true}, from: "09:00", to: "17:00"}', "must be a list"),
        ('{from: "09:00", to: "17:00", zone: Mars/Olympus}', "not a time zone"),
        ('{from: "09:00", to: "17:00", zone: ../../etc/passwd}', "not a time zone"),
        ('{from: "09:00", until: "17:00"}', "no field 'until'"),
        ("[" + ", ".join(['{from: "09:00", to: "17:00"}'] * 21) + "]", "more than 20 windows"),
    ],
)
def test_what_is_wrong_is_said(hours: str, why: str) -> None:
    with pytest.raises(PolicyError, match=why):
        parse_policy(DOCUMENT.format(hours=hours))


def test_the_example_of_the_docs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "absence.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    document = DOCUMENT.format(hours=OFFICE).partition("groups:")[0] + example
    oncall = parse_policy(document).groups["oncall"].hours
    assert oncall is not None
    assert [oncall.contains(ms(at)) for at in ("2026-11-24T03:00", "2026-11-24T12:00", "2026-11-29T12:00")] == [
        True, False, True,
    ]  # fmt: skip


def test_without_hours_a_group_always_works() -> None:
    document = parse_policy(DOCUMENT.format(hours=OFFICE).replace(f", hours: {OFFICE}", ""))
    assert document.groups["security"].hours is None
