"""HEAD wherever GET answers: the same head, no body, and nothing that a look could spend."""

from __future__ import annotations

import asyncio

import pytest

from holdpoint.model import State
from tests.gateway.model import Model, Received, http
from tests.gateway.raw import raw_client
from tests.gateway.world import RISKY, World


def head(path: str, key: str) -> bytes:
    return f"HEAD {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode()


@pytest.mark.parametrize("path", ["/demo/v1/models", "/healthz", "/readyz"])
async def test_the_same_head_and_no_body(path: str, world: World, model: Model) -> None:
    async def behave(received: Received) -> None:
        received.writer.write(http(b'{"data": []}'))

    model.behave = behave
    async with world.http.get(f"{world.gateway.url}{path}", headers=world.headers()) as answer:
        expected, length, body = answer.status, answer.headers["content-length"], await answer.read()
    async with raw_client(world.port) as client:
        await client.send(head(path, world.key) + head("/metrics", world.key))
        status, headers = await client.head()
        assert (status, headers["content-length"]) == (expected, length)
        assert len(body) == int(length)
        assert (await client.head())[0] == 200  # what follows is the next answer, not a body
    assert {received.method for received in model.received} <= {"GET"}


async def test_a_hold_can_be_looked_at_and_is_not_collected(world: World) -> None:
    asking = asyncio.ensure_future(world.chat(RISKY, headers={"Prefer": "respond-async"}).__aenter__())
    (hold,) = await world.held()
    async with await asking:
        pass
    await world.approve(hold)
    url = f"{world.gateway.url}/holds/{hold.id}"
    async with world.http.head(url, headers=world.headers()) as answer:
        assert (answer.status, answer.headers["x-holdpoint-state"]) == (200, "approved")
    async with world.http.head(f"{url}/response", headers=world.headers()) as answer:
        assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert (await world.store.holds.get(hold.id)).state is State.APPROVED


async def test_what_is_recorded_of_a_head_is_what_was_forwarded(world: World, model: Model) -> None:
    async with raw_client(world.port) as client:
        await client.send(head("/demo/v1/models", world.key))
        await client.head()
    allowed, _ = await world.events("traffic")
    (received,) = model.received
    assert (
        (allowed.data["method"], allowed.data["target"]) == (received.method, received.target) == ("GET", "/v1/models")
    )
