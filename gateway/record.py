"""Group commit: all entries that arrive while one round trip is on its way go into the next one.

::

    record(a) ─┐                       ┌─▶ each caller goes on, or is called back (`append`)
    record(b) ─┼─▶ one append ─▶ Redis ┤
    record(c) ─┘                       └─▶ or each gets StoreUnavailable

`settle` is for what must be written although nobody waits for it any more: it is tried until Redis takes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from holdpoint.errors import Conflict, NotFound, StoreUnavailable
from holdpoint.store import Store
from holdpoint.store.events import Entry
from holdpoint.tasks import OnDeath, Tasks

_MOST_ENTRIES = 512
_MOST_BYTES = 8 * 1024 * 1024  # of one script call: Redis does nothing else meanwhile
_MOST_UNSETTLED = 10_000
_SETTLE_EVERY_S = 0.5
_SETTLE_AT_ONCE = 32  # a thousand clients may leave at once; the store's connections are for those who stay

Done = Callable[[StoreUnavailable | None], None]

_log = logging.getLogger(__name__)


class Recorder:
    """`start` before use, `stop` at the end."""

    def __init__(self, store: Store, *, on_death: OnDeath | None = None) -> None:
        """``on_death`` is told when nobody records any more: then no request could end."""
        self._store = store
        self._tasks = Tasks(on_death=on_death)
        self._settling = Tasks()
        self._queue: deque[tuple[Entry, Done]] = deque()
        self._wanted: asyncio.Future[None] | None = None
        self._unsettled: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(_SETTLE_AT_ONCE)
        self._ended = False

    def start(self) -> None:
        """Begin to write."""
        self._tasks.start("record", self._run_to_the_end())

    async def stop(self) -> None:
        """Write nothing more. Whoever still waits gets `StoreUnavailable`."""
        await self._settling.aclose()
        await self._tasks.aclose()
        self._end()

    async def settled(self) -> None:
        """Return once nothing is left to settle."""
        while self._unsettled:
            await asyncio.wait(self._unsettled)

    async def record(self, entry: Entry) -> None:
        """Return once ``entry`` is in Redis.

        Raises:
            StoreUnavailable: it is not, or nobody knows.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.append(entry, partial(_resolve, future))
        await future

    def append(self, entry: Entry, done: Done) -> None:
        """`record` without waiting: ``done`` is called once, later, with None or with what `record` would raise.

        It must not raise.
        """
        if self._ended:
            asyncio.get_running_loop().call_soon(done, _not_written())
            return
        self._queue.append((entry, done))
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    def settle(self, what: str, write: Callable[[], Awaitable[None]]) -> None:
        """Do ``write`` as soon as Redis takes it, in the background. A `Conflict` says that it was settled otherwise."""
        if len(self._unsettled) >= _MOST_UNSETTLED:
            _log.error("too much is unsettled; not written: %s", what)
            return
        task = self._settling.start(f"settle {what}", self._settle(what, write))
        self._unsettled.add(task)
        task.add_done_callback(self._unsettled.discard)

    async def _run_to_the_end(self) -> None:
        try:
            await self._run()
        finally:
            self._end()

    def _end(self) -> None:
        """Nobody records any more: who waits, or still comes, hears it at once; else the gateway could not stop."""
        self._ended = True
        while self._queue:
            self._queue.popleft()[1](_not_written())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._queue:
                self._wanted = loop.create_future()
                await self._wanted
            batch = self._take()
            try:
                await self._store.outbox.append([entry for entry, _ in batch])
            except StoreUnavailable as error:
                _log.warning("%d records were not written: %s", len(batch), error)
                for _, done in batch:
                    done(_not_written())
            except BaseException:
                for _, done in batch:
                    done(_not_written())
                raise
            else:
                for _, done in batch:
                    done(None)

    def _take(self) -> list[tuple[Entry, Done]]:
        batch: list[tuple[Entry, Done]] = []
        size = 0
        while self._queue and len(batch) < _MOST_ENTRIES and size < _MOST_BYTES:
            entry, done = self._queue.popleft()
            size += len(entry.data)
            batch.append((entry, done))
        return batch

    async def _settle(self, what: str, write: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                async with self._turn:
                    await write()
            except StoreUnavailable:
                await asyncio.sleep(_SETTLE_EVERY_S)
            except (Conflict, NotFound) as error:
                _log.info("nothing left to settle (%s): %s", what, error)
                return
            else:
                return


def _not_written() -> StoreUnavailable:
    return StoreUnavailable("the record was not written")


def _resolve(future: asyncio.Future[None], error: StoreUnavailable | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
