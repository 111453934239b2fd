"""What is told of requests that a limit refuses: the first one is on the record at once, the others are counted.

Who is over a limit may send thousands of requests. Of those that one limit refuses one requester within a minute, a second
record says how many more they were; so no flood of requests makes one of records.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gateway.exchange import Exchange
from gateway.journal import Journal, Repetition
from holdpoint.errors import Refusal, StoreUnavailable
from holdpoint.metrics import Metrics
from holdpoint.model import RefusalCode
from holdpoint.policy.limits import Budget
from holdpoint.tasks import OnDeath, Tasks, finished

_TOGETHER_S = 60.0
_LOOK_EVERY_S = 1.0
_ENDS_IN_S = 3.0  # longer than a silent Redis is waited for

_log = logging.getLogger(__name__)


class Limited(Refusal):
    """429 as the provider itself would say it: a client that waits for ``Retry-After`` is right to ask again."""

    def __init__(self, budget: Budget, reason: str, *, retry_after_seconds: int | None) -> None:
        """``retry_after_seconds`` is None where waiting helps nothing."""
        super().__init__(
            RefusalCode.RATE_LIMITED,
            reason,
            status=429,
            retry=retry_after_seconds is not None,
            retry_after_seconds=retry_after_seconds,
        )
        self.budget = budget


@dataclass(slots=True)
class _Counted:
    """What one requester was refused by one limit since the first of it was recorded. ``latest`` writes of the last one."""

    until: float
    latest: Repetition | None = None
    more: int = 0


class LimitedLog:
    """`start` before use, `stop` at the end."""

    def __init__(
        self,
        journal: Journal,
        metrics: Metrics,
        *,
        on_death: OnDeath | None = None,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._metrics = metrics
        self._tick = tick
        self._tasks = Tasks(on_death=on_death)
        self._counted: dict[tuple[str, str, str | None], _Counted] = {}
        self._over: deque[_Counted] = deque()  # to be written

    def start(self) -> None:
        """Begin to look for what is to be written."""
        self._tasks.start("limited", self._run())

    async def stop(self) -> None:
        """Write what was counted, if Redis takes it."""
        await self._tasks.aclose()
        await self.write(every=True)

    async def refused(self, exchange: Exchange, refusal: Limited) -> None:
        """Returns once it is recorded or counted.

        Raises:
            StoreUnavailable: it could not be recorded.
        """
        limit, requester, now = refusal.budget.limit, exchange.requester, self._tick()
        self._metrics.limited[limit] += 1
        who = (limit, requester.principal, requester.owner)
        counted = self._counted.get(who)
        if counted is not None and now < counted.until:
            counted.more += 1
            counted.latest = self._journal.repetition(exchange, limit)
            return
        if counted is not None:
            self._over.append(counted)
        counted = self._counted[who] = _Counted(now + _TOGETHER_S)
        try:
            await self._journal.limited(exchange, refusal, limit)
        except StoreUnavailable:
            counted.until = now
            raise

    async def write(self, *, every: bool = False) -> None:
        """Record what was counted in minutes that are over; with ``every``, in all."""
        now = self._tick()
        for who in [who for who, counted in self._counted.items() if every or now >= counted.until]:
            self._over.append(self._counted.pop(who))
        while self._over:
            counted = self._over[0]
            if counted.latest is not None:
                try:
                    await counted.latest(counted.more)
                except StoreUnavailable as error:
                    _log.warning("%d refusals by a limit are not recorded yet: %s", counted.more, error)
                    return
            self._over.popleft()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await finished(self.write(), grace_s=_ENDS_IN_S)  # cut off, the same would be written again
