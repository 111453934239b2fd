"""Broken glass: holds that an admin approved alone, until another admin has looked at them.

An entry is written with the decision itself (`Holds.decide`), in one script.
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import TypeAdapter

from holdpoint.clock import Clock
from holdpoint.errors import NotFound
from holdpoint.standing import BrokenGlass
from holdpoint.store import keys, standing_events
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client, Script

_REVIEW = Script("review_glass")
_GLASS = TypeAdapter(BrokenGlass)


class Glass:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock, retention_ms: int) -> None:
        self._client = client
        self._clock = clock
        self._retention_ms = retention_ms

    async def all(self) -> list[BrokenGlass]:
        """Those that nobody has reviewed yet, oldest first."""
        found = sorted(await self._kept(), key=lambda glass: (glass.at_ms, glass.hold))
        return [glass for glass in found if glass.reviewed_ms is None]

    async def get(self, hold_id: str) -> BrokenGlass:
        """One, reviewed or not.

        Raises:
            NotFound: no glass was broken for this hold, or it was reviewed a retention time ago.
        """
        return _GLASS.validate_json(await self._seen(hold_id))

    async def review(self, hold_id: str, *, by: str) -> BrokenGlass:
        """Note that ``by`` has looked at it. One that was reviewed before is returned as it is.

        Raises:
            NotFound: see `get`.
        """
        seen = await self._seen(hold_id)
        glass = _GLASS.validate_json(seen)
        if glass.reviewed_ms is not None:
            return glass
        reviewed = replace(glass, reviewed_by=by, reviewed_ms=self._clock())
        answer = await self._client.script(
            _REVIEW,
            [keys.GLASS, keys.EVENTS],
            [hold_id, self._clock(), seen, to_json(reviewed), standing_events.glass_reviewed(reviewed)],
        )
        # Nothing but a review changes an entry, so whoever was faster has reviewed it.
        return reviewed if answer == b"ok" else await self.get(hold_id)

    async def prune(self) -> None:
        """Drop those that were reviewed a retention time ago."""
        before = self._clock() - self._retention_ms
        over = [g.hold for g in await self._kept() if g.reviewed_ms is not None and g.reviewed_ms < before]
        if over:
            await self._client.command("HDEL", keys.GLASS, *over)

    async def _kept(self) -> list[BrokenGlass]:
        return [_GLASS.validate_json(raw) for raw in await self._client.command("HVALS", keys.GLASS)]

    async def _seen(self, hold_id: str) -> bytes:
        raw: bytes | None = await self._client.command("HGET", keys.GLASS, hold_id)
        if raw is None:
            raise NotFound(f"no glass was broken for a hold {hold_id!r}")
        return raw
