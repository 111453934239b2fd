"""When each key was last used: remembered in every process, and written once a minute. Nothing depends on it.

::

    request ─ note (memory only) ─┐
    request ─ note ───────────────┴─▶ once a minute: one script ─▶ Redis keeps the latest of all processes

A minute that Redis is away is kept for the next one; what a killed process had not written yet is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Self

from holdpoint.errors import StoreUnavailable
from holdpoint.store import keys
from holdpoint.store.client import Client, Script, as_dict
from holdpoint.store.wire import Argument
from holdpoint.tasks import OnDeath, Tasks

EVERY_S = 60.0
_MOST_AT_ONCE = 1_000  # of one script call: Redis does nothing else meanwhile
_USED = Script("used_keys")

_log = logging.getLogger(__name__)


class KeyUse:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def write(self, used: Mapping[str, int]) -> None:
        """Key id → when it was used (ms). What is older than what is known changes nothing."""
        rows = list(used.items())
        for start in range(0, len(rows), _MOST_AT_ONCE):
            some: list[Argument] = [each for row in rows[start : start + _MOST_AT_ONCE] for each in row]
            await self._client.script(_USED, [keys.KEY_USES], some)

    async def all(self) -> dict[str, int]:
        """Key id → when it was last used (ms); without those that never were."""
        found = as_dict(await self._client.command("HGETALL", keys.KEY_USES))
        return {key_id.decode(): int(at_ms) for key_id, at_ms in found.items()}


class UsedKeys:
    """What one process remembers. Writes inside ``async with``, and at its end."""

    def __init__(self, use: KeyUse, *, on_death: OnDeath | None = None) -> None:
        self._use = use
        self._tasks = Tasks(on_death=on_death)
        self._noted: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        self._tasks.start("write when keys were used", self._keep_writing())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.aclose()
        await self.write()

    def note(self, key_id: str, at_ms: int) -> None:
        """A key was used. Costs nothing, and never fails."""
        self._noted[key_id] = at_ms

    async def write(self) -> None:
        """Write what was noted since the last time; when Redis does not take it, the next time has it as well."""
        noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            await self._use.write(noted)
        except StoreUnavailable as error:
            self._noted = noted | self._noted
            _log.warning("when keys were used is not written yet: %s", error)

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self.write()
