"""The client of a held request: what is kept for it while it waits, and every way to leave and come back."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
import redis
from httptools import HttpRequestParser

from gateway.transport.familiar import FamiliarRequest
from holdpoint.model import Query, State
from holdpoint.policy import Policy
from holdpoint.store import keys
from tests.gateway.holding import BODY, CHAT, ENDS, MESSAGES, attempts, sdk
from tests.gateway.model import Model, says
from tests.gateway.raw import post, raw_client
from tests.gateway.standing import until_live
from tests.gateway.world import CLEAN, RISKY, World, running_world
from tests.support.waiting import wait_until, within


def slowed(model: Model) -> asyncio.Event:
    """The model answers once the event is set."""
    gate, healthy = asyncio.Event(), model.behave

    async def slow(received: Any) -> None:
        await gate.wait()
        await healthy(received)

    model.behave = slow
    return gate


async def test_while_a_request_waits_no_head_is_kept_for_the_next(world: World) -> None:
    """Ten thousand that wait would keep as many."""

    def kept() -> int:
        return sum(isinstance(each, FamiliarRequest) for each in gc.get_objects())

    gc.collect()  # what other tests have left
    before = kept()
    async with raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, BODY.replace(RISKY.encode(), CLEAN.encode())))
        _, headers = await client.head()
        await client.reader.readexactly(int(headers["content-length"]))
        assert kept() == before + 1
        await client.send(post(CHAT, world.key, BODY))
        await world.held()
        await wait_until(lambda: kept() == before, "nothing is kept")


@pytest.mark.parametrize("more", [(), ("Expect: 100-continue",)], ids=["all at once", "body on demand"])
async def test_while_a_request_waits_neither_query_nor_policy_nor_parser_is_kept(
    world: World, more: tuple[str, ...]
) -> None:
    """Ten thousand that wait for days would keep as many, and every policy that was in force meanwhile."""

    def kept() -> list[int]:
        gc.collect()
        found = gc.get_objects()
        return [sum(isinstance(each, kind) for each in found) for kind in (Query, Policy, HttpRequestParser)]

    await until_live(world)
    before = kept()
    async with raw_client(world.port) as client:
        request = post(CHAT, world.key, BODY, *more)
        await client.send(request.removesuffix(BODY) if more else request)
        if more:
            assert (await client.head())[0] == 100
            await client.send(BODY)
        await world.held()
        await until_live(world)
        async with world.chat(CLEAN) as answer:
            assert answer.status == 200  # the first under the new policy: what is known of heads is of this one now
        await wait_until(lambda: kept() == before, "nothing is kept")


async def test_a_request_whose_beginning_came_with_the_one_that_waits_is_read_to_its_end(world: World) -> None:
    clean = post(CHAT, world.key, BODY.replace(RISKY.encode(), CLEAN.encode()))
    async with raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, BODY) + clean[:20])
        (hold,) = await world.held()
        await client.send(clean[20:])
        await world.approve(hold)
        for expected in ("completed", None):
            status, headers = await client.head()
            assert (status, headers.get("x-holdpoint-state")) == (200, expected)
            await client.reader.readexactly(int(headers["content-length"]))


async def test_a_client_that_leaves_leaves_a_hold_that_waits_for_it(world: World, model: Model) -> None:
    async with raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, BODY))
        (hold,) = await world.held()
        client.vanish()

        async def left() -> bool:
            now = await world.store.holds.get(hold.id)
            return now.left_ms is not None and now.waiter == "" and now.return_by_ms is not None

        await wait_until(left, "the hold knows that its client left")
    asking = asyncio.ensure_future(world.chat().__aenter__())  # same requester, connection and digest

    async def back() -> bool:
        return (await world.store.holds.get(hold.id)).waiter != ""

    await wait_until(back, "the client is back at its hold")
    assert await attempts(world) == 1
    await world.approve(await world.store.holds.get(hold.id))
    async with await asking as answer:
        assert answer.status == 200
        assert answer.headers["x-holdpoint-hold"] == hold.id
    assert len(model.received) == 1


async def test_a_client_that_left_and_will_collect_the_answer_later_has_come_back(world: World, model: Model) -> None:
    async with raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, BODY))
        (hold,) = await world.held()
        client.vanish()

        async def left() -> bool:
            return (await world.store.holds.get(hold.id)).return_by_ms is not None

        await wait_until(left, "the hold knows that its client left")
    async with world.chat(headers={"Prefer": "respond-async"}) as answer:
        assert (answer.status, answer.headers["x-holdpoint-hold"]) == (202, hold.id)
    now = await world.store.holds.get(hold.id)
    assert (now.waiter, now.return_by_ms, now.asynchronous) == ("", None, True), "it is not cancelled for being away"
    assert now.due_ms == hold.due_ms
    await world.approve(now)
    async with world.http.get(f"{world.gateway.url}/holds/{hold.id}/response", headers=world.headers()) as answer:
        assert answer.status == 200
    assert len(model.received) == 1


async def test_a_client_that_was_lost_with_its_gateway_and_will_collect_the_answer_later_has_come_back(
    world: World,
) -> None:
    """A gateway is not missed before some seconds are over; the client is back before that."""
    async with world.chat(headers={"Prefer": "wait=1"}) as answer:
        hold = await world.store.holds.get(answer.headers["x-holdpoint-hold"])
    await world.store.holds.attach(hold, gateway="lost#1")
    async with world.chat(headers={"Prefer": "respond-async"}) as answer:
        assert (answer.status, answer.headers["x-holdpoint-hold"]) == (202, hold.id)
    await world.store.holds.leave(hold.id, gateway="lost#1", grace_ms=60_000)  # as the bot does when it is missed
    now = await world.store.holds.get(hold.id)
    assert (now.waiter, now.return_by_ms, now.asynchronous) == ("", None, True), "it is not cancelled for being away"


async def test_an_sdk_that_times_out_and_retries_comes_back_to_its_hold(world: World, model: Model) -> None:
    async with sdk(world, timeout=0.4, max_retries=9) as client:
        asking = asyncio.ensure_future(client.chat.completions.create(model="demo", messages=MESSAGES))
        (hold,) = await world.held()

        async def attached_again() -> Any:
            found = await world.store.holds.get(hold.id)
            return found if found.rev >= 3 and found.waiter else None

        again = await wait_until(attached_again, "the retry is attached")
        await world.approve(again)
        assert (await asking).choices[0].message.content == "fine"
    assert await attempts(world) == 1
    assert len(model.received) == 1


@pytest.mark.parametrize("count", ["9" * 5_000, "0" * 5_000, "-1", "1e3", "\u00b2", ""])
async def test_an_odd_count_of_retries_is_no_error(count: str, world: World) -> None:
    async with world.chat(headers={"x-stainless-retry-count": count, "Prefer": "respond-async"}) as answer:
        assert answer.status == 202


@pytest.mark.promise(3)
@pytest.mark.parametrize("state", ["approved", "completed", "rejected", "expired", "cancelled", "failed"])
async def test_a_retry_finds_its_hold_in_any_state(state: str, world: World, model: Model) -> None:
    key = {"Idempotency-Key": "k1"}
    async with world.chat(headers={**key, "Prefer": "respond-async"}) as answer:
        assert answer.status == 202
    (hold,) = await world.held()
    match state:
        case "approved":
            await world.approve(hold)
        case "completed":
            await world.approve(hold)
            async with world.http.get(f"{world.gateway.url}/holds/{hold.id}/response", headers=world.headers()):
                pass
        case "failed":
            await world.approve(hold)
            model.behave = says(b"nonsense\r\n\r\n", then_close=True)
            async with world.http.get(f"{world.gateway.url}/holds/{hold.id}/response", headers=world.headers()) as bad:
                assert bad.status == 502
        case _:
            await ENDS[state][0](world, hold)
    async with world.chat(headers=key) as answer:
        body = await answer.json()
        assert answer.headers["x-holdpoint-hold"] == hold.id
        if state in ("approved", "completed"):
            assert answer.status == 200
            assert answer.headers["x-holdpoint-state"] == "completed"
        else:
            assert answer.status == (502 if state == "failed" else 403)
            assert answer.headers["x-holdpoint-state"] == state
            assert answer.headers["x-should-retry"] == "false"
            assert body["error"]["code"] == ("unavailable" if state == "failed" else state)
    assert len(model.received) == (1 if state in ("approved", "completed", "failed") else 0)
    assert await attempts(world) == 1


@pytest.mark.promise(3)
async def test_a_retry_while_the_answer_comes_is_given_the_same_answer(world: World, model: Model) -> None:
    gate = slowed(model)
    key = {"Idempotency-Key": "k1"}
    first = asyncio.ensure_future(world.chat(headers=key).__aenter__())
    (hold,) = await world.held()
    await world.approve(hold)
    await wait_until(lambda: model.received, "the model was asked")
    second = asyncio.ensure_future(world.chat(headers=key).__aenter__())

    async def attached() -> bool:
        return (await world.store.holds.get(hold.id)).rev > 3

    await wait_until(attached, "the second request waits")
    gate.set()
    for asking in (first, second):
        async with await asking as answer:
            assert answer.status == 200
            assert (await answer.json())["choices"][0]["message"]["content"] == "fine"
    assert len(model.received) == 1


async def test_who_does_not_wait_does_not_wait_for_the_model_either(world: World, model: Model) -> None:
    """The hold that a request comes back to was released to another one, and the model takes its time."""
    gate = slowed(model)
    key = {"Idempotency-Key": "k1"}
    first = asyncio.ensure_future(world.chat(headers=key).__aenter__())
    (hold,) = await world.held()
    await world.approve(hold)
    await world.state(hold.id, State.RELEASED)
    async with within(5), world.chat(headers={**key, "Prefer": "respond-async"}) as answer:
        assert answer.status == 202
        assert answer.headers["x-holdpoint-state"] == "released"
        assert answer.headers["preference-applied"] == "respond-async"
    gate.set()
    async with await first as answer:
        assert answer.status == 200


async def test_one_idempotency_key_on_two_gateways_is_one_hold_and_one_answer(redis_url: str, model: Model) -> None:
    key = {"Idempotency-Key": "the same"}
    async with running_world(redis_url, model.url) as one, running_world(redis_url, model.url) as two:
        first = asyncio.ensure_future(one.chat(headers=key).__aenter__())
        (hold,) = await one.held()
        second = asyncio.ensure_future(two.chat(headers={**key, "Authorization": f"Bearer {one.key}"}).__aenter__())

        async def taken_over() -> bool:
            return (await one.store.holds.get(hold.id)).waiter != hold.waiter

        await wait_until(taken_over, "the second gateway waits for the hold")
        await one.approve(await one.store.holds.get(hold.id))
        async with within(10):
            answers = [await asking for asking in (first, second)]
        assert [answer.status for answer in answers] == [200, 200]
        assert len({await answer.text() for answer in answers}) == 1
    assert len(model.received) == 1


async def test_an_idempotency_key_stands_for_one_request(world: World) -> None:
    key = {"Idempotency-Key": "k1", "Prefer": "respond-async"}
    async with world.chat(headers=key) as answer:
        assert answer.status == 202
    async with world.chat("another password", headers=key) as answer:
        assert answer.status == 422
        assert (await answer.json())["error"]["code"] == "conflict"
        assert answer.headers["x-should-retry"] == "false"


async def test_an_idempotency_key_may_be_used_again_once_its_hold_is_kept_no_longer(world: World) -> None:
    key = {"Idempotency-Key": "k1", "Prefer": "respond-async"}
    ids = []
    for _ in range(2):
        async with world.chat(headers=key) as answer:
            assert answer.status == 202
            ids.append(answer.headers["x-holdpoint-hold"])
        (hold,) = await world.held()
        await world.reject(hold)
        async with world.chat(headers=key) as answer:
            assert answer.headers["x-holdpoint-hold"] == ids[-1], "while it is kept it is the same"
        await world.store._client.command(
            "DEL", keys.hold(hold.id)
        )  # its retention is over, an hour before the key's end
    assert ids[0] != ids[1]


async def test_who_asks_how_a_hold_stands_has_nobody_read_its_megabytes(world: World, redis_url: str) -> None:
    key = {"Idempotency-Key": "k1", "Prefer": "respond-async"}
    async with world.chat(f"{RISKY} " * 30_000, headers=key) as answer:
        assert answer.status == 202
        path = answer.headers["location"]

    async def statuses() -> list[int]:
        async with (
            world.http.get(f"{world.gateway.url}{path}", headers=world.headers()) as state,
            world.http.get(f"{world.gateway.url}{path}/response", headers=world.headers()) as response,
            world.chat(headers=key) as other,
        ):
            return [state.status, response.status, other.status]

    with redis.Redis.from_url(redis_url) as client:
        before = client.info("stats")["total_net_output_bytes"]
        assert await statuses() == [200, 202, 422]
        assert client.info("stats")["total_net_output_bytes"] - before < 200_000
    (hold,) = await world.held()
    await world.approve(hold)
    async with world.http.get(f"{world.gateway.url}{path}/response", headers=world.headers()) as response:
        assert response.status == 200


async def test_identical_requests_at_once_are_holds_of_their_own(world: World) -> None:
    asking = [asyncio.ensure_future(world.chat().__aenter__()) for _ in range(3)]
    holds = await world.held(3)
    for hold in holds:
        await world.approve(hold)
    for each in asking:
        async with await each as answer:
            assert answer.status == 200


async def test_after_delivery_the_same_request_is_a_new_one(world: World) -> None:
    for _ in range(2):
        asking = asyncio.ensure_future(world.chat().__aenter__())
        (hold,) = await world.held()
        await world.reject(hold)
        async with await asking as answer:
            assert answer.status == 403
    assert await attempts(world) == 2
