"""The spine: the route of one request, from its first byte to the end of its answer.

::

    handle ─ identify ─ endpoint ─ body → Query ─ limits ─ policy.evaluate ─┬─ allow, modify: record ─ forward ─ record
                                                                            ├─ block:         record ─ refuse
                                                                            └─ review:        hold ─ wait ─ release ─ forward ─ close
                                                                                 └─ by a grant: as allow

Up to the verdict nothing waits, so that `handle` does it at once for a small request that is all there, and leaves an
allowed one to the fast lane (`gateway.lane`), which records and forwards it by callbacks. Everything else is awaited:
`_route` is the same up to the verdict, and `_act` what follows from it, whoever found it. The first token of an issuer is
such a request, too: the issuer's keys have to be fetched.

What people have put in force beside the policy stands next to it: a pause refuses at the endpoint, or makes a review of
what the policy allows (`pauses`); a grant lets pass what the policy would hold (`grants`). Every way out of here that is
not a forward is a refusal: what nobody foresaw ends in `gateway.guard`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import NoReturn, assert_never

from gateway.accepted import accepted
from gateway.access import AccessLog
from gateway.destination import Destinations
from gateway.evaluate import Evaluator
from gateway.exchange import NOBODY, Exchange, new_request_id
from gateway.forward import Forwarder
from gateway.grants import Grants
from gateway.guard import Guard
from gateway.held import Held, Wait
from gateway.holds import PREFIX, HoldsResource
from gateway.identify import Identifier
from gateway.inspect import arrived_body, read_body, unmodifiable
from gateway.journal import Journal, digest_of
from gateway.justification import justification_of
from gateway.key_scope import OutOfScope, check_address
from gateway.lane import Lane
from gateway.limited import Limited
from gateway.limits import Limits, limited
from gateway.pauses import held_by_pause
from gateway.prefer import NONE, preferences
from gateway.status import StatusPages
from gateway.tokens import KeysNeeded
from gateway.transfer import Job
from gateway.transport import Reply, Request
from holdpoint import canonical
from holdpoint.clock import Clock
from holdpoint.errors import OverLimit, Refusal
from holdpoint.live import Live, Snapshot
from holdpoint.metrics import Metrics
from holdpoint.model import Evaluation, EventKind, Hold, Part, Query, RefusalCode, State, Verdict
from holdpoint.settings import Settings
from holdpoint.store import Draft
from holdpoint.store.key_use import UsedKeys
from holdpoint.store.limits import UNLIMITED
from holdpoint.tokens.providers import Providers

_PASSES = frozenset({Verdict.ALLOW, Verdict.MODIFY})


class Proxy:
    """`handle` is what the server calls."""

    def __init__(
        self,
        *,
        live: Live,
        evaluator: Evaluator,
        journal: Journal,
        forwarder: Forwarder,
        held: Held,
        grants: Grants,
        limits: Limits,
        holds: HoldsResource,
        status: StatusPages,
        providers: Providers,
        used_keys: UsedKeys,
        metrics: Metrics,
        clock: Clock,
        settings: Settings,
        access: AccessLog | None = None,
    ) -> None:
        self._live = live
        self._identifier = Identifier(providers)
        self._evaluator = evaluator
        self._journal = journal
        self._destinations = Destinations(forwarder)
        self._forwarder = forwarder
        self._guard = Guard(metrics)
        self._lane = Lane(journal=journal, forwarder=forwarder, guard=self._guard)
        self._held = held
        self._grants = grants
        self._limits = limits
        self._holds = holds
        self._status = status
        self._used_keys = used_keys
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
        if not request.whole or not self._live.fresh_at(now_ms) or self._is_own(request.path):
            return self._guard(exchange, self._route, exchange)
        try:
            return self._begin(exchange, now_ms)
        except KeysNeeded:
            return self._guard(exchange, self._route, exchange)
        except Exception as error:  # noqa: BLE001 - nothing can be awaited here: the guard raises and refuses it
            return self._guard(exchange, self._turn_away, exchange, error)

    def _begin(self, exchange: Exchange, now_ms: int) -> Awaitable[None] | None:
        """Everything up to the verdict, at once; then the fast lane, or what is to be awaited."""
        snapshot = self._identify(exchange, now_ms)
        self._destinations.find(exchange, snapshot)
        raw = arrived_body(exchange, self._settings)
        if raw is None:
            return self._guard(exchange, self._pass, exchange, snapshot)
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
        return self._guard(exchange, self._act, exchange, snapshot, query, evaluation)

    async def _route(self, exchange: Exchange) -> None:
        """The same, step by step, for what has to wait: for a look at Redis, or for the rest of the body."""
        request = exchange.request
        if self._status.serves(request.path):
            await self._status.serve(request, exchange.reply)
            return
        await self._live.ensure_fresh()
        if request.path.startswith(PREFIX):
            try:
                await self._holds.serve(exchange, await self._identify_or_ask(exchange))
            except OutOfScope as refusal:
                await self._turn_away(exchange, refusal)
            return
        try:
            snapshot, raw = await self._read(exchange)
            query = (
                exchange.protocol.parse(exchange.connection.name, exchange.endpoint, raw) if raw is not None else None
            )
        except Refusal as refusal:
            await self._turn_away(exchange, refusal)
            return
        if query is None:
            going = self._pass(exchange, snapshot)
        else:
            going = (self._limit if snapshot.policy.limits else self._evaluate)(exchange, snapshot, query)
        del snapshot, raw, query  # a waiting request keeps none of them
        await going

    async def _read(self, exchange: Exchange) -> tuple[Snapshot, bytes | None]:
        """The body, and what is known when all of it is there; None for an endpoint that has none."""
        snapshot = await self._identify_or_ask(exchange)
        self._destinations.find(exchange, snapshot)
        raw = await read_body(exchange, self._settings)
        return snapshot if raw is None else await self._renewed(exchange, snapshot), raw

    async def _renewed(self, exchange: Exchange, snapshot: Snapshot) -> Snapshot:
        """After something that took its time: the key, the connection and the policy count as they are now."""
        if self._live.snapshot is snapshot and self._live.is_fresh:
            return snapshot
        await self._live.ensure_fresh()
        snapshot = await self._identify_or_ask(exchange)
        self._destinations.find(exchange, snapshot)
        return snapshot

    async def _limit(self, exchange: Exchange, snapshot: Snapshot, query: Query) -> None:
        """Ask Redis for what this gateway may not spend by itself, and go on."""
        snapshot = await self._admit(exchange, snapshot, query.prompt_tokens)
        going = self._evaluate(exchange, snapshot, query)
        del snapshot, query
        await going

    async def _admit(self, exchange: Exchange, snapshot: Snapshot, tokens: int) -> Snapshot:
        try:
            await self._limits.admit(exchange, snapshot, tokens)
            return await self._renewed(exchange, snapshot)
        except Refusal as refusal:
            await self._turn_away(exchange, refusal)

    async def _evaluate(self, exchange: Exchange, snapshot: Snapshot, query: Query) -> None:
        policy, now_ms = snapshot.policy, self._clock()
        if policy.is_large(query):
            evaluation = await self._evaluator.evaluate_large(policy, query, exchange.requester, now_ms)
        else:
            evaluation = policy.evaluate(query, exchange.requester, now_ms)
        try:
            query, evaluation = self._judged(exchange, snapshot, query, evaluation)
        except Refusal as refusal:
            await self._turn_away(exchange, refusal)
        going = self._act(exchange, snapshot, query, evaluation)
        del snapshot, policy, query, evaluation
        await going

    def _judged(
        self, exchange: Exchange, snapshot: Snapshot, query: Query, evaluation: Evaluation
    ) -> tuple[Query, Evaluation]:
        """What the policy says, as it stands under a pause, and the query as the policy changes it."""
        self._metrics.requests[exchange.connection.name, evaluation.verdict] += 1
        if snapshot.pauses:
            evaluation = held_by_pause(snapshot, exchange.connection.name, evaluation)
        if evaluation.edits:
            query = _modified(query, evaluation)
        exchange.stream = query.stream
        exchange.verdict = evaluation.verdict
        return query, evaluation

    async def _act(self, exchange: Exchange, snapshot: Snapshot, query: Query, evaluation: Evaluation) -> None:
        match evaluation.verdict:
            case Verdict.ALLOW | Verdict.MODIFY:
                await self._allow(exchange, query, evaluation)
            case Verdict.BLOCK:
                await self._block(exchange, query, evaluation)
            case Verdict.REVIEW:
                wait = await self._hold(exchange, snapshot, query, evaluation)
                del snapshot, query, evaluation
                if wait is not None:
                    await self._held.attend(exchange, wait)
            case _:
                assert_never(evaluation.verdict)

    async def _turn_away(self, exchange: Exchange, error: Exception) -> NoReturn:
        """Raise ``error``; a refusal of somebody who is known only once it is on the record."""
        if isinstance(error, Limited):
            await self._limits.refused(exchange, error)
        elif isinstance(error, Refusal) and exchange.requester is not NOBODY:
            await self._journal.refused(exchange, error)
        raise error

    def _is_own(self, path: str) -> bool:
        """Whether the gateway itself answers."""
        return path.startswith(PREFIX) or self._status.serves(path)

    def _identify(self, exchange: Exchange, now_ms: int) -> Snapshot:
        """Who asks, by what is known at this moment; the caller makes sure that it is fresh."""
        snapshot = self._live.snapshot
        self._identifier.identify(exchange, snapshot, now_ms)
        check_address(exchange, snapshot)
        if exchange.requester.key_id is not None:
            self._used_keys.note(exchange.requester.key_id, now_ms)
        return snapshot

    async def _identify_or_ask(self, exchange: Exchange) -> Snapshot:
        """The same, when the keys of a token's issuer have been fetched, where that is needed."""
        try:
            return self._identify(exchange, self._clock())
        except KeysNeeded:
            await self._identifier.ask_issuer(exchange.request, self._live.snapshot, self._clock())
            await self._live.ensure_fresh()  # the issuer took its time
            return self._identify(exchange, self._clock())

    async def _allow(self, exchange: Exchange, query: Query, evaluation: Evaluation) -> None:
        """What `Lane.start` does without waiting."""
        exchange.modified = bool(evaluation.edits)
        await self._journal.write(exchange, EventKind.REQUEST_ALLOWED, query, evaluation)
        await self._forward_allowed(exchange, query.body)

    async def _pass(self, exchange: Exchange, snapshot: Snapshot) -> None:
        """A known, harmless request: it has no body to inspect, and is limited and recorded like any other."""
        if snapshot.policy.limits:
            snapshot = await self._admit(exchange, snapshot, 0)
        del snapshot
        self._metrics.requests[exchange.connection.name, Verdict.ALLOW] += 1
        exchange.verdict = Verdict.ALLOW
        await self._journal.write(exchange, EventKind.REQUEST_ALLOWED, None, None)
        await self._forward_allowed(exchange, b"")

    async def _block(self, exchange: Exchange, query: Query, evaluation: Evaluation) -> None:
        reason = evaluation.reason or "The policy does not allow this request."
        await self._journal.write(exchange, EventKind.REQUEST_BLOCKED, query, evaluation, reason)
        raise Refusal(RefusalCode.BLOCKED, f"Blocked: {reason}")

    async def _hold(self, exchange: Exchange, snapshot: Snapshot, query: Query, evaluation: Evaluation) -> Wait | None:
        """The hold that this request waits for; None when the client has its answer: its 202, or the model's by a grant."""
        wishes = preferences(exchange.request.headers("prefer")) if exchange.request.header("prefer") else NONE
        draft = Draft(
            method=exchange.endpoint.method,
            target=exchange.endpoint.target,
            environment=exchange.connection.environment,
            query=query,
            requester=exchange.requester,
            address=exchange.request.peer,
            evaluation=evaluation,
            digest=digest_of(exchange, query.body),
            asynchronous=wishes.asynchronous,
            justification=justification_of(exchange.request),
        )
        if snapshot.grants and await self._grants.let_pass(exchange, draft, snapshot):
            await self._allow(exchange, query, evaluation)
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
            return await self._held.take(exchange, draft, allowance)
        except OverLimit as over:
            await self._turn_away(exchange, limited(allowance.budgets[over.place], over.wait_ms))

    async def _forward_allowed(self, exchange: Exchange, body: bytes) -> None:
        job = Job(
            target=exchange.endpoint.target,
            body=body,
            finish=self._journal.completion(exchange),
            held=False,
        )
        await self._forwarder.forward(exchange, job)


def _modified(query: Query, evaluation: Evaluation) -> Query:
    """The query with the policy's own texts in place."""
    edits = evaluation.edits
    try:
        body = canonical.apply_edits(query.body, edits)
    except KeyError:
        raise unmodifiable() from None
    parts = tuple(Part(part.path, part.role, edits.get(part.path, part.text)) for part in query.parts)
    return replace(query, body=body, parts=parts)
