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
from collections.abc import Callable, Iterable
from enum import Enum
from itertools import islice

from gateway.exchange import Exchange
from gateway.transport import ClientGone
from holdpoint.clock import Clock
from holdpoint.errors import Conflict, StoreUnavailable
from holdpoint.model import Hold, State
from holdpoint.store import Store
from holdpoint.tasks import OnDeath, Tasks

_BLOCK_MS = 5_000
_BEAT_EVERY_S = 1.0
_MISSED_AFTER_S = 3.0
_AGAIN_AFTER_S = 0.2
_LOOK_AT_ONCE = 200
_MOST_EARLY = 10_000
_GUARD_S = 3.0  # this long after its deadline a hold is looked at, should its signal be missing
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

    __slots__ = ("_end", "_future", "hold", "signalled")

    def __init__(self, hold: str, end: Callable[[Waiter], None]) -> None:
        self.hold = hold
        self.signalled = False
        self._future: asyncio.Future[BaseException | None] | None = None
        self._end = end

    def wake(self, error: BaseException | None = None) -> None:
        """Look again, or leave with ``error``."""
        if error is None:
            self.signalled = True
        if self._future is not None and not self._future.done():
            self._future.set_result(error)

    async def pause(self, seconds: float | None) -> None:
        """Until the next `wake`, at most ``seconds``. Raises what `wake` was given."""
        if self.signalled:
            return
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        timer = loop.call_later(seconds, self._time_is_up) if seconds is not None else None
        try:
            error = await self._future
        finally:
            self._future = None
            if timer is not None:
                timer.cancel()
        if error is not None:
            raise error

    def close(self) -> None:
        """Not waiting any more."""
        self._end(self)

    def _time_is_up(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


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
        self.gateway = ""

    async def start(self, name: str) -> None:
        """Take a place among the gateways under ``name``, and begin to listen.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        self.gateway = await self._store.gateways.start(name)
        self._tasks.start("wake-ups", self._listen())
        self._tasks.start("beat", self._beat())

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
        guard = loop.time() + max(0.0, (deadline_ms - self._clock()) / 1000) + _GUARD_S
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
                if now >= guard:
                    break
                if beats and now >= next_beat:
                    await _heartbeat(exchange)
                    next_beat = now + self._every_s
                ends = [guard] + ([next_beat] if beats else []) + ([until_s] if until_s is not None else [])
                await waiter.pause(max(0.0, min(ends) - loop.time()))
        finally:
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

    async def _look_at_all(self) -> None:
        """After Redis was away: signal who missed something, and take back the holds that were given up for lost."""
        ids = iter(list(self._waiters))
        while some := list(islice(ids, _LOOK_AT_ONCE)):
            found = {hold.id: hold for hold in await self._store.holds.get_many(some)}
            for hold_id in some:
                hold = found.get(hold_id)
                if hold is None or hold.state is not State.PENDING:
                    self.signal(hold_id)
            await self._take_back(found.values())

    async def _take_back(self, holds: Iterable[Hold]) -> None:
        for hold in holds:
            if hold.state is State.PENDING and not hold.waiter:
                try:
                    await self._store.holds.attach(hold, gateway=self.gateway)
                except Conflict:
                    self.signal(hold.id)

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
