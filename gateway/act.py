"""What follows from a verdict, recorded first: forwarded, refused, or held for people to decide.

::

    allow ─ record ─ forward          block ─ record ─ refuse          review ─┬─ a grant lets it pass: as allow
                                                                               └─ hold: the route waits, or a 202
"""

from __future__ import annotations

from typing import NoReturn

from gateway.accepted import accepted
from gateway.drafts import draft_of
from gateway.exchange import NOBODY, Exchange
from gateway.forward import Forwarder
from gateway.grants import Grants
from gateway.held import Wait
from gateway.journal import Journal
from gateway.limited import Limited
from gateway.limits import Limits, limited
from gateway.prefer import NONE, preferences
from gateway.taking import Taking
from gateway.transfer import Job
from holdpoint.errors import OverLimit, Refusal
from holdpoint.model import Evaluation, EventKind, Hold, Query, RefusalCode, State
from holdpoint.snapshot import Snapshot
from holdpoint.store import Draft
from holdpoint.store.limits import UNLIMITED


class Act:
    """Each method is one end of the route; all of them are awaited."""

    def __init__(
        self, journal: Journal, *, forwarder: Forwarder, taking: Taking, grants: Grants, limits: Limits
    ) -> None:
        self._journal = journal
        self._forwarder = forwarder
        self._taking = taking
        self._grants = grants
        self._limits = limits

    async def turn_away(self, exchange: Exchange, error: Exception) -> NoReturn:
        """Raise ``error``; a refusal of somebody who is known only once it is on the record."""
        if isinstance(error, Limited):
            await self._limits.refused(exchange, error)
        elif isinstance(error, Refusal) and exchange.requester is not NOBODY:
            await self._journal.refused(exchange, error)
        raise error

    async def allow(self, exchange: Exchange, query: Query, evaluation: Evaluation) -> None:
        """What `Lane.start` does without waiting."""
        exchange.modified = bool(evaluation.edits)
        await self._journal.write(exchange, EventKind.REQUEST_ALLOWED, query, evaluation)
        await self._forward(exchange, query.body)

    async def pass_on(self, exchange: Exchange) -> None:
        """A request without a body is allowed."""
        await self._journal.write(exchange, EventKind.REQUEST_ALLOWED, None, None)
        await self._forward(exchange, b"")

    async def block(self, exchange: Exchange, query: Query, evaluation: Evaluation) -> None:
        """Record it, and raise the `Refusal`."""
        reason = evaluation.reason or "The policy does not allow this request."
        await self._journal.write(exchange, EventKind.REQUEST_BLOCKED, query, evaluation, reason)
        raise Refusal(RefusalCode.BLOCKED, f"Blocked: {reason}")

    async def review(self, exchange: Exchange, snapshot: Snapshot, query: Query, evaluation: Evaluation) -> Wait | None:
        """The hold that this request waits for; None when the client has its answer: its 202, or the model's by a grant."""
        wishes = preferences(exchange.request.headers("prefer")) if exchange.request.header("prefer") else NONE
        draft = draft_of(exchange, query, evaluation, wishes)
        if snapshot.grants and await self._grants.let_pass(exchange, draft, snapshot):
            await self.allow(exchange, query, evaluation)
            return None
        hold = await self._take(exchange, draft, snapshot)
        exchange.hold, exchange.state = hold.id, hold.state
        if wishes.asynchronous and hold.state is State.PENDING:
            await accepted(exchange, hold, [("preference-applied", wishes.applied)])
            return None
        return Wait(hold.id, hold.state, hold.deadline_ms, wishes)

    async def _take(self, exchange: Exchange, draft: Draft, snapshot: Snapshot) -> Hold:
        allowance = UNLIMITED
        if snapshot.policy.limits:
            allowance = self._limits.allowance(exchange, snapshot, draft.query.prompt_tokens)
        try:
            return await self._taking.take(exchange, draft, allowance)
        except OverLimit as over:
            await self.turn_away(exchange, limited(allowance.budgets[over.place], over.wait_ms))

    async def _forward(self, exchange: Exchange, body: bytes) -> None:
        job = Job(
            target=exchange.endpoint.target,
            body=body,
            finish=self._journal.completion(exchange),
            held=False,
        )
        await self._forwarder.forward(exchange, job)
