"""What is done about a hold that is decided: its client gets the outcome, and the model is asked once.

::

    approved ─▶ spend the approval (release.py) ─▶ forward ─▶ close ─▶ delivered
    rejected, expired, cancelled, failed ─▶ refuse ─▶ delivered
    completed, which another request of the same client has released ─▶ replay ─▶ delivered
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from gateway.accepted import accepted
from gateway.exchange import Exchange
from gateway.forward import Forwarder
from gateway.record import Recorder
from gateway.refuse import refusal_of, refuse, unavailable
from gateway.release import Releases
from gateway.transfer import Job
from gateway.wait import Waiting
from gateway.wake_ups import WakeUps
from holdpoint.clock import Clock
from holdpoint.errors import Conflict, Refusal, StoreUnavailable
from holdpoint.metrics import Metrics
from holdpoint.model import DecisionKind, Hold, Outcome, RefusalCode, State
from holdpoint.store import Store, StoredResponse

_MOST_READS = 50
_SAID_LATER_S = 0.01

_log = logging.getLogger(__name__)


class Decided:
    """``turn`` bounds how many are on their way to Redis."""

    def __init__(
        self,
        *,
        store: Store,
        waiting: Waiting,
        wake_ups: WakeUps,
        releases: Releases,
        forwarder: Forwarder,
        recorder: Recorder,
        metrics: Metrics,
        clock: Clock,
        turn: asyncio.Semaphore,
    ) -> None:
        self._store = store
        self._waiting = waiting
        self._wake_ups = wake_ups
        self._releases = releases
        self._forwarder = forwarder
        self._recorder = recorder
        self._metrics = metrics
        self._clock = clock
        self._turn = turn

    async def answer(self, exchange: Exchange, hold_id: str) -> Hold | None:
        """Act on a hold that may be decided. None: the client has its answer. Else the hold, which is not decided."""
        for _ in range(_MOST_READS):
            try:
                hold = await self._releases.spend(exchange, hold_id)
            except Conflict:
                hold = await self._releases.get(exchange, hold_id)
                if hold.state is State.APPROVED:
                    continue
                if hold.state in (State.PENDING, State.RELEASED):
                    return hold
                await self._answer_final(exchange, hold)
                return None
            await self._forward(exchange, hold)
            return None
        raise unavailable(hold_id, State.APPROVED)

    async def collect(self, exchange: Exchange, hold: Hold) -> None:
        """Answer with what has become of ``hold`` by now, without waiting: ``GET /holds/{id}/response``."""
        exchange.hold, exchange.state = hold.id, hold.state
        undecided = await self.answer(exchange, hold.id)
        if undecided is not None:
            exchange.state = undecided.state
            await accepted(exchange, undecided, [])

    async def _forward(self, exchange: Exchange, hold: Hold) -> None:
        exchange.state = State.RELEASED
        decided_ms = max((each.at_ms for each in hold.decisions if each.kind is DecisionKind.APPROVE), default=None)
        if decided_ms is not None:
            self._metrics.release_seconds.observe(max(0, self._clock() - decided_ms) / 1000)
        said = {"hold": hold.id, "request": exchange.id}
        # A line of the log takes as long as a connection to the model, and the model waits for none.
        asyncio.get_running_loop().call_later(_SAID_LATER_S, partial(_log.info, "hold released", extra=said))

        async def close(outcome: Outcome, response: StoredResponse | None) -> None:
            state = State.FAILED if outcome.error else State.COMPLETED
            try:
                async with self._turn:
                    await self._store.holds.close(hold, state=state, outcome=outcome, response=response)
            except Conflict:
                # Closed already: this very call, whose answer was lost, or the sweeper that took this process for gone.
                _log.warning("a released hold was closed by somebody else", extra={"hold": hold.id})
            self._waiting.signal(hold.id)  # Redis wakes other processes, not the one that closes

        job = Job(target=hold.target, body=hold.query.body, finish=close, held=True)
        try:
            await self._forwarder.forward(exchange, job)
        except Refusal as refusal:
            await refuse(exchange, refusal)
        await self._delivered(hold.id)

    async def _answer_final(self, exchange: Exchange, hold: Hold) -> None:
        """Refuse, or replay what another request of the same client released."""
        exchange.state = hold.state
        refusal = await self._replay(exchange, hold) if hold.state is State.COMPLETED else refusal_of(hold)
        if refusal is not None:
            self._metrics.refusals[refusal.code] += 1
            await refuse(exchange, refusal)
        await self._delivered(hold.id)

    async def _replay(self, exchange: Exchange, hold: Hold) -> Refusal | None:
        """Pass on the answer that is kept; or what there is to be told, where it is not."""
        async with self._turn:
            stored = await self._store.holds.response(hold.id)
        if stored is None:
            why = "The answer was passed on once, and was too large to keep."
            return Refusal(RefusalCode.UNAVAILABLE, why, status=410)
        reply = exchange.reply
        if not reply.started:
            headers = [*stored.headers, *exchange.headers(), ("content-length", str(len(stored.body)))]
            if stored.status >= 400:
                headers.append(("x-should-retry", "false"))
            reply.start(stored.status, headers)
        elif stored.status != 200:
            await reply.end(exchange.protocol.translate_error(exchange.endpoint, stored.status, stored.body))
            return None
        await reply.end(stored.body)
        return None

    async def _delivered(self, hold_id: str) -> None:
        """The outcome was written to a client that was there. When Redis is away it is told later."""
        gateway = self._wake_ups.gateway
        try:
            async with self._turn:
                await self._store.holds.delivered(hold_id, gateway=gateway)
        except StoreUnavailable:
            self._recorder.settle("a delivery", lambda: self._store.holds.delivered(hold_id, gateway=gateway))
