"""A small body that is on its way is waited for a moment, so that its request is served whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.transport import BodyTooSlow, Reply, Request
from gateway.transport.client_connection import ClientConnection
from gateway.transport.server import HttpServer
from tests.gateway.raw import RawClient, raw_client
from tests.support.waiting import wait_until


class Here:
    """A server, one client, and what the route was handed: whether it was whole, and how much was there."""

    def __init__(self) -> None:
        self.seen: list[tuple[bool, int]] = []
        self.server: HttpServer
        self.connection: ClientConnection
        self.client: RawClient

    def serve(self, request: Request, reply: Reply) -> None:
        whole = request.whole
        self.seen.append((whole, len(request.take_arrived()) if whole else 0))
        reply.hand_over(self._answer(request, reply, whole=whole))

    async def _answer(self, request: Request, reply: Reply, *, whole: bool) -> None:
        try:
            status = 200 if whole or await request.body(1_000_000, 0.1) else 500
        except BodyTooSlow:
            status = 408
        reply.start(status, [("content-length", "0")])
        await reply.end()


@asynccontextmanager
async def connected() -> AsyncIterator[Here]:
    here = Here()
    here.server = await HttpServer.open("127.0.0.1", 0, here.serve, write_timeout_s=1)
    await here.server.start_accepting()
    try:
        async with raw_client(here.server.port) as here.client:
            (here.connection,) = await wait_until(lambda: here.server._connections, "it is connected")
            yield here
    finally:
        await here.server.aclose(1)


def head(size: int, *headers: str) -> bytes:
    more = "".join(f"{header}\r\n" for header in headers)
    return f"POST / HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {size}\r\n\r\n".encode()


@pytest.mark.parametrize("pieces", [[b"x" * 60], [b"x" * 20, b"x" * 40], [b"x"] * 60])
async def test_a_body_that_comes_behind_its_head_makes_a_whole_request(pieces: list[bytes]) -> None:
    async with connected() as here:
        for _ in range(3):  # parsed, and then as a head that comes again
            here.connection.data_received(head(60))
            for piece in pieces:
                here.connection.data_received(piece)
            assert (await here.client.head())[0] == 200
        assert here.seen == [(True, 60)] * 3


async def test_who_does_not_send_it_is_served_all_the_same() -> None:
    async with connected() as here:
        await here.client.send(head(60))
        assert (await here.client.head())[0] == 408
        assert here.seen == [(False, 0)]


@pytest.mark.parametrize("first", [head(60, "Expect: 100-continue"), head(65_537), head(10**15)])
async def test_who_asks_first_or_has_much_to_say_is_served_at_once(first: bytes) -> None:
    async with connected() as here:
        here.connection.data_received(first)
        assert here.seen == [(False, 0)]


async def test_it_is_not_idle_meanwhile() -> None:
    async with connected() as here:
        here.connection.data_received(head(60))
        await here.server.stop_accepting()
        here.connection.data_received(b"x" * 60)
        status, headers = await here.client.head()
        assert (status, headers["connection"]) == (200, "close")


async def test_who_leaves_meanwhile_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transport.client_connection._SOON_S", 60)  # not over before the client has left
    async with connected() as here:
        here.connection.data_received(head(60))
        timer = here.connection._soon
        here.client.vanish()
        await wait_until(lambda: not here.server._connections, "it is gone")
        assert timer is not None
        assert timer.cancelled()
        assert here.seen == []


async def test_the_next_request_waits_its_turn() -> None:
    async with connected() as here:
        here.connection.data_received(head(60))
        here.connection.data_received(b"x" * 60 + head(2) + b"y")
        here.connection.data_received(b"y" + head(1))
        here.connection.data_received(b"z")
        for _ in range(3):
            assert (await here.client.head())[0] == 200
        assert [size for _, size in here.seen] == [60, 2, 1]
