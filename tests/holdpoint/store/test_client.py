"""Connections to Redis: bounded, waited for, and made anew when the server comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from holdpoint.clock import now_ms
from holdpoint.errors import StoreUnavailable
from holdpoint.model import EventKind
from holdpoint.store import Entry, Store
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until, within

_MOST_CONNECTIONS = 64


@pytest.fixture
async def client(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """With few connections: a busy machine does not greet 256 of them within the time of one command."""
    monkeypatch.setattr("holdpoint.store.connections._MAX_CONNECTIONS", _MOST_CONNECTIONS)
    opened = Client(redis_server.url)
    yield opened
    await opened.aclose()


async def answers(client: Client) -> bool:
    try:
        await client.command("PING")
    except StoreUnavailable:
        return False
    return True


def entry(n: int) -> Entry:
    return Entry("traffic", EventKind.REQUEST_ALLOWED, f"r{n}", 1000 + n, b'{"n":%d}' % n)


async def test_who_finds_all_connections_in_use_waits_for_one(client: Client) -> None:
    found = await asyncio.gather(*(client.command("ECHO", number) for number in range(4 * _MOST_CONNECTIONS)))
    assert found == [b"%d" % number for number in range(4 * _MOST_CONNECTIONS)]
    assert (
        int((await client.command("INFO", "clients")).split(b"connected_clients:")[1].split()[0]) <= _MOST_CONNECTIONS
    )


async def test_who_waits_too_long_for_one_hears_it(client: Client, redis_server: RedisServer) -> None:
    await client.command("PING")
    redis_server.pause()
    found = await asyncio.gather(
        *(client.command("PING") for _ in range(_MOST_CONNECTIONS + 10)), return_exceptions=True
    )
    redis_server.resume()
    assert {type(each) for each in found} == {StoreUnavailable}


@pytest.mark.promise(1)
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "with commands on their way"])
async def test_after_a_restart_no_stale_connection_fails_a_command(busy: bool, redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    try:
        client = store._client
        await asyncio.gather(*(client.command("PING") for _ in range(50)))
        await store.outbox.append([entry(0)])
        running: list[asyncio.Future[object]] = []
        if busy:
            redis_server.pause()  # what is in its sockets when it is killed ends their connections with an error
            running = [asyncio.ensure_future(client.command("PING")) for _ in range(50)]
            running += [asyncio.ensure_future(store.outbox.append([entry(0)]))]
            pool = client._redis.connection_pool
            await wait_until(lambda: len(pool._in_use_connections) == 50, "all commands are on their way")
        redis_server.kill()
        failed = await asyncio.gather(*running, return_exceptions=True)
        assert {type(each) for each in failed} <= {StoreUnavailable}
        redis_server.start()
        await wait_until(lambda: answers(client), "Redis answers again")
        await asyncio.gather(*(client.command("PING") for _ in range(50)))
        for number in range(50):
            await store.outbox.append([entry(number)])
    finally:
        await store.aclose()


async def test_appends_of_several_callers_take_turns(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    try:
        await store.outbox.read("traffic", group="g", block_ms=1, count=1)
        await asyncio.gather(*(store.outbox.append([entry(number)]) for number in range(100)))
        events = await store.outbox.read("traffic", group="g", block_ms=1, count=1000)
        assert [event.subject for event in events] == [f"r{number}" for number in range(100)]
    finally:
        await store.aclose()


@pytest.mark.promise(1)
async def test_nobody_waits_longer_because_others_wait_before(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    try:
        await store.outbox.append([entry(0)])
        redis_server.pause()
        async with within(6):  # one after the other they would need 20 seconds
            appends = (store.outbox.append([entry(number)]) for number in range(10))
            found = await asyncio.gather(*appends, return_exceptions=True)
        redis_server.resume()
        assert {type(each) for each in found} == {StoreUnavailable}
        await store.outbox.append([entry(1)])
    finally:
        await store.aclose()


async def test_a_server_that_forgot_its_scripts_learns_them_again(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    try:
        await store.outbox.read("traffic", group="g", block_ms=1, count=1)
        for number in range(4):
            await store._client.command("SCRIPT", "FLUSH")
            await store.outbox.append([entry(number)])
        events = await store.outbox.read("traffic", group="g", block_ms=1, count=1000)
        assert [event.subject for event in events] == ["r0", "r1", "r2", "r3"]
    finally:
        await store.aclose()


async def test_an_append_that_is_given_up_leaves_the_line_in_order(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    try:
        await store.outbox.append([entry(0)])
        redis_server.pause()
        giving_up = asyncio.ensure_future(store.outbox.append([entry(1)]))
        await wait_until(store._client._line._turn.locked, "it is on its way")
        giving_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await giving_up
        redis_server.resume()
        await store.outbox.append([entry(2)])
        await store.outbox.append([])
        assert await store._client.command("ECHO", "x") == b"x"
    finally:
        await store.aclose()


@pytest.mark.parametrize("text", ["", "é", "a" * 100_000, 'x"}\n1 2 3 4 5', "\u0000"])
async def test_what_is_appended_comes_back_byte_for_byte(text: str, store: Store) -> None:
    await store.outbox.read("traffic", group="g", block_ms=1, count=1)
    data = to_json({"text": text})
    entries = [Entry("traffic", EventKind.REQUEST_BLOCKED, f"s{text}", 5, data), entry(1)]
    await store.outbox.append(entries)
    first, second = await store.outbox.read("traffic", group="g", block_ms=1, count=10)
    assert (first.kind, first.subject, first.at_ms, first.data) == (
        EventKind.REQUEST_BLOCKED, f"s{text}", 5, {"text": text},
    )  # fmt: skip
    assert second.subject == "r1"


@pytest.mark.parametrize("connected", [True, False], ids=["as the server dies", "without a server"])
async def test_a_cancellation_is_never_lost_in_a_failure(
    client: Client, redis_server: RedisServer, connected: bool
) -> None:
    """A task that reads for ever and is cancelled has to end, whatever its command was doing just then."""
    for turns in range(12):  # of the loop, between the start of the command and its cancellation
        redis_server.restart()
        if connected:
            await client.command("PING")
        redis_server.kill()
        command = asyncio.ensure_future(client.command("PING"))
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelled = command.cancel()
        await asyncio.wait({command})
        assert command.cancelled() == cancelled
        assert cancelled or isinstance(command.exception(), StoreUnavailable)
