"""What limits allow, counted by real scripts: against a naive model, to the millisecond, whatever the clock does."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdpoint.errors import Conflict, OverLimit
from holdpoint.model import Hold, State
from holdpoint.policy.limits import Budget, Measure, Per
from holdpoint.store import Store
from holdpoint.store.client import Client
from holdpoint.store.lifetimes import Lifetimes
from holdpoint.store.limits import ASK_AGAIN_MS, SLOTS, Allowance, Share, Wish
from tests.conftest import MovingClock
from tests.support.builders import OUTCOME, make_decision, make_draft
from tests.support.waiting import within

SLOT_MS, MINUTE_MS = 500, 60_000
LASTS_MS = MINUTE_MS + SLOT_MS
"""How long what was spent at the beginning of a slot counts."""


def budget(most: int, measure: Measure = Measure.REQUESTS, who: str = "dana@example.com") -> Budget:
    return Budget("a", measure, Per.REQUESTER, (who,), most)


@pytest.fixture
async def store(redis_url: str, clock: MovingClock) -> AsyncIterator[Store]:
    """A store that counts by the moved clock, which stands at the beginning of a slot."""
    clock.ms -= clock.ms % 3_600_000
    opened = Store(Client(redis_url), clock=clock, lifetimes=Lifetimes(3_600_000, 3_600_000), limits_clock=clock)
    yield opened
    await opened.aclose()


async def take(store: Store, *charges: tuple[Budget, int]) -> int | None:
    """One request: None when it passes, else the ms until it would."""
    wishes, costs = [Wish(each) for each, _ in charges], [(at, cost) for at, (_, cost) in enumerate(charges)]
    (refusal,) = (await store.limits.take(wishes, [costs])).refusals
    return None if refusal is None else refusal[1]


async def share(store: Store, wish: Wish) -> Share:
    return (await store.limits.take([wish], [])).shares[0]


async def used(store: Store) -> int:
    return sum(each.used for each in await store.limits.used())


class Naive:
    """Everything that was ever spent, and the definition of the window."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.spent: list[tuple[int, int]] = []

    def wait(self, now_ms: int, cost: int) -> int:
        """By trying every slot to come."""
        at = now_ms
        while sum(each for when, each in self.spent if at // SLOT_MS - when // SLOT_MS <= SLOTS) + cost > self.most:
            at = (at // SLOT_MS + 1) * SLOT_MS
        return at - now_ms

    def most_in_a_minute(self) -> int:
        return max(
            (sum(c for at, c in self.spent if start <= at < start + MINUTE_MS) for start, _ in self.spent), default=0
        )


PAST = st.one_of(st.integers(0, 700), st.integers(0, 70_000), st.sampled_from([499, 500, 60_000, 60_499, 60_500]))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    steps=st.lists(st.tuples(PAST, st.integers(1, 7)), min_size=1, max_size=40),
    most=st.integers(3, 12),
    tokens=st.integers(7, 40),
)
async def test_the_script_and_a_naive_model_agree(
    steps: list[tuple[int, int]], most: int, tokens: int, store: Store, clock: MovingClock
) -> None:
    """Who passes, for how long who does not has to wait, and that in no minute more is spent than the budget has."""
    who = secrets.token_hex(8)  # of each example
    asked = [budget(most, who=who), budget(tokens, Measure.PROMPT_TOKENS, who=who)]
    models = [Naive(each.most) for each in asked]
    for past_ms, cost in steps:
        clock.ms += past_ms
        expected = max(model.wait(clock.ms, c) for model, c in zip(models, (1, cost), strict=True))
        found = await take(store, (asked[0], 1), (asked[1], cost))
        assert (found or 0) == expected
        if found is None:
            models[0].spent.append((clock.ms, 1))
            models[1].spent.append((clock.ms, cost))
    assert all(model.most_in_a_minute() <= model.most for model in models)


@pytest.mark.parametrize("past_ms", [0, 1, 250, 499])
async def test_it_passes_when_it_was_told_to_and_not_a_moment_before(
    past_ms: int, store: Store, clock: MovingClock
) -> None:
    some = budget(3)
    clock.ms += past_ms
    assert [await take(store, (some, 1)) for _ in range(3)] == [None] * 3
    clock.ms += 20_000
    wait_ms = await take(store, (some, 1))
    assert wait_ms == LASTS_MS - past_ms - 20_000
    clock.ms += wait_ms - 1
    assert await take(store, (some, 1)) == 1
    clock.ms += 1
    assert await take(store, (some, 1)) is None


@pytest.mark.parametrize(
    ("past_ms", "passes"), [(59_999, False), (60_000, False), (60_499, False), (60_500, True), (200_000, True)]
)
async def test_what_was_spent_counts_for_a_minute_though_nobody_asked_meanwhile(
    past_ms: int, passes: bool, store: Store, clock: MovingClock
) -> None:
    assert await take(store, (budget(3), 3)) is None
    clock.ms += past_ms
    assert (await take(store, (budget(3), 1)) is None) == passes


async def test_the_wait_is_for_as_much_as_is_wanted_and_for_the_fullest_budget(
    store: Store, clock: MovingClock
) -> None:
    tokens, requests = budget(100, Measure.PROMPT_TOKENS), budget(3)
    for _ in range(3):
        assert await take(store, (requests, 1), (tokens, 30)) is None
        clock.ms += 1_000
    clock.ms += 3_000
    assert await take(store, (tokens, 10)) is None
    assert await take(store, (tokens, 1)) == LASTS_MS - 6_000, "the first thirty leave"
    assert await take(store, (tokens, 31)) == LASTS_MS - 5_000, "thirty are too few"
    assert await take(store, (tokens, 100)) == LASTS_MS, "all have to"
    assert await take(store, (requests, 1), (tokens, 70)) == LASTS_MS - 4_000
    assert await take(store, (requests, 1), (tokens, 1)) == LASTS_MS - 6_000


async def test_under_steady_pressure_all_of_it_passes_and_no_more(store: Store, clock: MovingClock) -> None:
    passed = 0
    for _ in range(6 * 121):
        passed += await take(store, (budget(20), 1)) is None
        clock.ms += SLOT_MS
    assert passed == 6 * 20, "twenty in each of six windows of 60.5 seconds"


async def test_what_is_refused_spends_nothing(store: Store) -> None:
    requests, tokens = budget(5), budget(10, Measure.PROMPT_TOKENS)
    assert await take(store, (requests, 1), (tokens, 10)) is None
    for _ in range(20):
        assert await take(store, (requests, 1), (tokens, 1))
    assert await used(store) == 11
    assert [await take(store, (requests, 1)) for _ in range(4)] == [None] * 4


async def test_of_many_at_once_exactly_as_many_pass_as_may(redis_url: str) -> None:
    """By the clock of Redis, from four processes' worth of clients."""
    stores = [await Store.open(redis_url, clock=lambda: 0) for _ in range(4)]
    found = await asyncio.gather(*(take(each, (budget(25), 1)) for each in stores for _ in range(10)))
    assert found.count(None) == 25
    assert all(40_000 < wait_ms <= LASTS_MS for wait_ms in found if wait_ms is not None)
    for each in stores:
        await each.aclose()


@pytest.mark.parametrize("back_ms", [1, 300, 500, 7_000, 60_000, 86_400_000])
async def test_a_clock_that_is_set_back_neither_forgets_nor_remembers_for_longer(
    back_ms: int, store: Store, clock: MovingClock
) -> None:
    assert await take(store, (budget(3), 2)) is None
    clock.ms += 10_000
    assert await take(store, (budget(3), 1)) is None
    clock.ms -= back_ms
    wait_ms = await take(store, (budget(3), 1))
    assert wait_ms is not None
    assert abs(wait_ms - (LASTS_MS - 10_000)) <= SLOT_MS, "as long as before"
    clock.ms += wait_ms
    assert await take(store, (budget(3), 2)) is None
    assert await take(store, (budget(3), 1))


async def test_a_clock_that_jumps_ahead_is_believed(store: Store, clock: MovingClock) -> None:
    assert await take(store, (budget(3), 3)) is None
    clock.ms += 86_400_000
    assert await take(store, (budget(3), 3)) is None
    assert await take(store, (budget(3), 1)) == LASTS_MS


async def test_another_amount_goes_on_with_the_same_count(store: Store) -> None:
    assert await take(store, (budget(10), 8)) is None
    assert await take(store, (budget(5), 1)) == LASTS_MS
    assert await take(store, (budget(20), 12)) is None
    assert await take(store, (budget(20), 1))


async def test_who_has_a_budget_of_their_own_has_one_of_their_own(store: Store) -> None:
    mine = budget(1)
    for other in (
        mine, replace(mine, limit="b"), replace(mine, measure=Measure.PROMPT_TOKENS), replace(mine, per=Per.CONNECTION),
        replace(mine, subject=("eve@example.com",)), replace(mine, subject=("dana@example.com", "eve@example.com")),
    ):  # fmt: skip
        assert await take(store, (other, 1)) is None
        assert await take(store, (other, 1))


async def test_nothing_stays_for_good(store: Store, redis_url: str) -> None:
    await take(store, (budget(3), 1))
    with redis.Redis.from_url(redis_url) as client:
        names = list(client.scan_iter())
        assert len(names) == 2
        ttls = {name.split(b":")[2]: client.pttl(name) for name in names}
    assert ttls[b"window"] == pytest.approx(LASTS_MS, abs=20_000)
    assert ttls[b"limited"] == pytest.approx(86_400_000, abs=20_000)


async def test_a_window_does_not_grow(store: Store, clock: MovingClock, redis_url: str) -> None:
    for _ in range(300):
        assert await take(store, (budget(1_000), 1)) is None
        clock.ms += SLOT_MS
    with redis.Redis.from_url(redis_url) as client:
        (name,) = [each for each in client.scan_iter() if b":window:" in each]
        assert client.hlen(name) == SLOTS + 1 + 3


# Shares


async def test_all_shares_together_are_a_hundredth(store: Store) -> None:
    some = budget(10_000)
    shares = [(await share(store, Wish(some, wanted=40))).amount for _ in range(5)]
    assert shares == [40, 40, 20, 0, 0]
    assert await used(store) == 100
    assert (await share(store, Wish(budget(99, who="eve@example.com"), wanted=40))).amount == 0


async def test_there_are_no_shares_of_the_last_tenth(store: Store) -> None:
    some = budget(10_000)
    assert await take(store, (some, 8_970)) is None
    assert (await share(store, Wish(some, wanted=100))).amount == 30
    assert (await share(store, Wish(some, wanted=100))).amount == 0
    assert await take(store, (some, 1_000)) is None
    assert await take(store, (some, 1))


async def test_a_share_ends_with_its_slot(store: Store, clock: MovingClock) -> None:
    some = budget(10_000)
    clock.ms += 130
    first = await share(store, Wish(some, wanted=100))
    assert (first.amount, first.lasts_ms) == (100, SLOT_MS - 130)
    clock.ms += 369
    assert (await share(store, Wish(some, wanted=100))).amount == 0
    clock.ms += 1
    second = await share(store, Wish(some, wanted=100))
    assert (second.amount, second.slot) == (100, first.slot + 1)


async def test_what_is_left_of_a_share_comes_back_and_what_was_spent_of_it_counts(
    store: Store, clock: MovingClock
) -> None:
    some = budget(10_000)
    first = await share(store, Wish(some, wanted=100))
    assert await used(store) == 100
    second = await share(store, Wish(some, wanted=50, had=100, left=30, slot=first.slot))
    assert second.amount == 50
    assert await used(store) == 70 + 50
    clock.ms += 700
    assert (await share(store, Wish(some, had=50, left=50, slot=second.slot))).amount == 0
    assert await used(store) == 70
    clock.ms += LASTS_MS
    await share(store, Wish(some, had=50, left=50, slot=second.slot))
    assert await used(store) == 0, "what no longer counts cannot come back"


async def test_a_gateway_that_dies_with_its_share_costs_a_hundredth_for_a_minute(
    store: Store, clock: MovingClock
) -> None:
    some = budget(10_000)
    assert (await share(store, Wish(some, wanted=1_000))).amount == 100
    clock.ms += SLOT_MS
    assert await take(store, (some, 9_900)) is None
    assert await take(store, (some, 1)) == LASTS_MS - SLOT_MS
    clock.ms += LASTS_MS - SLOT_MS
    assert await take(store, (some, 100)) is None


# Holds

AT_ONCE, AN_HOUR = Measure.HOLDS_AT_ONCE, Measure.HOLDS


async def hold(
    store: Store, *budgets: Budget, spent: tuple[tuple[Budget, int], ...] = (), key: str | None = None
) -> Hold:
    return await store.holds.hold(
        make_draft(), gateway="gateway#1", idempotency_key=key, allowance=Allowance(budgets, spent)
    )


async def bring(store: Store, held: Hold, state: State) -> None:
    """From pending into ``state``."""
    holds = store.holds
    if state is State.REJECTED:
        await holds.decide(held, make_decision(held), state=state, body=None)
    elif state is State.EXPIRED:
        await holds.expire(held, reason="nobody decided in time")
    elif state is State.CANCELLED:
        await holds.cancel(held, by="dana@example.com", reason="withdrawn")
    elif state is not State.PENDING:
        held = await holds.decide(held, make_decision(held), state=State.APPROVED, body=None)
        if state is not State.APPROVED:
            held = await holds.release(held.id, gateway="gateway#1")
            if state is not State.RELEASED:
                await holds.close(held, state=state, outcome=OUTCOME, response=None)


@pytest.mark.parametrize("state", [each for each in State if each not in (State.PENDING, State.APPROVED)])
async def test_whatever_becomes_of_a_hold_leaves_room_for_another(state: State, store: Store) -> None:
    held = [await hold(store, budget(2, AT_ONCE)) for _ in range(2)]
    with pytest.raises(OverLimit) as caught:
        await hold(store, budget(2, AT_ONCE))
    assert (caught.value.place, caught.value.wait_ms) == (0, ASK_AGAIN_MS)
    await bring(store, held[0], state)
    await hold(store, budget(2, AT_ONCE))
    with pytest.raises(OverLimit):
        await hold(store, budget(2, AT_ONCE))


@pytest.mark.parametrize("state", [State.PENDING, State.APPROVED])
async def test_a_hold_is_open_until_it_is_collected(state: State, store: Store) -> None:
    await bring(store, await hold(store, budget(1, AT_ONCE)), state)
    with pytest.raises(OverLimit):
        await hold(store, budget(1, AT_ONCE))


async def test_holds_in_an_hour_are_counted_whatever_becomes_of_them(store: Store, clock: MovingClock) -> None:
    for _ in range(3):
        await bring(store, await hold(store, budget(3, AN_HOUR)), State.CANCELLED)
    clock.ms += 60_000
    with pytest.raises(OverLimit) as caught:
        await hold(store, budget(3, AN_HOUR))
    assert caught.value.wait_ms == 3_630_000 - 60_000
    clock.ms += caught.value.wait_ms - 1
    with pytest.raises(OverLimit):
        await hold(store, budget(3, AN_HOUR))
    clock.ms += 1
    await hold(store, budget(3, AN_HOUR))


async def test_a_refused_hold_leaves_nothing_behind(store: Store, redis_url: str) -> None:
    tokens = budget(1_000, Measure.PROMPT_TOKENS)
    await hold(store, budget(1, AT_ONCE), budget(5, AN_HOUR))
    assert await take(store, (tokens, 400)) is None
    before = await store.holds.count()
    with redis.Redis.from_url(redis_url) as client:
        names = sorted(client.scan_iter())
        with pytest.raises(OverLimit) as caught:
            await hold(store, budget(5, AN_HOUR), budget(1, AT_ONCE), spent=((tokens, 400),), key="k")
        assert sorted(client.scan_iter()) == names
    assert caught.value.place == 1
    assert await store.holds.count() == before
    assert await take(store, (tokens, 1_000)) is None, "it got its tokens back"
    uses = {each.measure: each.used for each in await store.limits.used()}
    assert (uses[AT_ONCE], uses[AN_HOUR]) == (1, 1)


async def test_tokens_of_a_refused_hold_and_a_share_come_back_whichever_slots_they_are_of(
    store: Store, clock: MovingClock
) -> None:
    """Spent in one slot, lent and refused in the next: the refusal takes what the share is to give."""
    tokens = budget(10_000, Measure.PROMPT_TOKENS)
    await hold(store, budget(1, AN_HOUR))
    assert await take(store, (tokens, 7)) is None
    clock.ms += SLOT_MS
    lent = await share(store, Wish(tokens, wanted=20))
    with pytest.raises(OverLimit):
        await hold(store, budget(1, AN_HOUR), spent=((tokens, 7),))
    await share(store, Wish(tokens, had=20, left=20, slot=lent.slot))
    assert await take(store, (tokens, 10_000)) is None, "nothing of it counts"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 160), st.sampled_from(["spend", "lend", "refuse", "return"]), st.integers(1, 60)),
        max_size=30,
    )
)
async def test_what_counts_in_the_end_is_what_was_used(
    steps: list[tuple[int, str, int]], store: Store, clock: MovingClock
) -> None:
    """Requests whose holds are refused, and shares that are used in part, in any order, within five seconds."""
    who = secrets.token_hex(8)
    tokens, an_hour = budget(10_000, Measure.PROMPT_TOKENS, who), budget(1, AN_HOUR, who)
    await hold(store, an_hour)
    costs: list[int] = []
    lent: list[Share] = []
    counts = 0
    for past_ms, step, amount in [*steps, *[(0, "return", 0), (0, "refuse", 0)] * len(steps)]:
        clock.ms += past_ms
        if step == "spend":
            assert await take(store, (tokens, amount)) is None
            costs.append(amount)
        elif step == "lend":
            lent.append(await share(store, Wish(tokens, wanted=amount)))
        elif step == "refuse" and costs:
            with pytest.raises(OverLimit):
                await hold(store, an_hour, spent=((tokens, costs.pop(0)),))
        elif step == "return" and lent:
            one = lent.pop(0)
            kept = min(amount, one.amount)
            counts += kept
            await share(store, Wish(tokens, had=one.amount, left=one.amount - kept, slot=one.slot))
    assert not costs
    assert not lent
    assert await take(store, (tokens, 10_000 - counts)) is None
    assert await take(store, (tokens, 1)) is not None


async def test_what_comes_back_makes_nobody_elses_tokens_count_for_less_than_a_minute(
    store: Store, clock: MovingClock
) -> None:
    """Of two requests, four seconds apart, the first is refused; the other one's tokens count from their own time."""
    tokens = budget(100, Measure.PROMPT_TOKENS)
    await hold(store, budget(1, AN_HOUR))
    assert await take(store, (tokens, 50)) is None
    clock.ms += 4_000
    assert await take(store, (tokens, 50)) is None
    with pytest.raises(OverLimit):
        await hold(store, budget(1, AN_HOUR), spent=((tokens, 50),))
    clock.ms += MINUTE_MS - SLOT_MS
    assert await take(store, (tokens, 51)) is not None
    assert await take(store, (tokens, 50)) is None, "it comes back whole all the same"


async def test_a_share_that_comes_back_when_it_counts_no_longer_takes_nothing(store: Store, clock: MovingClock) -> None:
    tokens = budget(10_000, Measure.PROMPT_TOKENS)
    lent = await share(store, Wish(tokens, wanted=20))
    clock.ms += 5 * SLOT_MS
    assert await take(store, (tokens, 9_000)) is None
    clock.ms += LASTS_MS - 5 * SLOT_MS
    await share(store, Wish(tokens, had=20, left=20, slot=lent.slot))
    assert await take(store, (tokens, 1_001)) is not None


async def test_a_hold_that_is_made_has_used_its_tokens(store: Store) -> None:
    tokens = budget(1_000, Measure.PROMPT_TOKENS)
    assert await take(store, (tokens, 400)) is None
    await hold(store, budget(1, AT_ONCE), spent=((tokens, 400),))
    assert await take(store, (tokens, 601))


async def test_a_key_that_stands_for_a_hold_is_not_counted_again(store: Store) -> None:
    await hold(store, budget(1, AT_ONCE), budget(1, AN_HOUR), key="k")
    with pytest.raises(Conflict):
        await hold(store, budget(1, AT_ONCE), budget(1, AN_HOUR), key="k")


async def test_of_many_holds_at_once_exactly_as_many_are_made_as_may(store: Store) -> None:
    found = await asyncio.gather(
        *(hold(store, budget(7, AT_ONCE), budget(9, AN_HOUR)) for _ in range(40)), return_exceptions=True
    )
    assert sum(isinstance(each, Hold) for each in found) == 7
    assert sum(isinstance(each, OverLimit) for each in found) == 33
    assert (await store.holds.count())[State.PENDING] == 7


async def test_a_hold_that_redis_forgot_takes_no_room(store: Store, redis_url: str) -> None:
    """Its hash is gone; the timer takes it off the indexes, and with them it is no longer open."""
    held = await hold(store, budget(1, AT_ONCE))
    with redis.Redis.from_url(redis_url) as client:
        client.delete(f"hp:{{p00}}:hold:{held.id}")
    await store.holds.forget(held.id)
    await hold(store, budget(1, AT_ONCE))


async def test_a_thousand_open_holds_are_looked_through_in_no_time(store: Store) -> None:
    many = budget(1_000, AT_ONCE)
    for _ in range(50):
        await asyncio.gather(*(hold(store, many) for _ in range(20)))
    with pytest.raises(OverLimit):
        async with within(0.5):
            await hold(store, many)


@pytest.mark.parametrize("first", ["before", "after"])
async def test_a_window_that_is_asked_for_under_two_amounts_at_once_stays_exact(first: str, store: Store) -> None:
    """A policy has changed the amount, and the share of the one before goes back with the first question by the new one."""
    before, after = budget(1_000), budget(2_000)
    lent = await share(store, Wish(before, 10))
    wishes = [Wish(before, had=lent.amount, left=lent.amount, slot=lent.slot), Wish(after)]
    if first == "after":
        wishes.reverse()
    assert (await store.limits.take(wishes, [[(wishes.index(Wish(after)), 5)]])).refusals == (None,)
    assert await take(store, (after, 1_995)) is None
    assert await take(store, (after, 1)) is not None
