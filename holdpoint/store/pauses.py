"""The kill switch: connections, or everything, for which no request passes until somebody resumes."""

from __future__ import annotations

from pydantic import TypeAdapter

from holdpoint.clock import Clock
from holdpoint.errors import Conflict
from holdpoint.model import EventKind
from holdpoint.standing import Pause
from holdpoint.store import keys, standing_events
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client
from holdpoint.store.config import configure

_PAUSE = TypeAdapter(Pause)
_ATTEMPTS = 8  # as many admins may pull the same switch at the very same moment


class Pauses:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def pause(self, pause: Pause) -> bool:
        """Put ``pause`` in the place of whatever stands for its connection. False: paused in this mode already.

        Raises:
            Conflict: others kept changing it.
        """
        data = standing_events.traffic_paused(pause)
        for _ in range(_ATTEMPTS):
            seen = await self._seen(pause.connection)
            if seen and _PAUSE.validate_json(seen).mode is pause.mode:
                return False
            if await self._change(pause.connection, seen, to_json(pause), EventKind.TRAFFIC_PAUSED, data):
                return True
        raise Conflict("the pause kept changing")

    async def resume(self, connection: str, *, by: str) -> bool:
        """Let requests to ``connection`` pass again. False: it is not paused. `EVERYTHING` lifts only its own pause.

        Raises:
            Conflict: others kept changing it.
        """
        data = standing_events.traffic_resumed(connection, by=by)
        for _ in range(_ATTEMPTS):
            seen = await self._seen(connection)
            if not seen:
                return False
            if await self._change(connection, seen, b"", EventKind.TRAFFIC_RESUMED, data):
                return True
        raise Conflict("the pause kept changing")

    async def all(self) -> list[Pause]:
        """Every pause, oldest first."""
        rows = await self._client.command("HVALS", keys.PAUSES)
        return sorted((_PAUSE.validate_json(raw) for raw in rows), key=lambda pause: (pause.at_ms, pause.connection))

    async def _seen(self, connection: str) -> bytes:
        return await self._client.command("HGET", keys.PAUSES, connection) or b""

    async def _change(self, connection: str, seen: bytes, value: bytes, kind: EventKind, data: bytes) -> bool:
        try:
            await configure(
                self._client, keys.PAUSES, connection, seen, value,
                now_ms=self._clock(), kind=kind, subject=connection, data=data,
            )  # fmt: skip
        except Conflict:
            return False
        return True
