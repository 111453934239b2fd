"""A request that needs a decision waits for it; and is answered, whatever comes.

::

    take ─▶ wait ─▶ look ┬─▶ decided: forwarded, refused or replayed (decided.py)
    (taking.py)  ▲       │
                 └───────┴─▶ still pending, or released by somebody else: wait on

While a request waits nothing but its `Exchange` and the hold's id are kept; the body comes back with the release.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.accepted import accepted
from gateway.decided import Decided
from gateway.exchange import Exchange
from gateway.prefer import Preferences
from gateway.wait import Stopping, Waiter, Waiting, Why
from gateway.wake_ups import WakeUps
from holdpoint.clock import Clock
from holdpoint.errors import Refusal
from holdpoint.model import Hold, RefusalCode, State
from holdpoint.store import Store

_LOOK_AGAIN_MS = 2_000


@dataclass(frozen=True, slots=True)
class Wait:
    """What a waiting request knows of its hold, as it was when the wait began."""

    hold: str
    state: State
    deadline_ms: int
    preferences: Preferences


class Held:
    """`attend` is what a waiting request awaits. ``turn`` bounds how many are on their way to Redis."""

    def __init__(
        self,
        *,
        store: Store,
        waiting: Waiting,
        wake_ups: WakeUps,
        decided: Decided,
        clock: Clock,
        turn: asyncio.Semaphore,
    ) -> None:
        self._store = store
        self._waiting = waiting
        self._wake_ups = wake_ups
        self._decided = decided
        self._clock = clock
        self._turn = turn

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
        longest_s = 0 if preferences.asynchronous else preferences.wait_s
        until = None if longest_s is None else asyncio.get_running_loop().time() + longest_s
        waiter = self._waiting.enter(hold_id)
        try:
            while True:
                if state in (State.PENDING, State.RELEASED):
                    why = await self._waiting.for_signal(waiter, exchange, deadline_ms=deadline_ms, until_s=until)
                    if why is Why.LATER:
                        await self._later(exchange, waiter, preferences)
                        return
                hold = await self._decided.answer(exchange, hold_id)
                if hold is None:
                    return
                state, deadline_ms = hold.state, self._look_again_at(hold)
                exchange.state = state
                del hold  # it has the body
        except Stopping:
            self._leave(waiter)
            raise _stopping(exchange) from None
        except BaseException:  # whatever it is told: it has no answer, and may come back for it
            self._leave(waiter)
            raise
        finally:
            waiter.close()

    async def _later(self, exchange: Exchange, waiter: Waiter, preferences: Preferences) -> None:
        """The client's own limit is over: it comes back for the answer. Others may wait on for the same hold here."""
        waiter.close()
        async with self._turn:
            await self._wake_ups.later(waiter.hold)
            hold = await self._store.holds.outline(waiter.hold)
        exchange.state = hold.state
        await accepted(exchange, hold, [("preference-applied", preferences.applied)])

    def _leave(self, waiter: Waiter) -> None:
        """The client has gone; while it may come back, the hold stays. Others may wait for the same hold here."""
        waiter.close()
        self._wake_ups.left(waiter.hold)

    def _look_again_at(self, hold: Hold) -> int:
        """When to look at an undecided hold at the latest, in case that no signal comes."""
        elsewhere = bool(hold.waiter) and hold.waiter != self._wake_ups.gateway  # its signals go to another gateway now
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
