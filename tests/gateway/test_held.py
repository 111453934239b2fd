"""A held request: every way in which it can end, and what its client hears."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import openai
import pytest

from holdpoint import apikey
from holdpoint.model import Edit, EventKind, Outcome, State
from tests.gateway.holding import BODY, CHAT, ENDS, MESSAGES, attempts, sdk
from tests.gateway.model import Model, says
from tests.gateway.raw import post, raw_client
from tests.gateway.standing import until_live
from tests.gateway.world import POLICY, RISKY, World, running_world
from tests.support.waiting import wait_until, within


async def test_approved_with_the_sdk(world: World, model: Model) -> None:
    async with sdk(world) as client:
        asking = asyncio.ensure_future(
            client.chat.completions.with_raw_response.create(model="demo", messages=MESSAGES)
        )
        (hold,) = await world.held()
        assert not model.received
        await world.approve(hold)
        raw = await asking
    assert raw.parse().choices[0].message.content == "fine"
    assert raw.headers["x-holdpoint-hold"] == hold.id
    assert raw.headers["x-holdpoint-state"] == "completed"
    closed = await world.state(hold.id, State.COMPLETED)
    assert closed.outcome is not None
    assert (closed.outcome.text, closed.outcome.prompt_tokens, closed.outcome.completion_tokens) == ("fine", 3, 1)


@pytest.mark.promise(2)
async def test_what_is_forwarded_is_what_was_held_byte_for_byte(world: World, model: Model) -> None:
    sent = b'{ "model" : "demo",\n "messages":[{"role":"user","content":"the p\\u0061ssword"}], "temperature": 1.50 }'
    async with raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, sent))
        (hold,) = await world.held()
        await world.approve(hold)
        status, _ = await client.head()
    assert status == 200
    assert model.received[0].body == hold.query.body
    assert (
        hold.query.body == b'{"model":"demo","messages":[{"role":"user","content":"the password"}],"temperature":1.5}'
    )


@pytest.mark.promise(2)
async def test_an_edited_request_is_forwarded_as_edited(world: World, model: Model) -> None:
    async with sdk(world) as client:
        asking = asyncio.ensure_future(client.chat.completions.create(model="demo", messages=MESSAGES))
        (hold,) = await world.held()
        await world.approve(hold, edits=(Edit("messages/0/content", "what is the admin e-mail"),))
        assert (await asking).choices[0].message.content == "fine"
    assert model.bodies[0]["messages"] == [{"role": "user", "content": "what is the admin e-mail"}]


@pytest.mark.promise(1)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_no_is_final_for_the_sdk(end: str, stream: bool, world: World, model: Model) -> None:
    act, code, kind, message = ENDS[end]
    async with sdk(world) as client:
        asking = asyncio.ensure_future(client.chat.completions.create(model="demo", messages=MESSAGES, stream=stream))
        (hold,) = await world.held()
        await act(world, hold)
        with pytest.raises(openai.PermissionDeniedError) as caught:
            await asking
    error = caught.value
    assert (error.code, error.type, error.body["message"]) == (code, kind, message)  # type: ignore[index]
    assert error.body["hold"] == hold.id  # type: ignore[index]
    assert error.response.headers["x-holdpoint-hold"] == hold.id
    assert error.response.headers["x-holdpoint-state"] == code
    assert await attempts(world) == 1
    assert not model.received


async def test_the_blocking_sdk_and_streams(world: World, model: Model) -> None:
    def ask() -> str:
        with openai.OpenAI(base_url=world.base, api_key=world.key) as client:
            chunks = client.chat.completions.create(model="demo", messages=MESSAGES, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    asking = asyncio.ensure_future(asyncio.to_thread(ask))
    (hold,) = await world.held()
    await world.approve(hold)
    assert await asking == "fine"
    closed = await world.state(hold.id, State.COMPLETED)
    assert closed.outcome is not None
    assert closed.outcome.text == "fine"


async def test_a_policy_that_changes_the_text_says_so(world: World, model: Model) -> None:
    async with world.chat("pay with 4111 1111 1111 1111 please") as answer:
        assert answer.status == 200
        assert answer.headers["x-holdpoint-verdict"] == "modify"
    assert model.bodies[0]["messages"] == [{"role": "user", "content": "pay with [card] please"}]


async def test_a_held_request_carries_the_policys_changes_too(world: World, model: Model) -> None:
    asking = asyncio.ensure_future(world.chat("the password for 4111 1111 1111 1111").__aenter__())
    (hold,) = await world.held()
    assert b"[card]" in hold.query.body
    await world.approve(hold)
    async with await asking as answer:
        assert answer.status == 200
    assert model.received[0].body == hold.query.body


# Heartbeats


@pytest.mark.parametrize("end", ENDS)
async def test_a_refusal_behind_heartbeats_is_an_event(end: str, redis_url: str, model: Model) -> None:
    act, code, _, message = ENDS[end]
    async with running_world(redis_url, model.url, heartbeat_after_s=0.05, heartbeat_every_s=0.02) as world:
        async with world.chat(stream=True) as answer:
            assert answer.status == 200
            assert answer.headers["content-type"] == "text/event-stream"
            assert answer.headers["x-holdpoint-state"] == "pending"
            for _ in range(3):
                assert await answer.content.readuntil(b"\n\n") == b": holdpoint waiting\n\n"
            (hold,) = await world.held()
            assert answer.headers["x-holdpoint-hold"] == hold.id
            await act(world, hold)
            text = await answer.text()
        event = json.loads(text.split("data: ")[1])
        assert (event["error"]["code"], event["error"]["message"]) == (code, message)
        assert event["error"]["hold"] == hold.id
        assert not model.received


async def test_the_sdk_survives_heartbeats(redis_url: str, model: Model) -> None:
    async with (
        running_world(redis_url, model.url, heartbeat_after_s=0.03, heartbeat_every_s=0.02) as world,
        sdk(world) as client,
    ):
        stream = await client.chat.completions.create(model="demo", messages=MESSAGES, stream=True)
        (hold,) = await world.held()
        await world.approve(hold)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "fine"

        stream = await client.chat.completions.create(model="demo", messages=MESSAGES, stream=True)
        (hold,) = await world.held()
        await world.reject(hold)
        with pytest.raises(openai.APIError, match="Rejected by Sam"):
            await anext(aiter(stream))


async def test_a_models_error_behind_heartbeats_is_an_event(redis_url: str, model: Model) -> None:
    own = b'{"error":{"message":"too long","type":"invalid_request_error","param":null,"code":"context_length"}}'
    raw = f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {len(own)}\r\n\r\n".encode()
    model.behave = says(raw + own)
    async with running_world(redis_url, model.url, heartbeat_after_s=0.03, heartbeat_every_s=0.02) as world:
        async with world.chat(stream=True) as answer:
            await answer.content.readuntil(b"\n\n")
            (hold,) = await world.held()
            await world.approve(hold)
            text = await answer.text()
        assert json.loads(text.split("data: ")[1])["error"]["code"] == "context_length"
        closed = await world.state(hold.id, State.COMPLETED)
        assert closed.outcome is not None
        assert closed.outcome.status == 400


async def test_heartbeats_of_the_responses_api_end_in_its_own_event(redis_url: str, model: Model) -> None:
    async with running_world(redis_url, model.url, heartbeat_after_s=0.03, heartbeat_every_s=0.02) as world:
        body = {"model": "demo", "input": RISKY, "stream": True}
        async with world.http.post(f"{world.base}/responses", json=body, headers=world.headers()) as answer:
            (hold,) = await world.held()
            await answer.content.readuntil(b"\n\n")
            await world.reject(hold)
            text = await answer.text()
        name, _, data = text.replace(": holdpoint waiting\n\n", "").partition("\n")
        assert name == "event: error"
        event = json.loads(data.removeprefix("data: "))
        assert (event["type"], event["code"], event["message"]) == ("error", "rejected", "Rejected by Sam: not today")


# Prefer and /holds


async def test_respond_async_is_collected_later(world: World, model: Model) -> None:
    async with world.chat(headers={"Prefer": "respond-async"}) as answer:
        assert answer.status == 202
        assert answer.headers["preference-applied"] == "respond-async"
        assert int(answer.headers["retry-after"]) > 0
        where = answer.headers["location"]
        body = await answer.json()
    assert (body["state"], body["object"], where) == ("pending", "holdpoint.hold", f"/holds/{body['id']}")
    url = world.gateway.url + where
    async with world.http.get(f"{url}/response", headers=world.headers()) as answer:
        assert answer.status == 202
        assert "retry-after" in answer.headers
    (hold,) = await world.held()
    await world.approve(hold)
    async with world.http.get(url, headers=world.headers()) as answer:
        assert (await answer.json())["state"] == "approved"
    assert not model.received
    for _ in range(2):  # the second one is a replay
        async with world.http.get(f"{url}/response", headers=world.headers()) as answer:
            assert answer.status == 200
            assert answer.headers["x-holdpoint-state"] == "completed"
            assert (await answer.json())["choices"][0]["message"]["content"] == "fine"
    assert len(model.received) == 1


async def test_wait_is_bounded(world: World, model: Model) -> None:
    async with world.chat(headers={"Prefer": "wait=1"}) as answer:
        assert answer.status == 202
        assert answer.headers["preference-applied"] == "wait=1"
    (hold,) = await world.held()
    assert hold.asynchronous
    assert hold.waiter == ""
    await world.reject(hold)
    async with world.http.get(f"{world.gateway.url}/holds/{hold.id}/response", headers=world.headers()) as answer:
        assert answer.status == 403
        assert (await answer.json())["error"]["code"] == "rejected"


async def test_who_waits_on_while_another_request_is_told_to_come_back_later_hears_the_decision(world: World) -> None:
    """Both have the same Idempotency-Key, and come to the same gateway."""
    key = {"Idempotency-Key": "k"}
    asking = asyncio.ensure_future(world.chat(headers=key).__aenter__())
    (hold,) = await world.held()
    async with world.chat(headers={**key, "Prefer": "wait=1"}) as answer:
        assert answer.status == 202
    await world.approve(await world.store.holds.get(hold.id))
    async with within(5), await asking as answer:
        assert answer.status == 200


async def test_a_decision_within_the_wait_is_the_answer(world: World) -> None:
    asking = asyncio.ensure_future(world.chat(headers={"Prefer": "wait=30"}).__aenter__())
    (hold,) = await world.held()
    await world.approve(hold)
    async with await asking as answer:
        assert answer.status == 200


async def test_a_hold_is_its_requesters_own(world: World) -> None:
    async with world.chat(headers={"Prefer": "respond-async"}) as answer:
        url = world.gateway.url + answer.headers["location"]
    other = {"Authorization": f"Bearer {world.other_key}"}
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/response")):
        async with world.http.request(method, url + path, headers=other) as answer:
            assert answer.status == 404
            assert (await answer.json())["error"]["code"] == "not_found"
    async with world.http.get(url) as answer:
        assert answer.status == 401


async def test_withdrawing_ends_the_wait(world: World, model: Model) -> None:
    asking = asyncio.ensure_future(world.chat().__aenter__())
    (hold,) = await world.held()
    url = f"{world.gateway.url}/holds/{hold.id}"
    for _ in range(2):  # twice is well
        async with world.http.delete(url, headers=world.headers()) as answer:
            assert answer.status == 200
            assert (await answer.json())["state"] == "cancelled"
    async with await asking as answer:
        assert answer.status == 403
        assert (await answer.json())["error"]["code"] == "cancelled"
    assert not model.received


async def test_withdrawing_too_late_is_a_conflict(world: World) -> None:
    async with world.chat(headers={"Prefer": "respond-async"}) as answer:
        url = world.gateway.url + answer.headers["location"]
    (hold,) = await world.held()
    await world.approve(hold)
    async with world.http.delete(url, headers=world.headers()) as answer:
        assert answer.status == 409
        assert answer.headers["x-holdpoint-state"] == "approved"
        assert answer.headers["x-should-retry"] == "false"


@pytest.mark.promise(1)
async def test_a_key_revoked_while_waiting_gets_nothing(world: World, model: Model) -> None:
    asking = asyncio.ensure_future(world.chat().__aenter__())
    (hold,) = await world.held()
    await world.store.config.revoke_key(world.key_id, by="test")

    async def known() -> bool:
        async with world.http.get(f"{world.gateway.url}/holds/x", headers=world.headers()) as answer:
            return answer.status == 401

    await wait_until(known, "the gateway knows")
    await world.approve(hold)
    async with await asking as answer:
        assert answer.status == 401
    assert not model.received
    assert (await world.store.holds.get(hold.id)).state is State.APPROVED


@pytest.mark.promise(3)
async def test_who_was_refused_comes_back_to_the_approval(world: World, model: Model) -> None:
    """The key was revoked while its request waited; with another one the same requester has the same hold."""
    (record,) = [each for each in await world.store.config.keys() if each.id == world.key_id]
    asking = asyncio.ensure_future(world.chat().__aenter__())
    (hold,) = await world.held()
    await world.store.config.revoke_key(world.key_id, by="test")
    await until_live(world)
    await world.approve(hold)
    async with await asking as answer:
        assert answer.status == 401
    key = apikey.create()
    await world.store.config.put_key(replace(record, id=key.id, digest=key.digest))
    await until_live(world)
    async with within(5), world.chat(headers={"Authorization": f"Bearer {key.text}"}) as answer:
        assert answer.status == 200
        assert answer.headers["x-holdpoint-hold"] == hold.id
    assert await attempts(world) == 1


async def test_who_was_told_that_the_answer_is_not_kept_may_ask_anew(world: World) -> None:
    """The client left before the end of an answer that is too large to be kept."""
    asking = asyncio.ensure_future(world.chat().__aenter__())
    (hold,) = await world.held()
    asking.cancel()

    async def has_left() -> Any:
        found = await world.store.holds.get(hold.id)
        return found if not found.waiter else None

    await world.approve(await wait_until(has_left, "the client has left"))
    released = await world.store.holds.release(hold.id, gateway="another#1")
    outcome = Outcome(200, "", "", None, None, duration_ms=1, size_bytes=10_000_000, error="")
    await world.store.holds.close(released, state=State.COMPLETED, outcome=outcome, response=None)
    async with world.chat() as answer:
        assert answer.status == 410
        assert answer.headers["x-holdpoint-hold"] == hold.id
    async with world.chat(headers={"Prefer": "respond-async"}) as answer:
        assert answer.status == 202
        assert answer.headers["x-holdpoint-hold"] != hold.id


@pytest.mark.parametrize("end", ENDS)
async def test_a_no_is_heard_although_the_connection_is_no_longer_in_the_policy(
    end: str, world: World, model: Model
) -> None:
    act, code, _, message = ENDS[end]
    waiting = asyncio.ensure_future(world.chat().__aenter__())
    (hold,) = await world.held()
    without = POLICY.replace("  demo: {{", "  other: {{").format(upstream="http://127.0.0.1:9", timeout="10m")
    await until_live(world, policy=without)
    await act(world, hold)
    collecting = world.http.get(f"{world.gateway.url}/holds/{hold.id}/response", headers=world.headers())
    for each in (await waiting, await collecting):
        error = (await each.json())["error"]
        assert (each.status, error["code"], error["message"]) == (403, code, message)
        assert each.headers["x-holdpoint-state"] == code
        each.release()
    assert not model.received


@pytest.mark.promise(1)
async def test_an_approval_is_not_spent_while_the_connection_is_not_in_the_policy(world: World, model: Model) -> None:
    waiting = asyncio.ensure_future(world.chat().__aenter__())
    (hold,) = await world.held()
    without = POLICY.replace("  demo: {{", "  other: {{").format(upstream="http://127.0.0.1:9", timeout="10m")
    await until_live(world, policy=without)
    await world.approve(hold)
    async with await waiting as answer:
        assert answer.status == 503
    assert not model.received
    assert (await world.store.holds.get(hold.id)).state is State.APPROVED


@pytest.mark.promise(3)
async def test_the_answer_to_a_released_hold_is_kept_for_a_client_that_left(world: World, model: Model) -> None:
    gate = asyncio.Event()
    healthy = model.behave

    async def slow(received: Any) -> None:
        await gate.wait()
        await healthy(received)

    model.behave = slow
    async with raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, BODY, "Idempotency-Key: k1"))
        (hold,) = await world.held()
        await world.approve(hold)
        await wait_until(lambda: model.received, "the model was asked")
        client.vanish()
    gate.set()
    await world.state(hold.id, State.COMPLETED)
    async with world.chat(headers={"Idempotency-Key": "k1"}) as answer:
        assert answer.status == 200
        assert (await answer.json())["choices"][0]["message"]["content"] == "fine"
    assert len(model.received) == 1


async def test_everything_that_happened_is_on_the_record(world: World) -> None:
    asking = asyncio.ensure_future(world.chat().__aenter__())
    (hold,) = await world.held()
    await world.approve(hold)
    async with await asking as answer:
        await answer.read()
    await world.state(hold.id, State.COMPLETED)
    kinds = [event.kind for event in await world.events("events") if event.subject == hold.id]
    assert kinds == [EventKind.HOLD_CREATED, EventKind.HOLD_APPROVED, EventKind.HOLD_RELEASED, EventKind.HOLD_COMPLETED]


async def test_a_model_that_fails_a_released_hold_is_not_asked_again(world: World, model: Model) -> None:
    model.behave = says(b"nonsense\r\n\r\n", then_close=True)
    async with sdk(world, max_retries=2) as client:
        asking = asyncio.ensure_future(client.chat.completions.create(model="demo", messages=MESSAGES))
        (hold,) = await world.held()
        await world.approve(hold)
        with pytest.raises(openai.InternalServerError) as caught:
            await asking
    assert caught.value.status_code == 502
    assert caught.value.response.headers["x-holdpoint-state"] == "failed"
    assert len(model.received) == 1
    assert (await world.state(hold.id, State.FAILED)).outcome is not None
