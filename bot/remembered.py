"""What a platform answered, remembered for a minute: platforms ration questions, and authority must not grow old."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from holdpoint.clock import Clock

REMEMBER_MS = 60_000
_MOST = 10_000

V = TypeVar("V")


class Remembered(Generic[V]):
    """Answers by key, for a minute; a question that is being asked is not asked twice. Failures are not remembered."""

    def __init__(self, clock: Clock, *, most: int = _MOST) -> None:
        self._clock = clock
        self._most = most
        self._known: OrderedDict[str, tuple[int, int, V]] = (
            OrderedDict()
        )  # which question, when it was asked, the answer
        self._count = 0  # questions so far
        self._asking: dict[str, asyncio.Lock] = {}

    async def get(self, key: str, ask: Callable[[], Awaitable[V]], *, fresh: bool = False) -> V:
        """The answer to ``key``. ``fresh``: one that was asked for after this call was made, be it by another caller."""
        came = self._count
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                known = self._known.get(key)
                if known is not None and self._still_counts(known, after=came if fresh else 0):
                    return known[2]
                self._known.pop(key, None)
                self._count += 1
                asked, asked_ms = self._count, self._clock()
                answer = await ask()
                self._known[key] = (asked, asked_ms, answer)
                self._known.move_to_end(key)
                while len(self._known) > self._most:
                    self._known.popitem(last=False)
                return answer
        finally:
            if not lock.locked():
                self._asking.pop(key, None)

    def forget(self, key: str) -> None:
        """Ask again the next time."""
        self._known.pop(key, None)

    def _still_counts(self, known: tuple[int, int, V], *, after: int) -> bool:
        asked, asked_ms, _ = known
        return asked > after and 0 <= self._clock() - asked_ms < REMEMBER_MS
