"""Absences in Redis: one for each person, recorded, live, and readable by who knows more fields."""

from __future__ import annotations

import asyncio
import json

import pytest

from holdpoint.absence import Absence, WhoIsAway
from holdpoint.errors import StoreUnavailable
from holdpoint.live import Live
from holdpoint.model import EventKind
from holdpoint.store import Store, keys
from tests.conftest import MovingClock
from tests.support.redis_server import RedisServer

SAM = "sam@example.com"


def absence(until_ms: int, who: str = SAM, delegate: str = "", by: str = SAM) -> Absence:
    return Absence(who, 1, until_ms, by, delegate, "ill", "Europe/Berlin", frozenset({"s@example.com"}))


async def recorded(store: Store) -> list[tuple[EventKind, str, str]]:
    events = await store.outbox.follow("events", after="0", block_ms=1)
    return [(event.kind, event.subject, event.data["by"]) for event in events]


async def test_the_newest_counts_and_each_is_recorded(store: Store, clock: MovingClock) -> None:
    first, second = absence(clock() + 1_000), absence(clock() + 2_000, delegate="kim@example.com", by="ada@example.com")
    before = await store.config.revision()
    assert await store.absences.begin(first) is None
    assert await store.absences.begin(second) == first
    assert await store.absences.all() == [second]
    assert await store.config.revision() == before + 2
    assert await store.absences.end(SAM.upper(), by=SAM) == second
    assert await store.absences.end(SAM, by=SAM) is None
    assert await recorded(store) == [
        (EventKind.ABSENCE_BEGAN, SAM, SAM),
        (EventKind.ABSENCE_BEGAN, SAM, "ada@example.com"),
        (EventKind.ABSENCE_ENDED, SAM, SAM),
    ]


async def test_every_process_knows_within_a_second(store: Store, clock: MovingClock) -> None:
    live = Live(store, clock=clock)
    await live.look()
    await store.absences.begin(absence(clock() + 60_000, delegate="kim@example.com"))
    clock.forward(seconds=0.75)
    await live.ensure_fresh()
    assert live.snapshot.absences.of(SAM, clock()) is not None
    await store.absences.end(SAM, by=SAM)
    clock.forward(seconds=0.75)
    await live.ensure_fresh()
    assert live.snapshot.absences.of(SAM, clock()) is None
    await live.stop()


async def test_only_what_has_lapsed_is_forgotten_and_once(store: Store, clock: MovingClock) -> None:
    await store.absences.begin(absence(clock() + 1_000))
    await store.absences.begin(absence(clock() + 1_001, who="kim@example.com", by="kim@example.com"))
    await store.absences.prune()
    assert len(await store.absences.all()) == 2
    clock.forward(seconds=1)
    await asyncio.gather(*(store.absences.prune() for _ in range(4)))
    assert [each.principal for each in await store.absences.all()] == ["kim@example.com"]
    assert [each for each in await recorded(store) if each[0] is EventKind.ABSENCE_ENDED] == [
        (EventKind.ABSENCE_ENDED, SAM, "policy")
    ]


async def test_many_at_once_leave_one(store: Store, clock: MovingClock) -> None:
    await asyncio.gather(*(store.absences.begin(absence(clock() + each)) for each in range(1, 6)))
    assert len(await store.absences.all()) == 1
    assert len(await recorded(store)) == 5


async def test_what_a_newer_version_wrote_is_read(store: Store, clock: MovingClock) -> None:
    raw = {"principal": SAM, "since_ms": 1, "until_ms": clock() + 5, "by": SAM, "what_comes": "later"}
    await store._client.command("HSET", keys.ABSENCES, SAM, json.dumps(raw).encode())
    (found,) = await store.absences.all()
    assert (found.delegate, found.zone, found.aliases) == ("", "UTC", frozenset())


async def test_a_lost_store_is_said(redis_server: RedisServer, clock: MovingClock) -> None:
    store = await Store.open(redis_server.url, clock=clock)
    redis_server.kill()
    for verb in (store.absences.begin(absence(clock() + 5)), store.absences.end(SAM, by=SAM), store.absences.all()):
        with pytest.raises(StoreUnavailable):
            await verb
    await store.aclose()


def test_who_is_away() -> None:
    found = WhoIsAway([absence(100, delegate="kim@example.com"), absence(50, "lee@example.com", "Kim@Example.com")])
    assert found
    assert not WhoIsAway()
    assert found.of(" SAM@example.com", 99) is not None
    assert found.of(SAM, 100) is None
    assert found.of("s@example.com", 0) is None  # an alias forbids, and gives no right
    assert [each.principal for each in found.entrusted_to("kim@example.com", 49)] == ["lee@example.com", SAM]
    assert [each.principal for each in found.entrusted_to("kim@example.com", 50)] == [SAM]
    assert found.entrusted_to("", 0) == ()
