"""The gateway processes: who is alive, what each one waits for, and the stream that wakes it.

A gateway is ``<name>#<random>``: a new process under the same name retires its predecessors at once, others are taken
for gone after five seconds without a beat.
"""

from __future__ import annotations

import secrets

from holdpoint.clock import Clock
from holdpoint.store import keys
from holdpoint.store.client import Client, Script, as_dict

GONE_AFTER_MS = 5_000
_WAKE_TTL_MS = 60_000

_RETIRE = Script("retire")
_FORGET = Script("forget")


class Gateways:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def start(self, name: str) -> str:
        """A new gateway process under ``name``; earlier ones of that name are gone. Returns its id."""
        gateway = f"{name}#{secrets.token_hex(6)}"
        await self._client.script(_RETIRE, [keys.GATEWAYS], [gateway, self._clock(), name])
        return gateway

    async def beat(self, gateway: str) -> bool:
        """Say that the process lives; call it every second. False: it was taken for gone, and what it had was given up."""
        added = await self._client.shared_command("ZADD", keys.GATEWAYS, self._clock(), gateway)
        await self._client.shared_command("PEXPIRE", keys.wake(gateway), _WAKE_TTL_MS)
        return not added

    async def stop(self, gateway: str) -> None:
        """The process ends in order: what it still had is swept at once."""
        await self._client.command("ZADD", keys.GATEWAYS, 0, gateway)

    async def is_alive(self, gateway: str) -> bool:
        """Whether the process has said so within the last five seconds."""
        beat = await self._client.command("ZSCORE", keys.GATEWAYS, gateway)
        return beat is not None and self._clock() - float(beat) < GONE_AFTER_MS

    async def wakes(self, gateway: str, *, after: str, block_ms: int) -> list[tuple[str, str]]:
        """Holds whose state changed since position ``after`` ("0" for all that is there): (position, hold id) pairs.

        An empty id says that the process was taken for gone, and all that it had given up.

        Blocks up to ``block_ms``; an empty list says that nothing came.
        """
        answer = await self._client.blocking(
            "XREAD", "COUNT", 1000, "BLOCK", block_ms, "STREAMS", keys.wake(gateway), after, seconds=block_ms / 1000
        )
        if not answer:
            return []
        ((_, entries),) = answer
        return [(position.decode(), as_dict(fields)[b"hold"].decode()) for position, fields in entries]

    async def lost(self) -> list[tuple[str, list[str]]]:
        """Gateway processes that are gone, each with the ids of the holds that it had."""
        gone = await self._client.command("ZRANGEBYSCORE", keys.GATEWAYS, "-inf", self._silent_since())
        rows = await self._client.pipeline([("SMEMBERS", keys.at(raw.decode())) for raw in gone]) if gone else []
        return [(raw.decode(), sorted(i.decode() for i in ids)) for raw, ids in zip(gone, rows, strict=True)]

    async def forget(self, gateway: str) -> bool:
        """Everything that a lost gateway had has been dealt with. False: it is back, or has taken on more, and keeps that."""
        answer = await self._client.script(
            _FORGET, [keys.GATEWAYS, keys.at(gateway), keys.wake(gateway)], [gateway, self._silent_since()]
        )
        return bool(answer == b"ok")

    def _silent_since(self) -> int:
        """Who has not said since then that it lives is gone."""
        return self._clock() - GONE_AFTER_MS
