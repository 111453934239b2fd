"""Limits at work: a request passes when every budget that it falls under has room for it, and is refused with a 429 else.

::

    admits ─▶ by the shares of this gateway, at once ─▶ inspected
       └────▶ admit: one question to Redis ─┬─▶ inspected
                                            └─▶ Limited: the first one is recorded at once, the others are counted

Requests and prompt tokens are spent before the policy is asked, so that who probes it with what it blocks is limited,
too. Holds are counted when they are made (`allowance`), in the script that makes them; what it refuses has not used its
prompt tokens. Without limits in the policy none of this is called.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never

from gateway.budgets import Account, Budgets, Charges
from gateway.exchange import Exchange
from gateway.journal import Journal
from gateway.limited import Limited, LimitedLog
from holdpoint.metrics import Metrics
from holdpoint.policy.limits import Budget, Measure, Per, budgets_of
from holdpoint.snapshot import Snapshot
from holdpoint.store import Store
from holdpoint.store.limits import Allowance
from holdpoint.tasks import OnDeath

_MOST_KNOWN = 10_000
_OF_HOLDS = frozenset({Measure.HOLDS, Measure.HOLDS_AT_ONCE})

_AMOUNTS = {
    Measure.REQUESTS: "requests a minute",
    Measure.PROMPT_TOKENS: "prompt tokens a minute",
    Measure.HOLDS_AT_ONCE: "requests that wait for a decision at once",
    Measure.HOLDS: "requests that wait for a decision in an hour",
}


class Limits:
    """What the spine asks. ``tokens`` are the estimated prompt tokens of the request."""

    def __init__(self, budgets: Budgets, log: LimitedLog) -> None:
        self._budgets = budgets
        self._log = log
        self._snapshot: Snapshot | None = None
        self._known: dict[tuple[object, ...], tuple[tuple[Account, ...], tuple[Budget, ...]]] = {}

    def admits(self, exchange: Exchange, snapshot: Snapshot, tokens: int) -> bool:
        """Whether the request passes by what this gateway may spend by itself; if not, `admit` knows.

        Raises:
            Limited: there is no room for it.
        """
        charges = self._charges(exchange, snapshot, tokens)
        full = self._budgets.full(charges)
        if full is not None:
            raise limited(full.budget, full.wait_ms)
        return self._budgets.spend(charges)

    async def admit(self, exchange: Exchange, snapshot: Snapshot, tokens: int) -> None:
        """Let the request pass, with one question to Redis at most.

        Raises:
            Limited: there is no room for it.
            StoreUnavailable: nobody knows.
        """
        if self.admits(exchange, snapshot, tokens):
            return
        full = await self._budgets.ask(self._charges(exchange, snapshot, tokens))
        if full is not None:
            raise limited(full.budget, full.wait_ms)

    def allowance(self, exchange: Exchange, snapshot: Snapshot, tokens: int) -> Allowance:
        """What a hold of the request is counted under, and what comes back to the requester when it is not made."""
        accounts, of_holds = self._look_up(exchange, snapshot)
        if not of_holds:
            return Allowance()
        spent = [(each.budget, tokens) for each in accounts if each.budget.measure is Measure.PROMPT_TOKENS and tokens]
        return Allowance(of_holds, tuple(spent))

    async def refused(self, exchange: Exchange, refusal: Limited) -> None:
        """Count the refusal, and put it on the record."""
        await self._log.refused(exchange, refusal)

    def _charges(self, exchange: Exchange, snapshot: Snapshot, tokens: int) -> Charges:
        accounts, _ = self._look_up(exchange, snapshot)
        charges = []
        for account in accounts:
            cost = 1 if account.budget.measure is Measure.REQUESTS else tokens
            if cost > account.budget.most:
                raise _too_large(account.budget, cost)
            if cost:
                charges.append((account, cost))
        return charges

    def _look_up(self, exchange: Exchange, snapshot: Snapshot) -> tuple[tuple[Account, ...], tuple[Budget, ...]]:
        """The accounts of requests and tokens, and the budgets of holds."""
        if snapshot is not self._snapshot or len(self._known) >= _MOST_KNOWN:
            self._snapshot, self._known = snapshot, {}
            self._budgets.forget_idle()
        requester, connection = exchange.requester, exchange.connection.name
        key = (requester.principal, requester.owner, requester.groups, connection)
        found = self._known.get(key)
        if found is None:
            groups = snapshot.groups_of(requester.principal, requester.groups)
            budgets = budgets_of(snapshot.policy.limits, requester, groups, connection)
            found = self._known[key] = (
                tuple(self._budgets.account(each) for each in budgets if each.measure not in _OF_HOLDS),
                tuple(each for each in budgets if each.measure in _OF_HOLDS),
            )
        return found


@asynccontextmanager
async def running_limits(
    store: Store, journal: Journal, metrics: Metrics, *, on_death: OnDeath | None = None
) -> AsyncIterator[Limits]:
    """The limits of one gateway, at work inside the block."""
    budgets, log = Budgets(store.limits, on_death=on_death), LimitedLog(journal, metrics, on_death=on_death)
    budgets.start()
    log.start()
    try:
        yield Limits(budgets, log)
    finally:
        await log.stop()
        await budgets.stop()


def limited(budget: Budget, wait_ms: int) -> Limited:
    """The refusal while there is no room in ``budget`` for another ``wait_ms``."""
    seconds = max(1, math.ceil(wait_ms / 1000))
    reason = (
        f"The limit {budget.limit!r} is reached: {budget.most} {_AMOUNTS[budget.measure]} {_for(budget)}. "
        f"Try again in {seconds} s."
    )
    return Limited(budget, reason, retry_after_seconds=seconds)


def _too_large(budget: Budget, cost: int) -> Limited:
    """Waiting helps nothing."""
    reason = (
        f"This request alone has about {cost} prompt tokens. The limit {budget.limit!r} allows {budget.most} "
        f"a minute {_for(budget)}."
    )
    return Limited(budget, reason, retry_after_seconds=None)


def _for(budget: Budget) -> str:
    match budget.per:
        case Per.REQUESTER:
            return "for each requester"
        case Per.GROUP:
            return f"for the group {budget.whose}"
        case Per.CONNECTION:
            return f"for the connection {budget.whose}"
        case _:
            assert_never(budget.per)
