"""Round numbers for axes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.axes import count_scale, short, time_scale


@pytest.mark.parametrize(
    ("most", "end", "ticks"),
    [
        (0, 1, (0, 1)),
        (1, 1, (0, 1)),
        (4, 4, (0, 1, 2, 3, 4)),
        (6, 6, (0, 2, 4, 6)),
        (46, 50, (0, 10, 20, 30, 40, 50)),
        (101, 150, (0, 50, 100, 150)),
    ],
)
def test_counts(most: int, end: int, ticks: tuple[int, ...]) -> None:
    assert count_scale(most) == (end, ticks)


@pytest.mark.parametrize(
    ("most_ms", "step_ms"),
    [(0, 1_000), (4_200, 1_000), (70_000, 15_000), (3_600_000, 900_000), (86_400_000, 6 * 3_600_000), (10 * 86_400_000, 2 * 86_400_000)],
)  # fmt: skip
def test_times(most_ms: int, step_ms: int) -> None:
    end, ticks = time_scale(most_ms)
    assert ticks[1] == step_ms
    assert end >= most_ms


@given(st.integers(0, 10**15))
def test_every_axis_holds_what_is_on_it_with_few_ticks(most: int) -> None:
    for end, ticks in (count_scale(most), time_scale(most)):
        assert most <= end == ticks[-1]
        assert 2 <= len(ticks) <= 7
        assert ticks[0] == 0
        assert list(ticks) == sorted(set(ticks))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (9_999, "9,999"), (12_000, "12k"), (12_345, "12.3k"), (123_456, "123k"), (1_200_000, "1.2M"),
     (357_000_000, "357M"), (5 * 10**9, "5G"), (10**15, "1,000,000G")],
)  # fmt: skip
def test_short_numbers(number: int, text: str) -> None:
    assert short(number) == text
