"""Looking at holds: one, many, a page of them, those that are due, and the one that a request comes back to."""

from __future__ import annotations

from collections.abc import Sequence

from holdpoint.clock import Clock
from holdpoint.errors import NotFound
from holdpoint.model import Hold, Requester, State
from holdpoint.store import codec, keys
from holdpoint.store.client import Client, Script, as_dict
from holdpoint.store.fingerprints import fingerprint
from holdpoint.store.gateways import Gateways
from holdpoint.store.responses import StoredResponse, load_response

Page = list[Hold]  # names of their own, because a method below is called list
_Places = list[tuple[int, str]]  # when each was made, and its id
_AT_ONCE = 500
_OUTLINE = Script("outline")


class HoldReader:
    """Reads, changes nothing. Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock, gateways: Gateways) -> None:
        self._client = client
        self._clock = clock
        self._gateways = gateways

    async def find(
        self, *, requester: Requester, connection: str, digest: str, idempotency_key: str | None, retrying: bool
    ) -> Hold | None:
        """The hold that this request comes back to, if there is one.

        With an Idempotency-Key: the hold that the key stands for, whatever its state (compare ``original_digest``).
        Without: the newest hold of the same requester, connection and digest whose outcome was not delivered and whose
        client is gone; or, when the client says that it retries, the newest one at all. Only in `outline`.
        """
        if idempotency_key is not None:
            idem = fingerprint(requester, connection, f"key:{idempotency_key}")
            found = await self._client.shared_command("GET", keys.idempotency(idem))
            return await self._outline_or_none(found.decode()) if found else None
        same = keys.same(fingerprint(requester, connection, digest))
        ids = [raw.decode() for raw in await self._client.shared_command("ZREVRANGE", same, 0, -1)]
        alive: dict[str, bool] = {}
        for at in range(0, len(ids), _AT_ONCE):
            hold = await self._first_of(ids[at : at + _AT_ONCE], alive, retrying=retrying)
            if hold is not None:
                return hold
        return None

    async def get(self, hold_id: str) -> Hold:
        """The hold as it is now.

        Raises:
            NotFound: there is no such hold (any more).
        """
        found = await self._get_or_none(hold_id)
        if found is None:
            raise NotFound(f"there is no hold {hold_id!r}")
        return found

    async def outline(self, hold_id: str) -> Hold:
        """The hold as it is now, without its body and with empty texts: they may have megabytes, and this is asked often.

        Raises:
            NotFound: there is no such hold (any more).
        """
        found = await self._outline_or_none(hold_id)
        if found is None:
            raise NotFound(f"there is no hold {hold_id!r}")
        return found

    async def list(
        self, *, state: State | None = None, limit: int = 50, cursor: str | None = None
    ) -> tuple[Page, str | None]:
        """Holds, newest first, and the cursor of the next page (None at the end)."""
        # The cursor is "created_ms-id" of the last hold of the former page; ids grow with time, so the pair is a total order.
        before, before_id = _parse_cursor(cursor)
        found = [
            pair
            for each in ((state,) if state else State)
            for pair in await self._behind(each, before, before_id, limit)
        ]
        ordered = sorted(set(found), reverse=True)
        page = ordered[:limit]
        loaded = await self.get_many([hold_id for _, hold_id in page])
        more = len(ordered) > limit
        return loaded, f"{page[-1][0]}-{page[-1][1]}" if more else None

    async def revs(self, state: State, *, limit: int) -> dict[str, int]:
        """The newest holds in ``state`` by id, each with its ``rev``: for who has read them before."""
        rows = await self._client.shared_command("ZREVRANGE", keys.state(state), 0, limit - 1)
        ids = [raw.decode() for raw in rows]
        found = await self._client.pipeline([("HGET", keys.hold(hold_id), "rev") for hold_id in ids]) if ids else []
        return {hold_id: int(rev) for hold_id, rev in zip(ids, found, strict=True) if rev is not None}

    async def of_person(self, person: str, *, limit: int) -> Page:
        """The newest holds (50 at most) of requests that ``person`` answers for: their own, and those of their agents."""
        ids = await self._client.shared_command("ZREVRANGE", keys.requests_of(person), 0, limit - 1)
        return await self.get_many([raw.decode() for raw in ids])

    async def get_many(self, ids: Sequence[str]) -> Page:
        """Those of the holds that still exist, in the given order."""
        rows = await self._client.pipeline([("HGETALL", keys.hold(hold_id)) for hold_id in ids]) if ids else []
        return [codec.load_hold(as_dict(row)) for row in rows if row]

    async def waiters(self, ids: Sequence[str]) -> dict[str, str]:
        """Who waits for those of the holds that are pending, by id; an empty name: nobody, as far as Redis knows."""
        rows = await self._client.pipeline([("HMGET", keys.hold(hold_id), "state", "waiter") for hold_id in ids])
        pending = State.PENDING.value.encode()
        return {
            hold_id: (waiter or b"").decode()
            for hold_id, (state, waiter) in zip(ids, rows, strict=True)
            if state == pending
        }

    async def response(self, hold_id: str) -> StoredResponse | None:
        """The stored response of a completed hold, if it was small enough to keep."""
        fields = as_dict(await self._client.command("HGETALL", keys.response(hold_id)))
        return load_response(fields) if fields else None

    async def due(self, limit: int = 100, *, skip: int = 0) -> Sequence[str]:
        """Ids of holds that the timer has to look at now, but for the first ``skip`` of them."""
        rows = await self._client.shared_command("ZRANGEBYSCORE", keys.DUE, "-inf", self._clock(), "LIMIT", skip, limit)
        return [raw.decode() for raw in rows]

    async def count(self) -> dict[State, int]:
        """How many holds are in each state."""
        rows = await self._client.pipeline([("ZCARD", keys.state(each)) for each in State])
        return dict(zip(State, rows, strict=True))

    async def _behind(self, state: State, before: str, before_id: str | None, limit: int) -> _Places:
        """More than ``limit`` holds of one state behind a cursor, if there are so many.

        One look is enough, unless many were made in the very millisecond of the cursor.
        """
        found: _Places = []
        offset, at_once = 0, limit + 64
        while True:
            rows = await self._client.shared_command(
                "ZREVRANGEBYSCORE", keys.state(state), before, "-inf", "WITHSCORES", "LIMIT", offset, at_once
            )
            pairs = [(int(score), raw.decode()) for raw, score in zip(rows[::2], rows[1::2], strict=True)]
            found += [pair for pair in pairs if before_id is None or pair < (int(before), before_id)]
            if len(found) > limit or len(pairs) < at_once:
                return found
            offset += at_once

    async def _get_or_none(self, hold_id: str) -> Hold | None:
        fields = as_dict(await self._client.shared_command("HGETALL", keys.hold(hold_id)))
        return codec.load_hold(fields) if fields else None

    async def _outline_or_none(self, hold_id: str) -> Hold | None:
        fields = as_dict(await self._client.shared_script(_OUTLINE, [keys.hold(hold_id)], []))
        return codec.load_hold(fields, outline=True) if fields else None

    async def _first_of(self, ids: Sequence[str], alive: dict[str, bool], *, retrying: bool) -> Hold | None:
        """The first of the holds that `find` may return. For most of many a client waits: their bodies are not read."""
        rows = await self._client.pipeline([("HMGET", keys.hold(each), "asynchronous", "waiter") for each in ids])
        for hold_id, (asynchronous, waiter) in zip(ids, rows, strict=True):
            if asynchronous != b"0" or (not retrying and await self._waits(waiter.decode(), alive)):
                continue
            hold = await self._outline_or_none(hold_id)  # as it is by now
            if hold is None or hold.asynchronous:
                continue
            if retrying or not await self._waits(hold.waiter, alive):
                return hold
        return None

    async def _waits(self, waiter: str, alive: dict[str, bool]) -> bool:
        """Whether the gateway process ``waiter`` is there, for a client that waits; ``alive`` is what was asked before."""
        if waiter and waiter not in alive:
            alive[waiter] = await self._gateways.is_alive(waiter)
        return bool(waiter) and alive[waiter]


def _parse_cursor(cursor: str | None) -> tuple[str, str | None]:
    """``created_ms-id`` → its two halves; a cursor that is not ours starts from the beginning."""
    created, dash, hold_id = (cursor or "").partition("-")
    return (created, hold_id) if dash and created.isdigit() else ("+inf", None)
