from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
import redis

from holdpoint.model import EventKind
from holdpoint.store import Store
from holdpoint.store.sessions import IDLE_MS, KEY_MS, LONGEST_MS, SignedIn, Vouched
from tests.conftest import MovingClock

HOUR = 3_600_000
SAM = SignedIn(
    "sam@example.com", "Sam", frozenset({"security"}), frozenset({"sam@old.example.com"}), "https://login.example.com",
    "sub-1", "oidc", 1_000, "mfa",
)  # fmt: skip


async def events(store: Store) -> list[tuple[str, dict[str, object]]]:
    found = await store.outbox.follow("events", after="0", block_ms=10)
    return [(event.kind.value, dict(event.data)) for event in found if event.kind.value.startswith("session.")]


def stored(redis_url: str) -> dict[str, tuple[bytes, int]]:
    """Every session that Redis holds: its JSON, and its TTL in milliseconds."""
    with redis.Redis.from_url(redis_url) as client:
        names = [name for name in client.keys("*:session:*") if b":check:" not in name]
        return {name.decode(): (client.get(name), client.pttl(name)) for name in names}


async def test_a_session_lasts_until_it_is_ended(store: Store) -> None:
    cookie, session = await store.sessions.start(key_digest="digest-of-a-key", principal="sam@example.com")
    assert await store.sessions.get(cookie) == session
    assert (session.key_digest, session.person, session.principal) == ("digest-of-a-key", None, "sam@example.com")
    assert await store.sessions.end(cookie)
    assert await store.sessions.get(cookie) is None
    assert not await store.sessions.end(cookie)


async def test_a_person_comes_back_as_they_were(store: Store, clock: MovingClock) -> None:
    vouched = Vouched(clock() + HOUR, "way", "terms", "locked", "hint")
    cookie, session = await store.sessions.start(person=SAM, vouched=vouched, address="192.0.2.1")
    assert await store.sessions.get(cookie) == session
    assert (session.person, session.vouched, session.address) == (SAM, vouched, "192.0.2.1")
    assert session.ends_ms == clock() + HOUR


async def test_an_unknown_cookie_is_nobody(store: Store) -> None:
    assert await store.sessions.get("made up") is None
    assert not await store.sessions.end("made up")


async def test_a_session_of_an_older_version_still_counts_and_can_be_ended(store: Store, redis_url: str) -> None:
    cookie, _ = await store.sessions.start(key_digest="digest")
    (name,) = stored(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.set(name, json.dumps({"key_digest": "digest", "csrf": "token", "started_ms": 1}), px=60_000)
    session = await store.sessions.get(cookie)
    assert session is not None
    assert (session.key_digest, session.csrf, session.started_ms, session.principal) == ("digest", "token", 1, "")
    assert await store.sessions.end(cookie)


async def test_redis_holds_no_cookie_and_forgets_by_itself(store: Store, redis_url: str) -> None:
    cookie, session = await store.sessions.start(key_digest="digest", principal="sam@example.com")
    assert session.id not in cookie
    await store.sessions.failed("192.0.2.1")
    with redis.Redis.from_url(redis_url) as client:
        for name in client.keys("*"):
            if name.endswith(b":events"):
                continue
            value = client.get(name) if client.type(name) == b"string" else b"".join(client.zrange(name, 0, -1))
            assert cookie.encode() not in name + value
            assert 0 < client.pttl(name) <= KEY_MS


async def test_how_long_a_session_lasts(store: Store, clock: MovingClock, redis_url: str) -> None:
    async def lifetime(**terms: int) -> tuple[int, object]:
        """Up to its end, and unless it is used."""
        vouched = Vouched(clock() + terms["until"]) if terms else None
        cookie, session = await store.sessions.start(person=SAM if terms else None, vouched=vouched, principal="x")
        ((_, ttl),) = stored(redis_url).values()
        await store.sessions.end(cookie)
        return session.ends_ms - clock(), pytest.approx(ttl, abs=20_000)

    assert await lifetime() == (KEY_MS, KEY_MS)
    assert await lifetime(until=300_000) == (300_000, 300_000)
    assert await lifetime(until=3 * HOUR) == (3 * HOUR, IDLE_MS)
    assert await lifetime(until=99 * HOUR) == (LONGEST_MS, IDLE_MS)
    _, over = await store.sessions.start(person=SAM, vouched=Vouched(clock() - 5))
    assert over.ends_ms == clock() + 1


async def test_only_who_uses_a_session_keeps_it_from_being_idle(
    store: Store, clock: MovingClock, redis_url: str
) -> None:
    cookie, session = await store.sessions.start(person=SAM, vouched=Vouched(clock() + LONGEST_MS))
    (name,) = stored(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.pexpire(name, 1_000_000)
        await store.sessions.get(cookie, active=False)
        assert client.pttl(name) <= 1_000_000
        await store.sessions.get(cookie)
        assert client.pttl(name) > IDLE_MS - 60_000
        clock.forward(seconds=LONGEST_MS / 1000 - 600)
        client.pexpire(name, 100_000)
        await store.sessions.get(cookie)
        assert client.pttl(name) <= session.ends_ms - clock()


async def test_opening_and_ending_are_on_the_record_without_any_secret(store: Store, clock: MovingClock) -> None:
    vouched = Vouched(clock() + HOUR, "way", "terms", "locked refresh", "locked hint")
    cookie, session = await store.sessions.start(person=SAM, vouched=vouched, address="192.0.2.1")
    await store.sessions.end(cookie, by="policy", reason="over")
    key_cookie, _ = await store.sessions.start(key_digest="secret digest", principal="kim@example.com")
    await store.sessions.end(key_cookie)
    found = await events(store)
    assert [kind for kind, _ in found] == [
        EventKind.SESSION_OPENED, EventKind.SESSION_ENDED, EventKind.SESSION_OPENED, EventKind.SESSION_ENDED,
    ]  # fmt: skip
    assert found[0][1] == {
        "session": session.id, "principal": "sam@example.com", "method": "oidc", "issuer": "https://login.example.com",
        "auth_ms": 1_000, "ends_ms": session.ends_ms, "address": "192.0.2.1",
    }  # fmt: skip
    assert (found[1][1]["by"], found[1][1]["reason"]) == ("policy", "over")
    assert (found[2][1]["method"], found[3][1]["by"]) == ("key", "kim@example.com")
    text = json.dumps(found)
    for secret in (cookie, key_cookie, "secret digest", "locked refresh", "locked hint", session.csrf):
        assert secret not in text


async def test_all_sessions_of_a_person_end_however_the_name_is_written(store: Store, clock: MovingClock) -> None:
    vouched = Vouched(clock() + HOUR)
    mine = [(await store.sessions.start(person=SAM, vouched=vouched))[0] for _ in range(2)]
    mine.append((await store.sessions.start(key_digest="digest", principal="Sam@Example.com "))[0])
    other, _ = await store.sessions.start(key_digest="digest", principal="kim@example.com")
    assert len(await store.sessions.of("SAM@example.com")) == 3
    assert await store.sessions.end_all("sam@EXAMPLE.com", by="ada@example.com", reason="an admin said so") == 3
    assert [await store.sessions.get(cookie) for cookie in mine] == [None] * 3
    assert await store.sessions.get(other) is not None
    assert await store.sessions.of("sam@example.com") == []


async def test_one_of_them_ends_and_nobody_ends_another_persons(store: Store, clock: MovingClock) -> None:
    one, first = await store.sessions.start(person=SAM, vouched=Vouched(clock() + HOUR))
    two, _ = await store.sessions.start(person=SAM, vouched=Vouched(clock() + HOUR))
    assert not await store.sessions.end_one("kim@example.com", first.id, by="", reason="")
    assert await store.sessions.end_one("sam@example.com", first.id, by="", reason="")
    assert await store.sessions.get(one) is None
    assert await store.sessions.get(two) is not None


async def test_what_the_provider_says_does_not_bring_an_ended_session_back(store: Store, clock: MovingClock) -> None:
    cookie, session = await store.sessions.start(person=SAM, vouched=Vouched(clock() + HOUR))
    assert await store.sessions.check_alone(session)
    assert not await store.sessions.check_alone(session)
    clock.forward(seconds=60)
    changed = replace(session, person=replace(SAM, groups=frozenset()))
    checked = await store.sessions.checked(cookie, changed)
    assert checked.checked_ms == clock()
    assert await store.sessions.get(cookie) == checked
    assert await store.sessions.check_alone(session)
    await store.sessions.end(cookie)
    await store.sessions.checked(cookie, changed)
    assert await store.sessions.get(cookie) is None


async def test_what_the_provider_says_can_end_a_session_earlier_but_is_no_use_of_it(
    store: Store, clock: MovingClock, redis_url: str
) -> None:
    cookie, session = await store.sessions.start(person=SAM, vouched=Vouched(clock() + LONGEST_MS))
    (name,) = stored(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.pexpire(name, 500_000)
        await store.sessions.checked(cookie, session)
        assert client.pttl(name) <= 500_000
    await store.sessions.checked(cookie, replace(session, ends_ms=clock() + 1000))
    assert len(await store.sessions.of("sam@example.com")) == 1
    clock.forward(seconds=1)
    assert await store.sessions.get(cookie) is None
    assert await store.sessions.of("sam@example.com") == []


async def test_a_session_ends_once(store: Store) -> None:
    cookie, _ = await store.sessions.start(key_digest="digest", principal="sam@example.com")
    await asyncio.gather(*(store.sessions.get(cookie) for _ in range(8)))  # so that there are eight connections
    assert sorted(await asyncio.gather(*(store.sessions.end(cookie) for _ in range(8)))) == [False] * 7 + [True]
    assert [kind for kind, _ in await events(store)] == ["session.opened", "session.ended"]


async def test_failures_are_counted_per_address(store: Store) -> None:
    for _ in range(3):
        await store.sessions.failed("192.0.2.1")
    assert await store.sessions.failures("192.0.2.1") == 3
    assert await store.sessions.failures("192.0.2.2") == 0
