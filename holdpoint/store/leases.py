"""Work that one process at a time does (the ledger's recorder, the cards of one platform)."""

from __future__ import annotations

from holdpoint.store import keys
from holdpoint.store.client import Client, Script

_LEASE = Script("lease")
_UNLEASE = Script("unlease")


class Leases:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def hold(self, name: str, *, holder: str, ttl_ms: int) -> bool:
        """Take the lease, or renew it. False when somebody else has it."""
        return bool(await self._client.script(_LEASE, [keys.lease(name)], [holder, ttl_ms]))

    async def release(self, name: str, *, holder: str) -> None:
        """Give it back early, if it is one's own."""
        await self._client.script(_UNLEASE, [keys.lease(name)], [holder])
