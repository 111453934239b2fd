"""What the ledger knows that people ask while they work: similar requests, numbers, the story of one hold.

::

    loop ─▶ thread ─▶ ledger (a read that the database itself ends in time) ─▶ answer
      └─ gives up after the time limit, whatever the thread does

Similar requests are asked for before each card: they have threads of their own, which no slow report can take, and
after a failure nobody asks again for a while. A card never waits longer than a second for them, and says nothing then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Final, TypeVar

from holdpoint.clock import Clock
from holdpoint.errors import LedgerError, NotFound
from holdpoint.ledger.history import similar_to, statistics
from holdpoint.ledger.sql import Ledger
from holdpoint.ledger.story import story
from holdpoint.model import Hold, Similar, State
from holdpoint.policy.mask import Masks, mask
from holdpoint.stats import Stats, first_ms
from holdpoint.store import Store

_log = logging.getLogger(__name__)

SIMILAR_WITHIN_S: Final = 1.0
REPORT_WITHIN_S: Final = 30.0
_REST_MS: Final = 30_000  # after a failure: a ledger that does not answer is not asked before each of 300 cards
_MEDIAN_AGE_MS: Final = 60_000
_MEDIAN_WITHIN_S: Final = 3.0  # the page that shows it does not wait for it
_QUICK_THREADS: Final = 2

T = TypeVar("T")
NO_MASKS: Final[Masks] = Masks()


class History:
    """Reads the ledger, and never writes to it. Close it before the ledger, with `aclose`."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        *,
        clock: Clock,
        masks: Callable[[], Masks] = lambda: NO_MASKS,
        similar_within_s: float = SIMILAR_WITHIN_S,
        report_within_s: float = REPORT_WITHIN_S,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._masks = masks
        self._similar_within_s = similar_within_s
        self._report_within_s = report_within_s
        self._quick = ThreadPoolExecutor(_QUICK_THREADS, thread_name_prefix="similar")
        self._slow = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._rest_until_ms = 0
        self._medians: dict[int, tuple[int, int | None]] = {}
        self._median_turn = asyncio.Lock()

    async def aclose(self) -> None:
        """Wait for what still reads, which the database ends in time."""
        for threads in (self._quick, self._slow):
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)

    async def similar(self, hold: Hold) -> Similar:
        """What became of similar requests in the 30 days before ``hold``.

        Raises:
            LedgerError: it cannot be read, or not within a second.
        """
        within_s = self._similar_within_s
        return await _in_time(self._quick, within_s, lambda: similar_to(self._ledger, hold, within_s=within_s))

    async def note(self, hold: Hold) -> Hold:
        """``hold`` with its similar requests, noted for every later drawing; unchanged when the ledger does not tell in time.

        Raises:
            StoreUnavailable: Redis is lost.
        """
        if hold.similar is not None or hold.state is not State.PENDING or self._clock() < self._rest_until_ms:
            return hold
        try:
            similar = await self.similar(hold)
            return replace(hold, similar=await self._store.holds.note_similar(hold.id, similar))
        except LedgerError as error:
            self._rest_until_ms = self._clock() + _REST_MS
            _log.warning("no card tells of similar requests for a while: %s", error)
            return hold
        except NotFound:
            return hold  # its retention is over

    async def stats(self, days: int) -> Stats:
        """The last ``days`` days, today among them (UTC).

        Raises:
            ValueError: fewer than 1, or more than 366.
            LedgerError: the ledger cannot be read, or not in time.
        """
        return await self._stats(days, self._report_within_s)

    async def decision_median_ms(self, days: int) -> int | None:
        """The median time to decision of these days, at most a minute old.

        None when nothing was decided, or the ledger does not tell in time.

        Raises:
            ValueError: as `stats`.
        """
        async with self._median_turn:
            at_ms, median_ms = self._medians.get(days, (-_MEDIAN_AGE_MS, None))
            if self._clock() - at_ms < _MEDIAN_AGE_MS:
                return median_ms
            try:
                median_ms = (await self._stats(days, _MEDIAN_WITHIN_S)).median_ms
            except LedgerError as error:
                median_ms = None
                _log.warning("the median time to decision is not known: %s", error)
            self._medians[days] = self._clock(), median_ms
            return median_ms

    async def audit(self, hold_id: str) -> tuple[str, ...]:
        """The story of one hold, line by line, without what was asked and answered. Masked, nothing hidden.

        The last line says whether its records are whole.

        Raises:
            NotFound: the ledger has nothing on it.
            LedgerError: the ledger cannot be read, or not in time.
        """
        masks, within_s = self._masks(), self._report_within_s

        def clean(text: str) -> str:
            return mask(text, masks).text

        return await _in_time(
            self._slow, within_s, lambda: story(self._ledger, hold_id, clean=clean, within_s=within_s)
        )

    async def _stats(self, days: int, within_s: float) -> Stats:
        now_ms = self._clock()
        first_ms(days, now_ms)  # a wrong number is said at once, not by a thread
        return await _in_time(
            self._slow, within_s, lambda: statistics(self._ledger, days, now_ms=now_ms, within_s=within_s)
        )


async def _in_time(threads: Executor, within_s: float, work: Callable[[], T]) -> T:
    """What ``work`` returns. A thread that takes longer is left to the database, which ends it; one not begun never is."""
    running = asyncio.get_running_loop().run_in_executor(threads, work)
    try:
        async with asyncio.timeout(within_s):
            return await running
    except TimeoutError:
        raise LedgerError(f"the ledger did not answer within {within_s:g} s") from None
