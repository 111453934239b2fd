"""What a Holdpoint key may be used for, and from where. Most keys have no such bounds: then each is a look at an empty set.

The address comes first, before anything of the request is answered: who found a key, and is not where it belongs, hears
what everybody hears whose key is unknown. The record has the reason. The connection is asked about by the name in the
path, whether or not there is one of that name: a key learns nothing of connections that are not its own.
"""

from __future__ import annotations

from gateway.exchange import Exchange
from gateway.identify import unknown_key
from holdpoint.addresses import networks_of
from holdpoint.errors import Refusal
from holdpoint.model import KeyRecord, RefusalCode
from holdpoint.snapshot import Snapshot


class OutOfScope(Refusal):
    """The key is valid, and may not be used for this, or from here. Goes on the record wherever it happens."""


def check_address(exchange: Exchange, snapshot: Snapshot) -> None:
    """Refuse a key that comes from outside its networks. A client of a Unix socket has no address, so it is outside.

    Raises:
        OutOfScope: 401, in the words for an unknown key.
    """
    key = _key_of(exchange, snapshot)
    if key is not None and key.networks and exchange.request.peer not in networks_of(key.networks):
        raise OutOfScope(
            RefusalCode.INVALID_API_KEY,
            unknown_key().reason,
            status=401,
            recorded="The key was used from an address outside its networks.",
        )


def check_connection(exchange: Exchange, snapshot: Snapshot, connection: str) -> None:
    """Refuse a key that is not for ``connection``.

    Raises:
        OutOfScope: 403.
    """
    key = _key_of(exchange, snapshot)
    if key is not None and key.connections and connection not in key.connections:
        raise OutOfScope(RefusalCode.BLOCKED, "Blocked: this API key is not for this connection.")


def _key_of(exchange: Exchange, snapshot: Snapshot) -> KeyRecord | None:
    """The key that the request came with; None for a token."""
    return snapshot.keys.get(exchange.key) if exchange.requester.key_id is not None else None
