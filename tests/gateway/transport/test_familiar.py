"""A head that comes again is not parsed again: whatever follows it is read as if nothing had been before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.transport import BodyBroken, ClientGone, Reply, Request
from gateway.transport.client_connection import ClientConnection
from gateway.transport.request import HttpRequest
from gateway.transport.server import HttpServer
from tests.gateway.raw import RawClient, raw_client
from tests.gateway.transport.smuggling_corpus import BODY, REFUSED, START, TAKEN
from tests.gateway.transport.smuggling_grammar import attempts
from tests.support.waiting import wait_until

DIGITS = [
    b"60", b"060", b"000000000000060", b"0000000000000060", b"61", b"59", b"6", b"0", b"", b"+60", b"-60", b" 60", b"60 ",
    b"\t60", b"6 0", b"60,60", b"0x3c", b"6_0", b"60\x00", b"60\x0b", "٦٠".encode(), "⁶⁰".encode(), b"60\r", b"60\n",
    b"60\r\nContent-Length: 6", b"60\r\nTransfer-Encoding: chunked", b"60\r\n\r\n", b"18446744073709551676",
]  # fmt: skip


@dataclass
class Seen:
    """What the route was handed, and what the client was told."""

    requests: list[tuple[object, ...]] = field(default_factory=list)
    said: bytes = b""


class Warm:
    """A server, and connections to it. Tests say themselves what each read of a socket brings."""

    def __init__(self) -> None:
        self.server: HttpServer
        self._seen: dict[object, Seen] = {}

    def serve(self, request: Request, reply: Reply) -> None:
        if request.whole:
            self._note(request, request.take_arrived())
            reply.start(200, [("content-length", "0")])
            reply.finish(b"")
        else:
            reply.hand_over(self._later(request, reply))

    async def _later(self, request: Request, reply: Reply) -> None:
        try:
            self._note(request, await request.body(1_000_000, 5))
        except (BodyBroken, ClientGone) as error:
            self._note(request, type(error).__name__)
            reply.abort()
        else:
            reply.start(200, [("content-length", "0")])
            await reply.end()

    def _note(self, request: Request, body: object) -> None:
        assert isinstance(request, HttpRequest)
        head = (request.method, request.target, request.peer, request.keep_alive, dict(request._fields))
        self._seen[request._connection].requests.append((*head, body))

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[ClientConnection, RawClient, Seen]]:
        async with raw_client(self.server.port) as client:
            fresh = await wait_until(lambda: self.server._connections - self._seen.keys(), "it is connected")
            (connection,) = fresh
            seen = self._seen[connection] = Seen()
            yield connection, client, seen

    async def read(self, pieces: list[bytes], *, after: bytes = b"") -> Seen:
        """What is made of ``pieces`` on a connection that has served ``after`` before."""
        async with self.connected() as (connection, client, seen):
            if after:
                connection.data_received(after)
                for _ in seen.requests:
                    assert (await client.head())[0] == 200
                seen.requests.clear()
            for piece in pieces:
                if connection.transport is not None and not connection.transport.is_closing():
                    connection.data_received(piece)
            client.writer.write_eof()
            seen.said = await client.rest()
            await wait_until(lambda: connection not in self.server._connections, "nothing is left to do")
            return seen


@asynccontextmanager
async def warm() -> AsyncIterator[Warm]:
    found = Warm()
    found.server = await HttpServer.open("127.0.0.1", 0, found.serve, write_timeout_s=5)
    await found.server.start_accepting()
    try:
        yield found
    finally:
        await found.server.aclose(0.1)


def clean(body: bytes) -> bytes:
    return START + b"Content-Length: %d\r\nX-A: b\r\nX-A: c\r\n\r\n%b" % (len(body), body)


CLEAN = clean(BODY)


async def test_the_same_head_brings_other_bodies_and_is_not_parsed() -> None:
    async with warm() as here, here.connected() as (connection, client, seen):
        connection.data_received(CLEAN)
        assert (await client.head())[0] == 200
        *head, fields, _ = seen.requests[0]
        del connection._reader._parser
        for body in (b"x", b"y" * 70_000, b"", BODY):
            connection.data_received(clean(body))
            assert (await client.head())[0] == 200
            assert seen.requests[-1] == (*head, {**fields, "content-length": str(len(body))}, body)
        assert len(seen.requests) == 5
        assert fields["x-a"] == ["b", "c"]


async def test_a_head_that_was_forgotten_is_parsed_as_at_first() -> None:
    async with warm() as here, here.connected() as (connection, client, seen):
        for _ in range(3):
            connection.data_received(CLEAN)
            assert (await client.head())[0] == 200
            connection.forget_head()
            assert connection._reader._familiar is None
        assert seen.requests == [seen.requests[0]] * 3


@pytest.mark.parametrize("first", [0, 1, 50_000], ids=str)
async def test_a_large_body_in_pieces_is_served_before_it_is_whole(first: int) -> None:
    raw, body = clean(b"y" * 70_000), b"y" * 70_000
    first += len(raw) - len(body)
    async with warm() as here, here.connected() as (connection, client, seen):
        connection.data_received(CLEAN)
        assert (await client.head())[0] == 200
        for piece in (raw[:first], raw[first : first + 9], raw[first + 9 :] + CLEAN):
            connection.data_received(piece)
            assert len(seen.requests) == 1
        assert [(await client.head())[0] for _ in range(2)] == [200, 200]
        assert [request[-1] for request in seen.requests] == [BODY, body, BODY]


@pytest.mark.promise(2)
@pytest.mark.parametrize("digits", DIGITS, ids=repr)
async def test_another_length_is_read_as_it_is_read_first(digits: bytes) -> None:
    again = CLEAN.replace(b"Content-Length: 60", b"Content-Length: " + digits)
    async with warm() as here:
        assert await here.read([again], after=CLEAN) == await here.read([again])


@pytest.mark.promise(2)
async def test_what_is_odd_is_read_as_it_is_read_first() -> None:
    async with warm() as here:
        for name, raw in {**REFUSED, **TAKEN}.items():
            first = await here.read([raw + CLEAN])
            assert await here.read([raw + CLEAN], after=CLEAN) == first, name


@pytest.mark.promise(2)
async def test_what_is_unusual_is_read_twice_in_the_same_way() -> None:
    """As the head that comes again, too."""
    async with warm() as here:
        for name, raw in TAKEN.items():
            first = await here.read([raw])
            if all(request[3] for request in first.requests):  # it leaves its connection open
                assert await here.read([raw], after=raw) == first, name


@pytest.mark.promise(2)
@pytest.mark.parametrize("begun", [b"P", CLEAN[:30], CLEAN[:-1], CLEAN[:-60], CLEAN[:-62], b"\r\n", b"\r", b"\n"])
async def test_in_the_middle_of_a_message_it_is_no_head(begun: bytes) -> None:
    async with warm() as here:
        assert await here.read([begun, CLEAN], after=CLEAN) == await here.read([begun, CLEAN])


@pytest.mark.promise(2)
@pytest.mark.parametrize("next_one", [b"", b"X-A: evil\r\n", b"X-A: evil\r\nContent-Length: 60\r\n"])
async def test_a_head_is_not_taken_for_the_next_one_that_has_begun(next_one: bytes) -> None:
    """The fields of the second are there already when the first is looked at."""
    second = b"POST /other HTTP/1.1\r\nHost: x\r\n" + next_one + b"Conn"
    rest = b"ection: x\r\n\r\n" + (BODY if b"Length" in next_one else b"")
    async with warm() as here, here.connected() as (connection, client, seen):
        for piece in (CLEAN + second, rest, CLEAN):
            connection.data_received(piece)
        for _ in range(3):
            assert (await client.head())[0] == 200
        assert len(seen.requests) == 3
        assert seen.requests[2] == seen.requests[0] != seen.requests[1]


@pytest.mark.promise(2)
async def test_nothing_is_served_after_what_was_refused() -> None:
    async with warm() as here, here.connected() as (connection, client, seen):
        connection.data_received(CLEAN)
        connection.data_received(b"\x00")
        connection.data_received(CLEAN)
        assert [await client.head(), (await client.head())[0]] == [(200, {"content-length": "0"}), 400]
        assert len(seen.requests) == 1


@pytest.mark.promise(2)
async def test_only_who_repeats_a_head_has_it_looked_for() -> None:
    async with warm() as here, here.connected() as (connection, client, _):
        for number in range(6):
            connection.data_received(CLEAN.replace(b"X-A: b", b"X-A: %d" % number))
            assert (await client.head())[0] == 200
        known = connection._reader._familiar
        connection.data_received(CLEAN.replace(b"X-A: b", b"X-A: new"))
        assert connection._reader._familiar is known


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """The clean request, not quite as it was."""
    raw = CLEAN
    for _ in range(draw(st.integers(0, 2))):
        at, gone = draw(st.integers(0, len(raw))), draw(st.sampled_from([0, 1, 1, 2]))
        raw = (
            raw[:at]
            + draw(st.sampled_from([b"", b"0", b"\r", b"\n", b"\r\n", b" ", b"\x00", b"X", b":"]))
            + raw[at + gone :]
        )
    return raw


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    raws=st.lists(_damaged() | attempts(), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 2_000), max_size=4),
)
@pytest.mark.promise(2)
@pytest.mark.timeout(300)
def test_whatever_comes_is_read_as_it_is_read_first(raws: list[bytes], cuts: list[int]) -> None:
    raw = b"".join(raws)
    at = [0, *sorted({each % (len(raw) + 1) for each in cuts} | {len(each) for each in raws}), len(raw)]
    pieces = [raw[one:other] for one, other in pairwise(at) if other > one]

    async def run() -> tuple[Seen, Seen]:
        async with warm() as here:
            return await here.read(pieces, after=CLEAN), await here.read(pieces)

    again, first = asyncio.run(run())
    assert again == first
