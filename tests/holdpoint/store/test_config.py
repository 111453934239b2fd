"""Policy versions, keys and routes on a real Redis: compare-and-set, revisions, and an event for each change."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from holdpoint.errors import Conflict, NotFound
from holdpoint.model import EventKind, KeyRecord, Role, Route
from holdpoint.store import Store, keys
from tests.conftest import MovingClock


def key(key_id: str = "k1") -> KeyRecord:
    return KeyRecord(
        id=key_id,
        digest="d" * 64,
        principal="sam@example.com",
        groups=frozenset({"security", "eng"}),
        roles=frozenset({Role.REVIEWER}),
        created_ms=1,
        expires_ms=None,
    )


async def kinds(store: Store) -> list[EventKind]:
    await store.outbox.read("events", group="t", block_ms=1, count=100)
    return [e.kind for e in await store.outbox.read("events", group="t", block_ms=1, count=100)]


async def test_a_push_is_compare_and_set(store: Store) -> None:
    assert await store.config.policy() is None
    assert await store.config.push_policy("one", expect=0, by="alex", note="first") == 1
    with pytest.raises(Conflict, match="version 1, not 0"):
        await store.config.push_policy("two", expect=0, by="kim")
    assert await store.config.push_policy("two", expect=1, by="kim") == 2
    head = await store.config.policy()
    assert head is not None
    assert (head.version, head.text, head.by, head.note) == (2, "two", "kim", "")
    assert (await store.config.policy_version(1)).text == "one"
    assert [p.version for p in await store.config.policy_history()] == [2, 1]
    with pytest.raises(NotFound):
        await store.config.policy_version(3)
    assert await kinds(store) == [EventKind.POLICY_PUSHED] * 2


async def test_versions_of_older_and_newer_releases_are_read(store: Store) -> None:
    await store.config.push_policy("one", expect=0, by="ada@example.com")
    old = '{"text":"one","by":"ada@example.com","at_ms":5,"note":""}'
    for member, version in (
        (old, ("ada@example.com", "", ())),
        (old[:-1] + ',"aliases":["a@x.org"],"later":[1]}', ("ada@example.com", "", ("a@x.org",))),
    ):
        await store._client.command("HSET", keys.POLICY_VERSIONS, 1, member)
        read = await store.config.policy_version(1)
        assert (read.by, read.confirmed_by, read.aliases) == version


async def test_a_version_says_no_more_than_it_has_to(store: Store) -> None:
    """Neighbouring releases run side by side; an older one refuses members that it does not know."""
    await store.config.push_policy("one", expect=0, by="ada@example.com")
    stored = orjson.loads(await store._client.command("HGET", keys.POLICY_VERSIONS, 1))
    assert set(stored) == {"text", "by", "at_ms", "note"}


async def test_of_many_pushes_at_once_one_wins(store: Store) -> None:
    answers = await asyncio.gather(
        *(store.config.push_policy(str(n), expect=0, by="x") for n in range(10)), return_exceptions=True
    )
    assert [answer for answer in answers if not isinstance(answer, Conflict)] == [1]


async def test_a_key_is_added_once_and_revoked_for_good(store: Store, clock: MovingClock) -> None:
    before = await store.config.revision()
    await store.config.put_key(key())
    with pytest.raises(Conflict):
        await store.config.put_key(key())
    assert await store.config.keys() == [key()]
    revoked = await store.config.revoke_key("k1", by="alex")
    assert revoked.revoked_ms == clock.ms
    clock.forward(seconds=5)
    assert await store.config.revoke_key("k1", by="alex") == revoked
    assert await store.config.revision() == before + 2
    with pytest.raises(NotFound):
        await store.config.revoke_key("k2", by="alex")
    assert await kinds(store) == [EventKind.KEY_CREATED, EventKind.KEY_REVOKED]


@pytest.mark.promise(8)
async def test_no_event_carries_the_digest_of_a_key(store: Store) -> None:
    await store.config.put_key(key())
    await store.outbox.read("events", group="t", block_ms=1, count=100)
    (event,) = await store.outbox.read("events", group="t", block_ms=1, count=100)
    assert "d" * 64 not in str(event)


async def test_routes_are_added_and_removed(store: Store) -> None:
    assert await store.config.add_route("contractors", "slack:C1", by="alex") is True
    assert await store.config.add_route("contractors", "slack:C1", by="alex") is False
    assert await store.config.add_route("contractors", "web", by="alex") is True
    assert await store.config.routes() == [Route("contractors", ("slack:C1", "web"))]
    assert await store.config.remove_route("contractors", "slack:C1", by="alex") is True
    assert await store.config.remove_route("contractors", "slack:C1", by="alex") is False
    assert await store.config.routes() == [Route("contractors", ("web",))]
    assert await kinds(store) == [EventKind.ROUTE_ADDED, EventKind.ROUTE_ADDED, EventKind.ROUTE_REMOVED]


async def test_one_holder_has_a_lease(store: Store) -> None:
    assert await store.leases.hold("ledger", holder="a", ttl_ms=60_000)
    assert not await store.leases.hold("ledger", holder="b", ttl_ms=60_000)
    assert await store.leases.hold("ledger", holder="a", ttl_ms=60_000)
    await store.leases.release("ledger", holder="b")
    assert not await store.leases.hold("ledger", holder="b", ttl_ms=60_000)
    await store.leases.release("ledger", holder="a")
    assert await store.leases.hold("ledger", holder="b", ttl_ms=60_000)


async def test_a_card_is_intended_once(store: Store) -> None:
    assert await store.cards.intend("h1", "slack:C1", intent="i1") is True
    assert await store.cards.intend("h1", "slack:C1", intent="i2") is False
    (place,) = (await store.cards.all("h1")).values()
    assert (place.intent, place.message) == ("i1", "")
    await store.cards.forget("h1", "slack:C1")
    assert await store.cards.all("h1") == {}
