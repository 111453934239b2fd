"""Waiting for what another task or process does, instead of sleeping; and limits that a busy machine cannot break.

Limits count time as this process felt it: a pause in which it did not run counts as `_STALL_S` at most. On a quiet
machine that is the time on the wall; on a busy one, a promise such as "within a second" is not broken by the scheduler.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")
_STALL_S = 0.1
_BEAT_S = 0.01
_SELDOM_S = 0.05
_GRACE_S = 50  # on the wall, beyond the limit: whatever was felt, nobody waits longer


class Patience:
    """``is_over`` is to be asked again and again: the time between two questions counts as far as it was felt.

    ``felt_s``: seconds so far.
    """

    def __init__(self, seconds: float) -> None:
        self.felt_s = 0.0
        self._most_s = seconds
        self._wall = time.monotonic()
        self._cpu = time.process_time()
        self._end = self._wall + seconds + _GRACE_S

    def is_over(self) -> bool:
        wall, cpu = time.monotonic(), time.process_time()
        self.felt_s += max(min(wall - self._wall, _STALL_S), min(cpu - self._cpu, wall - self._wall))
        self._wall, self._cpu = wall, cpu
        return self.felt_s > self._most_s or wall > self._end


async def wait_until(
    condition: Callable[[], T | Awaitable[T]], what: str, *, seconds: float = 10, every: float = 0.005
) -> T:
    """The first truthy result of ``condition`` (sync or async); fails with ``what`` after ``seconds`` as they are felt.

    ``every``: seconds between the first looks, more for a condition that is dear. The longer it takes, the less often
    is looked: what is waited for needs the machine, too.
    """
    patience = Patience(seconds)
    while True:
        found = condition()
        result = await found if inspect.isawaitable(found) else found
        if result:
            return result  # type: ignore[return-value]
        if patience.is_over():
            raise AssertionError(f"waited {seconds} s in vain until {what}")
        await asyncio.sleep(max(every, min(patience.felt_s / 10, _SELDOM_S)))


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[Patience]:
    """The body may take ``seconds`` as they are felt; then it is cancelled, and this raises ``TimeoutError``."""
    patience = Patience(seconds)
    async with asyncio.timeout(None) as limit:
        beating = asyncio.create_task(_expire(limit, patience))
        try:
            yield patience
        finally:
            beating.cancel()
            patience.is_over()


async def _expire(limit: asyncio.Timeout, patience: Patience) -> None:
    while not patience.is_over():  # noqa: ASYNC110 - the beats are what is counted
        await asyncio.sleep(_BEAT_S)
    limit.reschedule(asyncio.get_running_loop().time())
