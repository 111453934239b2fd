"""What could be read in two ways is refused, the connection closed, and the route never hears of it (RFC 9112)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.transport import BodyBroken, Reply, Request
from gateway.transport.server import HttpServer
from tests.gateway.raw import raw_client
from tests.support.waiting import within

POST = b"POST /demo HTTP/1.1\r\nHost: x\r\n"


@asynccontextmanager
async def served() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that keeps the bodies that it was handed whole."""
    seen: list[bytes] = []

    async def keep(request: Request, reply: Reply) -> None:
        try:
            seen.append(await request.body(10_000, 0.5))
        except BodyBroken:
            reply.start(400, [("content-length", "0")])
        else:
            reply.start(200, [("content-length", "0")])
        await reply.end()

    server = await HttpServer.open("127.0.0.1", 0, keep, write_timeout_s=1)
    await server.start_accepting()
    try:
        yield server.port, seen
    finally:
        await server.aclose(0.1)


REFUSED = {
    "both lengths": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, other order": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nab",
    "the same length twice": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\nab",
    "a signed length": POST + b"Content-Length: +2\r\n\r\nab",
    "a negative length": POST + b"Content-Length: -2\r\n\r\nab",
    "a hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\nab",
    "a length that overflows": POST + b"Content-Length: 99999999999999999999999\r\n\r\nab",
    "an empty length": POST + b"Content-Length: \r\n\r\n",
    "a length with a space inside": POST + b"Content-Length: 1 2\r\n\r\nab",
    "another coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, quoted": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "chunked with a tail": POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "a vertical tab before chunked": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked on 1.0": b"POST /demo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 2\r\n\r\nab",
    "a tab before the colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "a folded header": POST + b"X-A: one\r\n two\r\n\r\n",
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a header that begins with a space": POST + b" X-A: one\r\n\r\n",
    "bare line feeds": b"POST /demo HTTP/1.1\nHost: x\nContent-Length: 2\n\nab",
    "a bare line feed after a header": POST + b"X-A: one\nContent-Length: 2\r\n\r\nab",
    "a bare carriage return in a header": POST + b"X-A: one\rContent-Length: 2\r\n\r\nab",
    "a null in a header": POST + b"X-A: a\x00b\r\n\r\n",
    "a control character in a header": POST + b"X-A: a\x01b\r\n\r\n",
    "a delete character in a header": POST + b"X-A: a\x7fb\r\n\r\n",
    "a name with a control character": POST + b"X\x01A: b\r\n\r\n",
    "no name": POST + b": b\r\n\r\n",
    "no colon": POST + b"nonsense\r\n\r\n",
    "no host": b"GET /demo HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /demo HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a whole URL": b"GET http://elsewhere/demo HTTP/1.1\r\nHost: x\r\n\r\n",
    "a network path": b"GET demo HTTP/1.1\r\nHost: x\r\n\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "an upgrade": b"GET /demo HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/2 by prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another version": b"GET /demo HTTP/3.0\r\nHost: x\r\n\r\n",
    "no version": b"GET /demo\r\n\r\n",
    "a tab in the target": b"GET /de\tmo HTTP/1.1\r\nHost: x\r\n\r\n",
    "a null in the target": b"GET /de\x00mo HTTP/1.1\r\nHost: x\r\n\r\n",
    "a byte above 127 in the target": b"GET /d\xe9mo HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown method": b"G@T /demo HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long target": b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long header": POST + b"X-A: " + b"x" * 18_000 + b"\r\n\r\n",
    "many headers": POST + b"X-A: b\r\n" * 200 + b"\r\n",
    "an expectation that cannot be met": POST + b"Expect: tea\r\nContent-Length: 2\r\n\r\nab",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}  # fmt: skip

BROKEN_BODIES = {
    "a chunk size that is none": b"zz\r\nab\r\n0\r\n\r\n",
    "a negative chunk size": b"-1\r\n\r\n0\r\n\r\n",
    "a chunk size with a prefix": b"0x2\r\nab\r\n0\r\n\r\n",
    "a chunk size that overflows": b"fffffffffffffffff\r\n",
    "a chunk longer than it says": b"2\r\nabc\r\n0\r\n\r\n",
    "a bare line feed after the size": b"2\nab\r\n0\r\n\r\n",
    "a bare line feed after the chunk": b"2\r\nab\n0\r\n\r\n",
    "a space before the size": b" 2\r\nab\r\n0\r\n\r\n",
    "a bad trailer": b"2\r\nab\r\n0\r\nnonsense\r\n\r\n",
    "an endless extension": b"2;" + b"x" * 300_000,
    "endless trailers": b"2\r\nab\r\n0\r\n" + b"X-A: bbbbbbbbbbbbbbbbbbbb\r\n" * 20_000,
}

TAKEN = {
    "a length": (POST + b"Content-Length: 2\r\n\r\nab", b"ab"),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n", b"ab"),
    "chunks, in capitals": (POST + b"TRANSFER-ENCODING: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "an extension": (POST + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n0\r\n\r\n", b"ab"),
    "a trailer": (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-A: b\r\n\r\n", b"ab"),
    "no body": (b"GET /demo HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    "1.0 without a host": (b"GET /demo HTTP/1.0\r\n\r\n", b""),
    "two spaces": (b"GET  /demo HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    "a tab in a header": (b"GET /demo HTTP/1.1\r\nHost: x\r\nX-A: a\tb\r\n\r\n", b""),
    "an empty line before": (b"\r\nGET /demo HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    "an expectation": (POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\nab", b"ab"),
}


async def answers(port: int, raw: bytes) -> list[bytes]:
    """The status lines of everything that comes back until the server closes."""
    async with raw_client(port) as client:
        await client.send(raw)
        async with within(5):
            said = await client.rest()
    return [line for line in said.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


@pytest.mark.promise(2)
@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
async def test_refused_and_never_heard_of(raw: bytes) -> None:
    async with served() as (port, seen):
        lines = await answers(port, raw + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [line.split()[1][:1] for line in lines] in ([b"4"], [b"5"])
    assert seen == []


@pytest.mark.promise(2)
@pytest.mark.parametrize("raw", BROKEN_BODIES.values(), ids=BROKEN_BODIES.keys())
async def test_a_body_that_is_badly_framed_is_not_handed_over(raw: bytes) -> None:
    async with served() as (port, seen):
        lines = await answers(port, POST + b"Transfer-Encoding: chunked\r\n\r\n" + raw)
    assert [line.split()[1] for line in lines] == [b"400"]
    assert seen == []


@pytest.mark.promise(2)
@pytest.mark.parametrize(
    "raw",
    [
        b"2;" + b"x" * 110_000 + b"\r\nab\r\n0\r\n\r\n",
        b"2\r\nab\r\n0\r\n" + b"X-A: bbbbbbbbbbbbbbbbbbbb\r\n" * 4_400 + b"\r\n",
    ],
    ids=["extension", "trailers"],
)
async def test_what_is_endless_is_not_handed_over_when_all_of_it_comes_in_one_read(raw: bytes) -> None:
    async with served() as (port, seen):
        with socket.create_connection(("127.0.0.1", port)) as client:
            # The server shares this thread: it reads when all of it has been sent.
            client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n" + raw)
            said = await asyncio.to_thread(client.recv, 1_000)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert seen == []


@pytest.mark.parametrize(("raw", "body"), TAKEN.values(), ids=TAKEN.keys())
@pytest.mark.parametrize("size", [1, 7, 100_000], ids=["byte by byte", "in sevens", "at once"])
async def test_taken(raw: bytes, body: bytes, size: int) -> None:
    async with served() as (port, seen), raw_client(port) as client:
        for piece in (raw[at : at + size] for at in range(0, len(raw), size)):
            await client.send(piece)
        status, _ = await client.head()
        if status == 100:
            status, _ = await client.head()
    assert (status, seen) == (200, [body])


def _cut(raw: bytes, cuts: list[int]) -> Iterator[bytes]:
    at = 0
    for cut in sorted({each % (len(raw) + 1) for each in cuts} | {len(raw)}):
        if cut > at:
            yield raw[at:cut]
            at = cut


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    bodies=st.lists(st.binary(max_size=40), min_size=1, max_size=5),
    chunked=st.booleans(),
    cuts=st.lists(st.integers(0, 2_000), max_size=12),
)
def test_pipelined_requests_are_the_same_however_they_are_cut(
    bodies: list[bytes], chunked: bool, cuts: list[int]
) -> None:
    def framed(body: bytes) -> bytes:
        if chunked:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return POST + b"Transfer-Encoding: chunked\r\n\r\n" + piece + b"0\r\n\r\n"
        return POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)

    async def run() -> list[bytes]:
        async with served() as (port, seen), raw_client(port) as client:
            for piece in _cut(b"".join(framed(body) for body in bodies), cuts):
                await client.send(piece)
            for _ in bodies:
                assert (await client.head())[0] == 200
        return seen

    assert asyncio.run(run()) == bodies
