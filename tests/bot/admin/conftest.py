from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from bot.commands import Answer, Commands
from tests.bot.world import World

ADA, BEA, SAM, CARA, EVE = (f"{name}@example.com" for name in ("ada", "bea", "sam", "cara", "eve"))
Run = Callable[..., Awaitable[Answer]]


@pytest.fixture
def commands(world: World) -> Commands:
    return Commands(
        world.store, world.live, clock=world.clock, link_base="https://hp.example",
        decider=world.decider, metrics=world.metrics,
    )  # fmt: skip


@pytest.fixture
def run(world: World, commands: Commands) -> Run:
    """``await run("route list", SAM)``; as the admin without a name. ``confirm=True`` says yes to what is asked."""

    async def typed(text: str, who: str = ADA, *, confirm: bool = False, verified: bool = True) -> Answer:
        reviewer = await world.who(who)
        answer = await commands.run(text, reviewer, verified=verified)
        if confirm:
            assert answer.confirm, f"{text!r} asked for nothing: {answer.lines}"
            answer = await commands.run(answer.confirm, reviewer, verified=verified)
            assert not answer.confirm, answer.lines
        return answer

    return typed
