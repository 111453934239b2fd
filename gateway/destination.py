"""``/{connection}/v1/…`` → connection, protocol, endpoint. What is not known is refused, never forwarded.

A client asks for the same again and again: what the policy in force makes of a path is remembered. Whether this caller
may go there, and whether anybody may at this moment, is asked each time.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.exchange import Exchange
from gateway.forward import Forwarder
from gateway.inspect import query_string
from gateway.key_scope import check_connection
from gateway.pauses import refuse_paused
from gateway.protocols import Endpoint, Protocol, protocol_of
from holdpoint.errors import Refusal
from holdpoint.model import Connection, RefusalCode
from holdpoint.policy import Policy
from holdpoint.snapshot import Snapshot

_MOST_KNOWN = 1_000  # the name of a model may be part of a path


@dataclass(frozen=True, slots=True)
class _Destination:
    connection: Connection
    protocol: Protocol
    endpoint: Endpoint


class Destinations:
    """What one gateway knows of the paths of the policy in force."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._policy: Policy | None = None
        self._known: dict[tuple[str, str], _Destination] = {}  # by method and path

    def find(self, exchange: Exchange, snapshot: Snapshot) -> None:
        """Write into ``exchange`` where the request goes: ``connection``, ``protocol`` and ``endpoint``.

        Raises:
            Refusal: it goes nowhere, or not now, or not for this caller (`OutOfScope`).
        """
        if snapshot.policy is not self._policy:
            self._policy, self._known = snapshot.policy, {}
        request = exchange.request
        found = self._known.get((request.method, request.path))
        if found is None:
            found = self._look_up(exchange, snapshot)
        else:
            exchange.connection, exchange.protocol = found.connection, found.protocol
            check_connection(exchange, snapshot, found.connection.name)
        exchange.endpoint = found.endpoint
        if snapshot.pauses:
            refuse_paused(snapshot, found.connection.name)
        if request.query:
            raise query_string()
        if found.connection.credential is not None:
            self._forwarder.check(exchange)

    def _look_up(self, exchange: Exchange, snapshot: Snapshot) -> _Destination:
        """A key hears of no connection that is not its own, whether or not there is one of that name."""
        method, path = exchange.request.method, exchange.request.path
        _, name, rest = (*path.split("/", 2), "", "")[:3]
        connection = snapshot.policy.connections.get(name)
        if connection is not None:
            exchange.connection = connection
            exchange.protocol = protocol_of(connection)
        check_connection(exchange, snapshot, name)
        if connection is None:
            raise Refusal(RefusalCode.UNINSPECTABLE, "This gateway has no such connection.", status=404)
        found = _Destination(connection, exchange.protocol, exchange.protocol.endpoint(method, f"/{rest}"))
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[method, path] = found
        return found
