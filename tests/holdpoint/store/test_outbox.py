"""The outbox on a real Redis: nothing lost, nothing trimmed too early, takeover after a crash."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdpoint.errors import StoreUnavailable
from holdpoint.model import Event, EventKind
from holdpoint.store import Entry, Store
from holdpoint.store.as_json import to_json
from tests.support.redis_server import RedisServer


def entry(n: int, stream: str = "traffic") -> Entry:
    return Entry(stream, EventKind.REQUEST_ALLOWED, f"r{n}", 1000 + n, b'{"n":%d}' % n)


async def read(store: Store, group: str = "g", stream: str = "traffic", *, pending: bool = False) -> list[Event]:
    return await store.outbox.read(stream, group=group, block_ms=1, count=100, pending=pending)


async def fresh_group(store: Store, group: str = "g") -> None:
    assert await read(store, group) == []


async def length(store: Store, stream: str = "traffic") -> int:
    return int(await store._client.command("XLEN", "hp:{p00}:" + stream))


async def test_events_come_in_order_with_what_they_say(store: Store) -> None:
    await fresh_group(store)
    await store.outbox.append([entry(0), entry(1, "events"), entry(2)])
    events = await read(store)
    assert [(e.subject, e.at_ms, e.data) for e in events] == [("r0", 1000, {"n": 0}), ("r2", 1002, {"n": 2})]
    assert all(e.source.startswith("traffic/") for e in events)
    assert await read(store) == []


async def test_a_group_that_is_made_late_still_sees_everything(store: Store) -> None:
    await store.outbox.append([entry(0)])
    await fresh_group(store, "late")
    assert [e.subject for e in await read(store, "late")] == ["r0"]


async def test_who_takes_over_reads_first_what_was_not_acknowledged(store: Store) -> None:
    await fresh_group(store)
    await store.outbox.append([entry(n) for n in range(4)])
    events = await read(store)
    await store.outbox.ack("traffic", group="g", events=events[:1])
    assert [e.subject for e in await read(store, pending=True)] == ["r1", "r2", "r3"]
    assert await store.outbox.lag("traffic", group="g") == 3
    await store.outbox.ack("traffic", group="g", events=events[1:])
    assert await read(store, pending=True) == []
    assert await store.outbox.lag("traffic", group="g") == 0


async def test_trimming_keeps_what_any_group_still_needs(store: Store) -> None:
    for group in ("fast", "slow"):
        await fresh_group(store, group)
    await store.outbox.append([entry(n) for n in range(5)])
    await store.outbox.ack("traffic", group="fast", events=await read(store, "fast"))
    await store.outbox.trim("traffic")
    assert await length(store) == 5, "slow has read nothing"
    events = await read(store, "slow")
    await store.outbox.ack("traffic", group="slow", events=[e for e in events if e.subject != "r2"])
    await store.outbox.trim("traffic")
    assert await length(store) == 3, "slow has not acknowledged r2"
    await store.outbox.ack("traffic", group="slow", events=events)
    await store.outbox.trim("traffic")
    assert await length(store) == 0
    await store.outbox.append([entry(9)])
    assert [e.subject for e in await read(store, "slow")] == ["r9"]


async def test_a_group_without_work_holds_nothing_back(store: Store) -> None:
    for group in ("ledger", "cards:gone"):
        await fresh_group(store, group)
    await store.outbox.append([entry(0)])
    await store.outbox.ack("traffic", group="ledger", events=await read(store, "ledger"))
    await store.outbox.drop_group("cards:gone")
    await store.outbox.trim("traffic")
    assert await length(store) == 0


async def test_a_group_that_is_made_first_misses_nothing_however_early_others_trim(store: Store) -> None:
    await store.outbox.make_group("traffic", "cards:slack")
    await store.outbox.make_group("traffic", "cards:slack")
    await fresh_group(store, "ledger")
    await store.outbox.append([entry(0)])
    await store.outbox.ack("traffic", group="ledger", events=await read(store, "ledger"))
    await store.outbox.trim("traffic")
    assert await store.outbox.lags() == {("traffic", "ledger"): 0, ("traffic", "cards:slack"): 1}
    assert [e.subject for e in await read(store, "cards:slack")] == ["r0"]


async def test_a_stream_without_groups_is_never_trimmed(store: Store) -> None:
    await store.outbox.append([entry(0)])
    await store.outbox.trim("traffic")
    await store.outbox.trim("events")
    assert await length(store) == 1
    assert await store.outbox.lag("traffic", group="nobody") == 1


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.builds(
            Entry,
            st.sampled_from(["events", "traffic"]),
            st.sampled_from(EventKind),
            st.text(st.characters(codec="utf-8")),
            st.integers(0, 2**63 - 1),
            st.recursive(st.text(st.characters(codec="utf-8")), st.lists).map(to_json),
        ),
        max_size=20,
    )
)
async def test_whatever_an_entry_says_comes_back_as_it_was(store: Store, entries: list[Entry]) -> None:
    """What has line breaks, signs of the protocol, nothing at all, or much in it, too."""
    before = {stream: await store.outbox.latest(stream) for stream in store.outbox.streams()}
    await store.outbox.append(entries)
    for stream, position in before.items():
        expected = [each for each in entries if each.stream == stream]
        # What is not there is not waited for: it would take as long as a wait may.
        found = await store.outbox.follow(stream, after=position, block_ms=1) if expected else []
        assert [(e.kind, e.subject, e.at_ms, to_json(e.data)) for e in found] == [each[1:] for each in expected]


async def test_a_stream_that_takes_nothing_is_no_success(store: Store) -> None:
    await store._client.command("SET", "hp:{p00}:events", "no stream")
    with pytest.raises(StoreUnavailable):
        await store.outbox.append([entry(0), entry(1, "events"), entry(2)])
    heard: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    assert store.outbox.send([entry(3, "events")], heard.set_result)
    assert isinstance(await heard, StoreUnavailable)
    await store.outbox.append([entry(4)])


@pytest.mark.promise(1)
async def test_who_may_not_append_is_told_and_leaves_nothing(redis_server: RedisServer, store: Store) -> None:
    """Redis forgets the whole transaction when it refuses one of its commands."""
    await store.outbox.append([entry(0)])
    await store._client.command("ACL", "SETUSER", "default", "-xadd")
    with pytest.raises(StoreUnavailable):
        await store.outbox.append([entry(1), entry(2)])
    await store._client.command("ACL", "SETUSER", "default", "+xadd")
    await store.outbox.append([entry(3)])
    assert await length(store) == 2


@pytest.mark.promise(1)
async def test_a_full_redis_takes_no_record(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=lambda: 1)
    await store._client.command("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(StoreUnavailable):
        await store.outbox.append([entry(0)])
    await store.aclose()
