"""When the people of a group work: ``{days: mon-fri, from: "09:00", to: "17:30", zone: Europe/Berlin}``, or a list of these. Pure.

Outside its hours a group is not called; what it may decide does not change. Hours are wall-clock time: they follow
daylight saving time, and a window that no clock shows on some day does not happen on that day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from yaml.nodes import MappingNode, Node, ScalarNode

from holdpoint.policy.reading import Reader
from holdpoint.policy.schedule import DAYS, Window, parse_time_of_day, parse_zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UTC = ZoneInfo("UTC")
_END_OF_DAY = 24 * 60
_MOST = 20


@dataclass(frozen=True, slots=True)
class Hours:
    """One or several weekly windows, which may overlap."""

    windows: tuple[Window, ...]

    def contains(self, at_ms: int) -> bool:
        """Whether somebody of the group works at this moment."""
        return any(window.contains(at_ms) for window in self.windows)

    def opens(self, at_ms: int) -> tuple[int, ZoneInfo] | None:
        """When the next window after ``at_ms`` begins (ms), and its zone; None for never."""
        found = [(begin, window.zone) for window in self.windows for begin in _next(window, at_ms)]
        return min(found, key=lambda each: each[0], default=None)


def _next(window: Window, at_ms: int) -> Iterator[int]:
    """The next beginning of ``window`` after ``at_ms``; nothing where there is none within two weeks."""
    today = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(window.zone).date()
    for ahead in range(15):
        day = today + timedelta(days=ahead)
        if day.weekday() not in window.days:
            continue
        wall = datetime(day.year, day.month, day.day, window.start // 60, window.start % 60, tzinfo=window.zone)
        # Where the clock skips that time, this is as long after it as it says.
        begin = (wall.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
        if begin > at_ms and window.contains(begin):
            yield begin
            return


def read_hours(reader: Reader, node: Node | None, what: str) -> Hours | None:
    """A group's ``hours``, one window or a list of them."""
    if node is None:
        return None
    nodes = [node] if isinstance(node, MappingNode) else reader.items(node, what)
    if nodes is None:
        return None
    if len(nodes) > _MOST:
        reader.problem(node, f"{what}: more than {_MOST} windows")
    return Hours(tuple(filter(None, (_window(reader, each, what) for each in nodes[:_MOST]))))


def _window(reader: Reader, node: Node, what: str) -> Window | None:
    fields = reader.fields(node, what, ("days", "from", "to", "zone"), required=("from", "to"))
    if fields is None:
        return None
    days = _days(reader, fields.get("days"), f"{what}.days")
    start = reader.parsed(fields.get("from"), f"{what}.from", parse_time_of_day)
    end = reader.parsed(fields.get("to"), f"{what}.to", parse_time_of_day)
    zone = reader.parsed(fields.get("zone"), f"{what}.zone", parse_zone) or _UTC
    if start is None or end is None:
        return None
    if start == _END_OF_DAY:
        reader.problem(fields["from"], f'{what}.from: no day begins at 24:00: write "00:00" of the next one')
    elif start == end:
        reader.problem(fields["to"], f'{what}: from and to are the same: write "00:00" and "24:00" for the whole day')
    return Window(days, start % _END_OF_DAY, end, zone)


def _days(reader: Reader, node: Node | None, what: str) -> frozenset[int]:
    """``mon-fri``, ``sat`` or a list of such; without any, every day."""
    if node is None:
        return frozenset(range(7))
    items = [node] if isinstance(node, ScalarNode) else reader.items(node, what) or []
    return frozenset(day for item in items for day in reader.parsed(item, what, _span) or ())


def _span(text: str) -> tuple[int, ...]:
    """The days from the first to the last, over the end of the week perhaps.

    Raises:
        ValueError: with what is wrong.
    """
    first, dash, last = (part.strip().lower() for part in text.partition("-"))
    if first not in DAYS or (last if dash else first) not in DAYS:
        raise ValueError(f"names no days: write mon-fri, or some of {', '.join(DAYS)}")
    start = DAYS.index(first)
    length = (DAYS.index(last) - start) % 7 if dash else 0
    return tuple((start + ahead) % 7 for ahead in range(length + 1))
