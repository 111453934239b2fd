"""What became of similar requests is noted with the hold once, and changes nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from holdpoint.errors import NotFound
from holdpoint.model import GrantScope, Similar, State, Tally
from holdpoint.store import Store
from tests.support.builders import hold_in

SIMILAR = Similar(
    GrantScope.GROUP, 12, 2, 1, 3, (Tally("sam@example.com", "Sam \u202e", 9),), (Tally("kim", "", 2),), 1_700_000_000_000, more=True
)  # fmt: skip


@pytest.mark.parametrize("state", list(State))
async def test_it_is_noted_once_without_a_rev_or_an_event(store: Store, state: State) -> None:
    hold = await hold_in(store, state, gateway="g#1")
    before = await store.outbox.latest("events")
    assert await store.holds.note_similar(hold.id, SIMILAR) == SIMILAR
    assert await store.holds.get(hold.id) == replace(hold, similar=SIMILAR)
    assert await store.holds.note_similar(hold.id, Similar(GrantScope.REQUESTER)) == SIMILAR
    assert await store.outbox.latest("events") == before


async def test_of_two_bots_both_go_by_the_same_one(store: Store) -> None:
    hold = await hold_in(store, State.PENDING, gateway="g#1")
    mine = [Similar(GrantScope.REQUESTER, approved=number) for number in range(8)]
    noted = await asyncio.gather(*(store.holds.note_similar(hold.id, each) for each in mine))
    assert set(noted) == {(await store.holds.get(hold.id)).similar}


async def test_no_hold_is_made_by_it(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.holds.note_similar("hgone", SIMILAR)
    with pytest.raises(NotFound):
        await store.holds.get("hgone")
