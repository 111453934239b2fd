"""The wait itself: signals that come early, late, twice or never."""

from __future__ import annotations

import asyncio

import pytest

from holdpoint.clock import now_ms
from holdpoint.model import State
from holdpoint.store import Store
from tests.gateway.model import Model
from tests.gateway.world import RISKY, World, running_world
from tests.support.builders import hold_in
from tests.support.waiting import wait_until, within


async def test_many_wait_and_each_hears_its_own(world: World, model: Model) -> None:
    asking = [asyncio.ensure_future(world.chat(f"password {n}").__aenter__()) for n in range(40)]
    holds = await world.held(40)
    for hold in holds:
        await (world.approve(hold) if "7" in hold.query.parts[0].text else world.reject(hold))
    statuses = []
    for each in asking:
        async with await each as answer:
            statuses.append(answer.status)
    assert statuses == [200 if "7" in str(n) else 403 for n in range(40)]
    assert len(model.received) == statuses.count(200)


async def test_a_hold_that_expires_without_a_signal_is_noticed(redis_url: str, model: Model) -> None:
    """The timer died between the state and its wake-up, say: the guard looks a little after the deadline."""
    async with running_world(redis_url, model.url, hold_for="1s") as world:
        asking = asyncio.ensure_future(world.chat(RISKY).__aenter__())
        (hold,) = await world.held()

        async def waits() -> bool:
            return b"holdpoint_waiting_requests 1.0" in world.gateway.metrics.render()

        await wait_until(waits, "it waits")
        # Nobody waits, says the hold: so nobody is woken by what follows.
        await world.store.holds.leave(hold.id, gateway=hold.waiter, grace_ms=60_000)
        await world.store.holds.expire(await world.store.holds.get(hold.id), reason="nobody decided in time")
        async with await asking as answer:
            assert answer.status == 403
            assert (await answer.json())["error"]["code"] == "expired"


async def test_a_signal_for_nobody_does_no_harm(world: World) -> None:
    await hold_in(world.store, State.REJECTED, gateway="somebody#else")
    asking = asyncio.ensure_future(world.chat(RISKY).__aenter__())
    (hold,) = await world.held()
    await world.approve(hold)
    async with await asking as answer:
        assert answer.status == 200


async def test_a_gateway_that_was_taken_for_gone_without_missing_a_beat_takes_its_holds_back(
    world: World, redis_url: str
) -> None:
    """The clock of a bot is set forward, or the machine has slept: by the clocks of the processes no beat was missed."""
    asking = asyncio.ensure_future(world.chat(RISKY).__aenter__())
    (hold,) = await world.held()
    ahead = await Store.open(redis_url, clock=lambda: now_ms() + 10_000)
    for gateway, holds in await ahead.gateways.lost():  # as the timer of a bot does
        for each in holds:
            await ahead.holds.leave(each, gateway=gateway, grace_ms=60_000)
        await ahead.gateways.forget(gateway)
    await ahead.aclose()
    assert not (await world.store.holds.get(hold.id)).waiter

    async def taken_back() -> bool:
        return (await world.store.holds.get(hold.id)).waiter == hold.waiter

    await wait_until(taken_back, "the gateway waits for it again")
    await world.approve(await world.store.holds.get(hold.id))
    async with within(5), await asking as answer:
        assert answer.status == 200


async def test_a_gateway_that_takes_on_more_while_it_is_swept_takes_back_what_it_had(
    world: World, redis_url: str
) -> None:
    """As above, and the next request comes before the sweep is over."""
    asking = [asyncio.ensure_future(world.chat(RISKY).__aenter__())]
    (hold,) = await world.held()
    ahead = await Store.open(redis_url, clock=lambda: now_ms() + 10_000)
    ((gateway, holds),) = await ahead.gateways.lost()
    for each in holds:
        await ahead.holds.leave(each, gateway=gateway, grace_ms=60_000)
    asking.append(asyncio.ensure_future(world.chat("another password").__aenter__()))
    await world.held(2)
    assert not await ahead.gateways.forget(gateway)
    await ahead.aclose()

    async def taken_back() -> bool:
        return (await world.store.holds.get(hold.id)).waiter == hold.waiter

    await wait_until(taken_back, "the gateway waits for it again")
    for each in await world.held(2):
        await world.reject(each)
    for each in asking:
        async with within(5), await each as answer:
            assert answer.status == 403


@pytest.mark.promise(3)
async def test_two_requests_with_one_key_spend_one_approval(world: World, model: Model) -> None:
    key = {"Idempotency-Key": "k"}
    asking = [asyncio.ensure_future(world.chat(RISKY, headers=key).__aenter__()) for _ in range(5)]

    async def all_wait() -> bool:
        return b"holdpoint_waiting_requests 5.0" in world.gateway.metrics.render()

    await wait_until(all_wait, "all of them wait")
    (hold,) = await world.held()
    await world.approve(hold)
    for each in asking:
        async with await each as answer:
            assert answer.status == 200
            assert (await answer.json())["choices"][0]["message"]["content"] == "fine"
    assert len(model.received) == 1
