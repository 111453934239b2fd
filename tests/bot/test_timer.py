from __future__ import annotations

import asyncio

import pytest

from bot.timer import LOST, NOT_BACK, NOT_COLLECTED, NOT_DECIDED, Timer
from holdpoint.metrics import Metrics
from holdpoint.model import EventKind, Hold, OnTimeout, State
from holdpoint.store import Store
from tests.conftest import MovingClock
from tests.support.builders import hold_in, make_draft, make_evaluation


@pytest.fixture
def timer(store: Store, clock: MovingClock) -> Timer:
    return Timer(store, clock=clock, metrics=Metrics(), abandon_grace_ms=120_000)


async def new(store: Store, gateway: str = "g#1", **changes: object) -> Hold:
    return await store.holds.hold(
        make_draft(evaluation=make_evaluation(**changes)), gateway=gateway, idempotency_key=None
    )


async def kinds(store: Store) -> dict[str, list[EventKind]]:
    """What happened to each hold, in order."""
    found: dict[str, list[EventKind]] = {}
    for event in await store.outbox.follow("events", after="0-0", block_ms=1):
        found.setdefault(event.subject, []).append(event.kind)
    return found


async def test_before_the_time_nothing_happens(store: Store, timer: Timer) -> None:
    hold = await new(store)
    await timer.look()
    assert (await store.holds.get(hold.id)).rev == hold.rev


async def test_a_hold_escalates_and_then_expires(store: Store, timer: Timer, clock: MovingClock) -> None:
    hold = await new(store)
    clock.forward(seconds=300)
    await timer.look()
    assert (await store.holds.get(hold.id)).escalated == 1
    clock.forward(seconds=300)
    await timer.look()
    expired = await store.holds.get(hold.id)
    assert (expired.state, expired.close_reason) == (State.EXPIRED, NOT_DECIDED)


async def test_silence_is_consent_only_where_the_rule_says_so(store: Store, timer: Timer, clock: MovingClock) -> None:
    hold = await new(store, on_timeout=OnTimeout.ALLOW, escalations=())
    clock.forward(seconds=600)
    await timer.look()
    approved = await store.holds.get(hold.id)
    assert approved.state is State.APPROVED
    (decision,) = approved.decisions
    assert (decision.by, decision.channel, decision.digest) == ("policy", "timer", hold.digest)


async def test_at_the_deadline_the_last_group_gets_its_time(store: Store, timer: Timer, clock: MovingClock) -> None:
    hold = await new(store, on_timeout=OnTimeout.ESCALATE)
    clock.forward(seconds=600)
    await timer.look()
    escalated = await store.holds.get(hold.id)
    assert (escalated.state, escalated.escalated, escalated.deadline_ms) == (State.PENDING, 1, clock.ms + 600_000)
    clock.forward(seconds=600)
    await timer.look()
    assert (await store.holds.get(hold.id)).state is State.EXPIRED


async def test_an_approval_that_nobody_collects_expires(store: Store, timer: Timer, clock: MovingClock) -> None:
    hold = await hold_in(store, State.APPROVED, gateway="g#1")
    clock.forward(seconds=3600)
    await timer.look()
    expired = await store.holds.get(hold.id)
    assert (expired.state, expired.close_reason) == (State.EXPIRED, NOT_COLLECTED)


async def test_who_does_not_come_back_is_cancelled(store: Store, timer: Timer, clock: MovingClock) -> None:
    hold = await new(store)
    await store.holds.leave(hold.id, gateway="g#1", grace_ms=120_000)
    clock.forward(seconds=120)
    await timer.look()
    cancelled = await store.holds.get(hold.id)
    assert (cancelled.state, cancelled.close_reason) == (State.CANCELLED, NOT_BACK)


@pytest.mark.promise(3)
async def test_a_deadline_fires_once_with_many_bots(store: Store, clock: MovingClock) -> None:
    holds = [await new(store) for _ in range(20)]
    timers = [Timer(store, clock=clock, metrics=Metrics(), abandon_grace_ms=0) for _ in range(4)]
    for seconds in (300, 300):
        clock.forward(seconds=seconds)
        await asyncio.gather(*(timer.look() for timer in timers))
    once = [EventKind.HOLD_CREATED, EventKind.HOLD_ESCALATED, EventKind.HOLD_EXPIRED]
    assert await kinds(store) == {hold.id: once for hold in holds}


async def test_more_holds_than_one_batch(store: Store, timer: Timer, clock: MovingClock) -> None:
    for _ in range(230):
        await new(store, escalations=())
    clock.forward(seconds=600)
    await timer.look()
    assert (await store.holds.count())[State.EXPIRED] == 230


async def test_a_lost_gateway_leaves_its_waiting_holds(store: Store, timer: Timer, clock: MovingClock) -> None:
    gateway = await store.gateways.start("gw")
    await store.gateways.beat(gateway)
    hold = await new(store, gateway)
    clock.forward(seconds=6)
    await timer.sweep()
    left = await store.holds.get(hold.id)
    assert (left.state, left.waiter, left.return_by_ms) == (State.PENDING, "", clock.ms + 120_000)
    assert await store.gateways.lost() == []


@pytest.mark.promise(3)
async def test_what_a_lost_gateway_had_forwarded_failed(store: Store, timer: Timer, clock: MovingClock) -> None:
    gateway = await store.gateways.start("gw")
    await store.gateways.beat(gateway)
    hold = await hold_in(store, State.RELEASED, gateway=gateway)
    clock.forward(seconds=6)
    await timer.sweep()
    failed = await store.holds.get(hold.id)
    assert failed.state is State.FAILED
    assert failed.outcome is not None
    assert failed.outcome.error == LOST


async def test_a_gateway_that_lives_is_left_alone(store: Store, timer: Timer, clock: MovingClock) -> None:
    gateway = await store.gateways.start("gw")
    await store.gateways.beat(gateway)
    hold = await hold_in(store, State.RELEASED, gateway=gateway)
    clock.forward(seconds=4)
    await timer.sweep()
    assert (await store.holds.get(hold.id)).state is State.RELEASED
