"""The spine: the route of one request, from its first byte to the end of its answer.

::

    handle ─ identify ─ endpoint ─ body → Query ─ limits ─ policy.evaluate ─┬─ allow, modify: record ─ forward ─ record
                                                                            ├─ block:         record ─ refuse
                                                                            └─ review:        hold ─ wait ─ release ─ forward ─ close
                                                                                 └─ by a grant: as allow

Up to the verdict nothing waits, so that `handle` does it at once for a small request that is all there, and leaves an
allowed one to the fast lane (`gateway.lane`), which records and forwards it by callbacks. Everything else is awaited:
`_route` is the same up to the verdict, and `_act` what follows from it, whoever found it. Each step hands the next one
back to the guard, so that a request that waits keeps nothing of those before. The first token of an issuer is such a
request, too: the issuer's keys have to be fetched.

What people have put in force beside the policy stands next to it: a pause refuses at the endpoint, or makes a review of
what the policy allows (`pauses`); a grant lets pass what the policy would hold (`grants`). Every way out of here that is
not a forward is a refusal: what nobody foresaw ends in `gateway.guard`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import assert_never

from gateway.access import AccessLog
from gateway.act import Act
from gateway.arrival import Arrival
from gateway.drafts import modified
from gateway.evaluate import Evaluator
from gateway.exchange import Exchange, new_request_id
from gateway.guard import Going, Guard
from gateway.held import Held
from gateway.holds import PREFIX, HoldsResource
from gateway.inspect import arrived_body, known_body, read_body
from gateway.key_scope import OutOfScope
from gateway.lane import Lane
from gateway.limits import Limits
from gateway.pauses import held_by_pause
from gateway.status import StatusPages
from gateway.tokens import KeysNeeded
from gateway.transport import Reply, Request
from holdpoint.clock import Clock
from holdpoint.errors import Refusal
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import Evaluation, Query, Verdict
from holdpoint.settings import Settings
from holdpoint.snapshot import Snapshot

_PASSES = frozenset({Verdict.ALLOW, Verdict.MODIFY})


class Proxy:
    """`handle` is what the server calls."""

    def __init__(
        self,
        *,
        live: Live,
        arrival: Arrival,
        evaluator: Evaluator,
        guard: Guard,
        lane: Lane,
        act: Act,
        held: Held,
        limits: Limits,
        holds: HoldsResource,
        status: StatusPages,
        metrics: Metrics,
        clock: Clock,
        settings: Settings,
        access: AccessLog | None = None,
    ) -> None:
        self._live = live
        self._arrival = arrival
        self._evaluator = evaluator
        self._guard = guard
        self._lane = lane
        self._act = act
        self._held = held
        self._limits = limits
        self._holds = holds
        self._status = status
        self._metrics = metrics
        self._clock = clock
        self._settings = settings
        self._access = access

    def handle(self, request: Request, reply: Reply) -> Awaitable[None] | None:
        """Take one request: what is to be awaited for its answer; None when the fast lane brings it. Never raises."""
        exchange = Exchange(request, reply, new_request_id())
        if self._access is not None:
            self._access.began(exchange)
        now_ms = self._clock()
        try:
            if not request.whole or not self._live.fresh_at(now_ms):
                return self._guard(exchange, self._route, exchange)
            snapshot = self._arrival.known(exchange, now_ms)
            if snapshot is None and self._is_own(request.path):
                return self._guard(exchange, self._route, exchange)
            return self._begin(exchange, snapshot, now_ms)
        except KeysNeeded:
            return self._guard(exchange, self._route, exchange)
        except Exception as error:  # noqa: BLE001 - nothing can be awaited here: the guard raises and refuses it
            return self._guard(exchange, self._act.turn_away, exchange, error)

    def _begin(self, exchange: Exchange, snapshot: Snapshot | None, now_ms: int) -> Awaitable[None] | None:
        """Everything up to the verdict, at once; then the fast lane, or what is to be awaited.

        ``snapshot`` is the one under which the same head has come this far before.
        """
        if snapshot is not None:
            raw = known_body(exchange, self._settings)
        else:
            snapshot = self._arrival.find(exchange, now_ms)
            first = arrived_body(exchange, self._settings)
            if first is None:
                return self._guard(exchange, self._pass, exchange, snapshot)
            self._arrival.learn(exchange, snapshot)
            raw = first
        query = exchange.protocol.parse(exchange.connection.name, exchange.endpoint, raw)
        if snapshot.policy.limits and not self._limits.admits(exchange, snapshot, query.prompt_tokens):
            return self._guard(exchange, self._limit, exchange, snapshot, query)
        if snapshot.policy.is_large(query):
            return self._guard(exchange, self._evaluate, exchange, snapshot, query)
        evaluation = snapshot.policy.evaluate(query, exchange.requester, now_ms)
        query, evaluation = self._judged(exchange, snapshot, query, evaluation)
        if evaluation.verdict in _PASSES:
            exchange.modified = bool(evaluation.edits)
            self._lane.start(exchange, query, evaluation)
            return None
        return self._guard(exchange, self._follow, exchange, snapshot, query, evaluation)

    async def _route(self, exchange: Exchange) -> Going | None:
        """The same, step by step, for what has to wait: for a look at Redis, or for the rest of the body."""
        request = exchange.request
        if self._status.serves(request.path):
            await self._status.serve(request, exchange.reply)
            return None
        await self._live.ensure_fresh()
        if request.path.startswith(PREFIX):
            try:
                await self._holds.serve(exchange, await self._arrival.identify_or_ask(exchange))
            except OutOfScope as refusal:
                await self._act.turn_away(exchange, refusal)
            return None
        try:
            snapshot, query = await self._arrival.find_or_ask(exchange), None
            raw = await read_body(exchange, self._settings)
            if raw is not None:
                snapshot = await self._arrival.renewed(exchange, snapshot)
                query = exchange.protocol.parse(exchange.connection.name, exchange.endpoint, raw)
        except Refusal as refusal:
            await self._act.turn_away(exchange, refusal)
        if query is None:
            return self._pass(exchange, snapshot)
        return (self._limit if snapshot.policy.limits else self._evaluate)(exchange, snapshot, query)

    async def _limit(self, exchange: Exchange, snapshot: Snapshot, query: Query) -> Going:
        """Ask Redis for what this gateway may not spend by itself, and go on."""
        snapshot = await self._admit(exchange, snapshot, query.prompt_tokens)
        return self._evaluate(exchange, snapshot, query)

    async def _admit(self, exchange: Exchange, snapshot: Snapshot, tokens: int) -> Snapshot:
        try:
            await self._limits.admit(exchange, snapshot, tokens)
            return await self._arrival.renewed(exchange, snapshot)
        except Refusal as refusal:
            await self._act.turn_away(exchange, refusal)

    async def _evaluate(self, exchange: Exchange, snapshot: Snapshot, query: Query) -> Going:
        policy, now_ms = snapshot.policy, self._clock()
        if policy.is_large(query):
            evaluation = await self._evaluator.evaluate_large(policy, query, exchange.requester, now_ms)
        else:
            evaluation = policy.evaluate(query, exchange.requester, now_ms)
        try:
            query, evaluation = self._judged(exchange, snapshot, query, evaluation)
        except Refusal as refusal:
            await self._act.turn_away(exchange, refusal)
        return self._follow(exchange, snapshot, query, evaluation)

    def _judged(
        self, exchange: Exchange, snapshot: Snapshot, query: Query, evaluation: Evaluation
    ) -> tuple[Query, Evaluation]:
        """What the policy says, as it stands under a pause, and the query as the policy changes it."""
        self._metrics.requests[exchange.connection.name, evaluation.verdict] += 1
        if snapshot.pauses:
            evaluation = held_by_pause(snapshot, exchange.connection.name, evaluation)
        if evaluation.edits:
            query = modified(query, evaluation)
        exchange.stream = query.stream
        exchange.verdict = evaluation.verdict
        return query, evaluation

    async def _follow(
        self, exchange: Exchange, snapshot: Snapshot, query: Query, evaluation: Evaluation
    ) -> Going | None:
        match evaluation.verdict:
            case Verdict.ALLOW | Verdict.MODIFY:
                return self._act.allow(exchange, query, evaluation)
            case Verdict.BLOCK:
                return self._act.block(exchange, query, evaluation)
            case Verdict.REVIEW:
                wait = await self._act.review(exchange, snapshot, query, evaluation)
                return self._held.attend(exchange, wait) if wait is not None else None
            case _:
                assert_never(evaluation.verdict)

    def _is_own(self, path: str) -> bool:
        """Whether the gateway itself answers."""
        return path.startswith(PREFIX) or self._status.serves(path)

    async def _pass(self, exchange: Exchange, snapshot: Snapshot) -> Going:
        """A known, harmless request: it has no body to inspect, and is limited and recorded like any other."""
        if snapshot.policy.limits:
            await self._admit(exchange, snapshot, 0)
        self._metrics.requests[exchange.connection.name, Verdict.ALLOW] += 1
        exchange.verdict = Verdict.ALLOW
        return self._act.pass_on(exchange)
