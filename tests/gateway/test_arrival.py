"""What follows from a head is found out once, and counts no longer than what it follows from: on one connection, again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.arrival import Arrival
from holdpoint import apikey
from holdpoint.clock import now_ms
from holdpoint.model import KeyRecord
from holdpoint.standing import PauseMode
from tests.gateway.model import Model, running_model
from tests.gateway.raw import RawClient, raw_client
from tests.gateway.standing import make_pause, until_live
from tests.gateway.test_keys import make_key
from tests.gateway.world import CLEAN, POLICY, World, running_world
from tests.support.waiting import wait_until

BODY = json.dumps({"model": "demo", "messages": [{"role": "user", "content": CLEAN}]}).encode()


@dataclass
class Caller:
    """One connection, over which the same head goes again and again."""

    client: RawClient
    key: str
    more: str = ""

    async def send(self, body: bytes) -> None:
        head = (
            "POST /demo/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.key}\r\n{self.more}Content-Length: {len(body)}\r\n\r\n"
        )
        await self.client.send(head.encode() + body)

    async def ask(self, body: bytes = BODY) -> tuple[int, Any]:
        await self.send(body)
        status, headers = await self.client.head()
        return status, json.loads(await self.client.reader.readexactly(int(headers["content-length"])))


@asynccontextmanager
async def known(world: World, key: str = "", *, more: str = "") -> AsyncIterator[Caller]:
    """A caller whose head has come so often that nothing of it is looked at any more."""
    async with raw_client(world.port) as client:
        caller = Caller(client, key or world.key, more)
        for _ in range(4):
            assert (await caller.ask())[0] == 200
        yield caller


async def test_a_head_is_looked_at_until_it_is_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, find = [], Arrival.find
    monkeypatch.setattr(Arrival, "find", lambda *given: looked.append(1) or find(*given))
    async with known(world) as caller:
        assert len(looked) == 2  # the first one, and the one that came again
        assert (await caller.ask())[0] == 200
        assert len(looked) == 2


async def _revoke(world: World) -> None:
    await world.store.config.revoke_key(world.key_id, by="test")


async def _pause(world: World) -> None:
    await world.store.pauses.pause(make_pause(PauseMode.REFUSE))


@pytest.mark.promise(1)
@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (_revoke, 401, "invalid_api_key"),
        (_pause, 503, "unavailable"),
    ],
)
async def test_what_an_admin_changes_counts_for_a_head_that_is_known(
    change: Callable[[World], Awaitable[None]], status: int, code: str, world: World, model: Model
) -> None:
    async with known(world) as caller:
        await change(world)
        await _in_force(world, status)
        before = len(model.received)
        found = await caller.ask()
        assert (found[0], found[1]["error"]["code"]) == (status, code)
        assert len(model.received) == before


async def _in_force(world: World, status: int) -> None:
    """Until somebody whose head has never come before is answered with ``status``."""

    async def answered() -> bool:
        async with world.chat(CLEAN, headers={"X-Fresh": apikey.create().id}) as answer:
            return answer.status == status

    await wait_until(answered, "what was changed is in force")


@pytest.mark.promise(1)
async def test_a_key_ends_for_a_head_that_is_known(world: World) -> None:
    new = apikey.create()
    await world.store.config.put_key(KeyRecord(
        id=new.id, digest=new.digest, principal="dana@example.com", groups=frozenset(), roles=frozenset(),
        created_ms=now_ms(), expires_ms=now_ms() + 5_000,  # it is to be known, and used, before
    ))  # fmt: skip
    await make_key(world)  # it knows both
    async with known(world, new.text) as caller:

        async def refused() -> bool:
            return (await caller.ask())[0] == 401

        await wait_until(refused, "the key has ended")


@pytest.mark.promise(1)
async def test_another_policy_counts_for_a_head_that_is_known(world: World, model: Model) -> None:
    async with running_model() as other, known(world) as caller:
        policy = POLICY.replace("BEGIN PRIVATE KEY", "umbrella")
        await until_live(world, policy=policy.format(upstream=other.url, timeout="10m"))
        before = len(model.received)
        assert (await caller.ask())[0] == 200
        assert (len(other.received), len(model.received)) == (1, before)
        assert (await caller.ask(BODY.replace(b"weather", b"umbrella")))[0] == 403


@pytest.mark.promise(2)
async def test_what_is_known_of_one_caller_is_nothing_to_another(world: World, model: Model) -> None:
    more = "X-Request-Id: one\r\n"
    async with known(world, more=more) as caller:
        model.received.clear()
        await caller.ask()
        for key, said in ((world.other_key, more), (world.key, ""), (world.key, "X-Request-Id: two\r\n")):
            caller.key, caller.more = key, said
            assert (await caller.ask())[0] == 200
        caller.key = apikey.create().text
        assert (await caller.ask())[0] == 401
    assert [each.headers.get("x-request-id") for each in model.received] == ["one", "one", None, "two"]
    who = [each.data["requester"]["principal"] for each in await world.events("traffic") if "requester" in each.data]
    assert len(set(who)) == 2


async def test_a_body_behind_a_head_that_is_known_may_be_too_large(redis_url: str, model: Model) -> None:
    async with running_world(redis_url, model.url, max_body_bytes=2_000) as world, known(world) as caller:
        assert (await caller.ask(BODY.replace(b"weather", b"w" * 2_000)))[0] == 413


async def test_a_stream_is_asked_for_as_one_behind_the_same_head(world: World, model: Model) -> None:
    async with known(world) as caller:
        model.received.clear()
        for stream in (b"false", b"true", b"false"):
            await caller.send(BODY[:-1] + b', "stream": ' + stream + b"}")
            await caller.client.reader.readuntil(b"[DONE]\n\n" if stream == b"true" else b"}}")
    kinds = [each.headers["accept"] for each in model.received]
    assert kinds == ["application/json", "text/event-stream", "application/json"]
