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
        self._known: OrderedDict[str, tuple[int, V]] = OrderedDict()
        self._asking: dict[str, asyncio.Lock] = {}

    async def get(self, key: str, ask: Callable[[], Awaitable[V]]) -> V:
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                known = self._known.get(key)
                if known is not None and 0 <= self._clock() - known[0] < REMEMBER_MS:
                    return known[1]
                asked_ms = self._clock()
                answer = await ask()
                self._known[key] = (asked_ms, answer)
                self._known.move_to_end(key)
                while len(self._known) > self._most:
                    self._known.popitem(last=False)
                return answer
        finally:
            if not lock.locked():
                self._asking.pop(key, None)
