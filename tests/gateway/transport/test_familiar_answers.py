"""An answer whose head comes again is not parsed: whatever comes instead is read as if nothing had been before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httptools
import pytest

from gateway.transport import UpstreamError
from gateway.transport.upstream import HttpUpstream
from gateway.transport.upstream_connection import UpstreamConnection
from tests.gateway.model import STREAM_HEAD, Model, Received, http, piece, running_model
from tests.gateway.transport.test_upstream import HEAD, ask, sockets, upstream
from tests.support.waiting import wait_until

KNOWN = http(b"known")
BEFORE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with running_model() as running:
        yield running


def in_turn(model: Model, answers: Sequence[bytes]) -> None:
    left = list(answers)

    async def behave(received: Received) -> None:
        raw = left.pop(0)
        received.writer.write(raw)
        if b"ength" not in raw and b"hunked" not in raw and b" 204 " not in raw:
            received.writer.close()

    model.behave = behave


@asynccontextmanager
async def warm(model: Model, *answers: bytes) -> AsyncIterator[HttpUpstream]:
    """A client that has had the known answer over its one connection; ``answers`` come next."""
    in_turn(model, (KNOWN, *answers))
    async with upstream(read_timeout_s=0.3) as client:
        assert (await ask(client, model.url))[2] == b"known"
        yield client


def only(client: HttpUpstream) -> UpstreamConnection:
    (pool,) = client._pools.values()
    (connection,) = pool._open
    return connection


async def outcome(client: HttpUpstream, url: str) -> Any:
    try:
        return await ask(client, url)
    except UpstreamError as error:
        return type(error), str(error)


async def test_it_is_not_parsed(model: Model) -> None:
    async with warm(model, *(http(body) for body in (b"other", b"longer than it was", b"x" * 20_000))) as client:
        connection = only(client)
        connection._parser = httptools.HttpRequestParser(connection)  # to which no answer is anything
        for body in (b"other", b"longer than it was"):
            assert await ask(client, model.url) == (200, {"content-type": "application/json"}, body)
    assert await sockets(model) == 1


@pytest.mark.promise(4)
@pytest.mark.parametrize(
    "raw",
    [
        http(b"hi"),
        http(b"hi", status="201 Created"),
        http(b"hi", more="X-More: 1\r\n"),
        http(b"hi", more="Connection: close\r\n"),
        http(b"hi", more="Content-Length: 2\r\n"),
        http(b"hi", more="Transfer-Encoding: chunked\r\n"),
        http(b"hi") + b"more",
        http(b"hi") + http(b"known"),
        http(b""),
        STREAM_HEAD + piece(b"hi") + b"0\r\n\r\n",
        HEAD + b"\r\nno length",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + KNOWN,
        b"\r\n" + KNOWN,
        *(BEFORE + digits + b"\r\n\r\nknown" for digits in (b"05", b"4", b"6", b"", b"+5", b"-5", b"5 ", b"5,5", b"0x5", b"5\x00")),
        BEFORE + b"5\r\n\r\n",
        BEFORE + b"5\r\n known\r\n\r\nknown",
        BEFORE + b"5\n\nknown",
    ],
)  # fmt: skip
async def test_what_comes_instead_is_read_as_on_a_new_connection(raw: bytes, model: Model) -> None:
    in_turn(model, (raw, KNOWN))
    async with upstream(read_timeout_s=0.3) as client:
        expected = await outcome(client, model.url), await outcome(client, model.url)
    kept = await sockets(model)
    model.received.clear()
    async with warm(model, raw, KNOWN) as client:
        assert (await outcome(client, model.url), await outcome(client, model.url)) == expected
    assert await sockets(model) == kept


async def test_a_body_for_who_asked_for_none_is_nobodys(model: Model) -> None:
    async with warm(model, KNOWN, KNOWN) as client:
        assert (await ask(client, model.url, method="HEAD"))[2] == b""
        assert (await ask(client, model.url))[2] == b"known"
    assert await sockets(model) == 2


async def test_in_two_reads_it_is_parsed(model: Model) -> None:
    async def behave(received: Received) -> None:
        raw = KNOWN if len(model.received) == 1 else http(b"in two")
        received.writer.write(raw[:-3])
        await wait_until(lambda: only(client)._begun or len(model.received) == 1, "the first part is there")
        received.writer.write(raw[-3:])

    async with upstream() as client:
        model.behave = behave
        for body in (b"known", b"in two"):
            assert (await ask(client, model.url))[2] == body
    assert await sockets(model) == 1


async def test_heads_that_never_come_again_are_soon_not_remembered(model: Model) -> None:
    in_turn(model, [http(b"hi", more=f"X-Id: {number}\r\n") for number in range(6)])
    async with upstream() as client:
        found = []
        for _ in range(6):
            assert (await ask(client, model.url))[2] == b"hi"
            found.append(only(client)._familiar)
        assert found[2] is not found[1] is not found[0]
        assert found[5] is found[4] is found[3] is found[2]
