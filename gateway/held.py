"""A request that needs a decision: it waits, is released, forwarded, closed. And answered, whatever comes.

::

    take ─▶ wait ─▶ look ┬─▶ approved: release ─▶ forward ─▶ close ─▶ delivered
    (taking.py)  ▲       ├─▶ rejected, expired, cancelled, failed: refuse ─▶ delivered
                 │       ├─▶ completed: replay ─▶ delivered
                 └───────┴─▶ still pending, or released by somebody else: wait on

While a request waits nothing but its `Exchange` and the hold's id are kept; the body comes back with the release.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial

from gateway.accepted import accepted
from gateway.exchange import Exchange
from gateway.forward import Forwarder
from gateway.journal import Journal
from gateway.pauses import Paused
from gateway.prefer import Preferences
from gateway.record import Recorder
from gateway.refuse import refusal_of, refuse, unavailable
from gateway.release import Releases
from gateway.taking import Taking
from gateway.transfer import Job
from gateway.transport import ClientGone
from gateway.wait import Stopping, Waiter, Waiting, Why
from holdpoint.clock import Clock
from holdpoint.errors import Conflict, Refusal, StoreUnavailable
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import DecisionKind, Hold, Outcome, RefusalCode, State
from holdpoint.settings import Settings
from holdpoint.store import Store, StoredResponse

_MOST_READS = 50
_AT_ONCE = 128  # on their way to Redis, so that a thousand holds decided together do not all have their bodies here
_LOOK_AGAIN_MS = 2_000
_SAID_LATER_S = 0.01

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wait:
    """What a waiting request knows of its hold, as it was when the wait began."""

    hold: str
    state: State
    deadline_ms: int
    preferences: Preferences


class Held:
    """The verbs of the gateway on holds."""

    def __init__(
        self,
        *,
        store: Store,
        live: Live,
        waiting: Waiting,
        forwarder: Forwarder,
        recorder: Recorder,
        journal: Journal,
        metrics: Metrics,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._store = store
        self._waiting = waiting
        self._forwarder = forwarder
        self._recorder = recorder
        self._metrics = metrics
        self._clock = clock
        self._grace_ms = int(settings.abandon_grace_s * 1000)
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self.taking = Taking(store, waiting, self._turn)
        self._releases = Releases(
            store=store,
            live=live,
            waiting=waiting,
            forwarder=forwarder,
            recorder=recorder,
            journal=journal,
            clock=clock,
            turn=self._turn,
        )

    async def attend(self, exchange: Exchange, wait: Wait) -> None:
        """Wait for the decision and act on it; returns when the client has its answer.

        Raises:
            Refusal, ClientGone, StoreUnavailable.
        """
        hold_id, state, deadline_ms, preferences = wait.hold, wait.state, wait.deadline_ms, wait.preferences
        exchange.hold, exchange.state = hold_id, state
        exchange.forget_head()
        if state is State.RELEASED:
            deadline_ms = self._clock() + _LOOK_AGAIN_MS
        until = None if preferences.wait_s is None else asyncio.get_running_loop().time() + preferences.wait_s
        waiter = self._waiting.enter(hold_id)
        try:
            while True:
                if state in (State.PENDING, State.RELEASED):
                    why = await self._waiting.for_signal(waiter, exchange, deadline_ms=deadline_ms, until_s=until)
                    if why is Why.LATER:
                        await self._later(exchange, preferences)
                        return
                hold = await self._decided(exchange, hold_id)
                if hold is None:
                    return
                state, deadline_ms = hold.state, self._look_again_at(hold)
                exchange.state = state
                del hold  # it has the body
        except (ClientGone, Paused):
            self._leave(waiter)
            raise
        except Stopping:
            self._leave(waiter)
            raise _stopping(exchange) from None
        except asyncio.CancelledError:
            self._leave(waiter)
            raise
        finally:
            waiter.close()

    async def collect(self, exchange: Exchange, hold: Hold) -> None:
        """Answer with what has become of ``hold`` by now, without waiting: ``GET /holds/{id}/response``."""
        exchange.hold, exchange.state = hold.id, hold.state
        undecided = await self._decided(exchange, hold.id)
        if undecided is not None:
            exchange.state = undecided.state
            await accepted(exchange, undecided, [])

    async def _decided(self, exchange: Exchange, hold_id: str) -> Hold | None:
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
        if hold.state is State.COMPLETED:
            await self._replay(exchange, hold)
        else:
            refusal = refusal_of(hold)
            self._metrics.refusals[refusal.code] += 1
            await refuse(exchange, refusal)
        await self._delivered(hold.id)

    async def _replay(self, exchange: Exchange, hold: Hold) -> None:
        async with self._turn:
            stored = await self._store.holds.response(hold.id)
        if stored is None:
            raise Refusal(
                RefusalCode.UNAVAILABLE, "The answer was passed on once, and was too large to keep.", status=410
            )
        reply = exchange.reply
        if not reply.started:
            headers = [*stored.headers, *exchange.headers(), ("content-length", str(len(stored.body)))]
            if stored.status >= 400:
                headers.append(("x-should-retry", "false"))
            reply.start(stored.status, headers)
        elif stored.status != 200:
            await reply.end(exchange.protocol.translate_error(exchange.endpoint, stored.status, stored.body))
            return
        await reply.end(stored.body)

    async def _delivered(self, hold_id: str) -> None:
        """The outcome was written to a client that was there. When Redis is away it is told later."""
        gateway = self._waiting.gateway
        try:
            async with self._turn:
                await self._store.holds.delivered(hold_id, gateway=gateway)
        except StoreUnavailable:
            self._recorder.settle("a delivery", lambda: self._store.holds.delivered(hold_id, gateway=gateway))

    async def _later(self, exchange: Exchange, preferences: Preferences) -> None:
        """The client's own limit is over: it comes back for the answer."""
        hold_id = exchange.hold or ""
        async with self._turn:
            await self._store.holds.make_asynchronous(hold_id, gateway=self._waiting.gateway)
            hold = await self._store.holds.get(hold_id)
        exchange.state = hold.state
        await accepted(exchange, hold, [("preference-applied", preferences.applied)])

    def _leave(self, waiter: Waiter) -> None:
        """The client has gone; while it may come back, the hold stays. Others may wait for the same hold here."""
        waiter.close()
        if self._waiting.waits_for(waiter.hold):
            return
        gateway, grace = self._waiting.gateway, self._grace_ms
        self._recorder.settle("a leave", lambda: self._store.holds.leave(waiter.hold, gateway=gateway, grace_ms=grace))

    def _look_again_at(self, hold: Hold) -> int:
        """When to look at an undecided hold at the latest, in case that no signal comes."""
        elsewhere = bool(hold.waiter) and hold.waiter != self._waiting.gateway  # its signals go to another gateway now
        if elsewhere or hold.state is State.RELEASED or hold.deadline_ms <= self._clock():
            return self._clock() + _LOOK_AGAIN_MS
        return hold.deadline_ms


def _stopping(exchange: Exchange) -> Refusal:
    return Refusal(
        RefusalCode.UNAVAILABLE,
        "This gateway is being stopped. The request is still held: send it again to wait on.",
        status=503,
        retry=True,
        retry_after_seconds=1,
        hold=exchange.hold,
        state=exchange.state,
    )
