"""The spine: the route of one request, from its first byte to the end of its answer.

::

    handle ─ identify ─ endpoint ─ body → Query ─ policy.evaluate ─┬─ allow, modify: record ─ forward ─ record
                                                                   ├─ block:         record ─ refuse
                                                                   └─ review:        hold ─ wait ─ release ─ forward ─ close

From the body to the verdict nothing waits, but for the verdict on a large body. Every way out of here that is not a
forward is a refusal: what nobody foresaw ends in `handle`, which refuses, counts and logs with an id.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import assert_never

from gateway.accepted import accepted
from gateway.evaluate import Evaluator
from gateway.exchange import Exchange, new_request_id
from gateway.forward import Forwarder, Job
from gateway.held import Held, Wait
from gateway.holds import PREFIX, HoldsResource
from gateway.identify import Identifier
from gateway.inspect import read_body, refuse_query_string, unmodifiable
from gateway.prefer import NONE, preferences
from gateway.protocols import protocol_of
from gateway.record import Recorder
from gateway.refuse import refuse, unavailable
from gateway.status import StatusPages
from gateway.transport import ClientGone, Reply, Request
from holdpoint import canonical
from holdpoint.clock import Clock
from holdpoint.errors import Refusal, StoreUnavailable
from holdpoint.live import Live, Snapshot
from holdpoint.metrics import Metrics
from holdpoint.model import Evaluation, EventKind, Outcome, Part, Query, RefusalCode, State, Verdict
from holdpoint.settings import Settings
from holdpoint.store import Draft, StoredResponse, events

_LONGEST_TARGET = 200  # of an unknown path, in its record

_log = logging.getLogger(__name__)


class Proxy:
    """`handle` is what the server calls."""

    def __init__(
        self,
        *,
        live: Live,
        evaluator: Evaluator,
        recorder: Recorder,
        forwarder: Forwarder,
        held: Held,
        holds: HoldsResource,
        status: StatusPages,
        metrics: Metrics,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._live = live
        self._identifier = Identifier()
        self._evaluator = evaluator
        self._recorder = recorder
        self._forwarder = forwarder
        self._held = held
        self._holds = holds
        self._status = status
        self._metrics = metrics
        self._clock = clock
        self._settings = settings

    async def handle(self, request: Request, reply: Reply) -> None:
        """Answer one request. Never raises but for cancellation."""
        exchange = Exchange(request, reply, new_request_id())
        try:
            try:
                await self._route(exchange)
            except Refusal as refusal:
                await self._refuse(exchange, refusal)
            except StoreUnavailable as error:
                _log.warning("refused: %s", error, extra={"request": exchange.id})
                await self._refuse(exchange, unavailable())
            except ClientGone:
                raise
            except Exception:  # noqa: BLE001 - the outermost handler: refuses, counts, logs with an id
                await self._refuse(exchange, self._unexpected(exchange))
        except ClientGone:
            reply.abort()

    async def _route(self, exchange: Exchange) -> None:
        request = exchange.request
        if self._status.serves(request.path):
            await self._status.serve(request, exchange.reply)
            return
        snapshot = await self._identify(exchange)
        if request.path.startswith(PREFIX):
            await self._holds.serve(exchange, snapshot)
            return
        try:
            self._find_endpoint(exchange, snapshot)
            raw = await read_body(exchange, self._settings)
            if raw is None:
                await self._pass(exchange)
                return
            if self._live.snapshot is not snapshot or not self._live.is_fresh:
                # The body took its time: the key, the connection and the policy count as they are now.
                snapshot = await self._identify(exchange)
                self._find_endpoint(exchange, snapshot)
            query = exchange.protocol.parse(exchange.connection.name, exchange.endpoint, raw)
        except Refusal as refusal:
            await self._record_refused(exchange, refusal)
            raise
        del raw
        policy, now_ms = snapshot.policy, self._clock()
        if policy.is_large(query):
            evaluation = await self._evaluator.evaluate_large(policy, query, exchange.requester, now_ms)
        else:
            evaluation = policy.evaluate(query, exchange.requester, now_ms)
        self._metrics.requests[exchange.connection.name, evaluation.verdict] += 1
        exchange.stream = query.stream
        match evaluation.verdict:
            case Verdict.ALLOW | Verdict.MODIFY:
                await self._allow(exchange, query, evaluation)
            case Verdict.BLOCK:
                await self._block(exchange, query, evaluation)
            case Verdict.REVIEW:
                wait = await self._hold(exchange, query, evaluation)
                del query, evaluation  # a waiting request keeps neither
                if wait is not None:
                    await self._held.attend(exchange, wait)
            case _:
                assert_never(evaluation.verdict)

    async def _identify(self, exchange: Exchange) -> Snapshot:
        """Who asks, by what is known at this moment; waits only when the last look at Redis is too long ago."""
        await self._live.ensure_fresh()
        snapshot = self._live.snapshot
        exchange.requester, exchange.key = self._identifier.identify(exchange.request, snapshot, self._clock())
        return snapshot

    def _find_endpoint(self, exchange: Exchange, snapshot: Snapshot) -> None:
        """``/{connection}/v1/…`` → connection, protocol, endpoint. What is not known is refused, never forwarded."""
        _, name, rest = (*exchange.request.path.split("/", 2), "", "")[:3]
        connection = snapshot.policy.connections.get(name)
        if connection is None:
            raise Refusal(RefusalCode.UNINSPECTABLE, "This gateway has no such connection.", status=404)
        exchange.connection = connection
        exchange.protocol = protocol_of(connection)
        exchange.endpoint = exchange.protocol.endpoint(exchange.request.method, f"/{rest}")
        refuse_query_string(exchange.request)
        self._forwarder.check(exchange)

    async def _allow(self, exchange: Exchange, query: Query, evaluation: Evaluation) -> None:
        if evaluation.edits:
            query = _modified(query, evaluation)
            exchange.modified = True
        await self._record(exchange, EventKind.REQUEST_ALLOWED, query, evaluation)
        await self._forward_allowed(exchange, query.body)

    async def _pass(self, exchange: Exchange) -> None:
        """A known, harmless request: it has no body to inspect, and is recorded like any other."""
        self._metrics.requests[exchange.connection.name, Verdict.ALLOW] += 1
        await self._record(exchange, EventKind.REQUEST_ALLOWED, None, None)
        await self._forward_allowed(exchange, b"")

    async def _block(self, exchange: Exchange, query: Query, evaluation: Evaluation) -> None:
        reason = evaluation.reason or "The policy does not allow this request."
        await self._record(exchange, EventKind.REQUEST_BLOCKED, query, evaluation, reason)
        raise Refusal(RefusalCode.BLOCKED, f"Blocked: {reason}")

    async def _hold(self, exchange: Exchange, query: Query, evaluation: Evaluation) -> Wait | None:
        """The hold that this request waits for; None when the client is not to wait, and has its 202."""
        wishes = preferences(exchange.request.headers("prefer")) if exchange.request.header("prefer") else NONE
        if evaluation.edits:
            query = _modified(query, evaluation)
        draft = Draft(
            method=exchange.endpoint.method,
            target=exchange.endpoint.target,
            environment=exchange.connection.environment,
            query=query,
            requester=exchange.requester,
            address=exchange.request.peer,
            evaluation=evaluation,
            digest=_digest(exchange, query.body),
            asynchronous=wishes.asynchronous,
        )
        hold = await self._held.take(exchange, draft)
        exchange.hold, exchange.state = hold.id, hold.state
        if wishes.asynchronous and hold.state is State.PENDING:
            await accepted(exchange, hold, [("preference-applied", wishes.applied)])
            return None
        return Wait(hold.id, hold.state, hold.deadline_ms, wishes)

    async def _forward_allowed(self, exchange: Exchange, body: bytes) -> None:
        job = Job(
            target=exchange.endpoint.target,
            body=body,
            finish=_Completion(self._recorder, self._clock, exchange),
            held=False,
        )
        await self._forwarder.forward(exchange, job)

    async def _record(
        self,
        exchange: Exchange,
        kind: EventKind,
        query: Query | None,
        evaluation: Evaluation | None,
        reason: str = "",
    ) -> None:
        """Returns once it is in Redis; `StoreUnavailable` ends the request."""
        body = query.body if query is not None else b""
        entry = events.request_entry(
            kind,
            request=exchange.id,
            at_ms=self._clock(),
            requester=exchange.requester,
            connection=exchange.connection.name,
            environment=exchange.connection.environment,
            address=exchange.request.peer,
            method=exchange.request.method,
            target=exchange.endpoint.target or exchange.request.path[:_LONGEST_TARGET],
            digest=_digest(exchange, body),
            query=query,
            evaluation=evaluation,
            reason=reason,
        )
        await self._recorder.record(entry)

    async def _record_refused(self, exchange: Exchange, refusal: Refusal) -> None:
        await self._record(exchange, EventKind.REQUEST_REFUSED, None, None, refusal.reason)

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        self._metrics.refusals[refusal.code] += 1
        await refuse(exchange, refusal)

    def _unexpected(self, exchange: Exchange) -> Refusal:
        error_id = secrets.token_hex(6)
        self._metrics.errors["gateway"] += 1
        _log.exception("unexpected error; refused", extra={"error_id": error_id, "request": exchange.id})
        return Refusal(RefusalCode.UNAVAILABLE, f"The gateway failed on this request. Error id: {error_id}", status=500)


class _Completion:
    """Records what became of an allowed request."""

    __slots__ = ("_clock", "_connection", "_id", "_recorder", "_requester")

    def __init__(self, recorder: Recorder, clock: Clock, exchange: Exchange) -> None:
        self._recorder = recorder
        self._clock = clock
        self._id = exchange.id
        self._requester = exchange.requester
        self._connection = exchange.connection.name

    async def __call__(self, outcome: Outcome, _response: StoredResponse | None) -> None:
        entry = events.request_completed(
            request=self._id,
            at_ms=self._clock(),
            requester=self._requester,
            connection=self._connection,
            outcome=outcome,
        )
        await self._recorder.record(entry)


def _digest(exchange: Exchange, body: bytes) -> str:
    return canonical.digest(
        connection=exchange.connection.name,
        method=exchange.request.method,
        target=exchange.endpoint.target,
        body=body,
    )


def _modified(query: Query, evaluation: Evaluation) -> Query:
    """The query with the policy's own texts in place."""
    edits = evaluation.edits
    try:
        body = canonical.apply_edits(query.body, edits)
    except KeyError:
        raise unmodifiable() from None
    parts = tuple(Part(part.path, part.role, edits.get(part.path, part.text)) for part in query.parts)
    return replace(query, body=body, parts=parts)
