"""The spine: the route of one request, from its first byte to the end of its answer.

::

    handle ─ identify ─ endpoint ─ body → Query ─ policy.evaluate ─┬─ allow, modify: record ─ forward ─ record
                                                                   ├─ block:         record ─ refuse
                                                                   └─ review:        hold ─ wait ─ release ─ forward ─ close
                                                                        └─ by a grant: as allow

What people put in force beside the policy stands next to it: a pause refuses at the endpoint, or makes a review of what
the policy allows (`pauses`); a grant lets pass what the policy would hold (`grants`).

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
from gateway.grants import Grants
from gateway.held import Held, Wait
from gateway.holds import PREFIX, HoldsResource
from gateway.identify import Identifier
from gateway.inspect import read_body, refuse_query_string, unmodifiable
from gateway.journal import Journal, digest_of
from gateway.justification import justification_of
from gateway.pauses import held_by_pause, refuse_paused
from gateway.prefer import NONE, preferences
from gateway.protocols import protocol_of
from gateway.refuse import refuse, unavailable
from gateway.status import StatusPages
from gateway.transport import ClientGone, Reply, Request
from holdpoint import canonical
from holdpoint.clock import Clock
from holdpoint.errors import Refusal, StoreUnavailable
from holdpoint.live import Live, Snapshot
from holdpoint.metrics import Metrics
from holdpoint.model import Evaluation, EventKind, Part, Query, RefusalCode, State, Verdict
from holdpoint.settings import Settings
from holdpoint.store import Draft

_log = logging.getLogger(__name__)


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
        holds: HoldsResource,
        status: StatusPages,
        metrics: Metrics,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._live = live
        self._identifier = Identifier()
        self._evaluator = evaluator
        self._journal = journal
        self._forwarder = forwarder
        self._held = held
        self._grants = grants
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
            await self._journal.refused(exchange, refusal)
            raise
        del raw
        policy, now_ms = snapshot.policy, self._clock()
        if policy.is_large(query):
            evaluation = await self._evaluator.evaluate_large(policy, query, exchange.requester, now_ms)
        else:
            evaluation = policy.evaluate(query, exchange.requester, now_ms)
        self._metrics.requests[exchange.connection.name, evaluation.verdict] += 1
        if snapshot.pauses:
            evaluation = held_by_pause(snapshot, exchange.connection.name, evaluation)
        if evaluation.edits:
            query = _modified(query, evaluation)
        exchange.stream = query.stream
        match evaluation.verdict:
            case Verdict.ALLOW | Verdict.MODIFY:
                await self._allow(exchange, query, evaluation)
            case Verdict.BLOCK:
                await self._block(exchange, query, evaluation)
            case Verdict.REVIEW:
                wait = await self._hold(exchange, snapshot, query, evaluation)
                del snapshot, policy, query, evaluation  # a waiting request keeps none of them
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
        refuse_paused(snapshot, name)
        refuse_query_string(exchange.request)
        self._forwarder.check(exchange)

    async def _allow(self, exchange: Exchange, query: Query, evaluation: Evaluation) -> None:
        exchange.modified = bool(evaluation.edits)
        await self._journal.write(exchange, EventKind.REQUEST_ALLOWED, query, evaluation)
        await self._forward_allowed(exchange, query.body)

    async def _pass(self, exchange: Exchange) -> None:
        """A known, harmless request: it has no body to inspect, and is recorded like any other."""
        self._metrics.requests[exchange.connection.name, Verdict.ALLOW] += 1
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
            finish=self._journal.completion(exchange),
            held=False,
        )
        await self._forwarder.forward(exchange, job)

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        self._metrics.refusals[refusal.code] += 1
        await refuse(exchange, refusal)

    def _unexpected(self, exchange: Exchange) -> Refusal:
        error_id = secrets.token_hex(6)
        self._metrics.errors["gateway"] += 1
        _log.exception("unexpected error; refused", extra={"error_id": error_id, "request": exchange.id})
        return Refusal(RefusalCode.UNAVAILABLE, f"The gateway failed on this request. Error id: {error_id}", status=500)


def _modified(query: Query, evaluation: Evaluation) -> Query:
    """The query with the policy's own texts in place."""
    edits = evaluation.edits
    try:
        body = canonical.apply_edits(query.body, edits)
    except KeyError:
        raise unmodifiable() from None
    parts = tuple(Part(part.path, part.role, edits.get(part.path, part.text)) for part in query.parts)
    return replace(query, body=body, parts=parts)
