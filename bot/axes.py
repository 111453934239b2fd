"""Round numbers for the axes of a picture. Pure."""

from __future__ import annotations

from typing import Final

_MOST_TICKS: Final = 5
_SECOND: Final = 1000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_STEPS_MS: Final = (
    *(step * _SECOND for step in (1, 2, 5, 10, 15, 30)),
    *(step * _MINUTE for step in (1, 2, 5, 10, 15, 30)),
    *(step * _HOUR for step in (1, 2, 3, 6, 12)),
)


def count_scale(most: int) -> tuple[int, tuple[int, ...]]:
    """The end of an axis of counts that holds ``most``, and its ticks, from 0 to the end: 1, 2 or 5 times a power of 10."""
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if step * _MOST_TICKS >= most:
                return _ticks(step, most)
        size *= 10


def time_scale(most_ms: int) -> tuple[int, tuple[int, ...]]:
    """The same for an axis of times in milliseconds: round seconds, minutes, hours or days."""
    for step in _STEPS_MS:
        if step * _MOST_TICKS >= most_ms:
            return _ticks(step, most_ms)
    days, _ = count_scale(-(-most_ms // _DAY))
    return days * _DAY, tuple(tick * _DAY for tick in count_scale(days)[1])


def short(number: int) -> str:
    """``950``, ``9,500``, ``12k``, ``1.2M``: five characters or so."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if number >= size:
            scaled = number / min(size, 1000 if unit == "k" else size)
            return f"{scaled:.1f}".removesuffix(".0") + unit if scaled < 100 else f"{scaled:,.0f}{unit}"
    return f"{number:,}"


def _ticks(step: int, most: int) -> tuple[int, tuple[int, ...]]:
    count = max(-(-most // step), 1)
    return count * step, tuple(step * number for number in range(count + 1))
