"""What a platform has delivered already: it sends again what it thinks was lost, and to any of several bots."""

from __future__ import annotations

from holdpoint.store import keys
from holdpoint.store.client import Client

REMEMBER_MS = 60 * 60_000  # longer than any platform keeps sending the same thing


class Seen:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def first(self, kind: str, delivery: str, *, ttl_ms: int = REMEMBER_MS) -> bool:
        """Whether this is the first time that the delivery of that id came, to whichever bot. It counts as handled."""
        return await self._client.command("SET", keys.seen(kind, delivery), 1, "NX", "PX", ttl_ms) is not None

    async def forget(self, kind: str, delivery: str) -> None:
        """It could not be handled after all: the next delivery is the first one again."""
        await self._client.command("DEL", keys.seen(kind, delivery))
