from __future__ import annotations

import asyncio

import redis

from holdpoint.store import Store
from holdpoint.store import keys as store_keys
from holdpoint.store.confirmations import LASTS_MS, Asked

ASKED = Asked("ada@example.com", "resume all", "fingerprint")


async def test_what_was_asked_is_taken_once_and_by_the_same_person(store: Store) -> None:
    token = await store.confirmations.ask(ASKED)
    assert await store.confirmations.take(token, by="eve@example.com") is None
    assert await store.confirmations.take("00000000", by=ASKED.by) is None
    taken = await asyncio.gather(*(store.confirmations.take(token, by=ASKED.by) for _ in range(8)))
    assert [each for each in taken if each is not None] == [ASKED]
    assert await store.confirmations.take(token, by=ASKED.by) is None


async def test_a_question_lapses(store: Store, redis_url: str) -> None:
    token = await store.confirmations.ask(ASKED)
    with redis.Redis.from_url(redis_url) as client:
        assert 0 < client.pttl(store_keys.confirmation(token)) <= LASTS_MS
