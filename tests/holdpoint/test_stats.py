"""Counting: each hold once, each reviewer for what they brought about, times by nearest rank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.model import EventKind
from holdpoint.stats import DAY_MS, MOST_DAYS, Accounts, Counts, Ending, Stats, first_ms

NOON = 20_000 * DAY_MS + DAY_MS // 2
SAM, KIM = "sam@example.com", "kim@example.com"
ENDINGS = st.lists(
    st.builds(
        Ending,
        st.sampled_from([k for k in EventKind if k.startswith("hold.")]),
        st.integers(0, NOON),
        st.sampled_from(["", "policy", SAM, KIM]),
        st.sampled_from(["", "Sam"]),
    ),
    max_size=5,
)


def accounts(days: int = 2) -> Accounts:
    return Accounts(since_ms=first_ms(days, NOON), until_ms=NOON + 1)


def approved(at_ms: int, by: str = SAM, name: str = "Sam") -> Ending:
    return Ending(EventKind.HOLD_APPROVED, at_ms, by, name)


def with_waits(*waits_ms: int) -> Stats:
    counted = accounts()
    for wait_ms in waits_ms:
        counted.add(NOON - 60_000, ("g",), [approved(NOON - 60_000 + wait_ms)])
    return counted.result()


@pytest.mark.parametrize(
    ("waits", "median", "p95"),
    [
        ((), None, None),
        ((7,), 7, 7),
        ((1, 9), 1, 9),
        ((3, 1, 2), 2, 3),
        (tuple(range(1, 101)), 50, 95),
        ((-5,), 0, 0),  # clocks differ
    ],
)
def test_median_and_p95(waits: tuple[int, ...], median: int | None, p95: int | None) -> None:
    stats = with_waits(*waits)
    assert (stats.median_ms, stats.p95_ms) == (median, p95)


def test_what_a_timer_decides_takes_nobodys_time() -> None:
    counted = accounts()
    counted.add(NOON, (), [approved(NOON + 5, by="policy", name="")])
    counted.add(NOON, (), [Ending(EventKind.HOLD_EXPIRED, NOON + 9, "", "")])
    stats = counted.result()
    assert (stats.counts, stats.median_ms, stats.reviewers) == (Counts(2, approved=1, expired=1), None, ())


def test_every_day_is_there_in_order_and_in_utc() -> None:
    counted = accounts(days=3)
    counted.add(NOON // DAY_MS * DAY_MS - 1, (), [])
    counted.add(NOON // DAY_MS * DAY_MS, (), [])
    stats = counted.result()
    assert [(day.date, day.counts.held) for day in stats.by_day] == [
        ("2024-10-02", 0),
        ("2024-10-03", 1),
        ("2024-10-04", 1),
    ]


def test_names_are_the_last_that_were_not_empty() -> None:
    counted = accounts()
    for name in ("Sam", "Samuel", ""):
        counted.add(NOON, (), [approved(NOON, name=name)])
    assert [(each.name, each.approved) for each in counted.result().reviewers] == [("Samuel", 3)]


@given(st.lists(st.tuples(st.integers(NOON - DAY_MS, NOON), st.lists(st.sampled_from("abc"), unique=True), ENDINGS)))
def test_nothing_is_counted_twice_or_lost(holds: list[tuple[int, list[str], list[Ending]]]) -> None:
    counted = accounts()
    for at_ms, groups, endings in holds:
        counted.add(at_ms, groups, endings)
    stats = counted.result()
    assert stats.counts.held == len(holds) == sum(day.counts.held for day in stats.by_day)
    assert stats.counts.waiting >= 0
    for name in ("approved", "rejected", "expired", "cancelled", "failed", "waiting"):
        assert getattr(stats.counts, name) == sum(getattr(day.counts, name) for day in stats.by_day)
    assert sum(group.counts.held for group in stats.groups) == sum(len(groups) or 1 for _, groups, _ in holds)
    assert "policy" not in {each.reviewer for each in stats.reviewers}


@pytest.mark.parametrize("days", [0, -1, MOST_DAYS + 1])
def test_a_number_of_days_that_makes_no_sense(days: int) -> None:
    with pytest.raises(ValueError, match=f"1 to {MOST_DAYS}"):
        first_ms(days, NOON)
