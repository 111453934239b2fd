"""One process for a whole run of tests, an empty world for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fakes.teams.handle import FakeTeams
from tests.fakes.teams.process import TeamsProcess


@pytest.fixture(scope="session")
def teams_process() -> Iterator[TeamsProcess]:
    process = TeamsProcess()
    yield process
    process.close()


@pytest.fixture
async def teams(teams_process: TeamsProcess) -> AsyncIterator[FakeTeams]:
    """The usual people and places; fails when the bot did what Teams would refuse and the test did not expect it."""
    fake = FakeTeams(teams_process.url)
    await fake.start()
    yield fake
    problems = await fake.problems()
    await fake.stop()
    assert not problems, "\n".join(problems)
