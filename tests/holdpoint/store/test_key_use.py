"""When keys were last used: the latest of all processes, and never a reason to refuse."""

from __future__ import annotations

import asyncio

import pytest

from holdpoint.clock import now_ms
from holdpoint.store import Store, key_use
from holdpoint.store.key_use import UsedKeys
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until


async def test_the_latest_counts_whoever_says_it_in_whichever_order(store: Store) -> None:
    assert await store.key_use.all() == {}
    await store.key_use.write({"a": 1_700_000_000_000, "b": 5})
    await store.key_use.write({"a": 1_600_000_000_000, "b": 7, "c": 1})
    assert await store.key_use.all() == {"a": 1_700_000_000_000, "b": 7, "c": 1}


async def test_more_keys_than_one_call_takes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_use, "_MOST_AT_ONCE", 2)
    used = {f"k{number}": number + 1 for number in range(5)}
    await store.key_use.write(used)
    assert await store.key_use.all() == used


async def test_nothing_is_written_but_from_time_to_time_and_at_the_end(store: Store) -> None:
    revision = await store.config.revision()
    async with UsedKeys(store.key_use) as used:
        for at_ms in range(1, 100):
            used.note("a", at_ms)
        assert await store.key_use.all() == {}
        await used.write()
        assert await store.key_use.all() == {"a": 99}
        used.note("b", 3)
    assert await store.key_use.all() == {"a": 99, "b": 3}
    assert await store.config.revision() == revision  # no process has to look again


async def test_it_is_written_by_itself(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_use, "EVERY_S", 0.01)
    async with UsedKeys(store.key_use) as used:
        used.note("a", 1)

        async def written() -> bool:
            return await store.key_use.all() == {"a": 1}

        await wait_until(written, "it is written")


async def test_a_lost_redis_loses_nothing_and_fails_nobody(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    async with UsedKeys(store.key_use) as used:
        used.note("a", 1)
        used.note("b", 1)
        redis_server.kill()
        await used.write()
        used.note("a", 2)
        redis_server.start()

        async def written() -> bool:
            await used.write()
            return not used._noted

        await wait_until(written, "Redis takes it")
        assert await store.key_use.all() == {"a": 2, "b": 1}
        redis_server.kill()
        used.note("c", 3)
    await store.aclose()


async def test_what_is_noted_while_a_write_fails_is_the_later_one(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    async with UsedKeys(store.key_use) as used:
        used.note("a", 1)
        redis_server.pause()
        writing = asyncio.create_task(used.write())
        await wait_until(lambda: not used._noted, "it is being written")
        used.note("a", 2)
        await writing
        assert used._noted == {"a": 2}
        redis_server.resume()

        async def written() -> bool:
            await used.write()
            return await store.key_use.all() == {"a": 2}

        await wait_until(written, "Redis takes it")
    await store.aclose()
