"""The connection that many callers share: all are sent at once, each gets its own answer, and all hear when it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from holdpoint.store.shared import Shared
from tests.support.redis_server import RedisServer

_PATIENCE_S = 30.0
_SHORT_S = 0.2
_NOT_SO_SHORT_S = 1.0  # where what comes in time must, though the machine is busy

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Said(Exception):
    """An error that Redis answered with."""


@pytest.fixture
async def shared(redis_server: RedisServer) -> AsyncIterator[Shared]:
    async def connect() -> asyncio.Transport:
        transport, _ = await asyncio.get_running_loop().create_unix_connection(
            asyncio.Protocol, str(redis_server.socket)
        )
        return transport

    opened = Shared(connect, error=Said, patience_s=_PATIENCE_S)
    yield opened
    opened.close()


@asynccontextmanager
async def against(behaviour: Behaviour, *, patience_s: float = _PATIENCE_S) -> AsyncIterator[Shared]:
    """A connection to a server that behaves like this."""
    behaving: set[asyncio.Future[None]] = set()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        behaving.add(task)
        await behaviour(reader, writer)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def connect() -> asyncio.Transport:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", port)
        return transport

    opened = Shared(connect, error=Said, patience_s=patience_s)
    yield opened
    opened.close()
    server.close()
    await asyncio.wait(behaving)


async def test_answers_of_every_kind(shared: Shared) -> None:
    assert await shared.execute("SET", "k", "v") == b"OK"
    assert await shared.execute("GET", "nothing") is None
    assert await shared.execute("INCRBY", "n", 41) == 41
    large = b"x" * 1_000_000
    assert await shared.execute("ECHO", large) == large


async def test_an_error_is_raised_by_whom_it_is_for(shared: Shared) -> None:
    found = await asyncio.gather(
        shared.execute("ECHO", 1), shared.execute("NONSENSE"), shared.execute("ECHO", 2), return_exceptions=True
    )
    assert (found[0], type(found[1]), found[2]) == (b"1", Said, b"2")


async def test_many_at_once_each_get_their_own(shared: Shared) -> None:
    assert await asyncio.gather(*(shared.execute("ECHO", n) for n in range(500))) == [b"%d" % n for n in range(500)]


async def test_nobody_waits_for_the_answer_to_somebody_else() -> None:
    async def answers_when_it_has_three(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            await reader.readuntil(b"PING\r\n")
        writer.write(b"+1\r\n+2\r\n+3\r\n")

    async with against(answers_when_it_has_three) as shared:
        assert await asyncio.gather(*(shared.execute("PING") for _ in range(3))) == [b"1", b"2", b"3"]


async def test_who_is_cancelled_leaves_no_answer_for_the_others(shared: Shared) -> None:
    for turns in range(6):  # of the loop, between the command and its cancellation
        asked = asyncio.ensure_future(shared.execute("ECHO", "of somebody else"))
        other = asyncio.ensure_future(shared.execute("ECHO", "mine"))
        for _ in range(turns):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait({asked})
        assert await other == b"mine"
        assert await shared.execute("ECHO", turns) == b"%d" % turns


async def test_a_connection_that_breaks_fails_all_on_their_way_and_the_next_is_new(
    shared: Shared, redis_server: RedisServer
) -> None:
    assert await shared.execute("PING") == b"PONG"
    redis_server.pause()
    running = [asyncio.ensure_future(shared.execute("PING")) for _ in range(20)]
    await asyncio.sleep(0)
    redis_server.kill()
    broken = await asyncio.gather(*running, return_exceptions=True)
    assert {type(each) for each in broken} == {ConnectionResetError}
    assert len({id(each) for each in broken}) == 20, "an error that several raise would grow with each"
    with pytest.raises(FileNotFoundError):
        await shared.execute("PING")
    redis_server.start()
    assert await asyncio.gather(*(shared.execute("PING") for _ in range(20))) == [b"PONG"] * 20


async def test_a_silent_server_is_given_up_and_one_that_still_sends_is_not() -> None:
    every_s, sent = 0.2 * _NOT_SO_SHORT_S, 10  # pieces: in all, twice as long as it may be silent

    async def slowly_then_never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"PING\r\n")
        writer.write(b"$%d\r\n" % sent)
        for _ in range(sent):
            await asyncio.sleep(every_s)
            writer.write(b"x")
        writer.write(b"\r\n")

    async with against(slowly_then_never, patience_s=_NOT_SO_SHORT_S) as shared:
        assert await shared.execute("PING") == b"x" * sent
        with pytest.raises(TimeoutError):
            await shared.execute("NEVER")


@pytest.mark.parametrize("extra", [b"+OK\r\n", b"?\r\n"], ids=["an answer too many", "no RESP"])
async def test_what_nobody_asked_for_ends_the_connection(extra: bytes) -> None:
    greeted = []

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted.append(writer)
        await reader.readuntil(b"PING\r\n")
        writer.write(b"+PONG\r\n" + extra)

    async with against(lie) as shared:
        assert await shared.execute("PING") == b"PONG"
        assert await shared.execute("PING") == b"PONG"
        assert len(greeted) == 2


async def test_who_waits_for_an_attempt_to_connect_shares_its_failure() -> None:
    attempts = 0

    async def never() -> asyncio.Transport:
        nonlocal attempts
        attempts += 1
        await asyncio.Event().wait()
        raise AssertionError

    shared = Shared(never, error=Said, patience_s=_SHORT_S)
    found = await asyncio.gather(*(shared.execute("PING") for _ in range(20)), return_exceptions=True)
    assert all(isinstance(each, OSError) for each in found)
    assert attempts == 1
    with pytest.raises(TimeoutError):
        await shared.execute("PING")
    assert attempts == 2, "who comes later tries anew"


async def test_who_is_cancelled_while_connecting_leaves_it_to_the_next() -> None:
    attempts = 0
    connecting = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"PING\r\n")
        writer.write(b"+PONG\r\n")

    async with against(answer) as good:

        async def first_hangs() -> asyncio.Transport:
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                connecting.set()
                await asyncio.Event().wait()
            return await good._connect()

        shared = Shared(first_hangs, error=Said, patience_s=_PATIENCE_S)
        first = asyncio.ensure_future(shared.execute("PING"))
        await connecting.wait()
        second = asyncio.ensure_future(shared.execute("PING"))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == b"PONG"
        assert first.cancelled()
        shared.close()
