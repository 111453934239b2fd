"""What we accept, others read the same way; what we refuse reaches nobody (request smuggling; RFC 9112, 11.2)."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis
import uvloop
from hypothesis import HealthCheck, given, note, settings

from tests.bench import nginx
from tests.gateway.transport.readers import (
    PATIENCE_S,
    Message,
    Nginx,
    Ours,
    Reading,
    Recorder,
    disagreement,
    exchange,
    read_by_aiohttp,
    recording,
    running_nginx,
)
from tests.gateway.transport.smuggling_corpus import AFTER, BODY, KEY, REFUSED, TAKEN
from tests.gateway.transport.smuggling_grammar import attempts
from tests.gateway.world import World, running_world
from tests.support.redis_server import RedisServer

EXAMPLES = os.environ.get("HOLDPOINT_SMUGGLING_EXAMPLES")  # so many, and other ones each time; else always the same few
T = TypeVar("T")


@dataclass
class Rig:
    """All readers side by side on a loop in a thread of its own: they outlive a test, and Hypothesis calls from outside."""

    loop: asyncio.AbstractEventLoop
    ours: Ours
    world: World
    upstream: type[Recorder]
    nginx: Nginx | None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    async def readings(self, raw: bytes) -> tuple[Reading, dict[str, Reading]]:
        """What we make of ``raw``, and what others do."""
        others = {
            f"aiohttp in {name}": read_by_aiohttp(raw, pure=pure) for name, pure in (("C", False), ("Python", True))
        }
        if self.nginx is None:
            return await self.ours.read(raw), others
        mine, others["nginx"] = await asyncio.gather(self.ours.read(raw), self.nginx.read(raw))
        return mine, others

    async def forwarded(self, raw: bytes, *, waits: bool) -> tuple[bytes, list[Message]]:
        """What the gateway's upstream gets when a client sends ``raw``: every byte, and the requests in it.

        ``waits``: the gateway will wait for more, and the client leaves.
        """
        before = len(self.upstream.sent)
        sent = exchange(self.world.port, raw.replace(KEY, self.world.key.encode()))
        if waits:
            with suppress(TimeoutError):
                await asyncio.wait_for(sent, PATIENCE_S)
        else:
            await sent
        return self.upstream.sent[before:], self.upstream.by_client.pop(0, [])


@asynccontextmanager
async def _everything(redis_url: str, folder: Path) -> AsyncIterator[tuple[Ours, World, type[Recorder], Nginx | None]]:
    async with (
        Ours().running() as ours,
        recording() as (port, upstream),
        running_world(redis_url, f"http://127.0.0.1:{port}", body_timeout_s=PATIENCE_S) as world,
    ):
        if nginx.find() is None:
            yield ours, world, upstream, None
            return
        async with running_nginx(folder) as other:
            yield ours, world, upstream, other


@pytest.fixture(scope="module")
def rig(shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with redis.Redis.from_url(shared_redis.url) as client:
        client.flushall()
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="readers", daemon=True)
    thread.start()
    everything = _everything(shared_redis.url, tmp_path_factory.mktemp("readers"))
    try:
        parts = asyncio.run_coroutine_threadsafe(everything.__aenter__(), loop).result(60)
        yield Rig(loop, *parts)
        asyncio.run_coroutine_threadsafe(everything.__aexit__(None, None, None), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def nginx_too(rig: Rig) -> Nginx:
    if rig.nginx is None:
        pytest.skip("nginx is not installed: nothing is compared with it (apt-get install nginx-light)")
    return rig.nginx


def test_the_corpus_is_large() -> None:
    assert len(REFUSED) + len(TAKEN) >= 250


@pytest.mark.promise(2)
@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_ambiguous_requests_are_refused_and_reach_no_upstream(rig: Rig, raw: bytes) -> None:
    """`exchange` ends with the connection, so a connection that stays open fails here too."""
    mine = rig.run(rig.ours.read(raw + AFTER))
    assert mine == Reading([], refused=True, stopped=True)
    assert rig.run(rig.forwarded(raw + AFTER, waits=False)) == (b"", [])


@pytest.mark.promise(2)
@pytest.mark.parametrize("raw", TAKEN.values(), ids=TAKEN.keys())
def test_unusual_requests_are_read_as_others_read_them(rig: Rig, raw: bytes) -> None:
    mine, others = rig.run(rig.readings(raw + AFTER))
    assert mine.requests
    assert not mine.refused
    assert {name: found for name, other in others.items() if (found := disagreement(mine, other))} == {}
    _, upstream = rig.run(rig.forwarded(raw + AFTER, waits=False))
    assert is_part_of(upstream, mine.requests)
    if mine.requests[0][2] == BODY:
        assert json.loads(upstream[0][2]) == json.loads(BODY), "else nothing above says anything"


def test_nginx_reads_most_of_what_we_take(rig: Rig, nginx_too: Nginx) -> None:
    """Else the comparison would say nothing."""
    agreed = [rig.run(nginx_too.read(raw + AFTER)).requests for raw in TAKEN.values()]
    assert sum(len(each) >= 2 for each in agreed) > len(TAKEN) * 0.8


@settings(
    max_examples=int(EXAMPLES or 250), derandomize=EXAMPLES is None, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(attempt=attempts())
@pytest.mark.promise(2)
@pytest.mark.timeout(3600 if EXAMPLES else 120)
def test_what_a_grammar_makes_is_read_as_others_read_it(rig: Rig, attempt: bytes) -> None:
    raw = attempt + AFTER
    mine, others = rig.run(rig.readings(raw))
    note(str(mine))
    assert {name: found for name, other in others.items() if (found := disagreement(mine, other))} == {}
    everything, upstream = rig.run(rig.forwarded(raw, waits=not mine.stopped))
    assert is_part_of(upstream, mine.requests)
    if not mine.requests:
        assert everything == b""


def is_part_of(upstream: list[Message], taken: list[Message]) -> bool:
    """Whether what was forwarded is, in order, among what the transport takes: the route may refuse more, never less."""
    left = iter((method, target.removeprefix("/demo"), body) for method, target, body in taken)
    return all(any(_same(sent, each) for each in left) for sent in upstream)


def _same(sent: Message, taken: Message) -> bool:
    """The gateway forwards its own serialisation of the body, and no body of a GET."""
    if sent[:2] != taken[:2]:
        return False
    try:
        return sent[2] == b"" if sent[0] == "GET" else bool(json.loads(sent[2]) == json.loads(taken[2]))
    except ValueError:
        return False
