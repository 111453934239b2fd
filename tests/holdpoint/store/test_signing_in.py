from __future__ import annotations

import asyncio

import redis

from holdpoint.store import Store
from holdpoint.store.signing_in import LASTS_MS, Begun, digest

BEGUN = Begun("way", "/review", digest("cookie"), 1, "nonce", "verifier", 300_000, "mfa")


async def begin(store: Store) -> str:
    state = await store.signing_in.begin(BEGUN, address="192.0.2.1")
    assert state is not None
    return state


async def test_a_state_works_once(store: Store) -> None:
    state = await begin(store)
    found = await asyncio.gather(*(store.signing_in.take(state, browser="cookie") for _ in range(4)))
    assert sorted(each is not None for each in found) == [False, False, False, True]
    assert BEGUN in found


async def test_a_state_works_in_its_browser_only_and_another_one_spends_it(store: Store) -> None:
    for browser in ("", "another", "cookie\x00", "\ud800"):
        state = await begin(store)
        assert await store.signing_in.take(state, browser=browser) is None
        assert await store.signing_in.take(state, browser="cookie") is None


async def test_a_made_up_state_is_nothing(store: Store) -> None:
    for state in ("", "made up", "x" * 10_000, "\ud800"):
        assert await store.signing_in.take(state, browser="cookie") is None


async def test_redis_holds_neither_state_nor_cookie_and_forgets_after_ten_minutes(store: Store, redis_url: str) -> None:
    state = await begin(store)
    with redis.Redis.from_url(redis_url) as client:
        for name in client.keys("*signing-in*"):
            assert state.encode() not in name + client.get(name)
            assert b"cookie" not in client.get(name)
            assert 0 < client.pttl(name) <= LASTS_MS


async def test_an_address_that_begins_all_the_time_is_held_off(store: Store) -> None:
    states = [await store.signing_in.begin(BEGUN, address="192.0.2.1") for _ in range(302)]
    assert [state is not None for state in states] == [True] * 300 + [False] * 2
    assert await store.signing_in.begin(BEGUN, address="192.0.2.2") is not None
