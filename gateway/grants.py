"""Standing approvals at work: a request that the policy holds passes by a grant that covers it, and is counted as a use."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from gateway.exchange import Exchange
from gateway.taking import Taking
from holdpoint.clock import Clock
from holdpoint.metrics import Metrics
from holdpoint.policy.grants import covering, review_rules
from holdpoint.snapshot import Snapshot
from holdpoint.store import Draft, Store

_AT_ONCE = 64  # of the store's connections

_log = logging.getLogger(__name__)


class Grants:
    """`let_pass` is asked about what is about to be held."""

    def __init__(self, store: Store, taking: Taking, *, metrics: Metrics, clock: Clock) -> None:
        self._store = store
        self._taking = taking
        self._metrics = metrics
        self._clock = clock
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def let_pass(self, exchange: Exchange, draft: Draft, snapshot: Snapshot) -> bool:
        """Whether a grant lets the request pass; then ``exchange.grant`` names it, and its use is counted and recorded.

        A request that comes back to its hold does not use a grant: what was decided about it counts.

        Raises:
            StoreUnavailable: nothing may be forwarded; a use may have been counted.
        """
        requester, limits = draft.requester, draft.evaluation.terms.grant
        if not snapshot.grants or limits is None:
            return False
        groups = snapshot.groups_of(requester.principal, requester.groups)
        side = {requester.principal, requester.owner or requester.principal, *requester.aliases}
        known = replace(requester, aliases=snapshot.linked.kin(side))  # who made a grant may have been linked since
        grants = covering(snapshot.grants, draft.query, known, groups, draft.evaluation, self._clock())
        if not grants or await self._taking.comes_back(exchange, draft):
            return False
        rules = review_rules(draft.evaluation)
        for grant in grants:
            async with self._turn:
                used = await self._store.grants.use(
                    grant.id,
                    request=exchange.id,
                    requester=requester,
                    connection=draft.query.connection,
                    digest=draft.digest,
                    rules=rules,
                    most=limits.uses,
                )
            if used:
                exchange.grant = grant.id
                self._metrics.granted[draft.query.connection] += 1
                _log.info("request passes by a grant", extra={"grant": grant.id, "request": exchange.id})
                return True
        return False
