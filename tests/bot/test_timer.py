from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.timer import LOST, NOT_BACK, NOT_DECIDED, Timer
from holdpoint.metrics import Metrics
from holdpoint.model import Escalation, EventKind, Hold, OnTimeout, Question, ReviewTerms, State
from holdpoint.store import Store, keys
from holdpoint.store.bundles import Covered
from holdpoint.store.holds import NOT_COLLECTED
from holdpoint.store.stepups import Intent
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


async def test_a_place_that_no_card_is_sent_to_any_more_is_not_listed_as_failing_for_ever(
    store: Store, timer: Timer, clock: MovingClock
) -> None:
    await store.cards.failed("slack:C0OLD", "channel_not_found")
    clock.forward(seconds=7 * 86_400)
    await store.cards.failed("slack:C0NEW", "not_in_channel")
    await timer._prune()
    assert [each.target for each in await store.cards.failing()] == ["slack:C0NEW", "slack:C0OLD"]
    clock.forward(seconds=1)
    await timer._prune()
    assert [each.target for each in await store.cards.failing()] == ["slack:C0NEW"]


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


async def test_reviewers_are_reminded_once_at_half_of_the_time(store: Store, clock: MovingClock) -> None:
    hold = await new(store, escalations=())
    timers = [Timer(store, clock=clock, metrics=Metrics(), abandon_grace_ms=0) for _ in range(4)]
    for seconds in (299, 1, 100, 199):
        clock.forward(seconds=seconds)
        await asyncio.gather(*(timer.look() for timer in timers))
    assert (await kinds(store))[hold.id] == [EventKind.HOLD_CREATED, EventKind.HOLD_REMINDED]
    reminded = await store.holds.get(hold.id)
    assert reminded.reminded_ms == hold.created_ms + 300_000
    assert reminded.due_ms == reminded.deadline_ms


async def test_nobody_is_reminded_who_is_not_to_be(store: Store, timer: Timer, clock: MovingClock) -> None:
    quiet = await new(store, escalations=(), terms=ReviewTerms(remind=False))
    called = await new(store, escalations=(Escalation(100_000, "platform-leads"),))
    for seconds in (100, 200, 299):
        clock.forward(seconds=seconds)
        await timer.look()
    told = await kinds(store)
    assert told[quiet.id] == [EventKind.HOLD_CREATED]
    assert told[called.id] == [EventKind.HOLD_CREATED, EventKind.HOLD_ESCALATED]


async def test_a_claim_lapses(store: Store, timer: Timer, clock: MovingClock) -> None:
    hold = await new(store)
    claimed = await store.talk.claim(hold, by="sam@example.com", name="Sam", until_ms=clock.ms + 60_000)
    clock.forward(seconds=59)
    await timer.look()
    assert (await store.holds.get(hold.id)).claim == claimed.claim
    clock.forward(seconds=1)
    await timer.look()
    freed = await store.holds.get(hold.id)
    assert (freed.claim, freed.due_ms) == (None, hold.due_ms)
    (*_, event) = await store.outbox.follow("events", after="0-0", block_ms=1)
    assert (event.kind, event.data["by"]) == (EventKind.HOLD_UNCLAIMED, "policy")


async def ask(store: Store, hold: Hold) -> Hold:
    question = Question("q1", by="sam@example.com", name="Sam", text="why?", at_ms=hold.created_ms)
    return await store.talk.ask(hold, question, pauses=True)


async def test_while_the_clock_stands_nobody_is_late(store: Store, timer: Timer, clock: MovingClock) -> None:
    """Neither reminder nor escalation nor deadline; after the answer all of them, later by the time that it stood."""
    hold = await new(store)
    clock.forward(seconds=200)
    await ask(store, hold)
    for _ in range(5):
        clock.forward(seconds=110)
        await timer.look()
    waiting = await store.holds.get(hold.id)
    assert (waiting.state, waiting.escalated) == (State.PENDING, 0)
    await store.talk.answer(waiting, question="q1", text="because", by="dana@example.com")
    for seconds, escalated in ((99, 0), (1, 1), (299, 1)):
        clock.forward(seconds=seconds)
        await timer.look()
        assert (await store.holds.get(hold.id)).escalated == escalated
    clock.forward(seconds=1)
    await timer.look()
    assert (await store.holds.get(hold.id)).state is State.EXPIRED


async def test_a_question_that_nobody_answers_stops_the_clock_no_longer_than_the_timeout(
    store: Store, timer: Timer, clock: MovingClock
) -> None:
    hold = await new(store, on_timeout=OnTimeout.REJECT, escalations=())
    await ask(store, hold)
    clock.forward(seconds=599)
    await timer.look()
    assert (await store.holds.get(hold.id)).paused_ms is not None
    clock.forward(seconds=1)
    await timer.look()
    resumed = await store.holds.get(hold.id)
    assert (resumed.paused_ms, resumed.deadline_ms) == (None, clock.ms + 600_000)
    for seconds in (300, 300):
        clock.forward(seconds=seconds)
        await timer.look()
    assert (await kinds(store))[hold.id] == [
        EventKind.HOLD_CREATED, EventKind.HOLD_ASKED, EventKind.HOLD_RESUMED, EventKind.HOLD_REMINDED,
        EventKind.HOLD_EXPIRED,
    ]  # fmt: skip


async def test_bots_that_were_away_catch_up_step_by_step(store: Store, timer: Timer, clock: MovingClock) -> None:
    hold = await ask(store, await new(store, on_timeout=OnTimeout.ALLOW, escalations=()))
    clock.forward(seconds=10_000)
    for _ in range(3):
        await timer.look()
    approved = await store.holds.get(hold.id)
    assert (approved.state, approved.paused_for_ms) == (State.APPROVED, 600_000)


async def test_who_left_is_not_waited_for_because_of_a_question(store: Store, timer: Timer, clock: MovingClock) -> None:
    hold = await ask(store, await new(store))
    await store.holds.leave(hold.id, gateway="g#1", grace_ms=120_000)
    clock.forward(seconds=120)
    await timer.look()
    cancelled = await store.holds.get(hold.id)
    assert (cancelled.state, cancelled.close_reason) == (State.CANCELLED, NOT_BACK)


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


async def test_holds_that_come_up_too_early_do_not_hide_the_others(
    store: Store, timer: Timer, clock: MovingClock
) -> None:
    """A hundred, approved together and once more before that was confirmed: the timer comes for the first approval."""
    long = [await new(store, timeout_ms=3_600_000, escalations=()) for _ in range(100)]
    other = await new(store, timeout_ms=660_000, escalations=(), terms=ReviewTerms(remind=False))
    first = Intent("sam@example.com", "Sam", "web", "", tuple(Covered(hold.id, hold.digest) for hold in long))
    await store.stepups.ask(first)
    clock.forward(seconds=300)
    await store.stepups.ask(replace(first, reason="it is urgent"))
    clock.forward(seconds=360)
    await timer.look()
    assert (await store.holds.get(other.id)).state is State.EXPIRED
    assert {hold.state for hold in await store.holds.get_many([hold.id for hold in long])} == {State.PENDING}


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


async def test_holds_that_are_no_longer_a_lost_gateways_do_not_keep_it(
    store: Store, timer: Timer, clock: MovingClock
) -> None:
    gateway = await store.gateways.start("gw")
    dropped, elsewhere, closed = [await new(store, gateway) for _ in range(3)]
    await store._client.command("DEL", keys.hold(dropped.id))
    await store.holds.attach(elsewhere, gateway="other#1")
    await store.holds.expire(closed, reason="")
    await store._client.command("SADD", keys.at(gateway), elsewhere.id)
    clock.forward(seconds=6)
    await timer.sweep()
    assert await store.gateways.lost() == []
    assert (await store.holds.get(elsewhere.id)).waiter == "other#1"


async def test_a_gateway_that_lives_is_left_alone(store: Store, timer: Timer, clock: MovingClock) -> None:
    gateway = await store.gateways.start("gw")
    await store.gateways.beat(gateway)
    hold = await hold_in(store, State.RELEASED, gateway=gateway)
    clock.forward(seconds=4)
    await timer.sweep()
    assert (await store.holds.get(hold.id)).state is State.RELEASED
