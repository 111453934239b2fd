"""The one place where a request waits.

A waiter leaves for one of these reasons, and no other:

    SIGNAL   the hold changed, or may have (a wake-up; Redis came back; its deadline has passed): look at it
    LATER    the client's own limit (``Prefer: wait=N``) is over
    ClientGone, Stopping

Signals come from `gateway.wake_ups`. One that comes before its waiter is kept for it. While Redis is away waiters stay;
when it is back every hold that somebody waits for is looked at, so that a signal lost meanwhile costs nothing but that.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from enum import Enum

from gateway.exchange import Exchange
from gateway.memory import give_back
from gateway.transport import ClientGone
from holdpoint.clock import Clock

_MOST_EARLY = 10_000
_GUARD_S = 3.0  # this long after its deadline a hold is looked at, should its signal be missing
_BURST = 100  # so many requests that began to wait leave enough memory behind to give it back
_WAITING = b": holdpoint waiting\n\n"  # a comment: no client takes it for an event


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
    """All waiters of this process."""

    def __init__(self, *, clock: Clock, heartbeat_after_s: float, heartbeat_every_s: float) -> None:
        self._clock = clock
        self._after_s = heartbeat_after_s
        self._every_s = heartbeat_every_s
        self._waiters: dict[str, list[Waiter]] = {}
        self._early: dict[str, None] = {}
        self._stopping = False
        self._waiting_now = 0
        self._newcomers = 0  # since memory was given back

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

    def holds(self) -> list[str]:
        """The holds that are waited for."""
        return list(self._waiters)

    def signal(self, hold: str) -> None:
        """``hold`` has changed: whoever waits for it here looks at it."""
        for waiter in self._waiters.get(hold, ()):
            waiter.wake()

    def hear(self, hold: str) -> None:
        """As `signal`, of what another process says; kept for a waiter that is still to come."""
        if hold not in self._waiters:
            # Its waiter has not come yet, or has just gone; the oldest go first.
            self._early[hold] = None
            if len(self._early) > _MOST_EARLY:
                del self._early[next(iter(self._early))]
            return
        self.signal(hold)

    def look_around(self) -> None:
        """Now and then: wake whose signal should have come by now, and give back the memory that a burst has used."""
        now = asyncio.get_running_loop().time()
        for waiters in self._waiters.values():
            for waiter in waiters:
                if waiter.look_at_s <= now:
                    waiter.wake()
        if self._newcomers >= _BURST:
            self._newcomers = 0
            give_back()

    def dismiss(self) -> None:
        """Send everybody away with `Stopping`, whoever comes later too."""
        self._stopping = True
        for waiter in [each for waiters in self._waiters.values() for each in waiters]:
            waiter.wake(Stopping())

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


async def _heartbeat(exchange: Exchange) -> None:
    if not exchange.reply.started:
        headers = [("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]
        exchange.reply.start(200, headers + exchange.headers())
        exchange.events = True
    await exchange.reply.write(_WAITING)
