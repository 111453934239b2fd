"""Questions to one person that only that person can answer, once, within five minutes: "really?"."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from pydantic import TypeAdapter

from holdpoint.store import keys
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client, Script

LASTS_MS = 5 * 60_000

_TAKE = Script("take_confirmation")


@dataclass(frozen=True, slots=True)
class Asked:
    """The command that ``by`` was asked about, and a fingerprint of what they were shown."""

    by: str
    text: str
    shown: str


_ASKED = TypeAdapter(Asked)


class Confirmations:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ask(self, asked: Asked) -> str:
        """The token with which ``asked.by`` may confirm. It gives no right to anybody else, so it need not be secret."""
        token = secrets.token_hex(4)
        await self._client.command("SET", keys.confirmation(token), to_json(asked), "PX", LASTS_MS)
        return token

    async def take(self, token: str, *, by: str) -> Asked | None:
        """What was asked of ``by``; None when it has lapsed, was taken before, or was asked of somebody else."""
        key = keys.confirmation(token)
        seen = await self._client.command("GET", key)
        asked = _ASKED.validate_json(seen) if seen else None
        if asked is None or asked.by != by:
            return None
        return asked if await self._client.script(_TAKE, [key], [seen]) == b"ok" else None
