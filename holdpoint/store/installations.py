"""Where an app was installed besides the home workspace, and the installations that somebody has begun.

Tokens come here locked (`holdpoint.store.safe`); nothing in this file could read one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import TypeAdapter

from holdpoint.clock import Clock
from holdpoint.errors import Conflict
from holdpoint.model import EventKind
from holdpoint.store import config_events, keys
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client
from holdpoint.store.config import configure

_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Installed:
    """One installation on one platform ("slack").

    ``id`` is the platform's id of the workspace, or of the whole organisation (then ``team`` is empty). ``by`` is the
    platform's id of who allowed it.
    """

    platform: str
    id: str
    name: str
    team: str
    enterprise: str
    bot_user: str
    scopes: tuple[str, ...]
    locked_token: str
    by: str
    at_ms: int


_INSTALLED = TypeAdapter(Installed)


class Installations:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def put(self, installed: Installed) -> None:
        """Note an installation, in the place of an earlier one of the same workspace.

        Raises:
            Conflict: others kept changing it.
        """
        await self._change(installed, to_json(installed), EventKind.APP_INSTALLED, by=installed.by)

    async def remove(self, installed: Installed, *, by: str) -> bool:
        """Forget exactly this installation. False when it is gone, or another one has taken its place."""
        seen = to_json(installed)
        try:
            await self._configure(installed, seen, b"", EventKind.APP_REMOVED, by=by)
        except Conflict:
            return False
        return True

    async def get(self, platform: str, place: str) -> Installed | None:
        """The installation in the workspace or organisation ``place``."""
        raw = await self._client.command("HGET", keys.INSTALLATIONS, f"{platform}:{place}")
        return _INSTALLED.validate_json(raw) if raw else None

    async def all(self, platform: str) -> list[Installed]:
        """All of them, by id."""
        rows = [_INSTALLED.validate_json(raw) for raw in await self._client.command("HVALS", keys.INSTALLATIONS)]
        return sorted((each for each in rows if each.platform == platform), key=lambda each: each.id)

    async def begin(self, state: str, *, ttl_ms: int) -> None:
        """Somebody was sent to the platform with ``state``, a secret of theirs. Only its SHA-256 is stored."""
        await self._client.command("SET", keys.installing(_digest(state)), self._clock(), "PX", ttl_ms)

    async def finish(self, state: str) -> bool:
        """Whether ``state`` was given out and did not come back before."""
        return await self._client.command("GETDEL", keys.installing(_digest(state))) is not None

    async def _change(self, installed: Installed, value: bytes, kind: EventKind, *, by: str) -> None:
        field = f"{installed.platform}:{installed.id}"
        for _ in range(_ATTEMPTS):
            seen = await self._client.command("HGET", keys.INSTALLATIONS, field)
            try:
                return await self._configure(installed, seen or b"", value, kind, by=by)
            except Conflict:
                continue
        raise Conflict("somebody else keeps changing the same installation")

    async def _configure(self, installed: Installed, seen: bytes, value: bytes, kind: EventKind, *, by: str) -> None:
        field = f"{installed.platform}:{installed.id}"
        data = config_events.app_changed(
            platform=installed.platform, place=installed.id, name=installed.name, scopes=installed.scopes, by=by
        )
        await configure(
            self._client, keys.INSTALLATIONS, field, seen, value, now_ms=self._clock(), kind=kind, subject=field, data=data
        )  # fmt: skip


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()
