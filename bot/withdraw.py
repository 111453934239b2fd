"""A requester takes a request back. Platform-free: who + hold → the hold as it is now, or a `DecisionError`."""

from __future__ import annotations

from bot.sentences import already_sentence
from holdpoint.clock import Clock
from holdpoint.errors import Conflict, MayNotDecide, StoreUnavailable, TooLate
from holdpoint.model import Hold, State
from holdpoint.store import Store

_ATTEMPTS = 32
REASON = "withdrawn by the requester"


class Withdrawals:
    """Cancels pending holds for those who sent them."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def withdraw(self, hold_id: str, principal: str) -> Hold:
        """Cancel a pending hold. ``principal`` was verified by the channel. A hold that they cancelled stays so.

        Raises:
            NotFound: there is no such hold.
            MayNotDecide: it is neither their own request nor one of an agent that they own.
            TooLate: it was decided or has ended.
            StoreUnavailable: Redis is lost.
        """
        for _ in range(_ATTEMPTS):
            hold = await self._store.holds.get(hold_id)
            if not is_requester(hold, principal):
                raise MayNotDecide("Only the requester can cancel a request.")
            if hold.state is State.CANCELLED:
                return hold
            if hold.state is not State.PENDING:
                raise TooLate(already_sentence(hold, now_ms=self._clock()))
            try:
                return await self._store.holds.cancel(hold, by=principal, reason=REASON)
            except Conflict:
                continue
        raise StoreUnavailable("the hold kept changing; nothing was cancelled")


def is_requester(hold: Hold, principal: str) -> bool:
    """Whether ``principal`` sent the request, or owns the agent that did."""
    return principal == (hold.requester.owner or hold.requester.principal)
