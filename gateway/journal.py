"""What is written of a request: that it was allowed, blocked or refused, and what became of it. Nothing goes on before.

Every change of a hold writes its own record; see `holdpoint.store.holds`.
"""

from __future__ import annotations

from gateway.exchange import Exchange
from gateway.record import Done, Recorder
from holdpoint import canonical
from holdpoint.clock import Clock
from holdpoint.errors import Refusal
from holdpoint.model import Evaluation, EventKind, Outcome, Query
from holdpoint.store import Entry, StoredResponse, request_events

_LONGEST_TARGET = 200  # of an unknown path, in its record


class Journal:
    """Every method that is awaited returns once it is in Redis; `StoreUnavailable` ends the request."""

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock

    async def write(
        self,
        exchange: Exchange,
        kind: EventKind,
        query: Query | None,
        evaluation: Evaluation | None,
        reason: str = "",
    ) -> None:
        """``kind`` is `request.allowed`, `request.blocked` or `request.refused`."""
        await self._recorder.record(self._entry(exchange, kind, query, evaluation, reason))

    def allowed(self, exchange: Exchange, query: Query, evaluation: Evaluation, done: Done) -> None:
        """`write` of `request.allowed` without waiting: ``done`` as in `Recorder.append`."""
        self._recorder.append(self._entry(exchange, EventKind.REQUEST_ALLOWED, query, evaluation, ""), done)

    def _entry(
        self, exchange: Exchange, kind: EventKind, query: Query | None, evaluation: Evaluation | None, reason: str
    ) -> Entry:
        return request_events.request_entry(
            kind,
            request=exchange.id,
            at_ms=self._clock(),
            requester=exchange.requester,
            connection=exchange.connection.name,
            environment=exchange.connection.environment,
            address=exchange.request.peer,
            method=exchange.endpoint.method or exchange.request.method,
            target=exchange.endpoint.target or exchange.request.path[:_LONGEST_TARGET],
            digest=digest_of(exchange, query.body if query is not None else b""),
            query=query,
            evaluation=evaluation,
            reason=reason,
            grant=exchange.grant,
            hold=exchange.hold or "",
        )

    async def refused(self, exchange: Exchange, refusal: Refusal) -> None:
        """What was identified, and is refused without a look at its texts."""
        await self.write(exchange, EventKind.REQUEST_REFUSED, None, None, refusal.recorded)

    async def limited(self, exchange: Exchange, refusal: Refusal, limit: str) -> None:
        """What the limit with the id ``limit`` refuses, the first of it."""
        await self._recorder.record(self.repetition(exchange, limit).entry(refusal.reason, 1))

    def repetition(self, exchange: Exchange, limit: str) -> Repetition:
        """Records how often the same was refused."""
        return Repetition(self._recorder, self._clock, exchange, limit)

    def completion(self, exchange: Exchange) -> Completion:
        """Records what becomes of an allowed request."""
        return Completion(self._recorder, self._clock, exchange)


class Completion:
    """A `gateway.forward.Finish`. Keeps nothing of the exchange but what its record needs."""

    __slots__ = ("_clock", "_connection", "_id", "_recorder", "_requester")

    def __init__(self, recorder: Recorder, clock: Clock, exchange: Exchange) -> None:
        self._recorder = recorder
        self._clock = clock
        self._id = exchange.id
        self._requester = exchange.requester
        self._connection = exchange.connection.name

    async def __call__(self, outcome: Outcome, _response: StoredResponse | None) -> None:
        await self._recorder.record(self._entry(outcome))

    def append(self, outcome: Outcome, done: Done) -> None:
        """The same without waiting: ``done`` as in `Recorder.append`."""
        self._recorder.append(self._entry(outcome), done)

    def _entry(self, outcome: Outcome) -> Entry:
        return request_events.request_completed(
            request=self._id,
            at_ms=self._clock(),
            requester=self._requester,
            connection=self._connection,
            outcome=outcome,
        )


class Repetition:
    """Of requests that a limit refuses: what their record needs of the exchange of one of them, and no more."""

    __slots__ = ("_address", "_clock", "_connection", "_environment", "_id", "_limit", "_method", "_recorder", "_requester", "_target")  # fmt: skip

    def __init__(self, recorder: Recorder, clock: Clock, exchange: Exchange, limit: str) -> None:
        self._recorder = recorder
        self._clock = clock
        self._limit = limit
        self._id = exchange.id
        self._requester = exchange.requester
        self._connection = exchange.connection.name
        self._environment = exchange.connection.environment
        self._address = exchange.request.peer
        self._method, self._target = exchange.endpoint.method, exchange.endpoint.target

    async def __call__(self, more: int) -> None:
        """Record that ``more`` requests were refused after the first."""
        await self._recorder.record(self.entry(f"{more} more such requests were refused within a minute.", more))

    def entry(self, reason: str, times: int) -> Entry:
        """``request.refused``, for as many requests as ``times`` says."""
        return request_events.request_entry(
            EventKind.REQUEST_REFUSED,
            request=self._id,
            at_ms=self._clock(),
            requester=self._requester,
            connection=self._connection,
            environment=self._environment,
            address=self._address,
            method=self._method,
            target=self._target,
            digest="",
            query=None,
            evaluation=None,
            reason=reason,
            limit=self._limit,
            times=times,
        )


def digest_of(exchange: Exchange, body: bytes) -> str:
    """The digest of the request with ``body``."""
    return canonical.digest(
        connection=exchange.connection.name,
        method=exchange.endpoint.method or exchange.request.method,  # what is forwarded, also for a HEAD
        target=exchange.endpoint.target,
        body=body,
    )
