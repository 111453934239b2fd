"""The lean connection: one command after the other, what Redis says as it is, and never an answer to another command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from holdpoint.store.line import Connect, Line, packed
from tests.support.redis_server import RedisServer


class Said(Exception):
    """An error that Redis answered with."""


PATIENCE_S = 1.5  # within which a busy machine answers


@pytest.fixture
async def connect(redis_server: RedisServer) -> Connect:
    async def connected() -> asyncio.Transport:
        transport, _ = await asyncio.get_running_loop().create_unix_connection(
            asyncio.Protocol, str(redis_server.socket)
        )
        return transport

    return connected


@pytest.fixture
async def line(connect: Connect) -> AsyncIterator[Line]:
    opened = Line(connect, error=Said)
    yield opened
    opened.close()


@pytest.fixture
async def impatient(connect: Connect) -> AsyncIterator[Line]:
    opened = Line(connect, error=Said, patience_s=PATIENCE_S)
    yield opened
    opened.close()


def test_a_command_is_an_array_of_bulk_strings() -> None:
    assert packed(("SET", "ä", 7, b"\x00\r\n")) == b"*4\r\n$3\r\nSET\r\n$2\r\n\xc3\xa4\r\n$1\r\n7\r\n$3\r\n\x00\r\n\r\n"


async def test_answers_of_every_kind(line: Line) -> None:
    assert await line.execute("SET", "k", "v") == b"OK"
    assert await line.execute("GET", "k") == b"v"
    assert await line.execute("GET", "nothing") is None
    assert await line.execute("INCRBY", "n", 41) == 41
    assert await line.execute("RPUSH", "l", "a", "b") == 2
    assert await line.execute("LRANGE", "l", 0, -1) == [b"a", b"b"]
    large = b"x" * 1_000_000
    assert await line.execute("ECHO", large) == large


async def test_an_error_is_raised_and_the_connection_goes_on(line: Line) -> None:
    with pytest.raises(Said, match="NOSCRIPT"):
        await line.execute("EVALSHA", "0" * 40, 0)
    with pytest.raises(Said, match="unknown command"):
        await line.execute("NONSENSE")
    assert await line.execute("PING") == b"PONG"


async def test_of_several_answers_the_last_one_counts(line: Line) -> None:
    commands = [packed(("MULTI",)), packed(("ECHO", "a")), packed(("ECHO", "b")), packed(("EXEC",))]
    assert await line.execute_packed(b"".join(commands), answers=4) == [b"a", b"b"]
    heard: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    assert line.send(b"".join(commands), heard.set_result, answers=4)
    assert await heard == [b"a", b"b"]
    commands[2] = packed(("NONSENSE",))
    with pytest.raises(Said, match="EXECABORT"):
        await line.execute_packed(b"".join(commands), answers=4)
    assert await line.execute("PING") == b"PONG"


async def test_many_at_once_each_get_their_own(line: Line) -> None:
    assert await asyncio.gather(*(line.execute("ECHO", n) for n in range(500))) == [b"%d" % n for n in range(500)]


async def test_who_is_cancelled_leaves_no_answer_for_the_next(line: Line) -> None:
    for turns in range(6):  # of the loop, between the command and its cancellation
        asked = asyncio.ensure_future(line.execute("ECHO", "of somebody else"))
        for _ in range(turns):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait({asked})
        assert await line.execute("ECHO", turns) == b"%d" % turns


async def test_a_connection_that_breaks_fails_what_is_on_its_way_and_the_next_is_new(
    line: Line, redis_server: RedisServer
) -> None:
    assert await line.execute("PING") == b"PONG"
    blocked = asyncio.ensure_future(line.execute("BLPOP", "nothing", 0))
    await asyncio.sleep(0)
    redis_server.kill()
    with pytest.raises(ConnectionError):
        await blocked
    with pytest.raises(FileNotFoundError):
        await line.execute("PING")
    redis_server.start()
    assert await line.execute("PING") == b"PONG"


async def test_an_answer_that_takes_too_long_ends_the_connection_and_the_next_is_new(impatient: Line) -> None:
    for _ in range(2):
        async with asyncio.timeout(10 * PATIENCE_S):
            with pytest.raises(TimeoutError, match="no answer"):
                await impatient.execute("BLPOP", "nothing", 0)
        assert await impatient.execute("PING") == b"PONG"


async def test_each_answer_has_the_whole_time(impatient: Line) -> None:
    for _ in range(3):  # together they take longer
        assert await impatient.execute("BLPOP", "nothing", f"{0.4 * PATIENCE_S}") is None


async def test_a_line_is_ready_when_nothing_is_on_its_way(line: Line) -> None:
    assert not line.ready  # there is no connection yet
    await line.execute("PING")
    assert line.ready
    asked = asyncio.ensure_future(line.execute("PING"))
    await asyncio.sleep(0)
    assert not line.ready
    await asked
    assert line.ready
    line.close()
    assert not line.ready


async def test_a_line_is_not_ready_for_who_would_come_after_others(line: Line) -> None:
    async def ready_afterwards() -> bool:
        await line.execute("PING")
        return line.ready

    assert await asyncio.gather(*(ready_afterwards() for _ in range(3))) == [False, False, True]


@pytest.mark.parametrize("extra", [b"+OK\r\n", b"?\r\n"], ids=["an answer too many", "no RESP"])
async def test_what_nobody_asked_for_ends_the_connection(extra: bytes) -> None:
    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"PING\r\n")
        writer.write(b"+PONG\r\n" + extra)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(lie, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def connect() -> asyncio.Transport:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", port)
        return transport

    line = Line(connect, error=Said)
    with pytest.raises(ConnectionError):
        await line.execute("PING")
    line.close()
    server.close()
    await server.wait_closed()


async def test_what_is_sent_without_waiting_is_answered_when_nobody_else_is_there(line: Line) -> None:
    heard: list[object] = []
    assert not line.send(packed(("PING",)), heard.append), "there is no connection yet"
    await line.execute("PING")
    assert line.send(packed(("ECHO", "mine")), heard.append)
    assert not line.ready
    assert not line.send(packed(("ECHO", "of somebody else")), heard.append)
    assert await line.execute("ECHO", "later") == b"later"
    assert heard == [b"mine"]
    assert line.ready
    assert line.send(packed(("NONSENSE",)), heard.append)
    await line.execute("PING")
    assert [type(each) for each in heard] == [bytes, Said]


async def test_who_sent_without_waiting_hears_that_the_connection_broke(line: Line, redis_server: RedisServer) -> None:
    await line.execute("PING")
    heard: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    assert line.send(packed(("BLPOP", "nothing", 0)), heard.set_result)
    redis_server.kill()
    async with asyncio.timeout(10 * PATIENCE_S):
        assert isinstance(await heard, ConnectionError)
    assert not line.ready


async def test_who_sent_without_waiting_hears_that_no_answer_came(impatient: Line) -> None:
    await impatient.execute("PING")
    heard: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    assert impatient.send(packed(("BLPOP", "nothing", 0)), heard.set_result)
    async with asyncio.timeout(10 * PATIENCE_S):
        assert isinstance(await heard, TimeoutError)
    assert await impatient.execute("PING") == b"PONG"
