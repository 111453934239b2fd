"""Who wakes the waiters of this process (`gateway.wait`): Redis, and a look around, should a signal be missing.

::

    a hold changes ─▶ wake-up, in the stream of the gateway that waits for it ─▶ one reader per process ─▶ its waiters
    Redis was away, or has missed this process's beat ─▶ every hold that somebody waits for is looked at
    a deadline has passed, and nothing came ─▶ that hold is looked at
    nobody waits for a hold any more (`left`) ─▶ it is noted there, unless somebody does by then

Wake-ups are sent to the process's id in Redis, for as long as its beat says that it lives.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice

from gateway.record import Recorder
from gateway.wait import Waiting
from holdpoint.errors import Conflict, StoreUnavailable
from holdpoint.model import State
from holdpoint.store import Store
from holdpoint.tasks import OnDeath, Tasks

_BLOCK_MS = 5_000
_BEAT_EVERY_S = 1.0
_MISSED_AFTER_S = 3.0
_LOOKS = 3
_AGAIN_AFTER_S = 0.2
_LOOK_AT_ONCE = 200
_LOOK_AROUND_S = 1.0

_log = logging.getLogger(__name__)


class WakeUps:
    """`start` before use, `stop` at the end. ``gateway`` is the process's id in Redis."""

    def __init__(
        self,
        store: Store,
        waiting: Waiting,
        recorder: Recorder,
        *,
        abandon_grace_s: float,
        on_death: OnDeath | None = None,
    ) -> None:
        self._store = store
        self._waiting = waiting
        self._recorder = recorder
        self._grace_ms = int(abandon_grace_s * 1000)
        self._tasks = Tasks(on_death=on_death)
        self._looks = 0  # so many beats are still followed by a look at all holds
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

    async def stop(self) -> None:
        """Stop listening; what this process still had is swept by the timer."""
        await self._tasks.aclose()
        try:
            await self._store.gateways.stop(self.gateway)
        except StoreUnavailable:
            _log.info("Redis is away: this gateway will be missed after five seconds")

    def waits_for(self, hold: str) -> bool:
        """Whether a request of this process waits for ``hold``."""
        return self._waiting.waits_for(hold)

    def left(self, hold: str) -> None:
        """Nobody waits for ``hold`` here any more: noted as soon as Redis takes it, unless somebody does by then."""
        if not self._waiting.waits_for(hold):
            self._recorder.settle("a leave", lambda: self._leave(hold))

    async def later(self, hold: str) -> None:
        """Who waited for ``hold`` here is told to come back for the answer: noted, unless somebody else waits here.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        if self._waiting.waits_for(hold):
            return
        await self._store.holds.make_asynchronous(hold, gateway=self.gateway)
        if self._waiting.waits_for(hold):  # as in `_leave`
            await self._look_at([hold])

    async def _leave(self, hold: str) -> None:
        if not self._waiting.waits_for(hold):
            await self._store.holds.leave(hold, gateway=self.gateway, grace_ms=self._grace_ms)
        if self._waiting.waits_for(hold):  # it came back as this was on its way, now or when Redis was asked before
            await self._look_at([hold])

    async def _listen(self) -> None:
        position, well = "0", True
        while True:
            try:
                wakes = await self._store.gateways.wakes(self.gateway, after=position, block_ms=_BLOCK_MS)
                if not well:
                    await self._look_at(self._waiting.holds())
                    well = True
            except StoreUnavailable as error:
                if well:
                    _log.warning("cannot hear wake-ups: %s", error)
                well = False
                await asyncio.sleep(_AGAIN_AFTER_S)
                continue
            for position, hold in wakes:  # noqa: B007 - the last position is where the next read begins
                if hold:
                    self._waiting.hear(hold)
                else:
                    self._looks = _LOOKS  # it is back, and what it had was given up
            await asyncio.sleep(0)  # who was woken goes on first, and the next read is asked for after that

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            try:
                known = await self._store.gateways.beat(self.gateway)
                if not known or loop.time() - last > _MISSED_AFTER_S:
                    # It was taken for gone, also when only a clock has leapt; or silent for so long it may be, now or
                    # with the sweeper's next round.
                    self._looks = _LOOKS
                last = loop.time()
                if self._looks:
                    self._looks -= 1
                    await self._look_at(self._waiting.holds())
            except StoreUnavailable:
                _log.debug("no beat: Redis is away")
            await asyncio.sleep(_BEAT_EVERY_S)

    async def _look_at(self, holds: Iterable[str]) -> None:
        """Signal who waits for one of them and missed something, and take back those that were given up for lost."""
        ids = iter(holds)
        while some := list(islice(ids, _LOOK_AT_ONCE)):
            found = await self._store.holds.waiters(some)
            for hold_id in some:
                if found.get(hold_id) not in ("", self.gateway):  # decided; or its signals go to another gateway
                    self._waiting.signal(hold_id)
            await self._take_back([hold_id for hold_id, waiter in found.items() if not waiter])

    async def _take_back(self, ids: Sequence[str]) -> None:
        for hold in await self._store.holds.get_many(ids):
            if not self._waiting.waits_for(hold.id):
                continue  # its client left while those before it were taken back
            if hold.state is State.PENDING:
                with suppress(Conflict):
                    await self._store.holds.attach(hold, gateway=self.gateway)
                    continue
            self._waiting.signal(hold.id)  # it is decided, or moves just now; nobody is woken by that

    async def _guard(self) -> None:
        """One look around for all: a timer for each of thousands would cost more than what it waits for."""
        while True:
            await asyncio.sleep(_LOOK_AROUND_S)
            self._waiting.look_around()
