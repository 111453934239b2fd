"""The one place where a request waits.

One reader per process follows the process's wake-up stream in Redis and signals the waiters of the holds named there.
A waiter leaves for one of these reasons, and no other:

    SIGNAL   the hold changed, or may have (a wake-up; Redis came back; its deadline has passed): look at it
    LATER    the client's own limit (``Prefer: wait=N``) is over
    ClientGone, Stopping

A signal that comes before its waiter is kept for it. While Redis is away waiters stay; when it is back the reader looks
at every hold that somebody waits for, so that a signal lost meanwhile costs nothing but that look.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import islice

from gateway.exchange import Exchange
from gateway.memory import give_back
from gateway.transport import ClientGone
from holdpoint.clock import Clock
from holdpoint.errors import Conflict, StoreUnavailable
from holdpoint.store import Store
from holdpoint.tasks import OnDeath, Tasks

_BLOCK_MS = 5_000
_BEAT_EVERY_S = 1.0
_MISSED_AFTER_S = 3.0
_AGAIN_AFTER_S = 0.2
_LOOK_AT_ONCE = 200
_MOST_EARLY = 10_000
_GUARD_S = 3.0  # this long after its deadline a hold is looked at, should its signal be missing
_LOOK_AROUND_S = 1.0
_BURST = 100  # so many requests that began to wait leave enough memory behind to give it back
_WAITING = b": holdpoint waiting\n\n"  # a comment: no client takes it for an event

_log = logging.getLogger(__name__)


class Stopping(Exception):
    """The process stops; the client may come back to another one."""


class Why(Enum):
    """Why a wait is over."""

    SIGNAL = "signal"
    LATER = "later"


class Waiter:
    """One request that waits for one hold."""

    __slots__ = ("_end", "_future", "hold", "look_at_s", "signalled")

    def __init__(self, hold: str, end: Callable[[Waiter], None]) -> None:
        self.hold = hold
        self.signalled = False
        self.look_at_s = math.inf  # by the loop's clock: when to look at the hold, should its signal be missing
        self._future: asyncio.Future[BaseException | None] | None = None
        self._end = end

    def wake(self, error: BaseException | None = None) -> None:
        """Look again, or leave with ``error``."""
        if error is None:
            self.signalled = True
        if self._future is not None and not self._future.done():
            self._future.set_result(error)

    def woken(self) -> asyncio.Future[BaseException | None]:
        """Done with the next `wake`, and what it was given."""
        self._future = asyncio.get_running_loop().create_future()
        return self._future

    def time_is_up(self) -> None:
        """End the pause without a signal."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def close(self) -> None:
        """Not waiting any more."""
        self._end(self)


class Waiting:
    """All waiters of this process. `start` before use; ``gateway`` is the process's id in Redis."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        heartbeat_after_s: float,
        heartbeat_every_s: float,
        on_death: OnDeath | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._after_s = heartbeat_after_s
        self._every_s = heartbeat_every_s
        self._tasks = Tasks(on_death=on_death)
        self._waiters: dict[str, list[Waiter]] = {}
        self._early: dict[str, None] = {}
        self._stopping = False
        self._waiting_now = 0
        self._newcomers = 0  # since memory was given back
        self.gateway = ""

    async def start(self, name: str) -> None:
        """Take a place among the gateways under ``name``, and begin to listen.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        self.gateway = await self._store.gateways.start(name)
        self._tasks.start("wake-ups", self._listen())
        self._tasks.start("beat", self._beat())
        self._tasks.start("guard", self._guard())

    def dismiss(self) -> None:
        """Send everybody away with `Stopping`, whoever comes later too."""
        self._stopping = True
        for waiter in [each for waiters in self._waiters.values() for each in waiters]:
            waiter.wake(Stopping())

    async def stop(self) -> None:
        """Stop listening; what this process still had is swept by the timer."""
        await self._tasks.aclose()
        try:
            await self._store.gateways.stop(self.gateway)
        except StoreUnavailable:
            _log.info("Redis is away: this gateway will be missed after five seconds")

    def __len__(self) -> int:
        """How many requests wait now."""
        return self._waiting_now

    def enter(self, hold: str) -> Waiter:
        """A waiter for ``hold``; `Waiter.close` it whatever happens."""
        self._newcomers += 1
        waiter = Waiter(hold, self._leave)
        waiter.signalled = hold in self._early
        self._early.pop(hold, None)
        self._waiters.setdefault(hold, []).append(waiter)
        return waiter

    def waits_for(self, hold: str) -> bool:
        """Whether another request of this process waits for the same hold."""
        return hold in self._waiters

    def signal(self, hold: str) -> None:
        """Somebody in this process changed ``hold``: whoever waits for it here looks at it."""
        for waiter in self._waiters.get(hold, ()):
            waiter.wake()

    async def for_signal(self, waiter: Waiter, exchange: Exchange, *, deadline_ms: int, until_s: float | None) -> Why:
        """Wait until the hold may have changed, with heartbeats for a stream that waits long.

        ``until_s`` (by the loop's clock) is the client's own limit. Nothing is written while there is one: an answer
        that has begun could not become a 202 any more.

        Raises:
            ClientGone, Stopping.
        """
        loop = asyncio.get_running_loop()
        beats = exchange.stream and self._after_s > 0 and until_s is None
        next_beat = loop.time() + (self._every_s if exchange.reply.started else self._after_s)
        waiter.look_at_s = loop.time() + max(0.0, (deadline_ms - self._clock()) / 1000) + _GUARD_S
        exchange.request.on_disconnect(lambda: waiter.wake(ClientGone()))
        self._waiting_now += 1
        try:
            while not waiter.signalled:
                if self._stopping:
                    raise Stopping
                if exchange.request.disconnected:
                    raise ClientGone
                now = loop.time()
                if until_s is not None and now >= until_s:
                    return Why.LATER
                if beats and now >= next_beat:
                    await _heartbeat(exchange)
                    next_beat = now + self._every_s
                    continue  # it took its time
                ends = until_s if until_s is not None else next_beat if beats else None
                timer = loop.call_at(ends, waiter.time_is_up) if ends is not None else None
                try:
                    error = await waiter.woken()
                finally:
                    if timer is not None:
                        timer.cancel()
                if error is not None:
                    raise error
        finally:
            waiter.look_at_s = math.inf
            self._waiting_now -= 1
            exchange.request.on_disconnect(None)
        waiter.signalled = False
        return Why.SIGNAL

    def _leave(self, waiter: Waiter) -> None:
        waiters = self._waiters.get(waiter.hold, [])
        if waiter in waiters:
            waiters.remove(waiter)
        if not waiters:
            self._waiters.pop(waiter.hold, None)

    def _heard(self, hold: str) -> None:
        if hold not in self._waiters:
            # Its waiter has not come yet, or has just gone; the oldest go first.
            self._early[hold] = None
            if len(self._early) > _MOST_EARLY:
                del self._early[next(iter(self._early))]
            return
        self.signal(hold)

    async def _listen(self) -> None:
        position, well = "0", True
        while True:
            try:
                wakes = await self._store.gateways.wakes(self.gateway, after=position, block_ms=_BLOCK_MS)
                if not well:
                    await self._look_at_all()
                    well = True
            except StoreUnavailable as error:
                if well:
                    _log.warning("cannot hear wake-ups: %s", error)
                well = False
                await asyncio.sleep(_AGAIN_AFTER_S)
                continue
            for position, hold in wakes:  # noqa: B007 - the last position is where the next read begins
                self._heard(hold)
            await asyncio.sleep(0)  # who was woken goes on first, and the next read is asked for after that

    async def _look_at_all(self) -> None:
        """After Redis was away: signal who missed something, and take back the holds that were given up for lost."""
        ids = iter(list(self._waiters))
        while some := list(islice(ids, _LOOK_AT_ONCE)):
            found = await self._store.holds.waiters(some)
            for hold_id in some:
                if hold_id not in found:
                    self.signal(hold_id)
            await self._take_back([hold_id for hold_id, waiter in found.items() if not waiter])

    async def _take_back(self, ids: Sequence[str]) -> None:
        for hold in await self._store.holds.get_many(ids):
            try:
                await self._store.holds.attach(hold, gateway=self.gateway)
            except Conflict:
                self.signal(hold.id)

    async def _guard(self) -> None:
        """One look around for all: a timer for each of thousands would cost more than what it waits for."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_AROUND_S)
            now = loop.time()
            for waiters in self._waiters.values():
                for waiter in waiters:
                    if waiter.look_at_s <= now:
                        waiter.wake()
            if self._newcomers >= _BURST:
                self._newcomers = 0
                give_back()

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        last, looks = loop.time(), 0
        while True:
            try:
                await self._store.gateways.beat(self.gateway)
                if loop.time() - last > _MISSED_AFTER_S:
                    # Silent for so long, this process may be taken for gone, now or with the sweeper's next round.
                    looks = 3
                last = loop.time()
                if looks:
                    looks -= 1
                    await self._look_at_all()
            except StoreUnavailable:
                _log.debug("no beat: Redis is away")
            await asyncio.sleep(_BEAT_EVERY_S)


async def _heartbeat(exchange: Exchange) -> None:
    if not exchange.reply.started:
        headers = [("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]
        exchange.reply.start(200, headers + exchange.headers())
        exchange.events = True
    await exchange.reply.write(_WAITING)
