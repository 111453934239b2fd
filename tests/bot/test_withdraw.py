from __future__ import annotations

from dataclasses import replace

import pytest

from bot.withdraw import REASON, Withdrawals
from holdpoint.errors import MayNotDecide, NotFound, TooLate
from holdpoint.model import Requester, State
from holdpoint.store import Store
from tests.conftest import MovingClock
from tests.support.builders import hold_in, make_draft


async def test_a_requester_takes_a_request_back(store: Store, clock: MovingClock) -> None:
    hold = await hold_in(store, State.PENDING, gateway="g1")
    withdrawn = await Withdrawals(store, clock=clock).withdraw(hold.id, "dana@example.com")
    assert (withdrawn.state, withdrawn.close_reason) == (State.CANCELLED, REASON)
    again = await Withdrawals(store, clock=clock).withdraw(hold.id, "dana@example.com")
    assert again.rev == withdrawn.rev


@pytest.mark.promise(5)
@pytest.mark.parametrize("principal", ["sam@example.com", "", "DANA@example.com", "build-bot"])
async def test_nobody_else_does(store: Store, clock: MovingClock, principal: str) -> None:
    hold = await hold_in(store, State.PENDING, gateway="g1")
    with pytest.raises(MayNotDecide):
        await Withdrawals(store, clock=clock).withdraw(hold.id, principal)
    assert (await store.holds.get(hold.id)).state is State.PENDING


async def test_an_agents_owner_does_it_for_the_agent(store: Store, clock: MovingClock) -> None:
    agent = Requester("build-bot", frozenset(), owner="dana@example.com")
    hold = await hold_in(store, State.PENDING, gateway="g1", draft=replace(make_draft(), requester=agent))
    assert (await Withdrawals(store, clock=clock).withdraw(hold.id, "dana@example.com")).state is State.CANCELLED


@pytest.mark.parametrize(
    "state", [State.APPROVED, State.RELEASED, State.COMPLETED, State.FAILED, State.REJECTED, State.EXPIRED]
)
async def test_what_was_decided_stays(store: Store, clock: MovingClock, state: State) -> None:
    hold = await hold_in(store, state, gateway="g1")
    with pytest.raises(TooLate):
        await Withdrawals(store, clock=clock).withdraw(hold.id, "dana@example.com")
    assert (await store.holds.get(hold.id)).state is state


async def test_an_unknown_hold(store: Store, clock: MovingClock) -> None:
    with pytest.raises(NotFound):
        await Withdrawals(store, clock=clock).withdraw("h0", "dana@example.com")
