"""Redis is lost at each step of the route: the answer is a refusal, and nothing reaches the model that may not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio

from holdpoint.model import Hold, State
from holdpoint.store import keys
from tests.gateway.model import Model, Received, http
from tests.gateway.world import CLEAN, RISKY, World, running_world
from tests.support.redis_relay import Relay, relayed
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until, within


@pytest.fixture
async def lost(redis_server: RedisServer, model: Model) -> AsyncIterator[World]:
    async with running_world(redis_server.url, model.url) as running:
        yield running


@pytest.fixture
async def relay(redis_url: str) -> AsyncIterator[Relay]:
    async with relayed(redis_url) as running:
        yield running


@pytest.fixture
async def beyond(relay: Relay, redis_url: str, model: Model) -> AsyncIterator[World]:
    """The gateway reaches Redis over the relay, the test does not."""
    async with running_world(redis_url, model.url, gateway_redis_url=relay.url) as running:
        yield running


@pytest.mark.promise(1)
@pytest.mark.parametrize("prompt", [CLEAN, RISKY, "BEGIN PRIVATE KEY"], ids=["clean", "risky", "blocked"])
async def test_lost_before_the_request(prompt: str, lost: World, redis_server: RedisServer, model: Model) -> None:
    redis_server.kill()
    async with lost.chat(prompt) as answer:
        assert answer.status == 503
        assert (await answer.json())["error"]["code"] == "unavailable"
        assert int(answer.headers["retry-after"]) > 0
        assert "x-should-retry" not in answer.headers
    assert not model.received


@pytest.mark.promise(1)
async def test_stalled_before_the_request(lost: World, redis_server: RedisServer, model: Model) -> None:
    redis_server.pause()
    async with lost.chat(CLEAN) as answer:
        assert answer.status == 503
    redis_server.resume()
    assert not model.received


@pytest.mark.promise(1)
async def test_who_cannot_look_for_changes_lets_nothing_pass(
    lost: World, redis_server: RedisServer, model: Model
) -> None:
    """Everything else works, records too; but a pause, a revoked key or another policy would not be seen."""
    async with redis.asyncio.Redis.from_url(redis_server.url) as operator:
        await operator.execute_command("ACL", "SETUSER", "default", "-get")

        async def refused() -> bool:
            async with lost.chat(CLEAN) as answer:
                return answer.status == 503

        await wait_until(refused, "what is known is too old", every=0.05)
        model.received.clear()
        assert await refused()
        assert not model.received
        await operator.execute_command("ACL", "SETUSER", "default", "+get")

        async def passes() -> bool:
            return not await refused()

        await wait_until(passes, "changes are looked for again", every=0.05)


@pytest.mark.promise(3)
async def test_lost_while_waiting(lost: World, redis_server: RedisServer, model: Model) -> None:
    asking = asyncio.ensure_future(lost.chat(RISKY).__aenter__())
    (hold,) = await lost.held()
    redis_server.restart()
    await lost.redis_is_back()
    await lost.approve(hold)
    async with await asking as answer:
        assert answer.status == 200
    assert len(model.received) == 1


async def test_what_was_decided_without_a_signal_is_seen_when_redis_is_back(
    lost: World, redis_server: RedisServer
) -> None:
    asking = asyncio.ensure_future(lost.chat(RISKY).__aenter__())
    (hold,) = await lost.held()
    # Nobody waits, says the hold: so nobody is woken by what follows.
    await lost.store.holds.leave(hold.id, gateway=hold.waiter, grace_ms=60_000)
    await lost.reject(await lost.store.holds.get(hold.id))
    redis_server.restart()
    async with await asking as answer:
        assert answer.status == 403


async def test_a_hold_that_was_given_up_for_lost_is_taken_back_when_redis_is_back(
    lost: World, redis_server: RedisServer
) -> None:
    asking = asyncio.ensure_future(lost.chat(RISKY).__aenter__())
    (hold,) = await lost.held()
    await lost.store.holds.leave(hold.id, gateway=hold.waiter, grace_ms=60_000)
    redis_server.restart()
    await lost.redis_is_back()

    async def taken_back() -> bool:
        return (await lost.store.holds.get(hold.id)).waiter == hold.waiter

    await wait_until(taken_back, "the gateway waits for it again")
    await lost.reject(await lost.store.holds.get(hold.id))
    async with await asking as answer:
        assert answer.status == 403


async def test_a_hold_that_went_to_another_gateway_meanwhile_is_looked_at_until_it_is_decided(
    lost: World, redis_server: RedisServer
) -> None:
    """It was given up for lost, and its client came back to another gateway; the first connection still stands."""
    asking = asyncio.ensure_future(lost.chat(RISKY).__aenter__())
    (hold,) = await lost.held()
    await lost.store.holds.leave(hold.id, gateway=hold.waiter, grace_ms=60_000)
    await lost.store.holds.attach(await lost.store.holds.get(hold.id), gateway="another#1")
    redis_server.restart()
    await lost.redis_is_back()

    async def has_looked() -> bool:
        async with redis.asyncio.Redis.from_url(redis_server.url) as client:
            return "cmdstat_hmget" in await client.info("commandstats")

    await wait_until(has_looked, "the gateway has asked who waits", every=0.05)
    await lost.reject(await lost.store.holds.get(hold.id))
    async with within(10), await asking as answer:
        assert answer.status == 403


@pytest.mark.promise(1)
async def test_lost_before_the_answer_was_recorded(lost: World, redis_server: RedisServer, model: Model) -> None:
    async def behave(received: Received) -> None:
        redis_server.kill()
        received.writer.write(http(b'{"choices":[]}'))

    model.behave = behave
    async with lost.chat(CLEAN) as answer:
        assert answer.status == 503
        assert b"choices" not in await answer.read()
    redis_server.start()
    await lost.redis_is_back()
    events = []

    async def completed() -> bool:
        events.extend(await lost.events("traffic"))
        return [event.kind.value for event in events] == ["request.allowed", "request.completed"]

    await wait_until(completed, "the outcome is recorded once Redis is back")


@pytest.mark.promise(3)
async def test_lost_between_release_and_close(lost: World, redis_server: RedisServer, model: Model) -> None:
    async def behave(received: Received) -> None:
        redis_server.kill()
        received.writer.write(http(b'{"choices":[]}'))

    model.behave = behave
    asking = asyncio.ensure_future(lost.chat(RISKY, headers={"Idempotency-Key": "k"}).__aenter__())
    (hold,) = await lost.held()
    await lost.approve(hold)
    async with await asking as answer:
        assert answer.status == 503
        assert answer.headers["x-should-retry"] == "false"
        assert answer.headers["x-holdpoint-hold"] == hold.id
    redis_server.start()
    await lost.redis_is_back()
    await lost.state(hold.id, State.COMPLETED)

    async def replayed() -> bool:
        async with lost.chat(RISKY, headers={"Idempotency-Key": "k"}) as answer:
            return answer.status == 200

    await wait_until(replayed, "the answer can be had")
    assert len(model.received) == 1


@pytest.mark.promise(1)
async def test_a_client_that_leaves_while_redis_is_lost_is_noted_later(
    lost: World, redis_server: RedisServer, model: Model
) -> None:
    asking = asyncio.ensure_future(lost.chat(RISKY).__aenter__())
    (hold,) = await lost.held()
    redis_server.kill()
    asking.cancel()
    redis_server.start()
    await lost.redis_is_back()

    async def noted() -> bool:
        return (await lost.store.holds.get(hold.id)).left_ms is not None

    await wait_until(noted, "the hold knows that its client left")
    assert not model.received


def settles(what: str) -> bool:
    return any(task.get_name() == f"settle {what}" for task in asyncio.all_tasks())


@pytest.mark.promise(3)
async def test_an_approval_that_was_spent_unheard_is_over_for_who_may_no_longer_have_the_answer(
    relay: Relay, beyond: World, model: Model
) -> None:
    """Redis has spent it, its answer is lost, and the key is revoked before the gateway asks again."""
    asking = asyncio.ensure_future(beyond.chat(RISKY).__aenter__())
    (hold,) = await beyond.held()
    relay.hold_up("release")
    await beyond.approve(hold)
    await relay.arrived.wait()
    await beyond.store.config.revoke_key(beyond.key_id, by="test")

    async def known() -> bool:
        async with beyond.http.get(f"{beyond.gateway.url}/holds/x", headers=beyond.headers()) as answer:
            return answer.status == 401

    await wait_until(known, "the gateway knows")
    relay.lose_answer()
    async with await asking as answer:
        assert answer.status == 401
    failed = await beyond.state(hold.id, State.FAILED)
    assert failed.outcome is not None
    assert failed.outcome.error == "Redis was lost at the release; nothing was sent to the model"
    assert not model.received


@pytest.mark.promise(3)
async def test_who_gave_up_does_not_end_what_another_request_has_released(
    relay: Relay, beyond: World, model: Model
) -> None:
    """Two requests with one key wait; one client leaves while Redis is lost at the release, the other one stays."""
    gate, healthy = asyncio.Event(), model.behave

    async def slow(received: Received) -> None:
        await gate.wait()
        await healthy(received)

    model.behave = slow
    key = {"Idempotency-Key": "k"}
    asking = [asyncio.ensure_future(beyond.chat(RISKY, headers=key).__aenter__()) for _ in range(2)]

    async def both_wait() -> bool:
        return b"holdpoint_waiting_requests 2.0" in beyond.gateway.metrics.render()

    await wait_until(both_wait, "both wait")
    (hold,) = await beyond.held()
    relay.hold_up("release")
    await beyond.approve(hold)
    await relay.arrived.wait()
    asking[0].cancel()
    relay.refuses = True
    relay.lose()
    await wait_until(lambda: settles("a release"), "one has given up")
    relay.refuses = False
    await beyond.state(hold.id, State.RELEASED)
    await wait_until(lambda: not settles("a release"), "what it left is settled")
    gate.set()
    async with await asking[1] as answer:
        assert answer.status == 200
    closed = await beyond.state(hold.id, State.COMPLETED)
    assert closed.outcome is not None
    assert not closed.outcome.error


@pytest.mark.promise(3)
async def test_a_client_that_is_back_before_its_leave_is_written_is_still_waited_for(
    relay: Relay, beyond: World, model: Model
) -> None:
    """Redis is lost as the client leaves, and the leave comes after the client that it is about."""
    key = {"Idempotency-Key": "k"}
    asking = asyncio.ensure_future(beyond.chat(RISKY, headers=key).__aenter__())
    (hold,) = await beyond.held()
    relay.hold_up("leave")
    asking.cancel()
    await relay.arrived.wait()
    relay.lose()
    again = asyncio.ensure_future(beyond.chat(RISKY, headers=key).__aenter__())
    await wait_until(lambda: not settles("a leave"), "the leave is settled")
    found = await beyond.store.holds.get(hold.id)
    assert (found.waiter, found.return_by_ms) == (hold.waiter, None)
    await beyond.approve(found)
    async with within(5), await again as answer:
        assert answer.status == 200


async def one_that_waits_and_one_on_its_way(relay: Relay, world: World, **headers: str) -> tuple[Any, Hold, Any]:
    """A request (with ``headers``) and its hold; and the same again, whose return is on its way to Redis."""
    key = {"Idempotency-Key": "k"}
    asking = asyncio.ensure_future(world.chat(RISKY, headers={**key, **headers}).__aenter__())
    (hold,) = await world.held()
    relay.hold_up("attach")
    again = asyncio.ensure_future(world.chat(RISKY, headers=key).__aenter__())
    await relay.arrived.wait()
    return asking, hold, again


@pytest.mark.promise(3)
async def test_a_client_that_comes_back_as_it_leaves_is_still_waited_for(
    relay: Relay, beyond: World, model: Model
) -> None:
    """The leave is written behind the return, before the gateway has heard that it is back."""
    asking, hold, again = await one_that_waits_and_one_on_its_way(relay, beyond)
    asking.cancel()
    await wait_until(lambda: settles("a leave"), "it leaves")
    await beyond.store.ping()
    relay.let_go()
    await wait_until(lambda: not settles("a leave"), "it has left")
    found = await beyond.store.holds.get(hold.id)
    assert (found.waiter, found.return_by_ms) == (hold.waiter, None)
    await beyond.approve(found)
    async with within(5), await again as answer:
        assert answer.status == 200


def waiting(world: World, count: int) -> bool:
    return f"holdpoint_waiting_requests {count}.0".encode() in world.gateway.metrics.render()


@pytest.mark.promise(3)
async def test_a_client_that_comes_back_as_another_is_told_to_come_back_later_hears_the_decision(
    relay: Relay, beyond: World
) -> None:
    """Both have the same Idempotency-Key; the time of one is up while the return of the other is on its way."""
    asking, hold, again = await one_that_waits_and_one_on_its_way(relay, beyond, Prefer="wait=1")
    await wait_until(lambda: waiting(beyond, 0), "the time of the first one is up")
    relay.let_go()
    async with await asking as answer:
        assert answer.status == 202
    await beyond.approve(await beyond.store.holds.get(hold.id))
    async with within(5), await again as answer:
        assert answer.status == 200


async def test_a_decision_that_comes_while_a_hold_is_taken_back_is_heard(relay: Relay, beyond: World) -> None:
    """The leave is written behind the return, and the decision before the return is written anew: it wakes nobody."""
    asking, hold, again = await one_that_waits_and_one_on_its_way(relay, beyond)
    asking.cancel()
    await wait_until(lambda: settles("a leave"), "it leaves")
    await beyond.store.ping()
    relay.let_go()
    relay.hold_up_command("HGETALL")
    async with within(5):
        await relay.arrived.wait()
    found = await beyond.store.holds.get(hold.id)
    assert not found.waiter
    await beyond.approve(found)
    relay.let_go()
    async with within(5), await again as answer:
        assert answer.status == 200


async def test_who_leaves_while_the_holds_of_a_gateway_are_taken_back_is_not_waited_for(
    relay: Relay, beyond: World, redis_url: str
) -> None:
    """They were given up for lost, and are taken back one after the other."""
    asking = []
    for count in (1, 2):
        asking.append(asyncio.ensure_future(beyond.chat(RISKY).__aenter__()))
        await wait_until(lambda count=count: waiting(beyond, count), "it waits")
    second, first = await beyond.held(2)
    for each in (first, second):
        await beyond.store.holds.leave(each.id, gateway=each.waiter, grace_ms=60_000)
    relay.hold_up("attach")
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.zrem(keys.GATEWAYS, first.waiter)
        await relay.arrived.wait()
        beat = await client.zscore(keys.GATEWAYS, first.waiter)
        asking[1].cancel()
        await wait_until(lambda: waiting(beyond, 1) and settles("a leave"), "the second client leaves")
        relay.let_go()

        async def has_looked() -> bool:
            return await client.zscore(keys.GATEWAYS, first.waiter) != beat

        await wait_until(has_looked, "all of them are taken back, and the next beat is there")
    found = {each.id: each for each in await beyond.store.holds.get_many([first.id, second.id])}
    assert found[first.id].waiter == first.waiter
    assert (found[second.id].waiter, found[second.id].return_by_ms is None) == ("", False), "it has to return"
    asking[0].cancel()


async def test_what_redis_refuses_to_hold_is_not_noted_as_left(lost: World, redis_server: RedisServer) -> None:
    """It can be read, and takes no writes: as a replica, or when it is full. The second one would come back to its hold."""
    prompts = ("a password", RISKY)
    asking = asyncio.ensure_future(lost.chat(RISKY).__aenter__())
    (hold,) = await lost.held()
    await lost.store.holds.leave(hold.id, gateway=hold.waiter, grace_ms=60_000)
    async with redis.asyncio.Redis.from_url(redis_server.url) as operator:
        await operator.config_set("min-replicas-to-write", 1)
        for prompt in prompts:
            async with lost.chat(prompt) as answer:
                assert answer.status == 503
            assert not settles("a leave"), "nobody waits, as far as Redis knows"
    asking.cancel()


async def test_a_client_that_will_collect_the_answer_before_its_leave_is_written_has_come_back(
    relay: Relay, beyond: World
) -> None:
    """Redis is lost as the client leaves."""
    key = {"Idempotency-Key": "k"}
    asking = asyncio.ensure_future(beyond.chat(RISKY, headers=key).__aenter__())
    (hold,) = await beyond.held()
    relay.hold_up("leave")
    asking.cancel()
    await relay.arrived.wait()
    relay.lose()
    async with beyond.chat(RISKY, headers={**key, "Prefer": "respond-async"}) as answer:
        assert answer.status == 202
    await wait_until(lambda: not settles("a leave"), "the leave is settled")
    found = await beyond.store.holds.get(hold.id)
    assert (found.waiter, found.return_by_ms, found.asynchronous) == ("", None, True), "it is not cancelled"


async def test_who_was_told_to_send_it_again_comes_back_to_what_was_held_unheard(relay: Relay, beyond: World) -> None:
    """Redis has made the hold (the second time: noted that its client is back), and its answer is lost."""
    relay.hold_up("hold", "_window")
    for script in ("attach", ""):
        asking = asyncio.ensure_future(beyond.chat(RISKY).__aenter__())
        async with within(5):
            await relay.arrived.wait()
        relay.lose_answer()
        async with await asking as answer:
            assert answer.status == 503
        (hold,) = await beyond.held()
        await wait_until(lambda: not settles("a leave"), "that nobody waits for it is noted")
        if script:
            relay.hold_up(script)
    again = asyncio.ensure_future(beyond.chat(RISKY).__aenter__())

    await wait_until(lambda: waiting(beyond, 1), "it waits")
    assert await beyond.store.holds.get_many([hold.id]) == await beyond.held()
    await beyond.approve(await beyond.store.holds.get(hold.id))
    async with within(5), await again as answer:
        assert answer.headers["x-holdpoint-hold"] == hold.id


async def test_readiness_follows_redis(lost: World, redis_server: RedisServer) -> None:
    redis_server.kill()
    async with lost.http.get(f"{lost.gateway.url}/readyz") as answer:
        assert answer.status == 503
    redis_server.start()
    await lost.redis_is_back()

    async def ready() -> bool:
        async with lost.http.get(f"{lost.gateway.url}/readyz") as answer:
            return (await answer.json())["problems"] == [
                "connection locked: the environment variable HOLDPOINT_TEST_CREDENTIAL is missing",
                "connection keyless: the environment variable HOLDPOINT_TEST_NOT_SET is missing",
            ]

    await wait_until(ready, "only the missing credentials are left")
