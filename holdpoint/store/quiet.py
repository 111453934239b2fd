"""How much of their own requests people want to hear of in chat. Nothing but a wish: what happens is recorded anyway."""

from __future__ import annotations

from enum import StrEnum

from holdpoint.store import keys
from holdpoint.store.client import Client


class Quiet(StrEnum):
    """What the requester's own message is for. Everything can be looked up on the platform's home page in any case."""

    ALL = "all"  # from the moment at which a request is held
    DECISIONS = "decisions"  # once it is decided, and while a question waits for an answer
    NONE = "none"  # never


class QuietSettings:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def get(self, principal: str) -> Quiet:
        """What this person chose; `Quiet.ALL` for who never did."""
        raw = await self._client.command("HGET", keys.QUIET, principal.lower())
        return Quiet(raw.decode()) if raw else Quiet.ALL

    async def set(self, principal: str, quiet: Quiet) -> None:
        """Counts for whatever happens from now on."""
        if quiet is Quiet.ALL:
            await self._client.command("HDEL", keys.QUIET, principal.lower())
        else:
            await self._client.command("HSET", keys.QUIET, principal.lower(), quiet.value)
