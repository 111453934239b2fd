"""Events → records: the consumer group ``ledger`` of every stream of the outbox.

::

    lease "ledger" ─▶ what was read and not acknowledged ─▶ what is new ─▶ append (one SQL transaction) ─▶ ack ─▶ trim
        ▲                                                                      │ cannot be written
        └────────────── back off; the events stay in Redis ◀───────────────────┘

The lease keeps two bots from doing the same work; it is not what makes it right. Recorders that overlap (one was
frozen, its lease ran out, it wakes up) hand the same events to the ledger, which records each source once (sql.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from holdpoint.clock import Clock
from holdpoint.errors import LedgerError, StoreUnavailable
from holdpoint.ledger.chain import Entry, Form, entry
from holdpoint.ledger.sql import Ledger
from holdpoint.model import EventKind
from holdpoint.store import Store
from holdpoint.store.outbox import RawEvent

_log = logging.getLogger(__name__)

GROUP = "ledger"
LEASE = "ledger"
_BATCH = 1000
# Bodies may be megabytes each. A batch that is larger than this, or that cannot be read in time, makes the next smaller.
_BATCH_BYTES = 8 * 1024 * 1024
_IDLE_BLOCK_MS = 100  # how long an idle recorder listens to one stream before it looks at the others
_STANDBY_S = 1.0
_FIRST_BACKOFF_S = 0.2
_LONGEST_BACKOFF_S = 30.0
_KINDS = frozenset(EventKind)

T = TypeVar("T")


class Recorder:
    """Runs in every bot; one of them records at a time.

    ``lag``: events that are not in the ledger yet, as of some seconds ago. ``lag_seconds``: how long the oldest event
    that this recorder has read and not recorded has been waiting; 0 on standby. ``last_error``: why nothing can be
    recorded now, else None. ``leading``: whether this is the one. ``recorded``, ``unreadable``: counts since the start.
    """

    def __init__(self, store: Store, ledger: Ledger, *, clock: Clock, holder: str, lease_ttl_ms: int = 10_000) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._holder = holder
        self._lease_ttl_ms = lease_ttl_ms
        # SQL blocks: one thread of its own, so that batches stay in order and nobody else's thread is taken.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._renew_at = 0.0
        self._behind: set[str] = set()
        self._count = _BATCH
        self._oldest_ms: int | None = None
        self.lag = 0
        self.last_error: str | None = None
        self.leading = False
        self.recorded = 0
        self.unreadable = 0

    @property
    def lag_seconds(self) -> float:
        """See the class."""
        return 0.0 if self._oldest_ms is None else max(0.0, (self._clock() - self._oldest_ms) / 1000)

    async def run(self) -> None:
        """Record until cancelled. A batch that is being written then is still committed, and acknowledged by the next one."""
        pause = _FIRST_BACKOFF_S
        try:
            while True:
                try:
                    await self._turn()
                except (LedgerError, StoreUnavailable) as error:
                    await self._fail(error, pause)
                    pause = min(2 * pause, _LONGEST_BACKOFF_S)
                else:
                    self.last_error = None
                    pause = _FIRST_BACKOFF_S if self.leading else pause
        finally:
            self.leading = False
            # Whoever waits for this task may close the ledger then: nothing may still be writing to it.
            await asyncio.to_thread(self._thread.shutdown)
            with contextlib.suppress(StoreUnavailable):
                await self._store.leases.release(LEASE, holder=self._holder)

    async def _turn(self) -> None:
        """One look at every stream, or one wait on standby."""
        if not await self._lead():
            self._oldest_ms = None
            await asyncio.sleep(_STANDBY_S)
            return
        block_ms = _IDLE_BLOCK_MS
        for stream in self._store.outbox.streams():
            if await self._drain(stream, block_ms=block_ms):
                block_ms = 1  # there is work: do not wait on the other streams (0 would be for ever)

    async def _lead(self) -> bool:
        """Take or renew the lease, at a third of its life. A new leader begins with what its predecessor left."""
        now = time.monotonic()
        if self.leading and now < self._renew_at:
            return True
        led = self.leading
        await self._measure()
        self.leading = await self._store.leases.hold(LEASE, holder=self._holder, ttl_ms=self._lease_ttl_ms)
        if self.leading:
            self._renew_at = now + self._lease_ttl_ms / 3000
            # Also now and then while leading: a recorder that lost its lease may have read events since, and died.
            self._behind.update(self._store.outbox.streams())
            if not led:
                _log.info("this process records the ledger now", extra={"holder": self._holder})
        return self.leading

    async def _measure(self) -> None:
        """Look how far behind the ledger is. Only a number to look at: without it, recording goes on."""
        streams = self._store.outbox.streams()
        with contextlib.suppress(StoreUnavailable):
            self.lag = sum([await self._store.outbox.lag(stream, group=GROUP) for stream in streams])

    async def _drain(self, stream: str, *, block_ms: int) -> bool:
        """Record one batch of ``stream``; False when there was nothing."""
        pending = stream in self._behind
        events = await self._store.outbox.read_raw(
            stream, group=GROUP, block_ms=block_ms, count=self._count, pending=pending
        )
        if not events:
            self._behind.discard(stream)
            return pending  # after the old ones look at the new ones at once
        # Until it is recorded and acknowledged this batch is pending; an error on the way leads back to it.
        self._behind.add(stream)
        await self._record(stream, events)
        if not pending:
            self._behind.discard(stream)
        return True

    async def _record(self, stream: str, events: Sequence[RawEvent]) -> None:
        entries = [_entry(event) for event in events]
        self._oldest_ms = min(item.at_ms for item in entries)
        self.recorded += await self._in_thread(lambda: self._ledger.append(entries))
        self._report_unreadable(entries)
        await self._store.outbox.ack(stream, group=GROUP, events=events)
        self._oldest_ms = None
        self.lag = max(0, self.lag - len(events))
        await self._store.outbox.trim(stream)
        size_bytes = sum(len(item.data) for item in entries)
        self._count = max(1, self._count // 2) if size_bytes > _BATCH_BYTES else min(2 * self._count, _BATCH)

    def _report_unreadable(self, entries: Sequence[Entry]) -> None:
        for item in entries:
            if item.form is not Form.JSON or item.kind not in _KINDS:
                self.unreadable += 1
                _log.error("an event could not be read; recorded as it was", extra={"source": item.source})

    async def _fail(self, error: Exception, pause: float) -> None:
        """Let another bot try, which may reach the ledger where this one cannot, and wait."""
        self.last_error = str(error)
        _log.error(
            "the ledger cannot be recorded; the events stay in Redis",
            extra={"retry_in_s": pause, "reason": self.last_error},
        )
        self._count = max(1, self._count // 4)
        if self.leading:
            self.leading = False
            with contextlib.suppress(StoreUnavailable):
                await self._store.leases.release(LEASE, holder=self._holder)
        await asyncio.sleep(pause)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _entry(event: RawEvent) -> Entry:
    """What can be read of an event; whatever is wrong with it, the rest is kept."""
    fields = event.fields
    return entry(
        source=event.source,
        kind=_decoded(fields.get(b"kind", b"unreadable")),
        subject=_decoded(fields.get(b"subject", b"")),
        at_ms=_at_ms(event),
        raw=fields.get(b"data", b""),
    )


def _at_ms(event: RawEvent) -> int:
    """The event's time; when that cannot be read, the time at which Redis took it in (its id)."""
    raw = event.fields.get(b"at", b"")
    if raw.isdigit() and len(raw) <= 15:
        return int(raw)
    return int(event.source.rpartition("/")[2].partition("-")[0])


def _decoded(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")
