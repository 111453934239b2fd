"""Times as people type them, and as they are told: ``2026-12-02``, ``monday 09:00``, ``2d``. Pure; knows no platform.

::

    2026-12-02            as that day begins           monday, tue       as the next such day begins
    2026-12-02 17:30      then (also with T, Z, +01:00) monday 09:00     then
    09:00                 the next time it is          tomorrow          as it begins
    2d, 1d12h, 45m        from now on

A day alone is its beginning: "away until Monday" is who is there on Monday.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from holdpoint.policy.schedule import DAYS, parse_duration, parse_time_of_day, parse_zone

LONGEST_DAYS = 180
_LONGEST_MS = LONGEST_DAYS * 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LONGEST_TEXT = 40
_UNREADABLE = (
    "I cannot read that time. Write 2026-12-02, 2026-12-02 09:00, monday, monday 09:00, tomorrow, 17:30 or 2d."
)


def zone_of(name: str) -> ZoneInfo:
    """The time zone that a platform named; UTC where it named none, or one that nobody knows."""
    try:
        return parse_zone(name) if name else ZoneInfo("UTC")
    except ValueError:
        return ZoneInfo("UTC")


def read_until(text: str, *, now_ms: int, zone: ZoneInfo) -> int:
    """The moment (ms) that ``text`` names, as the clock on the wall shows it in ``zone``.

    Raises:
        ValueError: a sentence for the person: it cannot be read, is over, or is too far away.
    """
    words = text.split()
    if not words or len(text) > _LONGEST_TEXT or not text.isascii():
        raise ValueError(_UNREADABLE)
    found = _read(words, now_ms, zone)
    if found <= now_ms:
        raise ValueError(f"{told(found, zone)} is over already.")
    if found - now_ms > _LONGEST_MS:
        raise ValueError(f"That is too far away: say at most {LONGEST_DAYS} days, and say it again later.")
    return found


def told(at_ms: int, zone: ZoneInfo) -> str:
    """``Wed 2026-12-02 09:00 Europe/Berlin``."""
    moment = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone)
    return f"{DAYS[moment.weekday()].capitalize()} {moment:%Y-%m-%d %H:%M} {zone.key}"


def _read(words: list[str], now_ms: int, zone: ZoneInfo) -> int:
    today = (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(zone).date()
    first, *rest = (word.lower() for word in words)
    day = _day(first, today)
    if day is not None and len(rest) <= 1:
        clock = _clock(rest[0]) if rest else 0
        found = _at(day, clock, zone)
        # Who says Monday on a Monday means the next one, unless the time they say is still to come.
        return _at(day + timedelta(days=7), clock, zone) if found <= now_ms and first in (*_NAMES, *DAYS) else found
    if ":" in first and "-" not in first and not rest:
        clock = _clock(first)
        found = _at(today, clock, zone)
        return found if found > now_ms else _at(today + timedelta(days=1), clock, zone)
    if first[:1].isdigit() and first[-1:].isalpha() and "-" not in first and not rest:
        return now_ms + _duration(first)
    return _written(" ".join(words), zone)


def _day(word: str, today: date) -> date | None:
    """The day of a word or an ISO date; None for anything else."""
    if word in ("today", "tomorrow"):
        return today + timedelta(days=word == "tomorrow")
    names = DAYS if word in DAYS else _NAMES
    if word in names:
        return today + timedelta(days=(names.index(word) - today.weekday()) % 7)
    try:
        return date.fromisoformat(word) if len(word) == len("2026-12-02") else None
    except ValueError:
        return None


def _clock(word: str) -> int:
    """Minutes since midnight."""
    try:
        return parse_time_of_day(word)
    except ValueError:
        raise ValueError(_UNREADABLE) from None


def _duration(word: str) -> int:
    try:
        return parse_duration(word, longest_ms=_LONGEST_MS)
    except ValueError as error:
        raise ValueError(f"{word} {error}.") from None


def _at(day: date, minutes: int, zone: ZoneInfo) -> int:
    """That wall-clock time; the first of two that the clock shows twice, and what follows one that it skips."""
    try:
        midnight = datetime.combine(day + timedelta(days=minutes // 1_440), time(), tzinfo=zone)
        return _ms(midnight.replace(hour=minutes % 1_440 // 60, minute=minutes % 60))
    except OverflowError:
        raise ValueError(_UNREADABLE) from None


def _written(text: str, zone: ZoneInfo) -> int:
    """An ISO date and time, with its own offset perhaps."""
    try:
        moment = datetime.fromisoformat(text.upper())
        # In the person's zone either way: a time that no calendar there has cannot be told.
        return _ms(moment.astimezone(zone) if moment.tzinfo is not None else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise ValueError(_UNREADABLE) from None


def _ms(moment: datetime) -> int:
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
