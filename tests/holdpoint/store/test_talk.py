"""What people say about a hold, on a real Redis: state, due time, record and lifetime change together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from holdpoint.errors import Conflict, NotFound, StoreUnavailable
from holdpoint.lifecycle import is_late, pending_due_ms
from holdpoint.model import Claim, DecisionKind, Event, EventKind, Hold, Question, State
from holdpoint.store import Store, keys
from tests.conftest import MovingClock
from tests.support.builders import hold_in, make_decision, make_draft, make_evaluation

GATEWAY = "gateway#1"
SAM, KIM, DANA = "sam@example.com", "kim@example.com", "dana@example.com"
DAY_MS = 86_400_000
KEPT_MS = 7 * DAY_MS + 3_600_000  # retention and collection


async def new(store: Store, **changes: object) -> Hold:
    draft = make_draft(evaluation=make_evaluation(**changes))
    return await store.holds.hold(draft, gateway=GATEWAY, idempotency_key=None)


def question(hold: Hold, text: str = "why?") -> Question:
    return Question(f"q{len(hold.questions) + 1}", by=SAM, name="Sam", text=text, at_ms=hold.created_ms)


async def ask(store: Store, hold: Hold, *, pauses: bool = True) -> Hold:
    return await store.talk.ask(hold, question(hold), pauses=pauses)


async def told(store: Store) -> list[Event]:
    return [e for e in await store.outbox.follow("events", after="0-0", block_ms=1) if e.kind != EventKind.HOLD_CREATED]


async def due_ms(store: Store, hold: Hold) -> int:
    return int(float(await store._client.command("ZSCORE", keys.DUE, hold.id)))


async def ttl_ms(store: Store, key: str) -> int:
    return int(await store._client.command("PTTL", key))


Verb = Callable[[Store, Hold], Awaitable[Hold]]


async def claim(store: Store, hold: Hold) -> Hold:
    return await store.talk.claim(hold, by=SAM, name="Sam", until_ms=hold.created_ms + 100_000)


async def unclaim(store: Store, hold: Hold) -> Hold:
    return await store.talk.unclaim(hold, by=SAM)


async def ask_and_pause(store: Store, hold: Hold) -> Hold:
    return await ask(store, hold)


async def answer(store: Store, hold: Hold) -> Hold:
    return await store.talk.answer(hold, question="q1", text="because", by=DANA)


async def resume(store: Store, hold: Hold) -> Hold:
    return await store.talk.resume(hold)


async def justify(store: Store, hold: Hold) -> Hold:
    return await store.talk.justify(hold, text="a demo for Zoë", by=DANA)


async def remind(store: Store, hold: Hold) -> Hold:
    return await store.talk.remind(hold)


VERBS: dict[Verb, EventKind] = {
    claim: EventKind.HOLD_CLAIMED,
    unclaim: EventKind.HOLD_UNCLAIMED,
    ask_and_pause: EventKind.HOLD_ASKED,
    answer: EventKind.HOLD_ANSWERED,
    resume: EventKind.HOLD_RESUMED,
    justify: EventKind.HOLD_JUSTIFIED,
    remind: EventKind.HOLD_REMINDED,
}


@pytest.mark.promise(4)
@pytest.mark.parametrize("verb", list(VERBS), ids=lambda v: v.__name__)
async def test_state_due_time_and_record_change_together(store: Store, clock: MovingClock, verb: Verb) -> None:
    before = await claim(store, await ask(store, await new(store)))
    clock.forward(seconds=30)
    after = await verb(store, before)
    stored = await store.holds.get(before.id)
    assert after == stored
    assert (stored.state, stored.rev) == (State.PENDING, before.rev + 1)
    assert stored.due_ms == await due_ms(store, stored) == pending_due_ms(stored)
    event = (await told(store))[-1]
    assert (event.kind, event.subject, event.data["rev"], event.at_ms) == (VERBS[verb], before.id, stored.rev, clock.ms)
    assert event.data["requester"]["principal"] == DANA
    assert event.data["digest"] == before.digest


@pytest.mark.promise(4)
@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING], ids=lambda s: s.value)
@pytest.mark.parametrize("verb", list(VERBS), ids=lambda v: v.__name__)
async def test_nothing_is_said_about_a_hold_that_is_not_pending(store: Store, verb: Verb, state: State) -> None:
    hold = await hold_in(store, state, gateway=GATEWAY)
    seen = len(await told(store))
    with pytest.raises(Conflict):
        await verb(store, replace(hold, questions=(question(hold),), claim=Claim(SAM, "Sam", 1)))
    assert await store.holds.get(hold.id) == hold
    assert len(await told(store)) == seen


@pytest.mark.promise(4)
@pytest.mark.parametrize("verb", list(VERBS), ids=lambda v: v.__name__)
async def test_a_verb_acts_only_on_the_rev_that_its_caller_saw(store: Store, verb: Verb) -> None:
    stale = await claim(store, await ask(store, await new(store)))
    await justify(store, stale)
    now = await store.holds.get(stale.id)
    with pytest.raises(Conflict):
        await verb(store, stale)
    assert await store.holds.get(stale.id) == now


async def test_of_many_at_once_one_is_written(store: Store) -> None:
    hold = await new(store)
    answers = await asyncio.gather(*(claim(store, hold) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(each, Hold) for each in answers) == 1
    assert sum(isinstance(each, Conflict) for each in answers) == 9


@pytest.mark.promise(4)
async def test_the_record_says_what_was_said(store: Store, clock: MovingClock) -> None:
    hold = await new(store)
    hold = await store.talk.claim(hold, by=SAM, name="Sam", until_ms=hold.created_ms + 1)
    hold = await store.talk.unclaim(hold, by="policy")
    hold = await store.talk.ask(hold, question(hold), pauses=True)
    clock.forward(seconds=60)
    hold = await store.talk.answer(hold, question="q1", text='because "</b>"', by=DANA)
    hold = await store.talk.justify(hold, text="a demo", by=DANA)
    hold = await store.talk.remind(hold)
    data = [event.data for event in await told(store)]
    assert data[0]["claim"] == {"by": SAM, "name": "Sam", "until_ms": hold.created_ms + 1}
    assert (data[1]["claim"]["by"], data[1]["by"]) == (SAM, "policy")
    assert (data[2]["question"]["text"], data[2]["question"]["by"], data[2]["pauses"]) == ("why?", SAM, True)
    assert (data[3]["question"]["answer"], data[3]["question"]["answered_by"]) == ('because "</b>"', DANA)
    assert data[3]["deadline_ms"] == data[5]["deadline_ms"] == hold.created_ms + 660_000
    assert (data[4]["justification"], data[4]["by"]) == ("a demo", DANA)


async def test_the_clock_stands_from_a_question_to_its_answer(store: Store, clock: MovingClock) -> None:
    asked = await ask(store, await new(store))
    assert (asked.paused_ms, asked.due_ms) == (clock.ms, clock.ms + 600_000)
    clock.forward(seconds=599)
    answered = await answer(store, asked)
    assert (answered.paused_ms, answered.paused_for_ms) == (None, 599_000)
    assert answered.deadline_ms == asked.deadline_ms + 599_000
    assert answered.due_ms == answered.created_ms + 300_000 + 599_000, "the escalation comes later by that much"
    assert answered.questions[0].answered_ms == clock.ms


async def test_the_clock_runs_on_with_the_last_open_question(store: Store, clock: MovingClock) -> None:
    asked = await ask(store, await ask(store, await new(store)))
    clock.forward(seconds=10)
    one = await store.talk.answer(asked, question="q2", text="yes", by=DANA)
    assert one.paused_ms == asked.paused_ms
    clock.forward(seconds=10)
    both = await store.talk.answer(one, question="q1", text="no", by=DANA)
    assert (both.paused_ms, both.paused_for_ms) == (None, 20_000)


async def test_a_question_leaves_the_clock_alone_unless_the_rules_say_so(store: Store, clock: MovingClock) -> None:
    asked = await ask(store, await new(store), pauses=False)
    assert (asked.paused_ms, asked.due_ms) == (None, asked.created_ms + 300_000)
    assert (await told(store))[-1].data["pauses"] is False
    clock.forward(seconds=20)
    answered = await answer(store, asked)
    assert (answered.paused_for_ms, answered.deadline_ms) == (0, asked.deadline_ms)


async def test_a_clock_stands_for_no_longer_than_the_timeout_in_all(store: Store, clock: MovingClock) -> None:
    asked = await ask(store, await new(store))
    clock.forward(seconds=400)
    answered = await answer(store, asked)
    again = await ask(store, answered)
    clock.forward(seconds=10_000)
    resumed = await store.talk.resume(again)
    assert (resumed.paused_ms, resumed.paused_for_ms) == (None, 600_000)
    assert resumed.deadline_ms == resumed.created_ms + 1_200_000
    assert is_late(resumed, clock.ms)


async def test_no_question_stops_a_clock_that_has_run_out_or_has_stood_enough(store: Store, clock: MovingClock) -> None:
    first = await ask(store, await new(store))
    clock.forward(seconds=600)
    spent = await store.talk.resume(first)
    assert spent.paused_for_ms == 600_000
    assert (await ask(store, spent)).paused_ms is None
    late = await new(store)
    clock.forward(seconds=600)
    with pytest.raises(Conflict, match="deadline"):
        await ask(store, late)


async def test_a_decision_while_the_clock_stands_is_not_late(store: Store, clock: MovingClock) -> None:
    asked = await ask(store, await new(store))
    clock.forward(seconds=599)
    part = await store.holds.decide(asked, make_decision(asked, by=KIM), state=State.PENDING, body=None)
    clock.forward(seconds=100)
    assert clock.ms > part.deadline_ms
    approved = await store.holds.decide(part, make_decision(part), state=State.APPROVED, body=None)
    assert approved.state is State.APPROVED


async def test_a_decision_is_late_once_the_clock_has_stood_enough(store: Store, clock: MovingClock) -> None:
    asked = await ask(store, await new(store))
    clock.forward(seconds=1_200)
    with pytest.raises(Conflict, match="deadline"):
        await store.holds.decide(asked, make_decision(asked), state=State.APPROVED, body=None)


@pytest.mark.parametrize("kind", DecisionKind)
async def test_a_claim_ends_with_the_decision_of_who_made_it(store: Store, kind: DecisionKind) -> None:
    claimed = await claim(store, await new(store, escalations=()))
    assert claimed.due_ms == claimed.created_ms + 100_000
    others = await store.holds.decide(claimed, make_decision(claimed, by=KIM), state=State.PENDING, body=None)
    assert (others.claim, others.due_ms) == (claimed.claim, claimed.due_ms)
    state = State.PENDING if kind is DecisionKind.APPROVE else State.REJECTED
    own = await store.holds.decide(others, make_decision(others, kind, by=SAM), state=state, body=None)
    assert own.claim is None
    if state is State.PENDING:
        assert own.due_ms == await due_ms(store, own) == own.created_ms + 300_000, "back to the reminder"


async def test_redis_keeps_a_hold_for_as_long_as_its_clock_may_stand(store: Store, clock: MovingClock) -> None:
    hold = await new(store)
    key = keys.hold(hold.id)
    before = await ttl_ms(store, key)
    asked = await ask(store, hold)
    assert await ttl_ms(store, key) == pytest.approx(before + 600_000, abs=20_000)
    clock.forward(seconds=600)
    resumed = await store.talk.resume(asked)
    left = resumed.deadline_ms - clock.ms
    assert await ttl_ms(store, key) == pytest.approx(left + KEPT_MS, abs=20_000)
    assert left == 600_000
    justified = await justify(store, resumed)
    assert await ttl_ms(store, key) == pytest.approx(left + KEPT_MS, abs=20_000), "words alone prolong nothing"
    assert justified.justification == "a demo for Zoë"


async def test_a_question_is_answered_once(store: Store) -> None:
    answered = await answer(store, await ask(store, await new(store)))
    for unknown in ("q1", "q2", "", "q1 "):
        with pytest.raises(NotFound):
            await store.talk.answer(answered, question=unknown, text="x", by=DANA)


async def test_what_was_written_later_stands_for_what_came_with_the_request(store: Store) -> None:
    draft = replace(make_draft(), justification="as sent")
    hold = await store.holds.hold(draft, gateway=GATEWAY, idempotency_key=None)
    assert (await store.holds.get(hold.id)).justification == "as sent"
    await justify(store, hold)
    assert (await store.holds.get(hold.id)).justification == "a demo for Zoë"


async def test_reading_is_noted_once_for_each_person_and_text(store: Store) -> None:
    hold = await new(store)
    for digest in (hold.digest, hold.digest, "f" * 64):
        await store.talk.read(hold.id, by=SAM, digest=digest, channel="slack")
    assert await store.talk.has_read(hold.id, by=SAM, digest=hold.digest)
    assert not await store.talk.has_read(hold.id, by=KIM, digest=hold.digest)
    assert not await store.talk.has_read(hold.id, by=SAM, digest="e" * 64)
    assert (await store.holds.get(hold.id)).rev == hold.rev, "it changes nothing about the hold"
    reads = [event for event in await told(store) if event.kind is EventKind.CARD_READ]
    assert [(e.subject, e.data["by"], e.data["digest"], e.data["channel"]) for e in reads] == [
        (hold.id, SAM, hold.digest, "slack"), (hold.id, SAM, "f" * 64, "slack"),
    ]  # fmt: skip
    assert await ttl_ms(store, keys.read(hold.id)) == pytest.approx(await ttl_ms(store, keys.hold(hold.id)), abs=20_000)


async def test_nobody_has_read_what_is_not_there(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.talk.read("h0", by=SAM, digest="d", channel="slack")
    assert await told(store) == []


async def test_every_look_behind_the_masks_is_recorded(store: Store) -> None:
    hold = await new(store)
    for _ in range(2):
        await store.talk.revealed(hold.id, by=SAM, digest=hold.digest, channel="slack")
    events = await told(store)
    assert [(e.kind, e.subject, e.data["by"], e.data["digest"]) for e in events] == [
        (EventKind.CARD_REVEALED, hold.id, SAM, hold.digest)
    ] * 2


async def test_words_are_refused_while_redis_cannot_write(store: Store) -> None:
    hold = await new(store)
    await store._client.command("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable):
            await claim(store, hold)
        with pytest.raises(StoreUnavailable):
            await store.talk.revealed(hold.id, by=SAM, digest=hold.digest, channel="slack")
    finally:
        await store._client.command("CONFIG", "SET", "maxmemory", "0")
    assert (await store.holds.get(hold.id)).claim is None
