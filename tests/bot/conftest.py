from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdpoint.store import Store
from tests.bot.world import Site, World, make_world, running_site
from tests.conftest import MovingClock


@pytest.fixture
async def world(store: Store, clock: MovingClock) -> World:
    """Policy and people on an empty Redis, with the hand-moved clock."""
    return await make_world(store, clock)


@pytest.fixture
async def site(redis_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A running bot, with the real clock."""
    async with running_site(redis_url, tmp_path) as running:
        yield running
