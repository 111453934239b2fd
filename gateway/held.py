"""A request that needs a decision: find or make its hold, wait, release, forward, close. And answer, whatever comes.

::

    find ─▶ attach ┐              ┌─▶ approved: release ─▶ forward ─▶ close ─▶ delivered
                   ├─▶ wait ─▶ look ─▶ rejected, expired, cancelled, failed: refuse ─▶ delivered
    hold ──────────┘      ▲        ├─▶ completed: replay ─▶ delivered
                          └────────┴─▶ still pending, or released by somebody else: wait on

While a request waits nothing but its `Exchange` and the hold's id are kept; the body comes back with the release.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from gateway.accepted import accepted
from gateway.exchange import Exchange
from gateway.forward import Forwarder
from gateway.identify import check_still_known
from gateway.journal import Journal
from gateway.pauses import Paused, refuse_release
from gateway.prefer import Preferences
from gateway.record import Recorder
from gateway.refuse import refusal_of, refuse, unavailable
from gateway.transfer import Job
from gateway.transport import ClientGone
from gateway.wait import Stopping, Waiter, Waiting, Why
from holdpoint.clock import Clock
from holdpoint.errors import Conflict, NotFound, Refusal, StoreUnavailable
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import DecisionKind, Hold, Outcome, RefusalCode, State
from holdpoint.settings import Settings
from holdpoint.store import Draft, Store, StoredResponse
from holdpoint.store.limits import Allowance

_AGAIN_S = 0.3
_PATIENCE_S = 20.0  # how long a decided request waits for a lost Redis before it is refused
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
        self._live = live
        self._waiting = waiting
        self._forwarder = forwarder
        self._recorder = recorder
        self._journal = journal
        self._metrics = metrics
        self._clock = clock
        self._grace_ms = int(settings.abandon_grace_s * 1000)
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def take(self, exchange: Exchange, draft: Draft, allowance: Allowance) -> Hold:
        """The hold of this request: the one that it comes back to, or a new one, if ``allowance`` has room for it.

        Raises:
            Refusal: 422, the Idempotency-Key stands for another request.
            OverLimit: a new one would be one too many.
            StoreUnavailable: nothing was held.
        """
        with suppress(Conflict):
            async with self._turn:
                return await self._hold(exchange, draft, allowance, if_first=True)
        for _ in range(_MOST_READS):
            with suppress(Conflict):
                async with self._turn:
                    return await self._find_or_hold(exchange, draft, allowance)
        raise unavailable()

    async def comes_back(self, exchange: Exchange, draft: Draft) -> bool:
        """Whether there is a hold that this request would come back to. Changes nothing."""
        async with self._turn:
            return await self._find(exchange, draft) is not None

    async def _find(self, exchange: Exchange, draft: Draft) -> Hold | None:
        return await self._store.holds.find(
            requester=draft.requester,
            connection=draft.query.connection,
            digest=draft.digest,
            idempotency_key=exchange.request.header("idempotency-key"),
            retrying=_is_retry(exchange.request.header("x-stainless-retry-count")),
        )

    async def _find_or_hold(self, exchange: Exchange, draft: Draft, allowance: Allowance) -> Hold:
        found = await self._find(exchange, draft)
        if found is None:
            return await self._hold(exchange, draft, allowance, if_first=False)
        if found.original_digest != draft.digest:
            raise Refusal(
                RefusalCode.CONFLICT, "The Idempotency-Key was used before, with another request.", status=422
            )
        if draft.asynchronous or found.state in (State.APPROVED, State.COMPLETED):
            return found
        _log.info("request comes back to its hold", extra={"hold": found.id, "request": exchange.id})
        return await self._store.holds.attach(found, gateway=self._waiting.gateway)

    async def _hold(self, exchange: Exchange, draft: Draft, allowance: Allowance, *, if_first: bool) -> Hold:
        return await self._store.holds.hold(
            draft,
            gateway=self._waiting.gateway,
            idempotency_key=exchange.request.header("idempotency-key"),
            allowance=allowance,
            if_first=if_first,
        )

    async def attend(self, exchange: Exchange, wait: Wait) -> None:
        """Wait for the decision and act on it; returns when the client has its answer.

        Raises:
            Refusal, ClientGone, StoreUnavailable.
        """
        hold_id, state, deadline_ms, preferences = wait.hold, wait.state, wait.deadline_ms, wait.preferences
        exchange.hold, exchange.state = hold_id, state
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
                hold = await self._release(exchange, hold_id)
            except Conflict:
                async with self._turn:
                    hold = await self._patiently_get(exchange, hold_id)
                if hold.state is State.APPROVED:
                    continue
                if hold.state in (State.PENDING, State.RELEASED):
                    return hold
                await self._answer_final(exchange, hold)
                return None
            await self._forward(exchange, hold)
            return None
        raise unavailable(hold_id, State.APPROVED)

    async def _release(self, exchange: Exchange, hold_id: str) -> Hold:
        """Spend the approval, once it is sure that the caller may still have it and the model can be asked.

        Raises:
            Conflict: the hold is not approved (any more).
        """
        token = secrets.token_hex(8)
        give_up = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                await self._check_caller(exchange)
                await self._check_pause(exchange, hold_id)
                async with self._turn:
                    return await self._store.holds.release(hold_id, gateway=self._waiting.gateway, token=token)
            except StoreUnavailable:
                # The release may have happened. The same token makes it safe to ask again.
                if exchange.request.disconnected or asyncio.get_running_loop().time() > give_up:
                    self._settle_release(hold_id)
                    if exchange.request.disconnected:
                        raise ClientGone from None
                    raise unavailable(hold_id, exchange.state) from None
                await asyncio.sleep(_AGAIN_S)

    async def _check_caller(self, exchange: Exchange) -> None:
        """Keys are revoked, issuers lose trust and connections change while a request waits."""
        await self._live.ensure_fresh()
        snapshot = self._live.snapshot
        check_still_known(exchange, snapshot, self._clock())
        connection = snapshot.policy.connections.get(exchange.connection.name)
        if connection is None:
            raise Refusal(RefusalCode.UNAVAILABLE, "The connection is no longer in the policy.", status=503)
        exchange.connection = connection
        self._forwarder.check(exchange)

    async def _check_pause(self, exchange: Exchange, hold_id: str) -> None:
        """While the connection is paused the approval stays unspent; who waits is told so, on the record."""
        pause = self._live.snapshot.pause_of(exchange.connection.name)
        if pause is None:
            return
        async with self._turn:
            hold = await self._patiently_get(exchange, hold_id)
        try:
            refuse_release(pause, hold)
        except Paused as refusal:
            await self._journal.refused(exchange, refusal)
            raise

    def _settle_release(self, hold_id: str) -> None:
        """Nothing was forwarded; should the release have happened all the same, the hold has failed."""
        gateway = self._waiting.gateway

        async def settle() -> None:
            hold = await self._store.holds.get(hold_id)
            if hold.state is State.RELEASED and hold.releaser == gateway:
                await self._store.holds.close(hold, state=State.FAILED, outcome=_NOTHING_SENT, response=None)

        self._recorder.settle("a release", settle)

    async def _patiently_get(self, exchange: Exchange, hold_id: str) -> Hold:
        give_up = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                return await self._store.holds.get(hold_id)
            except NotFound:
                raise Refusal(RefusalCode.EXPIRED, "The hold is no longer kept.", status=410, hold=hold_id) from None
            except StoreUnavailable:
                if asyncio.get_running_loop().time() > give_up:
                    raise unavailable(hold_id, exchange.state) from None
                if exchange.request.disconnected:
                    raise ClientGone from None
                await asyncio.sleep(_AGAIN_S)

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


_NOTHING_SENT = Outcome(
    status=0,
    digest="",
    text="",
    prompt_tokens=None,
    completion_tokens=None,
    duration_ms=0,
    size_bytes=0,
    error="Redis was lost at the release; nothing was sent to the model",
)


def _is_retry(count: str | None) -> bool:
    return count is not None and count.isascii() and count.isdigit() and bool(count.strip("0"))


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
