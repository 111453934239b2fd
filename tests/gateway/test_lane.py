"""The fast lane: a clean request by callbacks, and each thing on the way that hands it over to the coroutine route.

A connection to the model is kept before each test begins, because without one nothing takes the lane.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.lane import Lane
from holdpoint.model import Event
from tests.gateway.model import COMPLETION, STREAM_HEAD, Model, Received, chunk, http, piece, says, well
from tests.gateway.raw import RawClient, post, raw_client
from tests.gateway.standing import until_live
from tests.gateway.world import CLEAN, POLICY, RISKY, World, running_world
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until, within

CHAT = "/demo/v1/chat/completions"


def asking(prompt: str = CLEAN, **more: Any) -> bytes:
    return json.dumps({"model": "demo", "messages": [{"role": "user", "content": prompt}], **more}).encode()


@pytest.fixture
async def warm(world: World, model: Model) -> World:
    """A world with a kept connection to the model, and no records yet that a test has not seen."""
    return await _warmed(world, model)


@pytest.fixture
async def lost(redis_server: RedisServer, model: Model) -> AsyncIterator[World]:
    """The same on a Redis that can be stopped."""
    async with running_world(redis_server.url, model.url) as world:
        yield await _warmed(world, model)


async def _warmed(world: World, model: Model) -> World:
    async with world.chat(CLEAN) as answer:
        assert answer.status == 200
    await world.events("traffic")
    model.received.clear()
    return world


async def _answer(client: RawClient) -> tuple[int, bytes]:
    status, headers = await client.head()
    return status, await client.reader.readexactly(int(headers["content-length"]))


async def _completed(world: World, count: int = 1) -> list[Event]:
    """The completions, once there are ``count`` of them."""
    found: list[Event] = []

    async def there() -> bool:
        found.extend(event for event in await world.events("traffic") if event.kind.value == "request.completed")
        return len(found) >= count

    await wait_until(there, f"{count} outcomes are recorded")
    return found


async def _loop_has_turned(world: World) -> None:
    """Until the gateway has seen what was on its sockets before."""
    async with world.http.get(f"{world.gateway.url}/healthz") as answer:
        assert answer.status == 200


async def _stands_still(number: Callable[[], int]) -> None:
    """Until ``number`` is not 0 and has been the same at forty looks, one after the other."""
    before, times = 0, 0

    def same() -> bool:
        nonlocal before, times
        now = number()
        times = times + 1 if now == before and now else 0
        before = now
        return times >= 40

    await wait_until(same, "it stands still")


# All goes well


async def test_a_clean_request_needs_no_task(warm: World, model: Model) -> None:
    gate = asyncio.Event()

    async def behave(received: Received) -> None:
        await gate.wait()
        await well(received)

    model.behave = behave
    async with raw_client(warm.port) as client:
        await client.send(post(CHAT, warm.key, asking()))
        await wait_until(lambda: model.received, "the model was asked")
        # What runs for a request on the coroutine route has passed through the guard.
        assert not [task for task in asyncio.all_tasks() if "Guard" in repr(task.get_coro())]
        gate.set()
        assert (await _answer(client))[0] == 200


@pytest.mark.promise(4)
async def test_the_record_is_there_before_the_model_and_the_outcome_before_the_end(warm: World, model: Model) -> None:
    seen: list[str] = []

    async def behave(received: Received) -> None:
        seen.extend(event.kind.value for event in await warm.events("traffic"))
        await well(received)

    model.behave = behave
    async with raw_client(warm.port) as client:
        await client.send(post(CHAT, warm.key, asking()))
        status, body = await _answer(client)
        seen += [event.kind.value for event in await warm.events("traffic")]
    assert (status, json.loads(body)) == (200, COMPLETION)
    assert seen == ["request.allowed", "request.completed"]


async def test_a_stream_in_pieces_and_an_answer_in_pieces(warm: World, model: Model) -> None:
    async def behave(received: Received) -> None:
        raw = json.dumps(COMPLETION).encode()
        stream = json.loads(received.body)["stream"]
        pieces = [http(raw)[:60], http(raw)[60:]]
        if stream:
            pieces = [STREAM_HEAD, piece(chunk("on")), piece(chunk("e")), piece(b"data: [DONE]\n\n"), b"0\r\n\r\n"]
        for each in pieces:
            received.writer.write(each)
            await received.writer.drain()
            await asyncio.sleep(0)

    model.behave = behave
    for stream in (True, False, True):
        async with warm.chat(CLEAN, stream=stream) as answer:
            text = await answer.text()
        assert text == json.dumps(COMPLETION) if not stream else text.endswith("data: [DONE]\n\n")
    texts = [event.data["outcome"]["text"] for event in await _completed(warm, 3)]
    assert texts == ["one", "fine", "one"]


# One connection, many requests


async def test_pipelined_clean_and_held_requests_are_answered_in_order(warm: World, model: Model) -> None:
    async def behave(received: Received) -> None:
        prompt = json.loads(received.body)["messages"][0]["content"]
        received.writer.write(http(json.dumps({"prompt": prompt}).encode()))

    model.behave = behave
    prompts = ["one", "two", RISKY, "three", "4111 1111 1111 1111", "four"]
    async with raw_client(warm.port) as client:
        await client.send(b"".join(post(CHAT, warm.key, asking(prompt)) for prompt in prompts))
        answers = [json.loads((await _answer(client))[1])["prompt"] for _ in range(2)]
        (hold,) = await warm.held()
        assert len(model.received) == 2, "what comes behind a request that waits, waits"
        await warm.approve(hold)
        answers += [json.loads((await _answer(client))[1])["prompt"] for _ in range(4)]
    assert answers == ["one", "two", RISKY, "three", "[card]", "four"]


@pytest.mark.promise(1)
async def test_a_policy_that_changes_between_two_pipelined_requests(warm: World, model: Model) -> None:
    gate = asyncio.Event()

    async def behave(received: Received) -> None:
        await gate.wait()
        await well(received)

    model.behave = behave
    async with raw_client(warm.port) as client:
        await client.send(post(CHAT, warm.key, asking()) * 2)
        await wait_until(lambda: model.received, "the model was asked")
        blocking = POLICY.format(upstream=model.url, timeout="10m").replace("BEGIN PRIVATE KEY", "weather")
        await until_live(warm, policy=blocking)
        gate.set()
        first, second = await _answer(client), await _answer(client)
    assert (first[0], second[0]) == (200, 403)
    assert json.loads(second[1])["error"]["code"] == "blocked"
    assert len(model.received) == 1


# A client that goes, or does not read


@pytest.mark.parametrize("moment", ["before the head", "in the stream", "in the answer"])
async def test_a_client_that_leaves_ends_the_call(moment: str, warm: World, model: Model) -> None:
    async def behave(received: Received) -> None:
        if moment == "in the stream":
            received.writer.write(STREAM_HEAD + piece(chunk("one")))
        elif moment == "in the answer":
            received.writer.write(http(b"x" * 1000)[:200])
        await received.gone.wait()

    model.behave = behave
    async with raw_client(warm.port) as client, within(10):
        await client.send(post(CHAT, warm.key, asking(stream=moment == "in the stream")))
        await wait_until(lambda: model.received, "the model was asked")
        if moment == "in the stream":
            await client.reader.readuntil(b"one")
        client.vanish()
        await model.received[0].gone.wait()
    (completed,) = await _completed(warm)
    assert completed.data["outcome"]["error"] == "the client left"


@pytest.mark.promise(1)
async def test_a_client_that_leaves_before_the_record_is_there_is_not_forwarded(
    lost: World, redis_server: RedisServer, model: Model
) -> None:
    redis_server.pause()
    async with raw_client(lost.port) as client:
        await client.send(post(CHAT, lost.key, asking()))
        await _loop_has_turned(lost)
        client.vanish()
        await _loop_has_turned(lost)
    redis_server.resume()
    (completed,) = await _completed(lost)
    assert completed.data["outcome"]["error"] == "the client left"
    assert not model.received


async def test_a_client_that_reads_slowly_stops_the_model_and_loses_nothing(warm: World, model: Model) -> None:
    """Up to a point nothing is waited for; from there on the coroutine route waits."""
    size, count, sent = 64_000, 400, 0

    async def behave(received: Received) -> None:
        nonlocal sent
        received.writer.write(STREAM_HEAD)
        for number in range(count):
            received.writer.write(piece(b"data: %06d" % number + b"x" * size + b"\n\n"))
            await received.writer.drain()
            sent += 1
        received.writer.write(piece(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    model.behave = behave
    async with raw_client(warm.port) as client:
        await client.send(post(CHAT, warm.key, asking(stream=True)))
        await client.reader.readuntil(b"\r\n\r\n")
        await _stands_still(lambda: sent)
        assert 0 < sent < count
        found = bytearray()
        while not found.endswith(b"0\r\n\r\n"):
            found += await client.reader.read(1 << 20)
    assert [int(number) for number in re.findall(rb"data: (\d{6})", found)] == list(range(count))


async def test_answers_are_not_piled_up_for_a_client_that_does_not_read(warm: World, model: Model) -> None:
    size, count = 200_000, 100
    model.behave = says(http(b"y" * size))
    async with raw_client(warm.port) as client:
        client.writer.write(post(CHAT, warm.key, asking()) * count)
        await _stands_still(lambda: len(model.received))
        assert 0 < len(model.received) < count
        taken = 0
        while taken < count * size:
            taken += (await client.reader.read(1 << 20)).count(b"y")
    assert len(model.received) == count


# The model, or Redis, lets go


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Le", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", 502),
        (b"nonsense\r\n\r\n", 502),
        (http(b"{}", status="401 Unauthorized"), 502),
        (http(b"", status="302 Found"), 502),
    ],
)
async def test_a_model_that_breaks_off(raw: bytes, status: int, warm: World, model: Model) -> None:
    model.behave = says(raw, then_close=True)
    async with raw_client(warm.port) as client:
        await client.send(post(CHAT, warm.key, asking()))
        found, body = await _answer(client)
        assert (found, json.loads(body)["error"]["code"]) == (status, "unavailable")
        model.behave = well
        await client.send(post(CHAT, warm.key, asking()))
        assert (await _answer(client))[0] == 200
    broken, whole = await _completed(warm, 2)
    assert broken.data["outcome"]["error"]
    assert not whole.data["outcome"]["error"]


async def test_a_stream_that_breaks_is_never_a_clean_end(warm: World, model: Model) -> None:
    model.behave = says(STREAM_HEAD + piece(chunk("one")), then_close=True)
    async with raw_client(warm.port) as client:
        await client.send(post(CHAT, warm.key, asking(stream=True)))
        assert (await client.head())[0] == 200
        rest = await client.rest()
    assert b"one" in rest
    assert b'"code":"unavailable"' in rest
    assert not rest.endswith(b"0\r\n\r\n")


@pytest.mark.promise(1)
async def test_redis_lost_before_the_record(lost: World, redis_server: RedisServer, model: Model) -> None:
    redis_server.kill()
    async with raw_client(lost.port) as client:
        await client.send(post(CHAT, lost.key, asking()))
        status, body = await _answer(client)
    assert (status, json.loads(body)["error"]["code"]) == (503, "unavailable")
    assert not model.received


@pytest.mark.promise(4)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_redis_lost_between_record_and_outcome(
    stream: bool, lost: World, redis_server: RedisServer, model: Model
) -> None:
    gate = asyncio.Event()

    async def behave(received: Received) -> None:
        if stream:
            received.writer.write(STREAM_HEAD + piece(chunk("fi")))
            await gate.wait()
            redis_server.kill()
            received.writer.write(piece(chunk("ne")) + piece(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        else:
            redis_server.kill()
            await well(received)

    model.behave = behave
    async with raw_client(lost.port) as client:
        await client.send(post(CHAT, lost.key, asking(stream=stream)))
        if stream:
            await client.reader.readuntil(b"fi")
            gate.set()
            rest = await client.rest()
            assert b"[DONE]" not in rest
            assert not rest.endswith(b"0\r\n\r\n")
        else:
            status, body = await _answer(client)
            assert status == 503
            assert b"fine" not in body
    redis_server.start()
    await lost.redis_is_back()
    (completed,) = await _completed(lost)
    assert completed.data["outcome"]["text"] == "fine"


@pytest.mark.promise(4)
@pytest.mark.parametrize("end", [b"data: [DO|NE]\n\n", b"event: response.comp|leted\ndata: {}\n\n"])
async def test_the_end_of_a_stream_waits_for_its_record_wherever_it_is_cut(
    end: bytes, lost: World, redis_server: RedisServer, model: Model
) -> None:
    gate = asyncio.Event()

    async def behave(received: Received) -> None:
        begins, _, ends = end.partition(b"|")
        received.writer.write(STREAM_HEAD + piece(chunk("fine")))
        await gate.wait()
        received.writer.write(piece(begins))
        await _loop_has_turned(lost)
        redis_server.kill()
        received.writer.write(piece(ends))
        await _loop_has_turned(lost)
        received.writer.write(b"0\r\n\r\n")

    model.behave = behave
    async with raw_client(lost.port) as client:
        await client.send(post(CHAT, lost.key, asking(stream=True)))
        await client.reader.readuntil(b"fine")
        gate.set()
        rest = await client.rest()
    assert end.partition(b"|")[2] not in rest
    assert b'"code":"unavailable"' in rest


@pytest.mark.promise(1)
async def test_what_nobody_foresaw_is_a_refusal(warm: World, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(Lane, "start", broken)
    async with warm.chat(CLEAN) as answer:
        assert answer.status == 500
        assert "nobody foresaw" not in await answer.text()
    assert not model.received
