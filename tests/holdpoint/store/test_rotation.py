"""A key is rotated in one step, with its record, and never twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from holdpoint import apikey
from holdpoint.errors import Conflict, NotFound
from holdpoint.model import Event, EventKind, KeyRecord, Role
from holdpoint.store import Store
from tests.conftest import MovingClock

HOUR = 3_600_000
DAY = 24 * HOUR


async def add(store: Store, clock: MovingClock, **changes: Any) -> KeyRecord:
    new = apikey.create()
    record = KeyRecord(
        new.id, new.digest, "nightly", frozenset({"contractors"}), frozenset({Role.AUDITOR}), clock.ms, clock.ms + 30 * DAY,
        owner="dana@example.com", name="the nightly agent", connections=frozenset({"demo"}), networks=("10.0.0.0/8",),
    )  # fmt: skip
    record = replace(record, **changes)
    await store.config.put_key(record)
    return record


async def events(store: Store) -> list[Event]:
    return list(await store.outbox.follow("events", after="0", block_ms=1))


async def test_the_successor_has_the_same_rights_and_the_old_key_an_end(store: Store, clock: MovingClock) -> None:
    first = await add(store, clock)
    revision, new = await store.config.revision(), apikey.create()
    clock.forward(seconds=60)
    rotation = await store.config.rotate_key(first.id, new, overlap_ms=DAY, by="alex")
    old, successor = await store.config.keys()
    assert (old, successor) == (rotation.old, rotation.new)
    assert old == replace(first, expires_ms=clock.ms + DAY, replaced_by=new.id)
    assert successor == replace(
        first, id=new.id, digest=new.digest, created_ms=clock.ms, expires_ms=clock.ms + 30 * DAY, replaces=first.id
    )
    assert await store.config.revision() == revision + 1
    created, ended = (await events(store))[-2:]
    assert (created.kind, created.subject, created.data["replaces"]) == (EventKind.KEY_CREATED, new.id, first.id)
    assert (ended.kind, ended.subject, ended.data["by"]) == (EventKind.KEY_ROTATED, first.id, "alex")
    assert (ended.data["replaced_by"], ended.data["expires_ms"]) == (new.id, old.expires_ms)
    assert (created.data["connections"], created.data["networks"]) == (["demo"], ["10.0.0.0/8"])
    assert not {first.digest, new.digest, new.text} & set(str([created, ended]).replace("'", " ").split())


@pytest.mark.parametrize(
    ("ends_in", "overlap", "old_ends_in", "new_lives"),
    [
        (30 * DAY, DAY, DAY, 30 * DAY),
        (HOUR, DAY, HOUR, HOUR),
        (None, DAY, DAY, 90 * DAY),
        (DAY, DAY, DAY, DAY),
        (30 * DAY, 0, 0, 30 * DAY),
    ],
    ids=["the usual", "never prolonged", "one without end", "to the very moment", "at once"],
)
async def test_ends(
    store: Store, clock: MovingClock, ends_in: int | None, overlap: int, old_ends_in: int, new_lives: int
) -> None:
    first = await add(store, clock, expires_ms=None if ends_in is None else clock.ms + ends_in)
    rotation = await store.config.rotate_key(first.id, apikey.create(), overlap_ms=overlap, by="alex")
    assert rotation.old.expires_ms == clock.ms + old_ends_in
    assert rotation.new.expires_ms == clock.ms + new_lives


Before = Callable[[Store, MovingClock, KeyRecord], Awaitable[object]]


async def _revoked(store: Store, clock: MovingClock, key: KeyRecord) -> None:
    await store.config.revoke_key(key.id, by="x")


async def _expired(store: Store, clock: MovingClock, key: KeyRecord) -> None:
    clock.forward(seconds=30 * 86_400)


async def _rotated(store: Store, clock: MovingClock, key: KeyRecord) -> None:
    await store.config.rotate_key(key.id, apikey.create(), overlap_ms=DAY, by="x")


async def _rotated_to_its_own_end(store: Store, clock: MovingClock, key: KeyRecord) -> None:
    await store.config.rotate_key(key.id, apikey.create(), overlap_ms=30 * DAY, by="x")


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (_revoked, "is revoked: create another one"),
        (_expired, "has expired: create another one"),
        (_rotated, "was rotated already: rotate its successor"),
        (_rotated_to_its_own_end, "was rotated already: rotate its successor"),
    ],
)
async def test_what_is_over_or_rotated_is_not_rotated(
    store: Store, clock: MovingClock, before: Before, said: str
) -> None:
    key = await add(store, clock)
    await before(store, clock, key)
    stored, recorded = await store.config.keys(), len(await events(store))
    with pytest.raises(Conflict, match=said):
        await store.config.rotate_key(key.id, apikey.create(), overlap_ms=DAY, by="x")
    assert await store.config.keys() == stored
    assert len(await events(store)) == recorded


async def test_an_unknown_key_is_not_rotated(store: Store) -> None:
    with pytest.raises(NotFound, match="there is no key 'nobody'"):
        await store.config.rotate_key("nobody", apikey.create(), overlap_ms=DAY, by="x")


async def test_of_many_rotations_at_once_one_wins(store: Store, clock: MovingClock) -> None:
    key = await add(store, clock)
    results = await asyncio.gather(
        *(store.config.rotate_key(key.id, apikey.create(), overlap_ms=30 * DAY, by="x") for _ in range(10)),
        return_exceptions=True,
    )
    assert sum(not isinstance(result, Conflict) for result in results) == 1
    assert len(await store.config.keys()) == 2


async def test_a_revocation_at_the_same_time_wins_or_comes_after(store: Store, clock: MovingClock) -> None:
    """Whatever the order, the key that was to be revoked is."""
    for _ in range(10):
        key = await add(store, clock)

        async def revoke(key_id: str = key.id) -> None:
            while True:
                try:
                    await store.config.revoke_key(key_id, by="x")
                except Conflict:
                    continue
                return

        rotating = store.config.rotate_key(key.id, apikey.create(), overlap_ms=DAY, by="x")
        await asyncio.gather(rotating, revoke(), return_exceptions=True)
        stored = next(each for each in await store.config.keys() if each.id == key.id)
        assert stored.revoked_ms is not None


async def test_an_id_that_is_taken_is_not_overwritten(store: Store, clock: MovingClock) -> None:
    first, second = await add(store, clock), await add(store, clock)
    taken = replace(apikey.create(), id=second.id)
    with pytest.raises(Conflict):
        await store.config.rotate_key(first.id, taken, overlap_ms=DAY, by="x")
    assert {key.id: key for key in await store.config.keys()} == {first.id: first, second.id: second}
