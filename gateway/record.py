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
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import accumulate
from typing import Any

from holdpoint.errors import Conflict, NotFound, StoreUnavailable
from holdpoint.store import Store
from holdpoint.store.events import Entry
from holdpoint.tasks import OnDeath, Tasks

_MOST_ENTRIES = 512
_MOST_BYTES = 8 * 1024 * 1024  # of one script call: Redis does nothing else meanwhile
_MOST_UNSETTLED = 10_000  # of each kind: clients that leave take no room of outcomes
_SETTLE_EVERY_S = 0.5
_SETTLE_AT_ONCE = 32  # a thousand clients may leave at once; the store's connections are for those who stay

Done = Callable[[StoreUnavailable | None], None]

_log = logging.getLogger(__name__)


class Recorder:
    """`start` before use, `stop` at the end.

    A batch is sent at the end of the turn of the loop in which its first entry came, or as soon as the one before is
    answered, before those hear of it who wait for that one: by callbacks. What cannot be sent at once, because there is
    no connection, is left to a task.
    """

    def __init__(self, store: Store, *, on_death: OnDeath | None = None) -> None:
        """``on_death`` is told when nobody records any more: then no request could end."""
        self._loop = asyncio.get_running_loop()
        self._outbox = store.outbox
        self._tasks = Tasks(on_death=on_death)
        self._settling = Tasks()
        self._entries: list[Entry] = []  # that wait for the next round trip, and whom to tell of each
        self._callers: list[Done] = []
        self._bytes = 0
        self._on_way: list[Done] = []  # whom to tell of the batch that is on its way
        self._idle = False  # nothing is on its way, or about to be
        self._unsent: asyncio.Future[list[Entry]] = self._loop.create_future()
        self._unsettled: set[asyncio.Task[None]] = set()
        self._kinds: Counter[str] = Counter()  # of what is unsettled
        self._turn = asyncio.Semaphore(_SETTLE_AT_ONCE)
        self._ended = False

    def start(self) -> None:
        """Begin to write."""
        self._tasks.start("record", self._run_to_the_end())
        self._next()

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
        future: asyncio.Future[None] = self._loop.create_future()
        self.append(entry, partial(_resolve, future))
        await future

    def append(self, entry: Entry, done: Done) -> None:
        """`record` without waiting: ``done`` is called once, later, with None or with what `record` would raise.

        It must not raise.
        """
        if self._ended:
            self._loop.call_soon(done, _not_written())
            return
        self._entries.append(entry)
        self._callers.append(done)
        self._bytes += len(entry.data)
        if self._idle:
            self._next()

    def settle(self, what: str, write: Callable[[], Awaitable[None]]) -> None:
        """Do ``write`` as soon as Redis takes it, in the background. A `Conflict` says that it was settled otherwise."""
        if self._kinds[what] >= _MOST_UNSETTLED:
            _log.error("too much is unsettled; not written: %s", what)
            return
        task = self._settling.start(f"settle {what}", self._settle(what, write))
        self._kinds[what] += 1
        self._unsettled.add(task)
        task.add_done_callback(partial(self._settled, what))

    async def _run_to_the_end(self) -> None:
        unsent = self._unsent
        try:
            while True:
                entries = await unsent
                unsent = self._unsent
                await self._append(entries)
        finally:
            self._end()

    async def _append(self, entries: list[Entry]) -> None:
        try:
            await self._outbox.append(entries)
        except StoreUnavailable as error:
            self._answered(error)
        else:
            self._answered(None)

    def _end(self) -> None:
        """Nobody records any more: who waits, or still comes, hears it at once; else the gateway could not stop."""
        self._ended = True
        callers, self._on_way = self._on_way, []
        _tell(callers, written=False)
        while self._entries:
            _, callers = self._take()
            _tell(callers, written=False)

    def _next(self) -> None:
        """What waits goes out at the end of this turn of the loop, with all that comes until then."""
        self._idle = not self._entries
        if self._entries:
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        if self._ended:
            return
        entries, self._on_way = self._take()
        try:
            sent = self._outbox.send(entries, self._answered)
        except BaseException as error:
            self._unsent.set_exception(error)  # the task dies of it, and says so
            raise
        if not sent:
            unsent, self._unsent = self._unsent, self._loop.create_future()
            unsent.set_result(entries)

    def _answered(self, found: Any) -> None:
        """The batch that was on its way is written, or nobody knows.

        What waits goes out before anybody is told: Redis writes it while this process goes on with those who are.
        """
        callers, self._on_way = self._on_way, []
        if self._ended:
            return
        failed = isinstance(found, Exception)
        if failed:
            _log.warning("%d records were not written: %s", len(callers), found)
        self._idle = not self._entries
        try:
            if self._entries:
                self._send()
        finally:
            self._go_on(callers, written=not failed)

    def _go_on(self, callers: list[Done], *, written: bool) -> None:
        try:
            _tell(callers, written=written)
        except BaseException as error:
            self._unsent.set_exception(error)  # as in `_send`; else the rest of them would wait for ever
            raise

    def _take(self) -> tuple[list[Entry], list[Done]]:
        """What goes into the next round trip, and whom to tell: all that waits, or as much of it as may."""
        if len(self._entries) <= _MOST_ENTRIES and self._bytes <= _MOST_BYTES:
            entries, callers = self._entries, self._callers
            self._entries, self._callers, self._bytes = [], [], 0
            return entries, callers
        count = _fitting(self._entries)
        entries, callers = self._entries[:count], self._callers[:count]
        del self._entries[:count], self._callers[:count]
        self._bytes -= sum(len(entry.data) for entry in entries)
        return entries, callers

    def _settled(self, what: str, task: asyncio.Task[None]) -> None:
        self._kinds[what] -= 1
        self._unsettled.discard(task)

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


def _fitting(entries: list[Entry]) -> int:
    """How many of them one script call takes: the one that fills it is the last."""
    sizes = accumulate(len(entry.data) for entry in entries[:_MOST_ENTRIES])
    return next((count for count, size in enumerate(sizes, 1) if size >= _MOST_BYTES), _MOST_ENTRIES)


def _tell(callers: list[Done], *, written: bool) -> None:
    for done in callers:
        done(None if written else _not_written())


def _not_written() -> StoreUnavailable:
    return StoreUnavailable("the record was not written")


def _resolve(future: asyncio.Future[None], error: StoreUnavailable | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
