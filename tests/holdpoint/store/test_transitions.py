"""The whole transition table: every verb on a hold in every state, on a real Redis."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from holdpoint.errors import Conflict
from holdpoint.model import TRANSITIONS, DecisionKind, Event, EventKind, Hold, State
from holdpoint.store import Store
from holdpoint.store import store as store_module
from tests.support.builders import OUTCOME, hold_in, make_decision

S = State
Verb = Callable[[Store, Hold], Awaitable[object]]


async def approve(store: Store, hold: Hold) -> None:
    await store.holds.decide(hold, make_decision(hold), state=S.APPROVED, body=None)


async def approve_in_part(store: Store, hold: Hold) -> None:
    await store.holds.decide(hold, make_decision(hold), state=S.PENDING, body=None)


async def reject(store: Store, hold: Hold) -> None:
    await store.holds.decide(hold, make_decision(hold, DecisionKind.REJECT), state=S.REJECTED, body=None)


async def escalate(store: Store, hold: Hold) -> None:
    if hold.escalated == len(hold.evaluation.escalations):
        raise Conflict("no further step")
    await store.holds.escalate(hold)


async def expire(store: Store, hold: Hold) -> None:
    await store.holds.expire(hold, reason="time")


async def cancel(store: Store, hold: Hold) -> None:
    await store.holds.cancel(hold, by="dana@example.com", reason="withdrawn")


async def release(store: Store, hold: Hold) -> None:
    await store.holds.release(hold.id, gateway=GATEWAY)


async def complete(store: Store, hold: Hold) -> None:
    await store.holds.close(hold, state=S.COMPLETED, outcome=OUTCOME, response=None)


async def fail(store: Store, hold: Hold) -> None:
    await store.holds.close(hold, state=S.FAILED, outcome=OUTCOME, response=None)


GATEWAY = "gateway#1"

# verb → {state before: state after}; what is not listed is refused and changes nothing.
TABLE: dict[Verb, dict[State, State]] = {
    approve: {S.PENDING: S.APPROVED},
    approve_in_part: {S.PENDING: S.PENDING},
    reject: {S.PENDING: S.REJECTED},
    escalate: {S.PENDING: S.PENDING},
    expire: {S.PENDING: S.EXPIRED, S.APPROVED: S.EXPIRED},
    cancel: {S.PENDING: S.CANCELLED},
    release: {S.APPROVED: S.RELEASED},
    complete: {S.RELEASED: S.COMPLETED},
    fail: {S.RELEASED: S.FAILED},
}


async def events_of(store: Store, group: str = "test") -> list[Event]:
    await store.outbox.read("events", group=group, block_ms=1, count=1000)  # makes the group
    return await store.outbox.read("events", group=group, block_ms=1, count=1000)


@pytest.mark.promise(4)
@pytest.mark.parametrize("before", list(State), ids=lambda s: s.value)
@pytest.mark.parametrize("verb", list(TABLE), ids=lambda v: v.__name__)
async def test_every_verb_in_every_state(store: Store, verb: Verb, before: State) -> None:
    hold = await hold_in(store, before, gateway=GATEWAY)
    seen = len(await events_of(store))
    expected = TABLE[verb].get(before)
    if expected is None:
        with pytest.raises(Conflict):
            await verb(store, hold)
        assert await store.holds.get(hold.id) == hold, "a refused verb changes nothing"
        assert len(await events_of(store, "after")) == seen, "and says nothing"
        return
    await verb(store, hold)
    after = await store.holds.get(hold.id)
    assert after.state is expected
    assert after.rev == hold.rev + 1
    new = (await events_of(store, "after"))[seen:]
    assert [(e.data["rev"], e.data["state"], e.subject) for e in new] == [(after.rev, expected.value, hold.id)]
    counts = await store.holds.count()
    assert {state for state, n in counts.items() if n} == {expected}, "it stands in one index only"
    is_timed = expected in (S.PENDING, S.APPROVED)
    assert (hold.id in await due_ever(store)) is is_timed


async def due_ever(store: Store) -> list[str]:
    rows = await store._client.command("ZRANGE", "hp:{p00}:due", 0, -1)
    return [raw.decode() for raw in rows]


@pytest.mark.parametrize("verb", [approve, reject, escalate, expire, cancel], ids=lambda v: v.__name__)
async def test_a_verb_acts_only_on_the_rev_that_its_caller_saw(store: Store, verb: Verb) -> None:
    stale = await hold_in(store, S.PENDING, gateway=GATEWAY)
    await approve_in_part(store, stale)
    with pytest.raises(Conflict):
        await verb(store, stale)


def test_lua_and_python_have_the_same_table() -> None:
    lua = (Path(store_module.__file__).parent / "lua" / "_common.lua").read_text()
    block = lua[lua.index("local NEXT = {") : lua.index("local function allowed")]
    found = {
        name: frozenset(re.findall(r"(\w+) = true", inner))
        for name, inner in re.findall(r"(\w+) = \{([^{}]*)\}", block)
    }
    assert found == {state.value: frozenset(s.value for s in following) for state, following in TRANSITIONS.items()}


@pytest.mark.parametrize(
    ("state", "kinds"),
    [
        (
            S.COMPLETED,
            [EventKind.HOLD_CREATED, EventKind.HOLD_APPROVED, EventKind.HOLD_RELEASED, EventKind.HOLD_COMPLETED],
        ),
        (S.FAILED, [EventKind.HOLD_CREATED, EventKind.HOLD_APPROVED, EventKind.HOLD_RELEASED, EventKind.HOLD_FAILED]),
        (S.REJECTED, [EventKind.HOLD_CREATED, EventKind.HOLD_REJECTED]),
        (S.EXPIRED, [EventKind.HOLD_CREATED, EventKind.HOLD_EXPIRED]),
        (S.CANCELLED, [EventKind.HOLD_CREATED, EventKind.HOLD_CANCELLED]),
    ],
)
async def test_a_life_is_told_by_its_events(store: Store, state: State, kinds: list[EventKind]) -> None:
    await hold_in(store, state, gateway=GATEWAY)
    assert [event.kind for event in await events_of(store)] == kinds
