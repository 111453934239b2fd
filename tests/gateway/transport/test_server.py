"""The server's side of the door: framing, keep-alive, pipelining, and a client that goes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.transport import BodyBroken, BodyTooLarge, BodyTooSlow, ClientGone, Reply, Request
from gateway.transport.server import HttpServer
from tests.gateway.raw import raw_client
from tests.support.waiting import wait_until, within

Serve = Callable[[Request, Reply], Awaitable[None] | None]


@asynccontextmanager
async def serving(serve: Serve, idle_s: float = 60.0) -> AsyncIterator[int]:
    server = await HttpServer.open("127.0.0.1", 0, serve, write_timeout_s=0.3, idle_s=idle_s)
    await server.start_accepting()
    try:
        yield server.port
    finally:
        await server.aclose(0.2)


async def echo(request: Request, reply: Reply) -> None:
    """Says what it understood."""
    try:
        body = (await request.body(100, 0.2)).decode()
    except (BodyTooLarge, BodyTooSlow, BodyBroken) as error:
        body = type(error).__name__
    answer = json.dumps([request.method, request.path, request.query, request.peer, body]).encode()
    reply.start(200, [("content-length", str(len(answer)))])
    await reply.end(answer)


async def chunks(_request: Request, reply: Reply) -> None:
    reply.start(200, [("content-type", "text/plain")])
    await reply.write(b"one")
    await reply.end(b"two")


def get(path: str, *headers: str, version: str = "1.1") -> bytes:
    return f"GET {path} HTTP/{version}\r\nHost: x\r\n{''.join(h + chr(13) + chr(10) for h in headers)}\r\n".encode()


async def test_a_request_is_seen_as_it_was_sent() -> None:
    async with serving(echo) as port, raw_client(port) as client:
        await client.send(b"POST /a%2Fb/../c?x=%20 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
        _, headers = await client.head()
        body = await client.reader.readexactly(int(headers["content-length"]))
    assert json.loads(body) == ["POST", "/a%2Fb/../c", "x=%20", "127.0.0.1", "hi"]


async def test_a_body_that_was_taken_is_not_kept() -> None:
    taken: list[bytes] = []

    def serve(request: Request, reply: Reply) -> None:
        taken.extend((request.take_arrived(), request.take_arrived()))
        reply.start(200, [("content-length", "0")])
        reply.finish(b"")

    async with serving(serve) as port, raw_client(port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
        assert (await client.head())[0] == 200
    assert taken == [b"hi", b""]


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving(echo) as port, raw_client(port) as client:
        await client.send(get("/1") + get("/2") + get("/3"))
        for number in ("/1", "/2", "/3"):
            _, headers = await client.head()
            assert json.loads(await client.reader.readexactly(int(headers["content-length"])))[1] == number


async def test_what_comes_behind_a_request_in_work_waits_unparsed_also_when_a_body_is_cut() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: Request, reply: Reply) -> None:
        begun.set()
        await go_on.wait()
        await echo(request, reply)

    server = await HttpServer.open("127.0.0.1", 0, slow, write_timeout_s=0.3)
    await server.start_accepting()
    begins = b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nh"
    async with raw_client(server.port) as client:
        await client.send(get("/0") + begins % 1)
        await begun.wait()
        (connection,) = server._connections
        await client.send(b"i" + b"".join(get(f"/{number}") for number in range(2, 100)) + begins % 100)
        await wait_until(lambda: len(connection._reader.arrived) + len(connection._ahead) > 90, "the others came")
        assert len(connection._reader.arrived) <= 1
        await client.send(b"i" + get("/101"))
        go_on.set()
        for number in range(102):
            _, headers = await client.head()
            _, path, _, _, body = json.loads(await client.reader.readexactly(int(headers["content-length"])))
            assert (path, body) == (f"/{number}", "hi" if number in (1, 100) else "")
    await server.aclose(0)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n", "BodyTooLarge"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + b"x" * 101 + b"\r\n", "BodyTooLarge"),
(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", "BodyTooSlow"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "BodyTooSlow"),
    ],
)  # fmt: skip
async def test_bodies_that_are_not_read(raw: bytes, expected: str) -> None:
    async with serving(echo) as port, raw_client(port) as client:
        await client.send(raw)
        _, headers = await client.head()
        body = await client.reader.readexactly(int(headers["content-length"]))
        assert expected in body.decode()
        assert headers.get("connection") == "close"


async def test_bad_framing_in_the_middle_of_a_body() -> None:
    begun = asyncio.Event()
    found: list[str] = []

    async def read(request: Request, reply: Reply) -> None:
        begun.set()
        with pytest.raises(BodyBroken):
            await request.body(100, 5)
        found.append("broken")
        reply.start(400, [("content-length", "0")])
        await reply.end()

    async with serving(read) as port, raw_client(port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await begun.wait()
        await client.send(b"zz\r\n")
        assert (await client.head())[0] == 400
    assert found == ["broken"]


async def test_chunks_for_11_and_the_end_of_the_connection_for_10() -> None:
    async with serving(chunks) as port:
        async with raw_client(port) as client:
            await client.send(get("/"))
            _, headers = await client.head()
            assert headers["transfer-encoding"] == "chunked"
            assert await client.reader.readuntil(b"0\r\n\r\n") == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        async with raw_client(port) as client:
            await client.send(get("/", version="1.0"))
            _, headers = await client.head()
            assert "transfer-encoding" not in headers
            assert await client.rest() == b"onetwo"


async def test_a_reply_that_is_not_ended_is_cut() -> None:
    async def half(_request: Request, reply: Reply) -> None:
        reply.start(200, [])
        await reply.write(b"one")

    async with serving(half) as port, raw_client(port) as client:
        await client.send(get("/"))
        await client.head()
        assert await client.rest() == b"3\r\none\r\n"


async def test_a_client_that_goes_is_told_of_once() -> None:
    told: list[str] = []
    gone = asyncio.Event()

    async def wait(request: Request, reply: Reply) -> None:
        request.on_disconnect(lambda: (told.append("once"), gone.set()))
        await gone.wait()
        assert request.disconnected
        request.on_disconnect(lambda: told.append("at once"))
        reply.start(200, [])
        with pytest.raises(ClientGone):
            await reply.end(b"x")

    async with serving(wait) as port, raw_client(port) as client:
        await client.send(get("/"))
        await asyncio.sleep(0)
        client.vanish()
        async with within(5):
            await gone.wait()
    assert told == ["once", "at once"]


@pytest.mark.parametrize("behind", [b"\x00", b"GET /\x01", b"zz\r\n" * 1_000])
async def test_a_client_that_goes_is_told_of_whatever_it_has_sent_behind_its_request(behind: bytes) -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def wait(request: Request, reply: Reply) -> None:
        request.on_disconnect(gone.set)
        begun.set()
        await gone.wait()
        reply.abort()

    async with serving(wait) as port, raw_client(port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" + behind)
        await begun.wait()
        client.vanish()
        async with within(5):
            await gone.wait()


async def endlessly(reply: Reply) -> None:
    while True:
        await reply.write(b"x" * 65_536)


async def test_a_client_that_does_not_read_is_dropped() -> None:
    dropped = asyncio.Event()

    async def flood(_request: Request, reply: Reply) -> None:
        reply.start(200, [])
        with pytest.raises(ClientGone):
            await endlessly(reply)
        dropped.set()

    async with serving(flood) as port, raw_client(port) as client:
        await client.send(get("/"))
        async with within(10):
            await dropped.wait()


@pytest.mark.parametrize("how", ["ended", "broken off", "kept", "half closed"])
async def test_a_client_that_leaves_the_rest_unread_is_dropped(how: str) -> None:
    """The rest is less than what an answer waits for."""

    answered = asyncio.Event()

    async def stuff(_request: Request, reply: Reply) -> None:
        reply.start(200, [])
        (connection,) = server._connections
        while connection.transport is not None and not connection.transport.get_write_buffer_size():
            await reply.write(b"x" * 8_192)
            await asyncio.sleep(0)
        if how != "broken off":
            await reply.end()
        answered.set()

    server = await HttpServer.open("127.0.0.1", 0, stuff, write_timeout_s=0.3, idle_s=0.3)
    await server.start_accepting()
    try:
        async with raw_client(server.port) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(get("/", *(["Connection: close"] if how == "ended" else [])))
            await answered.wait()
            if how == "half closed":
                client.writer.write_eof()
            await wait_until(lambda: not server._connections, "it was dropped")
            client.vanish()
    finally:
        await server.aclose(0)


@pytest.mark.parametrize(
    "sent", [b"", b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX-A:"], ids=["nothing", "half a line", "half a head"]
)
async def test_who_brings_no_request_in_time_is_dropped(sent: bytes) -> None:
    async with serving(echo, idle_s=0.2) as port, raw_client(port) as client:
        await client.send(sent)
        async with within(5):
            assert await client.rest() == b""


async def test_a_head_that_trickles_in_has_no_more_time_than_any_other() -> None:
    async with serving(echo, idle_s=0.3) as port, raw_client(port) as client:
        gone = asyncio.ensure_future(client.rest())
        async with within(5):
            await client.send(b"GET / HTTP/1.1\r\n")
            while not gone.done():
                with suppress(ConnectionError):
                    await client.send(b"X-A: b\r\n")
                await asyncio.wait({gone}, timeout=0.02)
    assert gone.exception() is not None or gone.result() == b""


async def test_a_request_in_work_has_all_the_time_it_needs() -> None:
    go_on = asyncio.Event()

    async def slow(_request: Request, reply: Reply) -> None:
        await go_on.wait()
        reply.start(200, [("content-length", "0")])
        await reply.end()

    async with serving(slow, idle_s=0.2) as port, raw_client(port) as client, raw_client(port) as other:
        await client.send(get("/"))
        async with within(5):
            assert await other.rest() == b""  # idle for as long as the first one works
        go_on.set()
        assert (await client.head())[0] == 200


async def test_stopping_closes_idle_connections_and_ends_with_the_running_answer() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_request: Request, reply: Reply) -> None:
        begun.set()
        await go_on.wait()
        reply.start(200, [("content-length", "0")])
        await reply.end()

    server = await HttpServer.open("127.0.0.1", 0, slow, write_timeout_s=1)
    await server.start_accepting()
    async with raw_client(server.port) as idle, raw_client(server.port) as busy:
        await busy.send(get("/"))
        await begun.wait()
        await server.stop_accepting()
        assert await idle.rest() == b""
        closing = asyncio.ensure_future(server.aclose(5))
        go_on.set()
        status, headers = await busy.head()
        assert (status, headers["connection"]) == (200, "close")
        await closing


async def test_who_is_cut_in_the_moment_of_a_hand_over_still_tidies_up() -> None:
    ended: list[str] = []

    async def rest() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("tidied up")

    def serve(request: Request, reply: Reply) -> None:
        reply.hand_over(rest())
        for connection in tuple(server._connections):
            connection.cut()

    server = await HttpServer.open("127.0.0.1", 0, serve, write_timeout_s=0.3)
    await server.start_accepting()
    async with raw_client(server.port) as client:
        await client.send(get("/"))
        assert await client.rest() == b""
    await server.aclose(1)
    assert ended == ["tidied up"]


@pytest.mark.parametrize("sized", [True, False])
async def test_what_breaks_off_is_no_clean_end_for_a_client_of_http_1_0_either(sized: bool) -> None:
    """Without a length the end of the connection is the end of the answer; nginx asks like that unless told otherwise."""

    async def breaks(_request: Request, reply: Reply) -> None:
        reply.start(200, [("content-length", "9")] if sized else [])
        await reply.write(b"half")
        reply.abort()

    async with serving(breaks) as port, raw_client(port) as client:
        await client.send(get("/", version="1.0"))
        assert (await client.head())[0] == 200
        if sized:
            assert await client.rest() == b"half"
        else:
            with pytest.raises(ConnectionResetError):
                await client.reader.read()


@pytest.mark.parametrize("why", ["stops", "reads nothing"])
async def test_who_is_cut_gets_no_clean_end_of_http_1_0(why: str) -> None:
    async def endless(_request: Request, reply: Reply) -> None:
        reply.start(200, [])
        while why == "reads nothing":
            await reply.write(b"x" * 100_000)
        await reply.write(b"half")
        await asyncio.Event().wait()

    server = await HttpServer.open("127.0.0.1", 0, endless, write_timeout_s=0.3)
    await server.start_accepting()
    async with raw_client(server.port) as client:
        await client.send(get("/", version="1.0"))
        await client.head()
        if why == "stops":
            await server.aclose(0)
        else:
            await wait_until(lambda: not server._connections, "it was cut")
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
    await server.aclose(0)
