"""What a gateway spends by itself, what it asks for, and that both together are exact. On a real Redis, by its clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import redis

from gateway.budgets import Budgets
from holdpoint.errors import StoreUnavailable
from holdpoint.policy.limits import Budget, Measure, Per
from holdpoint.store import Store
from tests.conftest import MovingClock
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until


def budget(most: int, measure: Measure = Measure.REQUESTS, limit: str = "a") -> Budget:
    return Budget(limit, measure, Per.REQUESTER, ("dana@example.com",), most)


class Moved:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def running(store: Store, *, tick: Callable[[], float] = time.monotonic) -> AsyncIterator[Budgets]:
    budgets = Budgets(store.limits, tick=tick)
    budgets.start()
    try:
        yield budgets
    finally:
        await budgets.stop()


@pytest.fixture
async def budgets(store: Store) -> AsyncIterator[Budgets]:
    async with running(store) as found:
        yield found


async def passes(budgets: Budgets, *charges: tuple[Budget, int]) -> bool:
    """As `gateway.limits.Limits.admit`."""
    known = [(budgets.account(each), cost) for each, cost in charges]
    if budgets.full(known) is not None:
        return False
    return budgets.spend(known) or await budgets.ask(known) is None


async def used(store: Store) -> dict[str, int]:
    return {each.limit: each.used for each in await store.limits.used()}


def calls(url: str) -> int:
    """How many scripts Redis has run."""
    with redis.Redis.from_url(url) as client:
        stats = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval"))


async def test_what_is_much_in_use_is_spent_without_asking_and_counted_to_the_last(
    budgets: Budgets, store: Store, redis_url: str
) -> None:
    many, before = budget(1_000_000), calls(redis_url)
    for _ in range(5_000):
        assert await passes(budgets, (many, 1))
    assert calls(redis_url) - before < 250
    await budgets.stop()
    assert await used(store) == {"a": 5_000}


async def test_who_comes_now_and_then_asks_each_time_and_gets_no_share(store: Store) -> None:
    tick = Moved()
    async with running(store, tick=tick) as budgets:
        for number in range(1, 6):
            assert await passes(budgets, (budget(1_000_000), 1))
            assert await used(store) == {"a": number}
            tick.now += 10


async def test_what_is_left_of_a_share_goes_back_by_itself(budgets: Budgets, store: Store) -> None:
    for _ in range(20):
        assert await passes(budgets, (budget(1_000_000), 1))

    async def all_is_back() -> bool:
        return await used(store) == {"a": 20}

    await wait_until(all_is_back, "the rest of the share is back", seconds=3)


async def test_what_is_left_of_all_shares_goes_back_at_the_end_however_many_there_are(store: Store) -> None:
    tick = Moved()
    async with running(store, tick=tick) as budgets:
        some = [budget(1_000_000, limit=f"limit-{number}") for number in range(300)]
        for each in some:
            for _ in range(2):
                assert await passes(budgets, (each, 1))
        lent = {each.budget.limit for each in map(budgets.account, some) if each.share}
        assert len(lent) == 300
    assert await used(store) == {each.limit: 2 for each in some}


async def test_a_share_is_not_spent_when_its_time_is_over(store: Store) -> None:
    tick = Moved()
    async with running(store, tick=tick) as budgets:
        some = budget(1_000_000)
        account = budgets.account(some)
        for _ in range(20):
            await passes(budgets, (some, 1))
        assert account.share > 0
        assert budgets.spend([(account, 1)])
        tick.now = account.share_until
        assert not budgets.spend([(account, 1)])


async def test_a_share_of_one_budget_is_not_spent_when_another_has_none(budgets: Budgets, store: Store) -> None:
    many, few = budget(1_000_000), budget(50, limit="b")
    for _ in range(50):
        assert await passes(budgets, (many, 1), (few, 1))
    for _ in range(100):
        assert not await passes(budgets, (many, 1), (few, 1))
    await budgets.stop()
    assert await used(store) == {"a": 50, "b": 50}


async def test_who_was_refused_hears_it_again_without_a_question(
    budgets: Budgets, store: Store, redis_url: str
) -> None:
    few, begun = budget(3), time.monotonic()
    for _ in range(3):
        assert await passes(budgets, (few, 1))
    assert not await passes(budgets, (few, 1))
    before = calls(redis_url)
    for _ in range(1_000):
        assert not await passes(budgets, (few, 1))
    assert calls(redis_url) == before
    assert await passes(budgets, (budget(4), 1)), "another amount is another question"
    full = budgets.full([(budgets.account(few), 1)])
    assert full is not None
    assert 60_000 - (time.monotonic() - begun) * 1000 <= full.wait_ms <= 60_500


async def test_a_refusal_says_nothing_of_a_request_that_costs_less(budgets: Budgets) -> None:
    tokens = budget(90, Measure.PROMPT_TOKENS)
    assert await passes(budgets, (tokens, 60))
    assert not await passes(budgets, (tokens, 50))
    assert await passes(budgets, (tokens, 30))
    assert not await passes(budgets, (tokens, 1))


async def test_a_refusal_is_forgotten_when_there_may_be_room(store: Store) -> None:
    tick = Moved()
    async with running(store, tick=tick) as budgets:
        few = budget(3)
        while await passes(budgets, (few, 1)):
            pass
        account = budgets.account(few)
        tick.now = account.refused_until
        assert budgets.full([(account, 1)]) is None
        assert await budgets.ask([(account, 1)]) is not None, "by Redis' clock no time has passed"


async def test_of_what_several_gateways_ask_for_at_once_as_much_passes_as_may(redis_url: str, store: Store) -> None:
    """Three of them, each with shares and a flood; and the model of exactness: not one more, a hundredth less at most."""
    some = budget(3_000)
    async with running(store) as first, running(store) as second, running(store) as third:

        async def flood(budgets: Budgets) -> int:
            return sum([await passes(budgets, (some, 1)) for _ in range(2_000)])

        found = await asyncio.gather(*(flood(each) for each in (first, second, third) for _ in range(2)))
    assert 2_970 <= sum(found) <= 3_000
    assert await used(store) == {"a": sum(found)}


async def test_prompt_tokens_are_exact_too(store: Store) -> None:
    some = budget(100_000, Measure.PROMPT_TOKENS)
    async with running(store) as first, running(store) as second:

        async def flood(budgets: Budgets, cost: int) -> int:
            return cost * sum([await passes(budgets, (some, cost)) for _ in range(4_000)])

        found = await asyncio.gather(flood(first, 17), flood(second, 29))
    assert 99_000 <= sum(found) <= 100_000
    assert await used(store) == {"a": sum(found)}


async def test_what_nobody_waits_for_any_more_harms_nobody(budgets: Budgets, store: Store) -> None:
    some = budget(100)
    waiting = [asyncio.ensure_future(budgets.ask([(budgets.account(some), 1)])) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    assert await asyncio.gather(*waiting[2:]) == [None] * 3
    assert await waiting[0] is None
    assert await used(store) == {"a": 5}, "it was asked for, and nobody knows that it was not used"


async def test_a_lost_redis_is_not_a_yes(redis_server: RedisServer, clock: MovingClock) -> None:
    store = await Store.open(redis_server.url, clock=clock)
    try:
        async with running(store) as budgets:
            account = budgets.account(budget(1_000_000))
            redis_server.kill()
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await budgets.ask([(account, 1)])
            redis_server.start()

            async def is_back() -> bool:
                try:
                    return await budgets.ask([(account, 1)]) is None
                except StoreUnavailable:
                    return False

            await wait_until(is_back, "it asks again")
        with pytest.raises(StoreUnavailable):
            await budgets.ask([(account, 1)])
    finally:
        await store.aclose()


async def test_what_nobody_uses_is_forgotten(store: Store) -> None:
    tick = Moved()
    async with running(store, tick=tick) as budgets:
        idle = budgets.account(budget(10))
        tick.now += 121
        busy = budgets.account(budget(20))
        budgets.forget_idle()
        assert budgets.account(budget(10)) is not idle
        assert budgets.account(budget(20)) is busy
