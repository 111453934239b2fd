from __future__ import annotations

import redis

from holdpoint.store import Store


async def test_a_session_lasts_until_it_is_ended(store: Store) -> None:
    cookie, session = await store.sessions.start("digest-of-a-key", ttl_ms=60_000)
    assert await store.sessions.get(cookie) == session
    assert session.key_digest == "digest-of-a-key"
    await store.sessions.end(cookie)
    assert await store.sessions.get(cookie) is None


async def test_an_unknown_cookie_is_nobody(store: Store) -> None:
    assert await store.sessions.get("made up") is None


async def test_redis_holds_no_cookie_and_forgets_by_itself(store: Store, redis_url: str) -> None:
    cookie, _ = await store.sessions.start("digest", ttl_ms=60_000)
    await store.sessions.failed("192.0.2.1")
    with redis.Redis.from_url(redis_url) as client:
        names = client.keys("*")
        assert len(names) == 2
        for name in names:
            assert cookie.encode() not in name + (client.get(name) or b"")
            assert 0 < client.pttl(name) <= 60_000


async def test_failures_are_counted_per_address(store: Store) -> None:
    for _ in range(3):
        await store.sessions.failed("192.0.2.1")
    assert await store.sessions.failures("192.0.2.1") == 3
    assert await store.sessions.failures("192.0.2.2") == 0
