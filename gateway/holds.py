"""``/holds/{id}``: what the requester can see and do of its own holds.

``GET /holds/{id}`` the state · ``GET /holds/{id}/response`` collect the answer · ``DELETE /holds/{id}`` withdraw.
Somebody else's hold is as unknown as one that does not exist.
"""

from __future__ import annotations

import re

import orjson

from gateway.accepted import view
from gateway.decided import Decided
from gateway.exchange import Exchange
from gateway.key_scope import check_connection
from gateway.protocols import protocol_of
from holdpoint.errors import Conflict, NotFound, Refusal
from holdpoint.model import Hold, RefusalCode, State
from holdpoint.snapshot import Snapshot
from holdpoint.store import Store

PREFIX = "/holds/"
_PATH = re.compile(r"/holds/([a-z0-9]{1,64})(/response)?")
_MOST_READS = 20


class HoldsResource:
    """Serves what is below `PREFIX`; the caller is identified."""

    def __init__(self, store: Store, decided: Decided) -> None:
        self._store = store
        self._decided = decided

    async def serve(self, exchange: Exchange, snapshot: Snapshot) -> None:
        """Raises `Refusal` (403, 404, 405, 409 and what became of the hold) and `StoreUnavailable`."""
        match = _PATH.fullmatch(exchange.request.path)
        if match is None:
            raise _not_found()
        method, collects = exchange.request.method, match[2] is not None
        allowed = ("GET",) if collects else ("GET", "HEAD", "DELETE")  # no HEAD spends an approval
        if method not in allowed:
            allow = ", ".join(allowed)
            raise Refusal(RefusalCode.UNINSPECTABLE, f"Use {allow} here.", status=405, param=allow)
        hold = await self._own(exchange, match[1])
        check_connection(exchange, snapshot, hold.connection)
        if collects:
            await self._collect(exchange, hold, snapshot)
        elif method == "DELETE":
            await _show(exchange, await self._withdraw(exchange, hold))
        else:
            await _show(exchange, hold)

    async def _own(self, exchange: Exchange, hold_id: str) -> Hold:
        try:
            hold = await self._store.holds.outline(hold_id)
        except NotFound:
            raise _not_found() from None
        if (hold.requester.principal, hold.requester.owner) != (exchange.requester.principal, exchange.requester.owner):
            raise _not_found()
        return hold

    async def _collect(self, exchange: Exchange, hold: Hold, snapshot: Snapshot) -> None:
        connection = snapshot.policy.connections.get(hold.connection)
        if connection is not None:
            exchange.connection = connection
            exchange.protocol = protocol_of(connection)
            exchange.endpoint = exchange.protocol.endpoint(hold.method, hold.target)
        elif hold.state is State.APPROVED:
            raise Refusal(RefusalCode.UNAVAILABLE, "The connection is no longer in the policy.", status=503)
        exchange.stream = hold.query.stream
        await self._decided.collect(exchange, hold)

    async def _withdraw(self, exchange: Exchange, hold: Hold) -> Hold:
        """Cancel while pending; a second time it is cancelled already, and that is well."""
        for _ in range(_MOST_READS):
            if hold.state is State.CANCELLED:
                return hold
            if hold.state is not State.PENDING:
                break
            try:
                return await self._store.holds.cancel(
                    hold, by=exchange.requester.principal, reason="withdrawn by the requester"
                )
            except Conflict:
                hold = await self._own(exchange, hold.id)
        raise Refusal(
            RefusalCode.CONFLICT,
            f"It is too late to withdraw: the hold is {hold.state}.",
            status=409,
            hold=hold.id,
            state=hold.state,
        )


async def _show(exchange: Exchange, hold: Hold) -> None:
    exchange.hold, exchange.state = hold.id, hold.state
    body = orjson.dumps(view(hold))
    headers = [("content-type", "application/json"), ("cache-control", "no-store"), *exchange.headers()]
    exchange.reply.start(200, [*headers, ("content-length", str(len(body)))])
    await exchange.reply.end(body)


def _not_found() -> Refusal:
    return Refusal(RefusalCode.NOT_FOUND, "There is no such hold, or it is not yours.", status=404)
