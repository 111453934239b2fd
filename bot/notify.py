"""Events → which cards → rendered → posted or updated. One `Notifier` for each platform.

::

    "events" ─ group cards:<kind> ─▶ Notifier ─ one job per hold ─▶ Drawer ─ card_view, template ─▶ Channel.post | update
                 (one bot at a time: a lease)    (many holds at once)      (store.cards: where each copy stands)

An event only says that a hold changed. The whole card is drawn again from the hold as it is stored now, so several
events make one update, and the order in which they are worked on does not matter. An event is acknowledged after every
copy of its hold shows the hold; whoever takes over the lease begins with what was not acknowledged. It also compares
all cards with the records first, and again after every outage (reconcile.py), and speaks in threads (threads.py).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot.drawer import Drawer
from bot.platform import AccessLost
from bot.reconcile import Reconciler
from bot.threads import Narrator
from holdpoint.clock import Clock
from holdpoint.errors import ChannelUnavailable, StoreUnavailable
from holdpoint.live import Live
from holdpoint.store import Store
from holdpoint.store.outbox import RawEvent
from holdpoint.tasks import Tasks

STREAM = "events"
LEASE_MS = 6_000
RENEW_S = 1.5
LOOK_S = 0.5  # how often a bot without the lease asks for it
BLOCK_MS = 1_000
BATCH = 100
MOST_AT_ONCE = 16  # holds that are drawn at the same time, and as many that are tried again
MOST_UNACKNOWLEDGED = 5_000  # events in memory (without their data); beyond, reading waits
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
SECOND_S = 1.0  # of the platform's time, in seconds of this process: where a test has a clock that runs faster

_log = logging.getLogger(__name__)


def consumer_group(kind: str) -> str:
    """The consumer group, and the lease, of one platform's cards."""
    return f"cards:{kind}"


class Notifier:
    """Keeps one platform's cards true. ``holder`` names this process, uniquely; ``speaks``: there are threads to speak in."""

    def __init__(
        self, store: Store, live: Live, drawer: Drawer, *, holder: str, clock: Clock, speaks: bool = True
    ) -> None:
        self._store = store
        self._live = live
        self._drawer = drawer
        self._holder = holder
        self._clock = clock
        self._speaks = speaks
        self._narrator = Narrator(store, live, drawer, clock=clock)
        self._lease = consumer_group(drawer.kind)
        self.leading = False

    async def run(self) -> None:
        """Work whenever the lease is to be had; until cancelled."""
        while True:
            if await self._renew():
                await self._lead()
            else:
                await self._narrator.give_back()
            await asyncio.sleep(LOOK_S)

    async def _renew(self) -> bool:
        try:
            is_ours = await self._store.leases.hold(self._lease, holder=self._holder, ttl_ms=LEASE_MS)
        except StoreUnavailable:
            return False
        if not is_ours:
            self._drawer.copies.others_post()
        return is_ours

    async def _lead(self) -> None:
        """Work until the lease is lost. Jobs that are cut off in the middle are finished by whoever has it next."""
        tasks = Tasks()
        self._drawer.pressure.begin()
        narrator = self._narrator
        worker = _Worker(self._store, self._drawer, narrator, group=self._lease, tasks=tasks)
        reconciler = Reconciler(self._store, self._live, self._drawer.channel, again=worker.again, clock=self._clock)
        worker.after_outage = reconciler.soon
        parts = {
            tasks.start(f"{self._lease} reader", worker.read()),
            tasks.start(f"{self._lease} narrator", narrator.run() if self._speaks else narrator.be_silent()),
            tasks.start(f"{self._lease} reconciler", reconciler.run()),
        }
        _log.info("drawing cards", extra={"cards": self._drawer.kind, "bot": self._holder})
        self.leading = True
        try:
            while not any(part.done() for part in parts):
                await asyncio.wait(parts, timeout=RENEW_S, return_when=asyncio.FIRST_COMPLETED)
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
    """The events of one hold that its copies do not show yet. ``changed`` wakes a job that waits to try again.

    ``asked``: draw it even without an event.
    """

    events: list[RawEvent] = field(default_factory=list)
    asked: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class _Worker:
    """Reads events and runs one job per hold, while the lease lasts."""

    def __init__(self, store: Store, drawer: Drawer, narrator: Narrator, *, group: str, tasks: Tasks) -> None:
        self._store = store
        self._drawer = drawer
        self._narrator = narrator
        self.after_outage: Callable[[], None] = lambda: None
        self._is_out = False
        self._group = group
        self._tasks = tasks
        self._jobs: dict[str, _Job] = {}
        self._known: set[str] = set()  # sources of the events in jobs
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        # For what has failed: a place that takes its time holds up no other.
        self._again = asyncio.Semaphore(MOST_AT_ONCE)
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
                self._is_out = True
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

    def again(self, hold_id: str) -> None:
        """Draw this hold, though nothing has happened to it."""
        job = self._job(hold_id)
        job.asked = True
        job.changed.set()

    def _add(self, hold_id: str, event: RawEvent) -> None:
        job = self._job(hold_id)
        job.events.append(event)
        job.changed.set()
        self._narrator.soon(hold_id)  # whether or not all copies can be drawn now

    def _job(self, hold_id: str) -> _Job:
        job = self._jobs.get(hold_id)
        if job is None:
            job = self._jobs[hold_id] = _Job()
            self._tasks.start(f"{self._group} {hold_id}", self._work(hold_id, job))
        return job

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
        failures, slots = 0, self._slots
        while job.events or job.asked:
            job.changed.clear()
            covered, asked = tuple(job.events), job.asked  # whatever is read from now on is at least as new as these
            job.asked = False
            try:
                async with slots:
                    await self._drawer.draw(hold_id)
                await self._store.outbox.ack(STREAM, group=self._group, events=covered)
            except (ChannelUnavailable, StoreUnavailable) as error:
                job.asked |= asked
                seconds = error.retry_after_seconds if isinstance(error, ChannelUnavailable) else None
                failures, slots = failures + (seconds is None), self._again
                self._is_out |= seconds is None or isinstance(error, AccessLost)
                _log.info("a card waits: %s", error, extra={"hold": hold_id, "failures": failures})
                await _pause(job, seconds, failures)
            else:
                failures, slots = 0, self._slots
                self._done(hold_id, job, covered)

    def _done(self, hold_id: str, job: _Job, covered: Sequence[RawEvent]) -> None:
        del job.events[: len(covered)]
        self._known.difference_update(event.source for event in covered)
        self._room.set()
        self._narrator.soon(hold_id)
        if self._is_out:
            self._is_out = False
            self.after_outage()


def _is_about_hold(event: RawEvent) -> bool:
    return event.fields[b"kind"].startswith(b"hold.")


async def _pause(job: _Job, seconds: float | None, failures: int) -> None:
    """Wait before the next attempt: what the platform asked for, else longer each time. A new event cuts it short."""
    if seconds is None:
        seconds = min(FIRST_RETRY_S * 2 ** min(failures, 10), LAST_RETRY_S)
    # Jobs that failed together do not come back together.
    pause = seconds * SECOND_S * random.uniform(1.0, 1.3)
    try:
        async with asyncio.timeout(pause):
            await job.changed.wait()
    except TimeoutError:
        return
