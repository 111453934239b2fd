"""What a Holdpoint key may be used for, from where and until when, at a real gateway."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.app import running_gateway
from holdpoint import apikey
from holdpoint.clock import now_ms
from holdpoint.model import Event, EventKind, KeyRecord, State
from holdpoint.store import Store
from tests.gateway.model import Model
from tests.gateway.raw import post, raw_client
from tests.gateway.world import CLEAN, World, running_world
from tests.support.waiting import wait_until

BODY = {"model": "demo", "messages": [{"role": "user", "content": CLEAN}]}
UNKNOWN = "The API key is not known here, has expired or was revoked."


@pytest.fixture
async def proxied(redis_url: str, model: Model) -> AsyncIterator[World]:
    """A gateway behind a proxy on this machine."""
    async with running_world(redis_url, model.url, trusted_proxies="127.0.0.1") as running:
        yield running


@dataclass(frozen=True)
class Answered:
    status: int
    body: Any

    @property
    def error(self) -> tuple[int, str, str]:
        return self.status, self.body["error"]["code"], self.body["error"]["message"]


async def ask(
    world: World, key: str, path: str = "/demo/v1/chat/completions", *, method: str = "POST", client: str = ""
) -> Answered:
    headers = {"Authorization": f"Bearer {key}"} | ({"X-Forwarded-For": client} if client else {})
    more = {"json": BODY} if method == "POST" else {}
    async with world.http.request(method, f"{world.gateway.url}{path}", headers=headers, **more) as answer:
        return Answered(answer.status, await answer.json(content_type=None))


async def make_key(world: World, principal: str = "dana@example.com", **changes: Any) -> str:
    """A key, once the gateway knows it: then it knows one that was made later."""
    new, later = apikey.create(), apikey.create()
    for each, more in ((new, changes), (later, {})):
        await world.store.config.put_key(
            KeyRecord(each.id, each.digest, principal, frozenset(), frozenset(), now_ms(), None, **more)
        )

    async def known() -> bool:
        return (await ask(world, later.text, "/demo/v1/models", method="GET")).status == 200

    await wait_until(known, "the key is known", seconds=2)
    return new.text


async def test_one_key_said_in_many_ways_fills_no_memory(world: World) -> None:
    async with raw_client(world.port) as client:

        async def ask_with(spaces: int) -> None:
            said = f"Bearer {' ' * (16_000 + spaces)}{world.key}"
            await client.send(f"GET /demo/v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: {said}\r\n\r\n".encode())
            status, headers = await client.head()
            assert status == 200
            await client.reader.readexactly(int(headers["content-length"]))

        await ask_with(0)
        tracemalloc.start()
        try:
            for spaces in range(1, 101):
                await ask_with(spaces)
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert kept < 1_000_000


async def refusals(world: World) -> list[Event]:
    return [event for event in await world.events("traffic") if event.kind is EventKind.REQUEST_REFUSED]


@pytest.mark.parametrize(
    ("path", "method", "status", "code"),
    [
        ("/demo/v1/chat/completions", "POST", 200, ""),
        ("/demo/v1/models", "GET", 200, ""),
        ("/locked/v1/chat/completions", "POST", 403, "blocked"),
        ("/locked/v1/models", "GET", 403, "blocked"),
        ("/locked/v1/no/such/path", "POST", 403, "blocked"),
        ("/nowhere/v1/chat/completions", "POST", 403, "blocked"),
        ("/Demo/v1/chat/completions", "POST", 403, "blocked"),
        ("/demo%2F/v1/chat/completions", "POST", 403, "blocked"),
        ("/", "GET", 403, "blocked"),
        ("/demo/v1/no/such/path", "POST", 404, "uninspectable"),
    ],
)
async def test_a_key_for_one_connection_is_good_for_no_other(
    world: World, model: Model, path: str, method: str, status: int, code: str
) -> None:
    key = await make_key(world, connections=frozenset({"demo"}))
    model.received.clear()
    answer = await ask(world, key, path, method=method)
    assert answer.status == status
    assert len(model.received) == (1 if status == 200 else 0)
    if status == 403:
        assert answer.error == (403, "blocked", "Blocked: this API key is not for this connection.")
        (event,) = await refusals(world)
        assert event.data["reason"] == "Blocked: this API key is not for this connection."
        assert event.data["requester"]["key_id"] == apikey.key_id(key)
        assert event.data["target"] == path
        assert event.data["connection"] == ("locked" if path.startswith("/locked") else "")
    elif code:
        assert answer.error[:2] == (status, code)


async def test_a_key_without_bounds_reaches_every_connection(world: World) -> None:
    key = await make_key(world)
    assert [(await ask(world, key, f"/{name}/v1/models", method="GET")).status for name in ("demo", "locked")] == [
        200
    ] * 2
    assert (await ask(world, key, "/nowhere/v1/models", method="GET")).error[:2] == (404, "uninspectable")


async def test_a_hold_of_another_connection_is_out_of_reach_too(world: World) -> None:
    async with world.chat(headers={"Prefer": "respond-async"}) as answer:
        location = answer.headers["Location"]
    hold_id = location.rsplit("/", 1)[1]
    elsewhere = await make_key(world, connections=frozenset({"locked"}))
    here = await make_key(world, connections=frozenset({"demo", "locked"}))
    somebody = await make_key(world, "eve@example.com", connections=frozenset({"demo"}))
    for method, path in (("GET", location), ("DELETE", location), ("GET", f"{location}/response")):
        assert (await ask(world, elsewhere, path, method=method)).error[:2] == (403, "blocked")
        assert (await ask(world, somebody, path, method=method)).error[:2] == (404, "not_found")
    assert (await world.store.holds.get(hold_id)).state is State.PENDING
    assert [event.data["target"] for event in await refusals(world)] == [location, location, f"{location}/response"]
    assert (await ask(world, here, location, method="GET")).status == 200
    assert (await ask(world, here, location, method="DELETE")).status == 200


@pytest.mark.parametrize(
    ("networks", "client", "passes"),
    [
        (("10.0.0.0/8",), "10.255.0.1", True),
        (("10.0.0.0/8",), "11.0.0.1", False),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        (("10.0.0.0/8",), "::10.1.2.3", False),
        (("10.0.0.0/8",), "2001:db8::1", False),
        (("10.0.0.0/8", "2001:db8::/32"), "2001:DB8:0:1::7", True),
        (("10.0.0.0/8", "2001:db8::/32"), "[2001:db8::7]:443", True),
        (("10.0.0.0/8", "2001:db8::/32"), "2001:db9::1", False),
        (("192.0.2.7",), "192.0.2.7", True),
        (("192.0.2.7",), "192.0.2.8", False),
        (("192.0.2.7",), "192.0.2.7, 192.0.2.8", False),
        (("10.0.0.0/8",), "", False),
        (("127.0.0.0/8",), "", True),
        (("10.0.0.0/8",), "unknown", False),
        (("0.0.0.0/0",), "2001:db8::1", False),
        (("not a network", "10.0.0.0/8"), "10.1.2.3", False),
        ((), "203.0.113.9", True),
    ],
)  # fmt: skip
async def test_a_key_works_from_its_networks_only(
    proxied: World, model: Model, networks: tuple[str, ...], client: str, passes: bool
) -> None:
    key = await make_key(proxied, networks=networks)
    model.received.clear()
    answer = await ask(proxied, key, client=client)
    assert answer.status == (200 if passes else 401)
    assert len(model.received) == passes
    if not passes:
        stranger = await ask(proxied, apikey.create().text, client=client)
        assert answer == stranger
        assert answer.error == (401, "invalid_api_key", UNKNOWN)
        (event,) = await refusals(proxied)
        assert event.data["reason"] == "The key was used from an address outside its networks."
        assert event.data["requester"]["key_id"] == apikey.key_id(key)


async def test_a_key_from_elsewhere_learns_nothing_of_paths_connections_and_holds(proxied: World) -> None:
    key = await make_key(proxied, networks=("10.0.0.0/8",), connections=frozenset({"demo"}))
    for path in ("/nowhere/v1/models", "/locked/v1/models", "/demo/v1/models", "/holds/h123", "/holds/h123/response"):
        answer = await ask(proxied, key, path, method="GET", client="192.0.2.7")
        assert answer.error == (401, "invalid_api_key", UNKNOWN), path
    assert len(await refusals(proxied)) == 5


async def test_what_a_client_says_of_its_address_is_not_believed(world: World) -> None:
    far, near = await make_key(world, networks=("10.0.0.0/8",)), await make_key(world, networks=("127.0.0.1",))
    assert (await ask(world, far, client="10.1.2.3")).status == 401
    assert (await ask(world, near, client="10.1.2.3")).status == 200


async def test_a_body_that_comes_in_pieces_changes_nothing(world: World, model: Model) -> None:
    key = await make_key(world, networks=("10.0.0.0/8",))
    model.received.clear()
    request = post("/demo/v1/chat/completions", key, b'{"model": "demo", "messages": []}')
    async with raw_client(world.port) as client:
        await client.send(request[:-10])
        assert (await client.head())[0] == 401
    assert not model.received


async def test_who_comes_by_a_unix_socket_is_in_no_network(redis_url: str, model: Model) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # a socket's path is short
        path = Path(folder) / "g.sock"
        async with (
            running_world(redis_url, model.url, gateway_socket=path) as world,
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        ):
            far = apikey.create()
            await world.store.config.put_key(
                KeyRecord(
                    far.id,
                    far.digest,
                    "a@example.com",
                    frozenset(),
                    frozenset(),
                    1,
                    None,
                    networks=("::/0", "0.0.0.0/0"),
                )
            )

            async def status(key: str) -> int:
                headers = {"Authorization": f"Bearer {key}"}
                async with session.post(
                    "http://gateway/demo/v1/chat/completions", json=BODY, headers=headers
                ) as answer:
                    return answer.status

            assert await status(world.key) == 200

            async def recorded() -> bool:
                return await status(far.text) == 401 and bool(await refusals(world))

            await wait_until(recorded, "it is known, and refused")


async def test_when_a_key_was_used_is_known_and_a_refused_use_is_none(
    redis_url: str, model: Model, store: Store
) -> None:
    before = now_ms()
    async with running_world(redis_url, model.url) as world:
        far = await make_key(world, networks=("10.0.0.0/8",))
        assert (await ask(world, far)).status == 401
        assert (await ask(world, world.key)).status == 200
        assert (await ask(world, apikey.create().text)).status == 401
        assert await store.key_use.all() == {}  # nothing is written for a request
    used = await store.key_use.all()  # but once a minute, and at the end
    assert before <= used[world.key_id] <= now_ms()
    assert set(used) & {apikey.key_id(far), apikey.key_id(world.other_key)} == set()


async def test_a_rotation_under_load_refuses_nobody_until_the_overlap_is_over(world: World) -> None:
    """Both keys are used all the time: the old one from the start, the new one from when it is known."""
    old, new = world.key, apikey.create()
    seen: list[tuple[str, int, int, int]] = []  # which key, when sent, when answered, how
    known, over = asyncio.Event(), asyncio.Event()

    async def load(which: str, key: str) -> None:
        while not over.is_set():
            sent = now_ms()
            status = (await ask(world, key)).status
            seen.append((which, sent, now_ms(), status))

    async def new_one_works() -> bool:
        return (await ask(world, new.text)).status == 200

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(load("old", old))
        await wait_until(lambda: len(seen) > 20, "there is load")
        rotation = await world.store.config.rotate_key(world.key_id, new, overlap_ms=2500, by="test")
        begins_ms, ends_ms = now_ms(), rotation.old.expires_ms
        assert ends_ms is not None
        await wait_until(new_one_works, "the new key is known", seconds=1)
        known.set()
        for _ in range(3):
            group.create_task(load("new", new.text))

        def late() -> list[int]:
            return [status for which, sent, _, status in seen if which == "old" and sent > ends_ms]

        await wait_until(lambda: len(late()) > 3, "the overlap is over", every=0.05)
        over.set()

    assert {status for which, _, _, status in seen if which == "new"} == {200}
    in_time = [(sent, status) for which, sent, answered, status in seen if which == "old" and answered < ends_ms]
    assert len([sent for sent, _ in in_time if sent > begins_ms]) > 3
    assert {status for _, status in in_time} == {200}
    assert set(late()) == {401}


@asynccontextmanager
async def another_gateway(world: World) -> AsyncIterator[str]:
    async with running_gateway(world.settings) as gateway:
        yield gateway.url


@pytest.mark.parametrize("how", ["revoked", "rotated without overlap"])
async def test_two_gateways_know_within_a_second_that_a_key_is_over(world: World, how: str) -> None:
    async with another_gateway(world) as other:

        async def statuses() -> list[int]:
            found = []
            for url in (world.gateway.url, other):
                async with world.http.get(f"{url}/demo/v1/models", headers=world.headers()) as answer:
                    found.append(answer.status)
            return found

        assert await statuses() == [200, 200]
        if how == "revoked":
            await world.store.config.revoke_key(world.key_id, by="test")
        else:
            await world.store.config.rotate_key(world.key_id, apikey.create(), overlap_ms=0, by="test")

        async def over() -> bool:
            return await statuses() == [401, 401]

        await wait_until(over, "both refuse it", seconds=1)
