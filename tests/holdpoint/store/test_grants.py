"""Grants on a real Redis: made once, used exactly so often, revoked at once, and on the record."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from holdpoint.errors import NotFound, StoreUnavailable
from holdpoint.live import Live
from holdpoint.model import Event, EventKind, GrantScope
from holdpoint.standing import Grant
from holdpoint.store import Store
from tests.conftest import MovingClock
from tests.support.builders import DANA
from tests.support.redis_server import RedisServer

DAY_MS = 86_400_000


def make_grant(clock: MovingClock, **changes: Any) -> Grant:
    grant = Grant(
        id="g1", by="sam@example.com", name="Sam", scope=GrantScope.REQUESTER, subject=DANA.principal,
        connection="demo", rules=("secrets",), uses=3, created_ms=clock(), expires_ms=clock() + 3_600_000, hold="h1",
    )  # fmt: skip
    return replace(grant, **changes)


async def use(store: Store, request: str, *, grant: str = "g1", most: int = 1_000) -> bool:
    return await store.grants.use(
        grant, request=request, requester=DANA, connection="demo", digest="d" * 64, rules=("secrets",), most=most
    )


async def events_of(store: Store, stream: str) -> list[Event]:
    return await store.outbox.follow(stream, after="0", block_ms=1)


async def used(store: Store) -> list[int]:
    return [each.used for each in await store.grants.all()]


async def test_a_grant_is_made_once_with_its_record_and_a_new_revision(store: Store, clock: MovingClock) -> None:
    grant = make_grant(clock)
    assert await store.grants.make(grant) == grant
    assert await store.grants.make(replace(grant, uses=900, by="mallory@example.com")) == grant
    assert await store.config.revision() == 1
    (event,) = await events_of(store, "events")
    assert (event.kind, event.subject, event.data["by"]) == (EventKind.GRANT_MADE, "g1", "sam@example.com")
    assert event.data["grant"]["rules"] == ["secrets"]
    assert [(each.grant, each.used) for each in await store.grants.all()] == [(grant, 0)]


@pytest.mark.promise(4)
async def test_every_use_is_counted_and_recorded_together(store: Store, clock: MovingClock) -> None:
    await store.grants.make(make_grant(clock))
    assert [await use(store, f"r{n}") for n in range(5)] == [True, True, True, False, False]
    found = await events_of(store, "traffic")
    assert [(event.kind, event.subject) for event in found] == [(EventKind.GRANT_USED, "g1")] * 3
    assert [(event.data["use"], event.data["uses"], event.data["request"]) for event in found] == [
        (1, 3, "r0"), (2, 3, "r1"), (3, 3, "r2"),
    ]  # fmt: skip
    assert found[0].data["requester"]["principal"] == DANA.principal
    assert (found[0].data["connection"], found[0].data["digest"], found[0].data["rules"]) == (
        "demo", "d" * 64, ["secrets"],
    )  # fmt: skip
    assert await used(store) == [3]


async def test_the_same_request_is_one_use_however_often_it_asks(store: Store, clock: MovingClock) -> None:
    await store.grants.make(make_grant(clock, uses=1))
    assert [await use(store, "r1") for _ in range(3)] == [True, True, True]
    assert not await use(store, "r2")
    assert len(await events_of(store, "traffic")) == 1


@pytest.mark.promise(3)
async def test_fifty_at_once_are_exactly_as_many_uses_as_there_are(store: Store, clock: MovingClock) -> None:
    await store.grants.make(make_grant(clock, uses=5))
    answers = await asyncio.gather(*(use(store, f"r{n}") for n in range(50)))
    assert answers.count(True) == 5
    assert sorted(event.data["use"] for event in await events_of(store, "traffic")) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("why", ["unknown", "revoked", "revoked and asked again", "expired", "narrowed by the policy"])
async def test_what_is_over_says_no_and_leaves_no_trace(why: str, store: Store, clock: MovingClock) -> None:
    most = 1_000
    await store.grants.make(make_grant(clock))
    assert await use(store, "r0")
    if why.startswith("revoked"):
        await store.grants.revoke("g1", by="ada@example.com")
    elif why == "expired":
        clock.forward(seconds=3_600)
    elif why == "narrowed by the policy":
        most = 1
    request = "r0" if why == "revoked and asked again" else "r1"
    assert not await use(store, request, grant="g0" if why == "unknown" else "g1", most=most)
    assert len(await events_of(store, "traffic")) == 1
    assert await used(store) == [1]


async def test_the_last_moment_counts(store: Store, clock: MovingClock) -> None:
    await store.grants.make(make_grant(clock))
    clock.ms += 3_600_000 - 1
    assert await use(store, "r1")
    clock.ms += 1
    assert not await use(store, "r2")


async def test_a_grant_is_revoked_once_and_for_good(store: Store, clock: MovingClock) -> None:
    await store.grants.make(make_grant(clock))
    at_ms = clock()
    revoked = await asyncio.gather(*(store.grants.revoke("g1", by=f"admin{n}@example.com") for n in range(8)))
    assert len({each.revoked_by for each in revoked}) == 1
    assert {each.revoked_ms for each in revoked} == {at_ms}
    kinds = [event.kind for event in await events_of(store, "events")]
    assert kinds == [EventKind.GRANT_MADE, EventKind.GRANT_REVOKED]
    again = await store.grants.make(make_grant(clock))
    assert again.revoked_ms == at_ms
    with pytest.raises(NotFound, match="no grant 'g0'"):
        await store.grants.revoke("g0", by="ada@example.com")


async def test_processes_know_the_grants_that_can_still_be_used(store: Store, clock: MovingClock) -> None:
    live = Live(store, clock=clock)
    await store.grants.make(make_grant(clock, uses=2))
    await store.grants.make(make_grant(clock, id="g2"))
    await store.grants.make(make_grant(clock, id="g3", expires_ms=clock() + 1))
    clock.ms += 1
    await live.look()
    assert [grant.id for grant in live.snapshot.grants] == ["g1", "g2"]
    revision = live.snapshot.revision
    await use(store, "r1")
    await live.look()
    assert live.snapshot.revision == revision  # one use of several changes nothing for anybody
    await use(store, "r2")
    await live.look()
    assert [grant.id for grant in live.snapshot.grants] == ["g2"]
    await store.grants.revoke("g2", by="sam@example.com")
    await live.look()
    assert live.snapshot.grants == ()


async def test_what_is_long_over_leaves_the_list_and_redis(store: Store, clock: MovingClock) -> None:
    await store.grants.make(make_grant(clock))
    await store.grants.make(make_grant(clock, id="g2", expires_ms=clock() + DAY_MS))
    await use(store, "r1")
    ttl = await store._client.command("PTTL", "hp:{p00}:grant:g1:uses")
    assert ttl == pytest.approx(3_600_000 + 7 * DAY_MS, abs=20_000)
    await store.grants.revoke("g2", by="sam@example.com")
    clock.forward(seconds=7 * 86_400 + 3_600)
    await store.grants.prune()
    assert [each.grant.id for each in await store.grants.all()] == ["g1", "g2"]
    clock.forward(seconds=1)
    await store.grants.prune()
    assert [each.grant.id for each in await store.grants.all()] == ["g2"]
    clock.forward(seconds=86_400)
    await store.grants.prune()
    assert await store.grants.all() == []


async def test_a_restart_of_redis_keeps_grants_and_their_uses(redis_server: RedisServer, clock: MovingClock) -> None:
    store = await Store.open(redis_server.url, clock=clock)
    await store.grants.make(make_grant(clock, uses=2))
    assert await use(store, "r1")
    redis_server.kill()
    with pytest.raises(StoreUnavailable):
        await use(store, "r2")
    redis_server.start()
    assert await use(store, "r2")
    assert not await use(store, "r3")
    await store.aclose()
