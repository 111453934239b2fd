"""The model's side: what it is sent, what it may send back, and what becomes of it when it misbehaves."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Exchange
from gateway.forward import _InterruptedByLeaving
from gateway.transfer import Finish, Job, Transfer
from gateway.transport import Answer, ClientGone, Reply, Request
from holdpoint.model import State
from tests.gateway.model import STREAM_HEAD, Behave, Model, Received, chunk, http, piece, says, silent
from tests.gateway.raw import post, raw_client
from tests.gateway.world import CLEAN, RISKY, World, running_world
from tests.support.waiting import wait_until, within

CHAT = "/demo/v1/chat/completions"
STREAM = json.dumps({"model": "demo", "messages": [{"role": "user", "content": CLEAN}], "stream": True}).encode()


@pytest.mark.promise(8)
async def test_only_known_headers_reach_the_model_and_never_the_callers_key(world: World, model: Model) -> None:
    sent = {
        "x-request-id": "abc-1", "Cookie": "a=b", "X-Custom": "secret text", "X-Forwarded-For": "1.2.3.4",
        "openai-organization": "org", "x-api-key": world.key, "User-Agent": "someone/1", "Connection": "x-request-id",
    }  # fmt: skip
    url = f"{world.gateway.url}/locked/v1/chat/completions"
    body = {"model": "demo", "messages": [{"role": "user", "content": CLEAN}]}
    async with world.http.post(url, json=body, headers=world.headers(sent)) as answer:
        assert answer.status == 200
    (received,) = model.received
    assert received.headers == {
        "host": received.headers["host"], "accept": "application/json", "accept-encoding": "identity",
        "user-agent": "holdpoint", "content-type": "application/json", "x-request-id": "abc-1",
        "authorization": "Bearer sk-the-connections-own", "content-length": str(len(received.body)),
    }  # fmt: skip


async def test_a_connection_without_credential_sends_none(world: World, model: Model) -> None:
    async with world.chat(CLEAN) as answer:
        assert answer.status == 200
    assert "authorization" not in model.received[0].headers


async def test_headers_of_one_connection_and_of_the_server_stay_behind(world: World, model: Model) -> None:
    more = (
        "Connection: x-private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=b\r\nServer: uvicorn\r\n"
        "X-Holdpoint-Hold: forged\r\nX-Request-Id: r-7\r\nX-Odd: caf\xe9\r\nopenai-processing-ms: 5\r\n"
    )
    model.behave = says(http(b"{}", more=more))
    async with world.chat(CLEAN) as answer:
        assert answer.status == 200
        names = {name.lower(): value for name, value in answer.headers.items()}
    assert names == {
        "content-type": "application/json", "content-length": "2", "x-request-id": "r-7", "openai-processing-ms": "5",
    }  # fmt: skip


async def test_models_pass_and_are_recorded(world: World, model: Model) -> None:
    for path in ("/models", "/models/meta-llama%2FLlama-3", "/models/meta-llama/Llama-3"):
        async with world.http.get(world.base + path, headers=world.headers()) as answer:
            assert answer.status == 200
    assert [each.target for each in model.received] == [
        "/v1/models", "/v1/models/meta-llama%2FLlama-3", "/v1/models/meta-llama/Llama-3",
    ]  # fmt: skip
    kinds = [event.kind.value for event in await world.events("traffic")]
    assert kinds == ["request.allowed", "request.completed"] * 3


async def test_every_endpoint_of_the_sdk(world: World, model: Model) -> None:
    async with openai.AsyncOpenAI(base_url=world.base, api_key=world.key) as client:
        completion = {
            "id": "x",
            "object": "text_completion",
            "created": 1,
            "model": "d",
            "choices": [{"index": 0, "text": "t", "finish_reason": "stop", "logprobs": None}],
        }
        model.behave = says(http(json.dumps(completion).encode()))
        assert (await client.completions.create(model="d", prompt=["a", "b"])).choices[0].text == "t"
        embedding = {
            "object": "list",
            "model": "d",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }
        model.behave = says(http(json.dumps(embedding).encode()))
        assert (await client.embeddings.create(model="d", input="a", encoding_format="float")).data[0].embedding == [
            0.5
        ]
        response = {
            "id": "r",
            "object": "response",
            "created_at": 1,
            "model": "d",
            "status": "completed",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
        model.behave = says(http(json.dumps(response).encode()))
        assert (await client.responses.create(model="d", input="a")).id == "r"
        model.behave = says(http(b'{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"x"}]}'))
        assert [each.id async for each in client.models.list()] == ["m"]


BROKEN: dict[str, tuple[Behave, int]] = {
    "closes at once": (says(b"", then_close=True), 502),
    "no HTTP": (says(b"nonsense\r\n\r\n", then_close=True), 502),
    "bad status": (says(b"HTTP/1.1 abc OK\r\n\r\n", then_close=True), 502),
    "large headers": (says(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 20_000 + b"\r\nContent-Length: 2\r\n\r\n{}"), 502),
    "half a head": (says(b"HTTP/1.1 200 OK\r\nContent-", then_close=True), 502),
    "half a body": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", then_close=True), 502),
    "bad chunk": (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", then_close=True), 502),
    "redirect": (says(http(b"", status="307 Temporary Redirect", more="Location: http://elsewhere/\r\n")), 502),
    "no credential": (says(http(b'{"error":{"message":"bad key sk-abc"}}', status="401 Unauthorized")), 502),
    "silent": (silent, 504),
}


@pytest.mark.parametrize("held", [False, True], ids=["allowed", "held"])
@pytest.mark.parametrize("case", BROKEN)
async def test_a_model_that_misbehaves_is_a_clear_error(case: str, held: bool, redis_url: str, model: Model) -> None:
    model.behave, status = BROKEN[case]
    settings = {"upstream_read_timeout_s": 0.2} if case == "silent" else {}
    async with running_world(redis_url, model.url, **settings) as world:
        asking = asyncio.ensure_future(world.chat(RISKY if held else CLEAN).__aenter__())
        if held:
            (hold,) = await world.held()
            await world.approve(hold)
        async with await asking as answer:
            error = (await answer.json())["error"]
            assert (answer.status, error["code"]) == (status, "unavailable")
            assert "sk-abc" not in error["message"]
            assert answer.headers.get("x-should-retry") == ("false" if held else None)
        assert len(model.received) == 1, "a request that was sent is never sent again"
        if held:
            closed = await world.state(hold.id, State.FAILED)
            assert closed.outcome is not None
            assert closed.outcome.error
        else:
            allowed, completed = await world.events("traffic")
            assert (allowed.kind.value, completed.kind.value) == ("request.allowed", "request.completed")
            assert completed.data["outcome"]["error"]


async def test_a_model_that_is_not_there(redis_url: str) -> None:
    async with running_world(redis_url, "http://127.0.0.1:1") as world, world.chat(CLEAN) as answer:
        assert answer.status == 502
        assert (await answer.json())["error"]["message"] == "The model cannot be reached."


async def test_a_stream_that_is_none_is_nonsense(world: World, model: Model) -> None:
    model.behave = says(http(b"<html>", kind="text/html"))
    async with world.chat(CLEAN, stream=True) as answer:
        assert answer.status == 502


async def test_a_models_own_error_passes_as_it_is(world: World, model: Model) -> None:
    body = b'{"error":{"message":"slow down","type":"rate","param":null,"code":"x"}}'
    model.behave = says(http(body, status="429 Too Many Requests", more="Retry-After: 7\r\n"))
    async with world.chat(CLEAN) as answer:
        assert answer.status == 429
        assert await answer.read() == body
        assert answer.headers["retry-after"] == "7"


async def test_a_models_error_on_a_held_request_invites_no_retry(world: World, model: Model) -> None:
    model.behave = says(
        http(b'{"error":{"message":"slow down"}}', status="429 Too Many Requests", more="Retry-After: 7\r\n")
    )
    asking = asyncio.ensure_future(world.chat(RISKY).__aenter__())
    (hold,) = await world.held()
    await world.approve(hold)
    async with await asking as answer:
        assert answer.status == 429
        assert answer.headers["x-should-retry"] == "false"
        assert "retry-after" not in answer.headers
        assert answer.headers["x-holdpoint-state"] == "completed"


# Streams


async def test_a_stream_passes_piece_by_piece_and_ends_after_its_record(world: World, model: Model) -> None:
    gate = asyncio.Event()

    async def behave(received: Received) -> None:
        received.writer.write(STREAM_HEAD + piece(chunk("one")))
        await gate.wait()
        received.writer.write(piece(chunk("two")) + piece(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    model.behave = behave
    async with world.chat(CLEAN, stream=True) as answer:
        assert b"one" in await answer.content.readuntil(b"\n\n")  # while the model has not said the rest
        gate.set()
        rest = await answer.text()
    assert rest.endswith("data: [DONE]\n\n")
    _, completed = await world.events("traffic")
    assert completed.data["outcome"]["text"] == "onetwo"
    assert completed.data["outcome"]["error"] == ""


@pytest.mark.parametrize("held", [False, True], ids=["allowed", "held"])
async def test_a_stream_that_breaks_is_never_a_clean_end(held: bool, world: World, model: Model) -> None:
    async def behave(received: Received) -> None:
        received.writer.write(STREAM_HEAD + piece(chunk("one")))
        await received.writer.drain()
        received.writer.close()

    model.behave = behave
    body = STREAM.replace(CLEAN.encode(), RISKY.encode()) if held else STREAM
    async with raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, body))
        if held:
            (hold,) = await world.held()
            await world.approve(hold)
        status, _ = await client.head()
        rest = await client.rest()
    assert status == 200
    assert b"one" in rest
    event = json.loads(rest.split(b"data: ")[-1].partition(b"\n")[0])
    assert event["error"]["code"] == "unavailable"
    assert not rest.endswith(b"0\r\n\r\n")
    if held:
        await world.state(hold.id, State.FAILED)


async def test_the_sdk_sees_a_broken_stream(world: World, model: Model) -> None:
    model.behave = says(STREAM_HEAD + piece(chunk("one")), then_close=True)
    async with openai.AsyncOpenAI(base_url=world.base, api_key=world.key) as client:
        messages: Any = [{"role": "user", "content": CLEAN}]
        stream = await client.chat.completions.create(model="demo", messages=messages, stream=True)
        with pytest.raises(openai.APIError):
            async for _ in stream:
                pass
    assert len(model.received) == 1


@pytest.mark.parametrize("cut", [b"data", b'"content": "', b"\xc3", b"}]}", b"\n"])
async def test_the_sdk_sees_why_a_stream_breaks_in_the_middle_of_an_event(
    cut: bytes, world: World, model: Model
) -> None:
    event = chunk("two").replace(b"two", "\u00fc".encode())
    model.behave = says(
        STREAM_HEAD + piece(chunk("one")) + piece(event[: event.index(cut) + len(cut)]), then_close=True
    )
    async with openai.AsyncOpenAI(base_url=world.base, api_key=world.key) as client:
        messages: Any = [{"role": "user", "content": CLEAN}]
        stream = await client.chat.completions.create(model="demo", messages=messages, stream=True)
        assert (await anext(stream)).choices[0].delta.content == "one"
        with pytest.raises(openai.APIError) as error:
            await anext(stream)
    assert error.value.code == "unavailable"


@pytest.mark.parametrize("sign", [b":\n", b": still thinking\r\n", b": one\n: two\n"])
async def test_a_comment_goes_on_at_once(sign: bytes, world: World, model: Model) -> None:
    """With it a model says that it is there: whoever hears nothing for long gives up."""
    heard = asyncio.Event()

    async def behave(received: Received) -> None:
        received.writer.write(STREAM_HEAD + piece(sign))
        await heard.wait()
        received.writer.write(piece(chunk("one") + sign))
        await received.writer.drain()

    model.behave = behave
    async with raw_client(world.port) as client, within(5):
        await client.send(post(CHAT, world.key, STREAM))
        await client.reader.readuntil(sign)
        heard.set()
        await client.reader.readuntil(chunk("one") + sign)


ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
EVENTS = [chunk("two").replace(b"two", "\u00fc".encode()), b"id: a\r\n\r\n", b"event: b\rdata: 1\r\r", chunk("[DONE]")]


@given(cuts=st.sets(st.integers(1, len(b"".join(EVENTS)) + 13)))
def test_events_go_on_when_they_are_whole_and_the_last_one_at_the_end(cuts: set[int]) -> None:
    end = b"data: [DONE]\n\n"
    raw = b"".join(EVENTS) + end
    exchange = Exchange(cast("Request", None), cast("Reply", None), "r1")
    transfer = Transfer(exchange, Job("", b"", cast("Finish", None), held=False), keep_bytes=1_000, started=0)
    transfer.begin(cast("Answer", SimpleNamespace(status=200, headers=[("content-type", "text/event-stream")])))
    gone, at = b"", 0
    for cut in sorted(cuts):
        gone += transfer.take(raw[at:cut], ended=False)
        at = cut
        assert gone == raw[: max((raw.rfind(each, 0, at) + len(each) for each in ENDS if each in raw[:at]), default=0)]
    gone += transfer.take(raw[at:], ended=False)
    assert end not in gone
    assert transfer.take(b"", ended=True) == b""
    assert gone + transfer.last == raw


@pytest.mark.parametrize("moment", ["before the head", "in the stream"])
async def test_a_client_that_leaves_ends_the_call(moment: str, world: World, model: Model) -> None:
    async def behave(received: Received) -> None:
        if moment == "in the stream":
            received.writer.write(STREAM_HEAD + piece(chunk("one")))
        await received.gone.wait()

    model.behave = behave
    async with raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, STREAM))
        await wait_until(lambda: model.received, "the model was asked")
        if moment == "in the stream":
            await client.reader.readuntil(b"one")
        client.vanish()
        async with within(5):
            await model.received[0].gone.wait()

    events: list[Any] = []

    async def recorded() -> bool:
        events.extend(await world.events("traffic"))
        return len(events) >= 2

    await wait_until(recorded, "the record says so")
    assert events[1].data["outcome"]["error"] == "the client left"


async def test_a_slow_client_stops_the_model(redis_url: str, model: Model) -> None:
    sent = 0
    stopped = asyncio.Event()

    async def behave(received: Received) -> None:
        nonlocal sent
        data = piece(b"data: " + b"x" * 65_000 + b"\n\n")
        received.writer.write(STREAM_HEAD)
        try:
            while True:
                received.writer.write(data)
                await received.writer.drain()
                sent += len(data)
        except ConnectionError:
            stopped.set()

    model.behave = behave
    async with running_world(redis_url, model.url, write_timeout_s=0.5) as world, raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, STREAM))
        await client.reader.readuntil(b"\r\n\r\n")  # and nothing more
        async with within(10):
            await stopped.wait()  # the client was dropped, and with it the call
    assert sent < 40_000_000, "what the sockets buffer, and no more"


async def test_a_large_answer_passes_whole(world: World, model: Model) -> None:
    text = "y" * 3_000_000
    model.behave = says(http(json.dumps({"choices": [{"message": {"content": text}}]}).encode()))
    async with world.chat(CLEAN) as answer:
        assert (await answer.json())["choices"][0]["message"]["content"] == text
    _, completed = await world.events("traffic")
    assert completed.data["outcome"]["size_bytes"] > 3_000_000
    assert len(completed.data["outcome"]["text"]) <= world.settings.record_response_bytes


@pytest.mark.promise(4)
@pytest.mark.parametrize("keep", [0, 200, 1_000])
async def test_the_digest_is_of_all_of_an_answer_however_much_is_kept(keep: int, redis_url: str, model: Model) -> None:
    events = [piece(chunk(word)) for word in ("one", "two", "three")]

    async def behave(received: Received) -> None:
        for each in [STREAM_HEAD, *events, piece(b"data: [DONE]\n\n"), b"0\r\n\r\n"]:
            received.writer.write(each)
            await received.writer.drain()
            await asyncio.sleep(0)

    model.behave = behave
    async with running_world(redis_url, model.url, record_response_bytes=keep) as world:
        for _ in range(2):  # the second has a kept connection, and needs no coroutine
            async with world.chat(CLEAN, stream=True) as answer:
                whole = await answer.read()
        completed = [event for event in await world.events("traffic") if event.kind.value == "request.completed"]
    assert whole.count(b"data:") == 4
    expected = (hashlib.sha256(whole).hexdigest(), len(whole))
    assert [(each.data["outcome"]["digest"], each.data["outcome"]["size_bytes"]) for each in completed] == [
        expected
    ] * 2


async def test_a_large_request_passes_whole(world: World, model: Model) -> None:
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "z" * 3_000_000}]}).encode()
    headers = world.headers({"Content-Type": "application/json"})
    async with world.http.post(f"{world.base}/chat/completions", data=io.BytesIO(body), headers=headers) as answer:
        assert answer.status == 200
    assert len(model.received[0].body) > 3_000_000


async def test_an_answer_too_large_to_keep_is_not_replayed(redis_url: str, model: Model) -> None:
    async with running_world(redis_url, model.url, record_response_bytes=10) as world:
        asking = asyncio.ensure_future(world.chat(headers={"Idempotency-Key": "k"}).__aenter__())
        (hold,) = await world.held()
        await world.approve(hold)
        async with await asking as answer:
            assert answer.status == 200
        async with world.chat(headers={"Idempotency-Key": "k"}) as answer:
            assert answer.status == 410
            assert answer.headers["x-holdpoint-state"] == "completed"
        assert len(model.received) == 1


async def test_who_is_gone_already_interrupts_nothing_later() -> None:
    """An interruption that comes after the block would be taken for the end of the gateway, and break the record off."""

    class Gone:
        disconnected = True

        def on_disconnect(self, callback: Callable[[], object] | None) -> None:
            if callback is not None:
                callback()

    with pytest.raises(ClientGone), _InterruptedByLeaving(cast("Request", Gone())):
        pytest.fail("nobody waits for what is done here")
    await asyncio.sleep(0)
