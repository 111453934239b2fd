"""The fake of Teams, and bots that are wired to it; for every test of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any, Protocol

import pytest

from holdpoint.clock import Clock, now_ms
from holdpoint.live import Live
from holdpoint.store import Store
from tests.bot.teams.world import POLICY, World
from tests.fakes.teams import FakeTeams
from tests.fakes.teams.fixtures import teams, teams_process

__all__ = ["MakeWorld", "teams", "teams_process"]


class MakeWorld(Protocol):
    """``url`` names another Redis than the shared one; ``settings`` are by the names of the environment."""

    def __call__(
        self, *, url: str = ..., clock: Clock = ..., bots: int = 1, installed: bool = True, policy: str = ...,
        settings: dict[str, Any] | None = None,
    ) -> Awaitable[World]: ...  # fmt: skip


@pytest.fixture
async def make_world(redis_url: str, teams: FakeTeams) -> AsyncIterator[MakeWorld]:
    """Build a world: ``await make_world(bots=2)``. ``installed``: the app is everywhere, and the bots have heard so."""
    opened: list[World] = []

    async def make(
        *, url: str = redis_url, clock: Clock = now_ms, bots: int = 1, installed: bool = True, policy: str = POLICY,
        settings: dict[str, Any] | None = None,
    ) -> World:  # fmt: skip
        store = await Store.open(url, clock=clock)
        await store.config.push_policy(policy, expect=0, by="test")
        live = Live(store, clock=clock)
        await live.start()
        world = World(teams, store, live, clock, settings or {})
        opened.append(world)
        for _ in range(bots):
            await world.start_app()
        if installed:
            await teams.install_everywhere()
        return world

    yield make
    for world in opened:
        await world.close()
        await world.live.stop()
        await world.store.aclose()


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """One bot, installed everywhere."""
    return await make_world()
