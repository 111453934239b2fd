"""The store: one door to everything that the processes share in Redis.

``holds`` what waits · ``talk`` what people say about it · ``outbox`` what happened · ``gateways`` who waits · ``config`` policy, keys, routes · ``key_use`` when keys were used · ``grants``,
``pauses``, ``glass`` what people put in force beside the policy · ``cards``
where cards stand · ``bundles`` cards for several holds · ``quiet`` who wants to hear what · ``links`` whose chat accounts are whose · ``limits`` how much was used · ``leases`` who does what · ``stepups`` approvals that wait to be confirmed · ``passkeys`` with what. Each change of a hold is one Lua script (``lua/``).
"""

from __future__ import annotations

from typing import Self

from holdpoint.clock import Clock
from holdpoint.settings import Settings
from holdpoint.store.absences import Absences
from holdpoint.store.bundles import Bundles
from holdpoint.store.cards import Cards
from holdpoint.store.changes import Changes
from holdpoint.store.client import Client
from holdpoint.store.config import Config
from holdpoint.store.confirmations import Confirmations
from holdpoint.store.conversations import Conversations
from holdpoint.store.gateways import Gateways
from holdpoint.store.glass import Glass
from holdpoint.store.grants import Grants
from holdpoint.store.holds import Holds
from holdpoint.store.installations import Installations
from holdpoint.store.key_use import KeyUse
from holdpoint.store.leases import Leases
from holdpoint.store.lifetimes import Lifetimes
from holdpoint.store.limits import Limits
from holdpoint.store.links import Links
from holdpoint.store.outbox import Outbox
from holdpoint.store.passkeys import Passkeys
from holdpoint.store.pauses import Pauses
from holdpoint.store.quiet import QuietSettings
from holdpoint.store.seen import Seen
from holdpoint.store.sessions import Sessions
from holdpoint.store.signing_in import SigningIn
from holdpoint.store.stepups import StepUps
from holdpoint.store.talk import Talk

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000


class Store:
    """Open with `Store.open`, close with `aclose`."""

    def __init__(
        self, client: Client, *, clock: Clock, lifetimes: Lifetimes, limits_clock: Clock | None = None
    ) -> None:
        self._client = client
        self.gateways = Gateways(client, clock=clock)
        self.limits = Limits(client, clock=limits_clock)
        self.holds = Holds(client, clock=clock, lifetimes=lifetimes, gateways=self.gateways, limits=self.limits)
        self.outbox = Outbox(client)
        self.talk = Talk(client, clock=clock, lifetimes=lifetimes, outbox=self.outbox)
        self.config = Config(client, clock=clock)
        self.key_use = KeyUse(client)
        self.changes = Changes(client, clock=clock)
        self.confirmations = Confirmations(client)
        self.grants = Grants(client, clock=clock, retention_ms=lifetimes.retention_ms)
        self.links = Links(client, clock=clock)
        self.pauses = Pauses(client, clock=clock)
        self.absences = Absences(client, clock=clock)
        self.glass = Glass(client, clock=clock, retention_ms=lifetimes.retention_ms)
        self.cards = Cards(client, clock=clock, retention_ms=lifetimes.retention_ms)
        self.bundles = Bundles(client, clock=clock)
        self.quiet = QuietSettings(client)
        self.leases = Leases(client)
        self.sessions = Sessions(client, clock=clock)
        self.signing_in = SigningIn(client)
        self.stepups = StepUps(client, clock=clock)
        self.passkeys = Passkeys(client, clock=clock)
        self.installations = Installations(client, clock=clock)
        self.conversations = Conversations(client)
        self.seen = Seen(client)

    @classmethod
    async def open(
        cls, url: str, *, clock: Clock, retention_ms: int = 7 * _DAY_MS, collect_within_ms: int = _HOUR_MS
    ) -> Self:
        """A store on the Redis at ``url``, which answers now.

        Raises:
            ConfigurationError: the URL is wrong.
            StoreUnavailable: nothing answers there.
        """
        store = cls(Client(url), clock=clock, lifetimes=Lifetimes(retention_ms, collect_within_ms))
        try:
            await store.ping()
        except BaseException:
            await store.aclose()
            raise
        return store

    @classmethod
    async def from_settings(cls, settings: Settings, *, clock: Clock) -> Self:
        """The same, with the address and the times of the settings."""
        return await cls.open(
            settings.redis_url,
            clock=clock,
            retention_ms=int(settings.retention_s * 1000),
            collect_within_ms=int(settings.collect_within_s * 1000),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Return when Redis answers; raise `StoreUnavailable` when it does not."""
        await self._client.command("PING")

    async def information(self) -> dict[str, str]:
        """What the server says of itself (``redis_version``, ``maxmemory_policy`` …); for ``holdpoint doctor``."""
        text: bytes = await self._client.command("INFO")
        return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
