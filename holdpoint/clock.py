"""The time as everybody here counts it: whole milliseconds since 1970. A `Clock` is passed in; only the edges use `now_ms`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], int]


def now_ms() -> int:
    """Milliseconds since 1970, by the machine's clock."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """A time as people and programs read it: ``2026-11-20T21:23:19.600Z``; the bare number when it is no time at all."""
    try:
        moment = datetime.fromtimestamp(ms / 1000, UTC)
    except (OverflowError, ValueError, OSError, TypeError):
        return str(ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
