"""Links come and go with their record; the address and the code serve once, and are stored nowhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import redis

from holdpoint.errors import Conflict
from holdpoint.linked import Link
from holdpoint.model import Account, EventKind
from holdpoint.store import Store, keys
from holdpoint.store.links import CODE_MS, MOST_WRONG, TOKEN_MS, Offer, WrongCode

ACCOUNT = Account("slack", "T1", "U1", "Dana", "dana@chat.example")
LINK = Link("slack", "T1", "U1", "dana@example.com", "dana@chat.example", "Dana", 1, "key 1")
OFFER = Offer(ACCOUNT, "dana@example.com", "key 1", "digest")
CODE = "12345678"


async def changes(store: Store) -> list[tuple[EventKind, str, str]]:
    events = await store.outbox.follow("events", after="0", block_ms=1)
    return [(each.kind, each.subject, str(each.data["by"])) for each in events]


async def test_a_link_is_made_voided_replaced_and_removed_with_its_record(store: Store) -> None:
    before = await store.config.revision()
    await store.links.make(LINK)
    with pytest.raises(Conflict):
        await store.links.make(replace(LINK, principal="eve@example.com"))
    assert await store.links.all() == [LINK]
    await store.links.void(LINK, by="slack")
    with pytest.raises(Conflict):
        await store.links.void(LINK, by="slack")
    void = await store.links.get("slack", "U1")
    assert void is not None
    assert void.voided_ms is not None
    newer = replace(LINK, email_then="d@new.example", at_ms=2)
    await store.links.make(newer)
    with pytest.raises(Conflict):
        await store.links.remove(void, by="ada@example.com")
    await store.links.remove(newer, by="ada@example.com")
    assert await store.links.all() == []
    assert await changes(store) == [
        (EventKind.LINK_MADE, "slack:U1", "dana@example.com"), (EventKind.LINK_VOIDED, "slack:U1", "slack"),
        (EventKind.LINK_MADE, "slack:U1", "dana@example.com"), (EventKind.LINK_REMOVED, "slack:U1", "ada@example.com"),
    ]  # fmt: skip
    assert await store.config.revision() == before + 4


async def test_of_many_at_once_one_links_an_account(store: Store) -> None:
    people = [replace(LINK, principal=f"p{number}@example.com") for number in range(8)]
    done = await asyncio.gather(*(store.links.make(each) for each in people), return_exceptions=True)
    assert sum(each is None for each in done) == 1
    assert all(each is None or isinstance(each, Conflict) for each in done)


@pytest.mark.promise(8)
async def test_neither_the_address_nor_the_code_is_stored_and_both_lapse(store: Store, redis_url: str) -> None:
    await store.links.begin("the-token", ACCOUNT)
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys("*linking*")
        assert 0 < client.pttl(key) <= TOKEN_MS
        assert b"the-token" not in key + client.get(key)
        assert await store.links.offer("the-token", OFFER, code=CODE)
        (key,) = client.keys("*linking*")
        assert key.decode() == keys.link_code("slack:U1")
        assert 0 < client.pttl(key) <= CODE_MS
        assert CODE.encode() not in b"".join(client.hvals(key))


async def test_an_address_serves_once_and_looking_does_not_use_it_up(store: Store) -> None:
    await store.links.begin("t", ACCOUNT)
    assert await store.links.begun("t") == ACCOUNT
    assert await store.links.begun("t") == ACCOUNT
    assert await store.links.begun("another") is None
    done = await asyncio.gather(*(store.links.offer("t", OFFER, code=CODE) for _ in range(8)))
    assert done.count(True) == 1
    assert await store.links.begun("t") is None


async def test_a_code_serves_its_account_once(store: Store) -> None:
    await store.links.begin("t", ACCOUNT)
    assert await store.links.take(ACCOUNT, code=CODE) is None
    await store.links.offer("t", OFFER, code=CODE)
    assert await store.links.take(replace(ACCOUNT, user_id="U2"), code=CODE) is None
    with pytest.raises(WrongCode):
        await store.links.take(ACCOUNT, code="87654321")
    done = await asyncio.gather(*(store.links.take(ACCOUNT, code=CODE) for _ in range(8)))
    assert [each for each in done if each is not None] == [OFFER]


@pytest.mark.promise(5)
async def test_after_a_few_wrong_codes_the_right_one_does_not_count_either(store: Store) -> None:
    await store.links.begin("t", ACCOUNT)
    await store.links.offer("t", OFFER, code=CODE)
    for number in range(MOST_WRONG - 1):
        with pytest.raises(WrongCode):
            await store.links.take(ACCOUNT, code=f"{number}")
    assert await store.links.take(ACCOUNT, code="0") is None
    assert await store.links.take(ACCOUNT, code=CODE) is None


async def test_a_newer_offer_takes_the_place_of_the_one_before_and_of_its_tries(store: Store) -> None:
    for token, code in (("a", "11111111"), ("b", "22222222")):
        await store.links.begin(token, ACCOUNT)
        await store.links.offer(token, OFFER, code=code)
    with pytest.raises(WrongCode):
        await store.links.take(ACCOUNT, code="11111111")
    assert await store.links.take(ACCOUNT, code="22222222") == OFFER
