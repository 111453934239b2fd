"""Ids of holds say in which order they were made, and nothing about the next one."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from holdpoint.store.hold_ids import HoldIds

TIMES = st.lists(st.integers(0, 2**48 - 1), min_size=1, max_size=30)


@given(TIMES, st.integers(1, 5))
def test_ids_sort_as_they_were_made(times: list[int], each: int) -> None:
    ids = HoldIds()
    made = [ids.new(now_ms) for now_ms in sorted(times) for _ in range(each)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"h[0-9a-v]{24}", hold_id) for hold_id in made)


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    ids = HoldIds()
    first, second = ids.new(1_000), ids.new(999)
    assert second < first  # the time decides, as everywhere else


def test_more_than_a_millisecond_can_number_are_still_different() -> None:
    ids = HoldIds()
    made = [ids.new(7) for _ in range(5_000)]
    assert len(set(made)) == 5_000
    assert made[:4_096] == sorted(made[:4_096])


def test_the_next_one_is_not_told_by_the_last() -> None:
    """The 60 random bits differ in about half of their places from one to the next."""
    ids = HoldIds()
    tails = [int(ids.new(7)[13:], 32) for _ in range(200)]
    apart = [(one ^ two).bit_count() for one, two in itertools.pairwise(tails)]
    assert 24 < sum(apart) / len(apart) < 36
