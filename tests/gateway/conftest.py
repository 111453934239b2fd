"""A model and a gateway in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.gateway.model import Model, running_model
from tests.gateway.world import World, running_world


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with running_model() as running:
        yield running


@pytest.fixture
async def world(redis_url: str, model: Model, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setenv("HOLDPOINT_TEST_CREDENTIAL", "sk-the-connections-own")
    async with running_world(redis_url, model.url) as running:
        yield running
