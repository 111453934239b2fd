"""How the requester was told of a hold: noted on it, with its event, whatever its state."""

from __future__ import annotations

import pytest

from holdpoint.errors import NotFound
from holdpoint.model import EventKind, State
from holdpoint.store import Store
from tests.support.builders import hold_in


@pytest.mark.promise(4)
@pytest.mark.parametrize("state", list(State))
async def test_it_is_noted_with_its_event_in_any_state(store: Store, state: State) -> None:
    hold = await hold_in(store, state, gateway="g1")
    before = await store.holds.get(hold.id)
    await store.talk.told(hold.id, channel="teams", reached=False)
    await store.talk.told(hold.id, channel="email", reached=True)
    after = await store.holds.get(hold.id)
    assert after.told == (("email", True), ("teams", False))
    assert after.rev == before.rev + 2
    assert (after.state, after.digest, after.due_ms) == (before.state, before.digest, before.due_ms)
    events = [e for e in await store.outbox.follow("events", after="0-0", block_ms=1) if e.kind is EventKind.HOLD_TOLD]
    assert [(e.subject, e.data["channel"], e.data["reached"]) for e in events] == [
        (hold.id, "teams", False),
        (hold.id, "email", True),
    ]
    assert [e.data["rev"] for e in events] == [before.rev + 1, before.rev + 2]


async def test_the_same_once_more_changes_nothing(store: Store) -> None:
    hold = await hold_in(store, State.PENDING, gateway="g1")
    for _ in range(3):
        await store.talk.told(hold.id, channel="teams", reached=False)
    once = await store.holds.get(hold.id)
    assert (once.told, once.rev) == ((("teams", False),), hold.rev + 1)
    events = await store.outbox.follow("events", after="0-0", block_ms=1)
    assert [e.kind for e in events].count(EventKind.HOLD_TOLD) == 1


async def test_what_became_true_later_replaces_what_was_noted(store: Store) -> None:
    hold = await hold_in(store, State.PENDING, gateway="g1")
    for reached in (False, True, False):
        await store.talk.told(hold.id, channel="teams", reached=reached)
        assert (await store.holds.get(hold.id)).told == (("teams", reached),)


async def test_nothing_is_noted_of_a_hold_that_is_gone(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.talk.told("h0", channel="teams", reached=False)
    assert await store.outbox.follow("events", after="0-0", block_ms=1) == []
