"""Fixtures of the whole suite: a real Redis, an opened store, a clock that moves by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings

from holdpoint.clock import now_ms
from holdpoint.store import Store
from tests.support.redis_server import RedisServer

# How long one example takes says more about the machine than about the code. The examples are the same in each run, so
# that a change is judged by itself; `--hypothesis-profile explore` looks for others (a failure prints how to repeat it).
settings.register_profile("same", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("explore", settings.get_profile("same"), derandomize=False, print_blob=True)
settings.load_profile("same")

# The longest files are begun first, so that none is left to one worker in the end; beside the soak, which keeps the
# machine busy, those for which time does not count. (xdist would begin with the files of many tests.)
_FIRST = (
    "soak/test_soak.py", "bot/teams/test_corpus.py", "bot/teams/test_sizes.py", "bot/email/test_corpus.py",
    "bot/slack/test_corpus.py", "bot/test_pictures.py", "bot/teams/test_viewers.py", "test_crashes.py",
    "holdpoint/cli/test_up.py", "bot/web/test_browser.py", "test_demo.py", "bench/test_bench.py",
    "gateway/test_workers.py", "gateway/test_slow_clients.py", "bot/web/test_passkeys.py", "test_promises.py",
)  # fmt: skip
_RANKS = {Path(__file__).parent / name: number for number, name in enumerate(_FIRST)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _RANKS.get(item.path, len(_RANKS)))


# Nobody kills the machine: what a server has answered is in the system's hands, also when the server is killed. And on
# a disk that others keep busy a flush takes more than half a second, while a command has two with all that it waits for.
_FSYNC = "no"


class MovingClock:
    """A clock that tests move by hand; starts at the real time."""

    def __init__(self) -> None:
        self.ms = now_ms()

    def __call__(self) -> int:
        return self.ms

    def forward(self, *, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    server = RedisServer(fsync=_FSYNC)
    yield server
    server.close()


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    """An empty database of a server that all tests share; do not kill it (see `redis_server`)."""
    with redis.Redis.from_url(shared_redis.url) as client:
        client.flushall()
    return shared_redis.url


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server of this test's own, to kill and restart."""
    server = RedisServer(fsync=_FSYNC)
    yield server
    server.close()


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
async def store(redis_url: str, clock: MovingClock) -> AsyncIterator[Store]:
    """A store on an empty Redis, with the hand-moved clock."""
    opened = await Store.open(redis_url, clock=clock)
    yield opened
    await opened.aclose()
