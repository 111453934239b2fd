"""The approval is spent: once, and only when the caller may still have it and the model can be asked."""

from __future__ import annotations

import asyncio
import secrets

from gateway.exchange import Exchange
from gateway.forward import Forwarder
from gateway.identify import check_still_known
from gateway.journal import Journal
from gateway.pauses import Paused, refuse_release
from gateway.record import Recorder
from gateway.refuse import unavailable
from gateway.transport import ClientGone
from gateway.wake_ups import WakeUps
from holdpoint.clock import Clock
from holdpoint.errors import Conflict, NotFound, Refusal, StoreUnavailable
from holdpoint.live import Live
from holdpoint.model import Hold, Outcome, RefusalCode, State
from holdpoint.snapshot import Snapshot
from holdpoint.store import Store

_AGAIN_S = 0.3
_PATIENCE_S = 20.0  # how long a decided request waits for a lost Redis before it is refused


class Releases:
    """``turn`` bounds how many are on their way to Redis."""

    def __init__(
        self,
        *,
        store: Store,
        live: Live,
        wake_ups: WakeUps,
        forwarder: Forwarder,
        recorder: Recorder,
        journal: Journal,
        clock: Clock,
        turn: asyncio.Semaphore,
    ) -> None:
        self._store = store
        self._live = live
        self._wake_ups = wake_ups
        self._forwarder = forwarder
        self._recorder = recorder
        self._journal = journal
        self._clock = clock
        self._turn = turn

    async def spend(self, exchange: Exchange, hold_id: str) -> Hold:
        """Spend the approval, once it is sure that the caller may still have it and the model can be asked.

        Raises:
            Conflict: the hold is not approved (any more).
        """
        token, unheard = secrets.token_hex(8), False
        give_up = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                await self._check_caller(exchange, hold_id)
                await self._check_pause(exchange, hold_id)
                async with self._turn:
                    return await self._store.holds.release(hold_id, gateway=self._wake_ups.gateway, token=token)
            except StoreUnavailable:
                # The release may have happened. The same token makes it safe to ask again.
                unheard = True
                if exchange.request.disconnected or asyncio.get_running_loop().time() > give_up:
                    self._settle_release(hold_id, token)
                    if exchange.request.disconnected:
                        raise ClientGone from None
                    raise unavailable(hold_id, exchange.state) from None
                await asyncio.sleep(_AGAIN_S)
            except (Conflict, Refusal, ClientGone):
                if unheard:
                    self._settle_release(hold_id, token)
                raise

    async def get(self, exchange: Exchange, hold_id: str) -> Hold:
        """The hold as it is now, in outline, also when Redis has to be waited for.

        Raises:
            Refusal: it is no longer kept.
            ClientGone: nobody waits any more.
        """
        give_up = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                async with self._turn:
                    return await self._store.holds.outline(hold_id)
            except NotFound:
                raise Refusal(RefusalCode.EXPIRED, "The hold is no longer kept.", status=410, hold=hold_id) from None
            except StoreUnavailable:
                if asyncio.get_running_loop().time() > give_up:
                    raise unavailable(hold_id, exchange.state) from None
                if exchange.request.disconnected:
                    raise ClientGone from None
                await asyncio.sleep(_AGAIN_S)

    async def _check_caller(self, exchange: Exchange, hold_id: str) -> None:
        """Keys are revoked, issuers lose trust and connections change while a request waits."""
        await self._live.ensure_fresh()
        snapshot = self._live.snapshot
        check_still_known(exchange, snapshot, self._clock())
        try:
            self._check_connection(exchange, snapshot)
        except Refusal:
            if (await self.get(exchange, hold_id)).state is not State.APPROVED:
                raise Conflict("there is no approval to be spent") from None  # and what there is may be told
            raise

    def _check_connection(self, exchange: Exchange, snapshot: Snapshot) -> None:
        """The connection is still there, and is asked as it is now."""
        connection = snapshot.policy.connections.get(exchange.connection.name)
        if connection is None:
            raise Refusal(RefusalCode.UNAVAILABLE, "The connection is no longer in the policy.", status=503)
        exchange.connection = connection
        self._forwarder.check(exchange)

    async def _check_pause(self, exchange: Exchange, hold_id: str) -> None:
        """While the connection is paused the approval stays unspent; who waits is told so, on the record.

        What is pending might be approved before it is released, and nobody would have looked whether it may be.
        """
        pause = self._live.snapshot.pause_of(exchange.connection.name)
        if pause is None:
            return
        hold = await self.get(exchange, hold_id)
        if hold.state is State.PENDING:
            raise Conflict("the hold is pending, not approved")
        try:
            refuse_release(pause, hold)
        except Paused as refusal:
            await self._journal.refused(exchange, refusal)
            raise

    def _settle_release(self, hold_id: str, token: str) -> None:
        """Nothing was forwarded; should the release with ``token`` have happened all the same, the hold has failed."""
        gateway, holds = self._wake_ups.gateway, self._store.holds

        async def settle() -> None:
            if (await holds.get(hold_id)).state is State.RELEASED:
                hold = await holds.release(hold_id, gateway=gateway, token=token)  # Conflict: by somebody else
                await holds.close(hold, state=State.FAILED, outcome=_NOTHING_SENT, response=None)

        self._recorder.settle("a release", settle)


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
