"""Who is away: one absence for each person. It ends when they are back, or lapses by itself; both are recorded."""

from __future__ import annotations

from pydantic import TypeAdapter

from holdpoint.absence import Absence
from holdpoint.clock import Clock
from holdpoint.errors import Conflict
from holdpoint.model import EventKind
from holdpoint.store import keys, standing_events
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client
from holdpoint.store.config import configure

LAPSED = "policy"  # who ends an absence that nobody ended

_ABSENCE = TypeAdapter(Absence)
_ATTEMPTS = 8  # as many may say at the very same moment that the same person is away


class Absences:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def begin(self, absence: Absence) -> Absence | None:
        """Put ``absence`` in the place of whatever is known of this person's, and return that; recorded.

        Raises:
            Conflict: others kept changing it.
        """
        data = standing_events.absence_began(absence)
        for _ in range(_ATTEMPTS):
            seen = await self._seen(absence.principal)
            if await self._change(absence, seen, to_json(absence), EventKind.ABSENCE_BEGAN, data):
                return _ABSENCE.validate_json(seen) if seen else None
        raise Conflict("the absence kept changing")

    async def end(self, principal: str, *, by: str) -> Absence | None:
        """``principal`` is back: the absence that is over; None where there was none. Recorded.

        Raises:
            Conflict: others kept changing it.
        """
        for _ in range(_ATTEMPTS):
            seen = await self._seen(principal)
            if not seen:
                return None
            absence = _ABSENCE.validate_json(seen)
            if await self._end(absence, seen, by=by):
                return absence
        raise Conflict("the absence kept changing")

    async def all(self) -> list[Absence]:
        """Every absence that is stored, by principal. Some may have lapsed."""
        rows = await self._client.command("HVALS", keys.ABSENCES)
        return sorted((_ABSENCE.validate_json(raw) for raw in rows), key=lambda absence: absence.principal)

    async def prune(self) -> None:
        """Record the end of those that have lapsed, and forget them."""
        for raw in await self._client.command("HVALS", keys.ABSENCES):
            absence = _ABSENCE.validate_json(raw)
            if not absence.is_on(self._clock()):
                await self._end(absence, raw, by=LAPSED)

    async def _seen(self, principal: str) -> bytes:
        return await self._client.command("HGET", keys.ABSENCES, principal.lower()) or b""

    async def _end(self, absence: Absence, seen: bytes, *, by: str) -> bool:
        return await self._change(
            absence, seen, b"", EventKind.ABSENCE_ENDED, standing_events.absence_ended(absence, by=by)
        )

    async def _change(self, absence: Absence, seen: bytes, value: bytes, kind: EventKind, data: bytes) -> bool:
        principal = absence.principal.lower()
        try:
            await configure(
                self._client, keys.ABSENCES, principal, seen, value,
                now_ms=self._clock(), kind=kind, subject=principal, data=data,
            )  # fmt: skip
        except Conflict:
            return False
        return True
