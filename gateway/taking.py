"""A request takes the hold that it comes back to, or a new one; also when it is sent to two gateways at once.

::

    hold, if it is the first ─┬─▶ a new hold
                              └─▶ find ─▶ attach, or hold ─┬─▶ the hold
                                    ▲                      │
                                    └── it changed meanwhile
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from gateway.exchange import Exchange
from gateway.refuse import unavailable
from gateway.wake_ups import WakeUps
from holdpoint.errors import Conflict, Refusal, StoreUnavailable, Unheard
from holdpoint.model import Hold, RefusalCode, State
from holdpoint.store import Draft, Store
from holdpoint.store.limits import Allowance

_MOST_READS = 50

_log = logging.getLogger(__name__)


class Taking:
    """``turn`` bounds how many are on their way to Redis."""

    def __init__(self, store: Store, wake_ups: WakeUps, turn: asyncio.Semaphore) -> None:
        self._store = store
        self._wake_ups = wake_ups
        self._turn = turn

    async def take(self, exchange: Exchange, draft: Draft, allowance: Allowance) -> Hold:
        """The hold of this request: the one that it comes back to, or a new one, if ``allowance`` has room for it.

        Raises:
            Refusal: 422, the Idempotency-Key stands for another request.
            OverLimit: a new one would be one too many.
            StoreUnavailable: nobody waits; should there be a hold all the same, the request comes back to it.
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
        if found.state in (State.APPROVED, State.COMPLETED):
            return found
        if draft.asynchronous and not await self._has_to_return(found):
            return found
        _log.info("request comes back to its hold", extra={"hold": found.id, "request": exchange.id})
        return await self._come_back(found, collects=draft.asynchronous)

    async def _has_to_return(self, found: Hold) -> bool:
        """Whether the client is away, or will be taken for it: its leave is on its way, or its gateway lost and not swept yet."""
        if found.state is not State.PENDING:
            return False
        if found.waiter == self._wake_ups.gateway:
            return not self._wake_ups.waits_for(found.id)
        lost = bool(found.waiter) and not await self._store.gateways.is_alive(found.waiter)
        return lost or found.return_by_ms is not None

    async def _come_back(self, found: Hold, *, collects: bool) -> Hold:
        """The client is here again. ``collects``: it does not wait, and need not return in time any more."""
        try:
            attached = await self._store.holds.attach(found, gateway=self._wake_ups.gateway)
        except Unheard as unheard:
            self._wake_ups.left(unheard.hold)
            raise
        if collects:
            await self._collects(found.id)
        return attached

    async def _collects(self, hold: str) -> None:
        try:
            await self._wake_ups.later(hold)
        except StoreUnavailable:
            self._wake_ups.left(hold)
            raise

    async def _hold(self, exchange: Exchange, draft: Draft, allowance: Allowance, *, if_first: bool) -> Hold:
        try:
            return await self._store.holds.hold(
                draft,
                gateway=self._wake_ups.gateway,
                idempotency_key=exchange.request.header("idempotency-key"),
                allowance=allowance,
                if_first=if_first,
            )
        except Unheard as unheard:
            self._wake_ups.left(unheard.hold)
            raise


def _is_retry(count: str | None) -> bool:
    return count is not None and count.isascii() and count.isdigit() and bool(count.strip("0"))
