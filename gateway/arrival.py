"""Who asks, and where it goes: all that is found out of a request before its body is looked at.

::

    head ─┬─ one that came before, under the same snapshot: `known` ─────────────┬─▶ exchange
          └─ `find`: identify ─ its address ─ its path ─ `learn`, for next time ─┘

What an admin changes (keys, policy, pauses) makes another snapshot, and nothing that was learned under the one before
counts any more. The end of a key is looked at each time; so is a token, of which nothing is learned here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.destination import Destinations
from gateway.exchange import Exchange
from gateway.forward import Forwarder
from gateway.identify import Identifier
from gateway.key_scope import check_address
from gateway.protocols import Endpoint, Protocol
from gateway.tokens import KeysNeeded
from gateway.transport import Prepared
from holdpoint.clock import Clock
from holdpoint.key_life import is_valid
from holdpoint.live import Live
from holdpoint.model import Connection, KeyRecord, Requester
from holdpoint.snapshot import Snapshot
from holdpoint.store.key_use import UsedKeys
from holdpoint.tokens.providers import Providers


@dataclass(frozen=True, slots=True)
class _Way:
    """What follows from one head under one snapshot, for the connection that it came over.

    ``under`` stands for the snapshot: the connection of a request that waits for days must not keep an old policy.
    """

    under: object
    record: KeyRecord
    requester: Requester
    connection: Connection
    protocol: Protocol
    endpoint: Endpoint
    prepared: dict[bool, Prepared] = field(default_factory=dict)


class Arrival:
    """Every method writes into the exchange; the caller makes sure that what is known is fresh."""

    def __init__(
        self, live: Live, *, providers: Providers, forwarder: Forwarder, used_keys: UsedKeys, clock: Clock
    ) -> None:
        self._live = live
        self._snapshot: Snapshot | None = None  # what is learned now is learned under this one
        self._under = object()
        self._identifier = Identifier(providers)
        self._destinations = Destinations(forwarder)
        self._used_keys = used_keys
        self._clock = clock

    def known(self, exchange: Exchange, now_ms: int) -> Snapshot | None:
        """By which snapshot the same head has passed everything up to its body; None: `find`."""
        snapshot = self._live.snapshot
        if snapshot is not self._snapshot:
            self._snapshot, self._under = snapshot, object()
        familiar = exchange.request.familiar
        way = familiar.learned if familiar is not None else None
        if not isinstance(way, _Way) or way.under is not self._under:
            return None
        record, requester = way.record, way.requester
        if requester.key_id is None or not is_valid(record, now_ms):
            return None
        exchange.requester, exchange.key = requester, record.digest
        exchange.connection, exchange.protocol, exchange.endpoint = way.connection, way.protocol, way.endpoint
        exchange.prepared = way.prepared
        self._used_keys.note(requester.key_id, now_ms)
        return snapshot

    def find(self, exchange: Exchange, now_ms: int) -> Snapshot:
        """By which snapshot this request comes from somebody, and goes somewhere.

        Raises:
            KeysNeeded: see `Identifier.identify`.
            Refusal: it does not.
        """
        snapshot = self.identify(exchange, now_ms)
        self._destinations.find(exchange, snapshot)
        return snapshot

    def learn(self, exchange: Exchange, snapshot: Snapshot) -> None:
        """`find` has passed under ``snapshot``, and the body may be inspected: so may the next one with this head."""
        familiar, record = exchange.request.familiar, snapshot.keys.get(exchange.key)
        if familiar is None or record is None or snapshot is not self._snapshot:
            return
        way = _Way(self._under, record, exchange.requester, exchange.connection, exchange.protocol, exchange.endpoint)
        familiar.learned, exchange.prepared = way, way.prepared

    def identify(self, exchange: Exchange, now_ms: int) -> Snapshot:
        """Who asks, by the snapshot that is returned. Raises as `find`."""
        snapshot, exchange.prepared = self._live.snapshot, None
        self._identifier.identify(exchange, snapshot, now_ms)
        check_address(exchange, snapshot)
        if exchange.requester.key_id is not None:
            self._used_keys.note(exchange.requester.key_id, now_ms)
        return snapshot

    async def identify_or_ask(self, exchange: Exchange) -> Snapshot:
        """The same, when the keys of a token's issuer have been fetched, where that is needed."""
        try:
            return self.identify(exchange, self._clock())
        except KeysNeeded:
            await self._identifier.ask_issuer(exchange.request, self._live.snapshot, self._clock())
            await self._live.ensure_fresh()  # the issuer took its time
            return self.identify(exchange, self._clock())

    async def find_or_ask(self, exchange: Exchange) -> Snapshot:
        """`find`, waiting for what has to be fetched."""
        snapshot = await self.identify_or_ask(exchange)
        self._destinations.find(exchange, snapshot)
        return snapshot

    async def renewed(self, exchange: Exchange, snapshot: Snapshot) -> Snapshot:
        """After something that took its time: the key, the connection and the policy count as they are now."""
        if self._live.snapshot is snapshot and self._live.is_fresh:
            return snapshot
        await self._live.ensure_fresh()
        return await self.find_or_ask(exchange)
