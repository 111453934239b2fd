"""Every refusal that needs no reviewer, one row each: status, code, shape, and nothing at the model."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from holdpoint import apikey
from holdpoint.clock import now_ms
from holdpoint.model import KeyRecord, State
from tests.gateway.model import Model
from tests.gateway.raw import post, raw_client
from tests.gateway.world import CLEAN, World, running_world
from tests.support.waiting import wait_until

CHAT = "/demo/v1/chat/completions"
GOOD = {"model": "demo", "messages": [{"role": "user", "content": CLEAN}]}
JSON = {"Content-Type": "application/json"}

ROWS: dict[str, tuple[str, str, dict[str, str], Any, int, str]] = {
    "no key": ("POST", CHAT, {"Authorization": ""}, GOOD, 401, "invalid_api_key"),
    "unknown key": ("POST", CHAT, {"Authorization": "Bearer hp_nobody"}, GOOD, 401, "invalid_api_key"),
    "basic auth": ("POST", CHAT, {"Authorization": "Basic eDp5"}, GOOD, 401, "invalid_api_key"),
    "two keys": ("POST", CHAT, {"x-api-key": "hp_another"}, GOOD, 401, "invalid_api_key"),
    "empty key": ("POST", CHAT, {"Authorization": "Bearer "}, GOOD, 401, "invalid_api_key"),
    "unknown connection": ("POST", "/nowhere/v1/chat/completions", {}, GOOD, 404, "uninspectable"),
    "no path": ("GET", "/", {}, None, 404, "uninspectable"),
    "connection alone": ("GET", "/demo", {}, None, 404, "uninspectable"),
    "unknown path": ("POST", "/demo/v1/files", {}, GOOD, 404, "uninspectable"),
    "no version": ("POST", "/demo/chat/completions", {}, GOOD, 404, "uninspectable"),
    "slash at the end": ("POST", CHAT + "/", {}, GOOD, 404, "uninspectable"),
    "two slashes": ("POST", "/demo//v1/chat/completions", {}, GOOD, 404, "uninspectable"),
    "escaped path": ("POST", "/demo/v1/chat%2Fcompletions", {}, GOOD, 404, "uninspectable"),
    "path upwards": ("GET", "/demo/v1/models/../files", {}, None, 404, "uninspectable"),
    "escaped upwards": ("GET", "/demo/v1/models/%2e%2e/files", {}, None, 404, "uninspectable"),
    "delete a model": ("DELETE", "/demo/v1/models/x", {}, None, 405, "uninspectable"),
    "get a chat": ("GET", CHAT, {}, None, 405, "uninspectable"),
    "query string": ("POST", CHAT + "?a=b", {}, GOOD, 400, "uninspectable"),
    "models with a body": ("GET", "/demo/v1/models", JSON, b"{}", 400, "uninspectable"),
    "no content type": ("POST", CHAT, {"Content-Type": ""}, json.dumps(GOOD).encode(), 415, "uninspectable"),
    "other content type": ("POST", CHAT, {"Content-Type": "text/plain"}, json.dumps(GOOD).encode(), 415, "uninspectable"),
    "other charset": ("POST", CHAT, {"Content-Type": "application/json; charset=utf-16"}, b"{}", 415, "uninspectable"),
    "compressed": ("POST", CHAT, {**JSON, "Content-Encoding": "gzip"}, b"\x1f\x8b", 415, "uninspectable"),
    "empty body": ("POST", CHAT, JSON, b"", 400, "uninspectable"),
    "bad JSON": ("POST", CHAT, JSON, b'{"model": "demo",', 400, "uninspectable"),
    "not UTF-8": ("POST", CHAT, JSON, b'{"model": "\xff"}', 400, "uninspectable"),
    "two values": ("POST", CHAT, JSON, b"{}{}", 400, "uninspectable"),
    "duplicate key": ("POST", CHAT, JSON, b'{"model":"a","messages":[],"messages":[]}', 400, "uninspectable"),
    "not a number": ("POST", CHAT, JSON, b'{"model":"a","messages":[],"top_p":NaN}', 400, "uninspectable"),
    "too large a number": ("POST", CHAT, JSON, b'{"model":"a","messages":[],"top_p":1e999}', 400, "uninspectable"),
    "deep nesting": ("POST", CHAT, JSON, b'{"model":"a","x":' + b"[" * 300 + b"]" * 300 + b"}", 400, "uninspectable"),
    "a list": ("POST", CHAT, JSON, b"[]", 400, "uninspectable"),
    "no model": ("POST", CHAT, {}, {"messages": []}, 400, "uninspectable"),
    "model is a number": ("POST", CHAT, {}, {**GOOD, "model": 1}, 400, "uninspectable"),
    "messages is text": ("POST", CHAT, {}, {**GOOD, "messages": "hello"}, 400, "uninspectable"),
    "content is a number": ("POST", CHAT, {}, {**GOOD, "messages": [{"role": "user", "content": 1}]}, 400, "uninspectable"),
    "no role": ("POST", CHAT, {}, {**GOOD, "messages": [{"content": "x"}]}, 400, "uninspectable"),
    "stream is text": ("POST", CHAT, {}, {**GOOD, "stream": "yes"}, 400, "uninspectable"),
    "max_tokens is text": ("POST", CHAT, {}, {**GOOD, "max_tokens": "9"}, 400, "uninspectable"),
    "too large": ("POST", CHAT, JSON, b'"' + b"x" * 70_000 + b'"', 413, "uninspectable"),
    "missing credential": ("POST", "/keyless/v1/chat/completions", {}, GOOD, 503, "unavailable"),
    "blocked": ("POST", CHAT, {}, {**GOOD, "messages": [{"role": "user", "content": "BEGIN PRIVATE KEY"}]}, 403, "blocked"),
    "nobody's hold": ("GET", "/holds/h000", {}, None, 404, "not_found"),
    "odd hold": ("GET", "/holds/..", {}, None, 404, "not_found"),
    "post to a hold": ("POST", "/holds/h000", {}, None, 405, "uninspectable"),
}  # fmt: skip


@pytest.mark.promise(1)
@pytest.mark.parametrize("row", ROWS)
async def test_refused(row: str, redis_url: str, model: Model) -> None:
    method, path, headers, body, status, code = ROWS[row]
    async with running_world(redis_url, model.url, max_body_bytes=60_000) as world:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        usual = {"Authorization": f"Bearer {world.key}", **(JSON if isinstance(body, dict) else {}), **headers}
        lines = [f"{name}: {value}" for name, value in usual.items() if value]
        lines += [f"Content-Length: {len(raw)}"] if raw or method == "POST" else []
        head = f"{method} {path} HTTP/1.1\r\nHost: gateway\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n"
        async with raw_client(world.port) as client:
            await client.send(head.encode() + raw)
            got, answer_headers = await client.head()
            error = json.loads(await client.reader.readexactly(int(answer_headers["content-length"])))["error"]
        assert (got, error["code"]) == (status, code), error
        assert error["message"]
        assert error["param"] is None
        assert error["type"] == (
            "server_error" if status == 503 else "request_blocked" if status == 403 else "invalid_request_error"
        )
        assert answer_headers["content-type"] == "application/json"
        assert answer_headers["x-should-retry"] == "false"
        assert ("allow" in answer_headers) == (status == 405)
        if row == "blocked":
            assert error["message"] == "Blocked: Private keys never leave"
        assert not model.received
        assert (await world.store.holds.count())[State.PENDING] == 0


@pytest.mark.parametrize(
    "change", [{"expires_ms": 1}, {"revoked_ms": 1}], ids=["expired", "revoked"]
)  # fmt: skip
async def test_a_key_that_is_over_is_an_unknown_one(world: World, model: Model, change: dict[str, int]) -> None:
    key = apikey.create()
    record = KeyRecord(key.id, key.digest, "x@example.com", frozenset(), frozenset(), now_ms(), None)
    await world.store.config.put_key(replace(record, **change))

    async def known() -> bool:
        async with world.chat(CLEAN, headers={"Authorization": f"Bearer {key.text}"}) as answer:
            return "known" in (await answer.json())["error"]["message"] and answer.status == 401

    await wait_until(known, "the key is refused")
    assert not model.received


async def test_a_revoked_key_stops_within_a_second(world: World, model: Model) -> None:
    async with world.chat(CLEAN) as answer:
        assert answer.status == 200
    await world.store.config.revoke_key(world.key_id, by="test")

    async def refused() -> bool:
        async with world.chat(CLEAN) as answer:
            return answer.status == 401

    await wait_until(refused, "the key is refused", seconds=1)


async def test_a_key_that_is_revoked_while_the_body_comes_in_is_refused(world: World, model: Model) -> None:
    body = b'{"model": "demo", "messages": [{"role": "user", "content": "hello"}]}'
    request = post("/demo/v1/chat/completions", world.key, body)
    async with raw_client(world.port) as client:
        await client.send(request[:-10])
        await world.store.config.revoke_key(world.key_id, by="test")

        async def others_are_refused() -> bool:
            async with world.chat(CLEAN) as answer:
                return answer.status == 401

        await wait_until(others_are_refused, "the revocation is known")
        await client.send(request[-10:])
        assert (await client.head())[0] == 401
    assert not any(b"hello" in received.body for received in model.received)


@pytest.mark.promise(1)
@pytest.mark.parametrize(
    "raw",
    [
        b"not http at all\r\n\r\n",
        b"POST /demo/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /demo/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n",
    ],
    ids=["garbage", "two framings", "two lengths", "long header"],
)
async def test_what_is_not_http_is_refused_in_the_same_shape(world: World, model: Model, raw: bytes) -> None:
    async with raw_client(world.port) as client:
        await client.send(raw)
        status, headers = await client.head()
        error = json.loads(await client.reader.readexactly(int(headers["content-length"])))["error"]
    assert status in (400, 401)
    assert error["code"] in ("uninspectable", "invalid_api_key")
    assert not model.received


async def test_a_body_in_chunks_has_the_same_limit(redis_url: str, model: Model) -> None:
    async with running_world(redis_url, model.url, max_body_bytes=1000) as world, raw_client(world.port) as client:
        await client.send(
            post(CHAT, world.key, b"", "Transfer-Encoding: chunked", "Content-Length: 0")[:-2].replace(
                b"Content-Length: 0\r\n", b""
            )
            + b"\r\n"
        )
        await client.send(b"800\r\n" + b" " * 0x800 + b"\r\n")
        status, headers = await client.head()
    assert status == 413
    assert headers["connection"] == "close"


async def test_a_slow_body_ends_with_408(redis_url: str, model: Model) -> None:
    async with running_world(redis_url, model.url, body_timeout_s=0.1) as world, raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, b"{", "Content-Length: 100"))
        status, _ = await client.head()
    assert status == 408
    assert not model.received


async def test_a_client_that_vanishes_in_its_body_leaves_nothing(world: World, model: Model) -> None:
    async with raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, b"{", "Content-Length: 100"))
        client.vanish()
    async with world.chat(CLEAN) as answer:  # a request later, the first one would be through
        assert answer.status == 200
    assert [event.kind.value for event in await world.events("traffic")] == ["request.allowed", "request.completed"]
    assert len(model.received) == 1


async def test_expect_continue_is_answered_before_the_body(world: World, model: Model) -> None:
    body = json.dumps(GOOD).encode()
    async with raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, body, "Expect: 100-continue")[: -len(body)])
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(body)
        status, _ = await client.head()
    assert status == 200


async def test_an_unreadable_request_of_a_known_caller_is_recorded(world: World) -> None:
    async with world.http.post(f"{world.base}/files", json={}, headers=world.headers()) as answer:
        assert answer.status == 404
    (event,) = await world.events("traffic")
    assert event.kind.value == "request.refused"
    assert event.data["requester"]["principal"] == "dana@example.com"
    assert event.data["target"] == "/demo/v1/files"
    assert event.data["connection"] == "demo"


async def test_a_blocked_request_is_recorded_with_its_rule(world: World) -> None:
    async with world.chat("BEGIN PRIVATE KEY") as answer:
        assert answer.status == 403
    (event,) = await world.events("traffic")
    assert event.kind.value == "request.blocked"
    assert event.data["evaluation"]["hits"][0]["rule"] == "forbidden"
