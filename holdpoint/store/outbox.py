"""The outbox: what happened, in the order in which it happened, until every consumer group has dealt with it.

One process at a time works for a group (see `Leases`), always as the same consumer: who takes over reads first what
its predecessor had read and not acknowledged (``pending=True``), then what is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from holdpoint.errors import StoreUnavailable
from holdpoint.model import Event, EventKind
from holdpoint.store.batch import STREAMS, transaction
from holdpoint.store.client import Client, as_dict, is_existing_group, is_missing_group
from holdpoint.store.events import Entry
from holdpoint.store.wire import Answered, Argument

_CONSUMER = "worker"
_MOST_COUNTED = 1_000  # a lag is a number to look at: it need not cost more than a look


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One entry of a stream, not looked into. ``source`` as in `Event`."""

    source: str
    fields: Mapping[bytes, bytes]


class Outbox:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def streams(self) -> tuple[str, ...]:
        """The streams: "events" (holds, cards, configuration) and "traffic" (requests never held; for the ledger alone)."""
        return tuple(STREAMS)

    async def append(self, entries: Sequence[Entry]) -> None:
        """Append all entries or none, in one round trip."""
        commands, answers = transaction(entries)
        await self._client.transact(commands, answers=answers)

    def send(self, entries: Sequence[Entry], answered: Answered) -> bool:
        """`append` without waiting, when nothing else is on its way. False: nothing was sent.

        ``answered`` is called once, later, with a `StoreUnavailable` when they are not appended, or nobody knows. It
        must not raise.
        """
        commands, answers = transaction(entries)
        return self._client.send_transaction(commands, answered, answers=answers)

    async def read(
        self, stream: str, *, group: str, block_ms: int, count: int, pending: bool = False, after: str = ""
    ) -> list[Event]:  # fmt: skip
        """The next events for ``group``: new ones, or with ``pending`` those that were read and not acknowledged.

        Reading ``pending`` never blocks; it is empty once all is acknowledged. ``after`` (an event's ``source``) pages
        through what is pending without acknowledging it. Makes the group on first use, from the
        beginning of the stream.
        """
        rows = await self._rows(stream, group=group, block_ms=block_ms, count=count, pending=pending, after=after)
        return [_event(stream, position, fields) for position, fields in rows]

    async def read_raw(
        self, stream: str, *, group: str, block_ms: int, count: int, pending: bool = False, after: str = ""
    ) -> list[RawEvent]:  # fmt: skip
        """As `read`, without looking inside: for who must get past an event that nobody can read."""
        rows = await self._rows(stream, group=group, block_ms=block_ms, count=count, pending=pending, after=after)
        return [RawEvent(f"{stream}/{position.decode()}", fields) for position, fields in rows]

    async def _rows(
        self, stream: str, *, group: str, block_ms: int, count: int, pending: bool, after: str
    ) -> list[tuple[bytes, dict[bytes, bytes]]]:  # fmt: skip
        command: list[Argument] = ["XREADGROUP", "GROUP", group, _CONSUMER, "COUNT", count]
        command += [] if pending else ["BLOCK", block_ms]
        command += ["STREAMS", STREAMS[stream], (after.partition("/")[2] or "0") if pending else ">"]
        try:
            answer = await self._client.blocking(*command, seconds=block_ms / 1000)
        except StoreUnavailable as error:
            if not is_missing_group(error):
                raise
            await self.make_group(stream, group)
            return []
        if not answer:
            return []
        ((_, rows),) = answer
        return [(position, as_dict(fields)) for position, fields in rows if fields]

    async def latest(self, stream: str) -> str:
        """The position of the newest event ever appended, trimmed away or not; "0-0" before the first one."""
        if not await self._exists(STREAMS[stream]):
            return "0-0"
        info = as_dict(await self._client.command("XINFO", "STREAM", STREAMS[stream]))
        return info[b"last-generated-id"].decode()

    async def follow(self, stream: str, *, after: str, block_ms: int) -> list[Event]:
        """Events after the position ``after``, for who only watches: no group, no acknowledgement.

        Events may be trimmed before a watcher sees them; compare with `latest` when nothing comes.
        """
        answer = await self._client.blocking(
            "XREAD", "COUNT", 1000, "BLOCK", block_ms, "STREAMS", STREAMS[stream], after, seconds=block_ms / 1000
        )
        if not answer:
            return []
        ((_, rows),) = answer
        return [_event(stream, position, as_dict(fields)) for position, fields in rows if fields]

    async def ack(self, stream: str, *, group: str, events: Sequence[Event | RawEvent]) -> None:
        """The effect of these events is there."""
        if events:
            positions = [event.source.partition("/")[2] for event in events]
            await self._client.command("XACK", STREAMS[stream], group, *positions)

    async def trim(self, stream: str) -> None:
        """Drop what every group has acknowledged."""
        key = STREAMS[stream]
        groups = await self._client.command("XINFO", "GROUPS", key) if await self._exists(key) else []
        horizon: tuple[int, int] | None = None
        for raw in groups:
            group = as_dict(raw)
            waiting = await self._client.command("XPENDING", key, group[b"name"], "-", "+", 1)
            first = _position(waiting[0][0]) if waiting else _after(_position(group[b"last-delivered-id"]))
            horizon = first if horizon is None else min(horizon, first)
        if horizon is not None:
            await self._client.command("XTRIM", key, "MINID", f"{horizon[0]}-{horizon[1]}")

    async def lag(self, stream: str, *, group: str) -> int:
        """How many events the group has not acknowledged yet. Where Redis is older than 7, 1,000 unread ones at most."""
        lags = await self._lags(STREAMS[stream])
        if group in lags:
            return lags[group]
        return int(await self._client.command("XLEN", STREAMS[stream]))

    async def lags(self) -> dict[tuple[str, str], int]:
        """The same for every stream and group."""
        return {
            (stream, group): lag for stream, key in STREAMS.items() for group, lag in (await self._lags(key)).items()
        }

    async def make_group(self, stream: str, group: str) -> None:
        """Make a group that sees everything from here back to the beginning. Nothing happens when it is there."""
        try:
            await self._client.command("XGROUP", "CREATE", STREAMS[stream], group, "0", "MKSTREAM")
        except StoreUnavailable as error:
            if not is_existing_group(error):
                raise

    async def drop_group(self, group: str) -> None:
        """Forget a group that has no work any more (a channel was switched off), so that it holds back no trimming."""
        for key in STREAMS.values():
            if await self._exists(key):
                await self._client.command("XGROUP", "DESTROY", key, group)

    async def _lags(self, key: str) -> dict[str, int]:
        if not await self._exists(key):
            return {}
        found = {}
        for raw in await self._client.command("XINFO", "GROUPS", key):
            info = as_dict(raw)
            unread: int | bytes | None = info.get(b"lag")  # Redis 7; nil there when it cannot tell
            if unread is None:
                after = f"({info[b'last-delivered-id'].decode()}"
                unread = len(await self._client.command("XRANGE", key, after, "+", "COUNT", _MOST_COUNTED))
            found[info[b"name"].decode()] = int(info[b"pending"]) + int(unread)
        return found

    async def _exists(self, key: str) -> bool:
        return bool(await self._client.command("EXISTS", key))


def _event(stream: str, position: bytes, fields: dict[bytes, bytes]) -> Event:
    return Event(
        source=f"{stream}/{position.decode()}",
        kind=EventKind(fields[b"kind"].decode()),
        subject=fields[b"subject"].decode(),
        at_ms=int(fields[b"at"]),
        data=orjson.loads(fields[b"data"]),
    )


def _position(raw: bytes) -> tuple[int, int]:
    milliseconds, _, number = raw.decode().partition("-")
    return int(milliseconds), int(number)


def _after(position: tuple[int, int]) -> tuple[int, int]:
    return position[0], position[1] + 1
