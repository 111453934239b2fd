"""One soak: start everything, warm up, load and kill, let it settle, look at what is left."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from holdpoint.clock import now_ms
from holdpoint.store import Store
from tests.soak import check
from tests.soak.check import Footprint
from tests.soak.model import Model, running_model
from tests.soak.people import People
from tests.soak.traffic import Traffic
from tests.support.programs import Installation, Program
from tests.support.redis_server import RedisServer

_WARM_UP_S = 5.0
_BETWEEN_KILLS_S = (2.0, 8.0)
_SETTINGS = {"HOLDPOINT_ABANDON_GRACE_S": "2", "HOLDPOINT_BODY_TIMEOUT_S": "5", "HOLDPOINT_LOG_LEVEL": "WARNING"}


@dataclass(frozen=True, slots=True)
class Report:
    """``broken`` says what did not hold; empty is well."""

    seed: int
    requests: int
    holds: int
    kills: int
    ended: dict[str, Counter[str]]
    decided: Counter[tuple[str, int]]
    footprint: tuple[Footprint, Footprint]
    broken: list[str]

    def text(self) -> str:
        before, after = self.footprint
        kinds = [
            f"   {kind}: {', '.join(f'{end} × {n}' for end, n in ends.most_common())}"
            for kind, ends in sorted(self.ended.items())
        ]
        return "\n".join([
            f"seed {self.seed}: {self.requests:,} requests, {self.holds:,} holds, {self.kills} gateways killed",
            *kinds,
            f"   decisions: {', '.join(f'{what} {status} × {n}' for (what, status), n in self.decided.most_common())}",
            f"   the gateway that lived: {before.files} → {after.files} files, {_mib(before)} → {_mib(after)}",
            "nothing broken" if not self.broken else f"BROKEN ({len(self.broken)}):",
            *(f"   {problem}" for problem in self.broken[:40]),
        ])  # fmt: skip


def _mib(footprint: Footprint) -> str:
    return f"{footprint.resident / 2**20:.0f} MiB"


async def soak(seconds: float, seed: int, folder: Path) -> Report:
    """Load for ``seconds``; everything that is written is in ``folder``."""
    rng = random.Random(seed)
    redis = RedisServer(fsync="everysec")
    try:
        async with running_model() as model, _installed(redis, folder, model) as (installation, gateways):
            store = await Store.open(redis.url, clock=now_ms)
            try:
                return await _soak(seconds, seed, rng, model, installation, gateways, store)
            finally:
                await store.aclose()
    finally:
        redis.close()


async def _soak(
    seconds: float, seed: int, rng: random.Random, model: Model, installation: Installation,
    gateways: Sequence[Program], store: Store,
) -> Report:  # fmt: skip
    survivor, *victims = gateways
    assert survivor.process is not None
    traffic, people = Traffic(gateways, installation.keys["dana"], rng), People(installation, rng)
    async with _background(people.run()):
        await traffic.run(_WARM_UP_S)
        before = Footprint.of(survivor.process.pid)
        killer = _Killer(victims, rng)
        async with _background(killer.run()):
            await traffic.run(seconds)
        await killer.heal()
        states, broken = await check.holds(store, model)
    broken += check.at_the_model(model, traffic) + check.at_the_clients(traffic)
    broken += await check.ledger(installation, states, model)
    broken += await check.leaks(survivor.process.pid, before)
    after = Footprint.of(survivor.process.pid)
    requests = sum(sum(each.values()) for each in traffic.ended.values())
    return Report(seed, requests, len(states), killer.kills, traffic.ended, people.decided, (before, after), broken)


@asynccontextmanager
async def _installed(
    redis: RedisServer, folder: Path, model: Model
) -> AsyncIterator[tuple[Installation, list[Program]]]:
    """Bot and three gateways; the first one is the installation's own."""
    installation = Installation(redis, folder, model.url, **_SETTINGS)
    more = [Program("gateway", installation.environment, folder / f"gateway-{n}.log") for n in (2, 3)]
    try:
        await installation.start()
        await asyncio.gather(*(each.start() for each in more))
        yield installation, [installation.gateway, *more]
    finally:
        installation.stop()
        for each in more:
            each.kill()


class _Killer:
    """Kills one of the gateways at a random moment, starts it again, and goes on."""

    def __init__(self, victims: Sequence[Program], rng: random.Random) -> None:
        self._victims = victims
        self._rng = rng
        self.kills = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._rng.uniform(*_BETWEEN_KILLS_S))
            self.kills += 1
            await self._rng.choice(self._victims).restart()

    async def heal(self) -> None:
        """Start who is dead: a kill may just have happened."""
        for each in self._victims:
            if each.process is None or each.process.poll() is not None:
                await each.start()


@asynccontextmanager
async def _background(work: object) -> AsyncIterator[None]:
    """Do ``work`` (a coroutine without an end) during the block; if it fails, so does the block's end."""
    task = asyncio.ensure_future(work)  # type: ignore[arg-type]
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
