from __future__ import annotations

import asyncio

from holdpoint.model import State
from tests.gateway.model import Model
from tests.gateway.world import CLEAN, RISKY, World


async def test_a_clean_request_passes_and_is_recorded(world: World, model: Model) -> None:
    async with world.chat(CLEAN) as answer:
        assert answer.status == 200, await answer.text()
        assert (await answer.json())["choices"][0]["message"]["content"] == "fine"
        assert "x-holdpoint-hold" not in answer.headers
    kinds = [event.kind.value for event in await world.events("traffic")]
    assert kinds == ["request.allowed", "request.completed"]


async def test_a_held_request_is_released_after_an_approval(world: World, model: Model) -> None:
    asking = asyncio.ensure_future(world.chat(RISKY).__aenter__())
    (hold,) = await world.held()
    assert not model.received
    await world.approve(hold)
    async with await asking as answer:
        assert answer.status == 200
        assert answer.headers["x-holdpoint-hold"] == hold.id
        assert answer.headers["x-holdpoint-state"] == "completed"
    assert model.received[0].body == hold.query.body
    await world.state(hold.id, State.COMPLETED)
