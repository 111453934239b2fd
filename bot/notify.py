"""Events → which cards → rendered → posted or updated. One `Notifier` for each platform.

::

    "events" ─ group cards:<kind> ─▶ Notifier ─ one job per hold ─▶ Drawer ─ card_view, template ─▶ Channel.post | update
                 (one bot at a time: a lease)    (many holds at once)      (store.cards: where each copy stands)

An event only says that a hold changed. The whole card is drawn again from the hold as it is stored now, so several
events make one update, and the order in which they are worked on does not matter. An event is acknowledged after every
copy of its hold shows the hold; whoever takes over the lease begins with what was not acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.drawer import Drawer
from holdpoint.errors import ChannelUnavailable, StoreUnavailable
from holdpoint.store import Store
from holdpoint.store.outbox import RawEvent
from holdpoint.tasks import Tasks

STREAM = "events"
LEASE_MS = 6_000
RENEW_S = 1.5
LOOK_S = 0.5  # how often a bot without the lease asks for it
BLOCK_MS = 1_000
BATCH = 100
MOST_AT_ONCE = 16  # holds that are drawn at the same time
MOST_UNACKNOWLEDGED = 5_000  # events in memory (without their data); beyond, reading waits
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0

_log = logging.getLogger(__name__)


def consumer_group(kind: str) -> str:
    """The consumer group, and the lease, of one platform's cards."""
    return f"cards:{kind}"


class Notifier:
    """Keeps the cards of one platform true. ``holder`` names this bot process, uniquely."""

    def __init__(self, store: Store, drawer: Drawer, *, holder: str) -> None:
        self._store = store
        self._drawer = drawer
        self._holder = holder
        self._lease = consumer_group(drawer.kind)
        self.leading = False

    async def run(self) -> None:
        """Work whenever the lease is to be had; until cancelled."""
        while True:
            if await self._renew():
                await self._lead()
            await asyncio.sleep(LOOK_S)

    async def _renew(self) -> bool:
        try:
            return await self._store.leases.hold(self._lease, holder=self._holder, ttl_ms=LEASE_MS)
        except StoreUnavailable:
            return False

    async def _lead(self) -> None:
        """Work until the lease is lost. Jobs that are cut off in the middle are finished by whoever has it next."""
        tasks = Tasks()
        worker = _Worker(self._store, self._drawer, group=self._lease, tasks=tasks)
        reader = tasks.start(f"{self._lease} reader", worker.read())
        _log.info("drawing cards", extra={"cards": self._drawer.kind, "bot": self._holder})
        self.leading = True
        try:
            while not reader.done():
                await asyncio.wait({reader}, timeout=RENEW_S)
                if not await self._renew():
                    _log.warning("lost the lease of the cards", extra={"cards": self._drawer.kind})
                    return
        finally:
            self.leading = False
            await tasks.aclose()
            await self._give_back()

    async def _give_back(self) -> None:
        try:
            await self._store.leases.release(self._lease, holder=self._holder)
        except StoreUnavailable:
            _log.info("the lease runs out by itself", extra={"cards": self._drawer.kind})


@dataclass
class _Job:
    """The events of one hold that its copies do not show yet. ``changed`` wakes a job that waits to try again."""

    events: list[RawEvent] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class _Worker:
    """Reads events and runs one job per hold, while the lease lasts."""

    def __init__(self, store: Store, drawer: Drawer, *, group: str, tasks: Tasks) -> None:
        self._store = store
        self._drawer = drawer
        self._group = group
        self._tasks = tasks
        self._jobs: dict[str, _Job] = {}
        self._known: set[str] = set()  # sources of the events in jobs
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._room = asyncio.Event()

    async def read(self) -> None:
        """Read for ever: first what was read before and not acknowledged, then what is new."""
        while True:
            try:
                await self._read_pending()
                while True:
                    events = await self._store.outbox.read_raw(
                        STREAM, group=self._group, block_ms=BLOCK_MS, count=BATCH
                    )
                    await self._take(events)
            except StoreUnavailable as error:
                # The lost answer may have held events: they are pending now, and read again from the top.
                _log.warning("cannot read events: %s", error, extra={"cards": self._drawer.kind})
                await asyncio.sleep(LOOK_S)

    async def _read_pending(self) -> None:
        after = ""
        while events := await self._store.outbox.read_raw(
            STREAM, group=self._group, block_ms=0, count=BATCH, pending=True, after=after
        ):
            after = events[-1].source
            await self._take(events)

    async def _take(self, events: Sequence[RawEvent]) -> None:
        await self._store.outbox.ack(STREAM, group=self._group, events=[e for e in events if not _is_about_hold(e)])
        for event in events:
            if _is_about_hold(event) and event.source not in self._known:
                self._known.add(event.source)
                # Without what it says: the hold is read when it is drawn, and an event may have megabytes.
                self._add(event.fields[b"subject"].decode(), RawEvent(event.source, {}))
        while len(self._known) >= MOST_UNACKNOWLEDGED:
            self._room.clear()
            await self._room.wait()

    def _add(self, hold_id: str, event: RawEvent) -> None:
        job = self._jobs.get(hold_id)
        if job is None:
            job = self._jobs[hold_id] = _Job()
            self._tasks.start(f"{self._group} {hold_id}", self._work(hold_id, job))
        job.events.append(event)
        job.changed.set()

    async def _work(self, hold_id: str, job: _Job) -> None:
        """Draw until every event of the hold is shown and acknowledged."""
        try:
            await self._draw_all(hold_id, job)
        finally:
            # After an error that nobody foresaw, too: the hold's next event gets a job again.
            del self._jobs[hold_id]
            self._known.difference_update(event.source for event in job.events)
            self._room.set()

    async def _draw_all(self, hold_id: str, job: _Job) -> None:
        failures = 0
        while job.events:
            job.changed.clear()
            covered = tuple(job.events)  # whatever is read from now on is at least as new as these
            try:
                async with self._slots:
                    await self._drawer.draw(hold_id)
                await self._store.outbox.ack(STREAM, group=self._group, events=covered)
            except ChannelUnavailable as error:
                if error.retry_after_seconds is None:
                    failures += 1
                _log.info("a card waits: %s", error, extra={"hold": hold_id, "failures": failures})
                await _pause(job, error.retry_after_seconds, failures)
            except StoreUnavailable as error:
                failures += 1
                _log.info("a card waits: %s", error, extra={"hold": hold_id, "failures": failures})
                await _pause(job, None, failures)
            else:
                failures = 0
                del job.events[: len(covered)]
                self._known.difference_update(event.source for event in covered)
                self._room.set()


def _is_about_hold(event: RawEvent) -> bool:
    return event.fields[b"kind"].startswith(b"hold.")


async def _pause(job: _Job, seconds: float | None, failures: int) -> None:
    """Wait before the next attempt: what the platform asked for, else longer each time. A new event cuts it short."""
    if seconds is None:
        seconds = min(FIRST_RETRY_S * 2 ** min(failures, 10), LAST_RETRY_S)
    # Jobs that failed together do not come back together.
    pause = seconds * random.uniform(1.0, 1.3)
    try:
        async with asyncio.timeout(pause):
            await job.changed.wait()
    except TimeoutError:
        return
