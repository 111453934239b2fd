"""Broken glass on a real Redis: listed with the decision itself, until somebody has reviewed it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from holdpoint.errors import Conflict, NotFound
from holdpoint.model import EventKind, Hold, State
from holdpoint.standing import BrokenGlass
from holdpoint.store import Store
from holdpoint.store.holds import GLASS_WITHIN_MS
from tests.conftest import MovingClock
from tests.support.builders import hold_in, make_decision

ADA = "ada@example.com"


async def broken(store: Store) -> Hold:
    hold = await hold_in(store, State.PENDING, gateway="gateway#1")
    decision = replace(make_decision(hold, by=ADA), glass=True, reason="production is down")
    return await store.holds.decide(hold, decision, state=State.APPROVED, body=None)


@pytest.mark.promise(4)
async def test_the_decision_and_the_list_change_together(store: Store, clock: MovingClock) -> None:
    hold = await broken(store)
    assert (hold.state, hold.decisions[0].glass) == (State.APPROVED, True)
    assert hold.due_ms == clock() + GLASS_WITHIN_MS
    glass = BrokenGlass(hold.id, ADA, ADA, "production is down", hold.decisions[0].at_ms)
    assert await store.glass.all() == [glass]
    told = [(event.kind, event.subject) for event in await store.outbox.follow("events", after="0", block_ms=1)]
    assert told[1:] == [(EventKind.HOLD_APPROVED, hold.id), (EventKind.GLASS_BROKEN, hold.id)]
    event = (await store.outbox.follow("events", after="0", block_ms=1))[-1]
    assert (event.data["decision"]["by"], event.data["decision"]["glass"]) == (ADA, True)
    assert event.data["requester"]["principal"] == "dana@example.com"


@pytest.mark.promise(4)
async def test_a_decision_that_comes_too_late_lists_nothing(store: Store) -> None:
    hold = await hold_in(store, State.PENDING, gateway="gateway#1")
    await store.holds.cancel(hold, by="dana@example.com", reason="withdrawn")
    with pytest.raises(Conflict):
        await store.holds.decide(
            hold, replace(make_decision(hold), glass=True), state=State.APPROVED, body=None
        )  # fmt: skip
    assert await store.glass.all() == []


async def test_an_ordinary_approval_is_not_listed(store: Store, clock: MovingClock) -> None:
    hold = await hold_in(store, State.APPROVED, gateway="gateway#1")
    assert await store.glass.all() == []
    assert hold.due_ms > clock() + GLASS_WITHIN_MS


async def test_one_review_takes_it_off_the_list(store: Store, clock: MovingClock) -> None:
    hold = await broken(store)
    reviewed = await asyncio.gather(*(store.glass.review(hold.id, by=f"admin{n}@example.com") for n in range(8)))
    assert len({each.reviewed_by for each in reviewed}) == 1
    assert await store.glass.all() == []
    assert (await store.glass.get(hold.id)).reviewed_ms == clock()
    told = await store.outbox.follow("events", after="0", block_ms=1)
    assert [event.kind for event in told].count(EventKind.GLASS_REVIEWED) == 1
    assert told[-1].data == {
        "hold": hold.id, "by": reviewed[0].reviewed_by, "broken_by": ADA, "reason": "production is down",
    }  # fmt: skip


async def test_what_nobody_reviews_stays_and_what_was_reviewed_leaves(store: Store, clock: MovingClock) -> None:
    first, second = await broken(store), await broken(store)
    await store.glass.review(first.id, by="pat@example.com")
    clock.forward(seconds=7 * 86_400)
    await store.glass.prune()
    assert (await store.glass.get(first.id)).reviewed_by == "pat@example.com"
    clock.forward(seconds=1)
    await store.glass.prune()
    with pytest.raises(NotFound):
        await store.glass.get(first.id)
    assert [glass.hold for glass in await store.glass.all()] == [second.id]


async def test_there_is_nothing_to_review_where_nothing_was_broken(store: Store) -> None:
    hold = await hold_in(store, State.APPROVED, gateway="gateway#1")
    with pytest.raises(NotFound, match="no glass was broken"):
        await store.glass.review(hold.id, by="pat@example.com")
