"""Durations, sizes and weekly time windows, as a policy writes them. Pure; the time is an argument.

``10m``, ``1h30m``, ``45s`` · ``100KiB``, ``2MB``, ``512`` · ``{days: [fri], between: ["22:00", "06:00"], zone: Europe/Berlin}``
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_DURATION_MS = 30 * 86_400_000
_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
_UNITS_BYTES = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30,
}  # fmt: skip  # one line
_MINUTES_PER_DAY = 24 * 60


def parse_duration(text: str, *, longest_ms: int = MAX_DURATION_MS) -> int:
    """Milliseconds of ``1h30m`` and the like: numbers with ``d``, ``h``, ``m``, ``s``, each at most once, largest first.

    Raises:
        ValueError: with what is wrong.
    """
    units = list(_UNITS_MS)
    total, digits = 0, ""
    for character in text:
        if character.isascii() and character.isdigit():
            digits += character
        elif digits and len(digits) <= 9 and character in units:
            total += int(digits) * _UNITS_MS[character]
            digits, units = "", units[units.index(character) + 1 :]
        else:
            raise ValueError("is not a duration: write 45s, 10m, 1h30m or 2d")
    if digits or not text:
        raise ValueError("is not a duration: name the unit, as in 45s, 10m, 1h30m or 2d")
    if not 0 < total <= longest_ms:
        raise ValueError(f"must be longer than 0 and at most {longest_ms // 86_400_000}d")
    return total


def parse_size(text: str) -> int:
    """Bytes of ``100KiB``, ``2MB``, ``512``.

    Raises:
        ValueError: with what is wrong.
    """
    number = text.rstrip("KMGiBkmgIb").strip()
    unit = text[len(number) :].strip().lower()
    if not (number.isascii() and number.isdigit() and len(number) <= 12) or unit not in _UNITS_BYTES:
        raise ValueError("is not a size: write a number of bytes, or one with KB, MB, GB, KiB, MiB or GiB")
    return int(number) * _UNITS_BYTES[unit]


def parse_time_of_day(text: str) -> int:
    """Minutes since midnight of ``22:00``; ``24:00`` is the end of the day.

    Raises:
        ValueError: with what is wrong.
    """
    hours, colon, minutes = text.partition(":")
    if colon and len(minutes) == 2 and (hours + minutes).isascii() and (hours + minutes).isdigit() and len(hours) <= 2:
        total = int(hours) * 60 + int(minutes)
        if int(minutes) < 60 and total <= _MINUTES_PER_DAY:
            return total
    raise ValueError("is not a time of day: write 09:00 or 22:30")


def parse_zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name.

    Raises:
        ValueError: with what is wrong.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise ValueError("is not a time zone: write one like Europe/Berlin or UTC") from None


@dataclass(frozen=True, slots=True)
class Window:
    """A weekly window: on ``days`` (0 is Monday) from ``start`` up to, not including, ``end`` (minutes) in ``zone``.

    A window whose end is not after its start runs into the next day and belongs to the day on which it started.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: ZoneInfo

    def contains(self, at_ms: int) -> bool:
        """Whether the moment lies inside."""
        # From the epoch by addition: exact, and the same on every platform for times before 1970.
        moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(self.zone)
        minute = moment.hour * 60 + moment.minute
        today = moment.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        if minute >= self.start:
            return today in self.days
        return minute < self.end and (today - 1) % 7 in self.days
