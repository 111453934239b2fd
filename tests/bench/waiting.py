"""Holds held open by real client sockets: memory of each, time from decision to release, all released at once.

::

    n raw sockets ─▶ gateway ─▶ Redis        `clients.Clients`
    decide one hold ─▶ … ─▶ upstream (here)  one clock for both ends: the body's marker says whose arrival it is
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from holdpoint.clock import now_ms
from holdpoint.model import Decision, DecisionKind, Hold, State
from holdpoint.store import Store
from tests.bench import upstream
from tests.bench.children import Failed
from tests.bench.clients import Clients
from tests.bench.holdpoint_parts import RISKY, Backend, Running, backend, policy, program
from tests.bench.load import Generator
from tests.bench.machine import Cores, allow_many_files, resident_bytes
from tests.bench.plan import Plan
from tests.bench.report import Section, Verdict, count, milliseconds

RELEASED_WITHIN_S = 0.002
MOST_BYTES = 10_000  # 100 MB for 10,000
_DECIDERS = 100  # when all are released
_WARM_UP = 50
_PAUSE_S = 0.005  # between two single decisions
_MARKER = re.compile(rb"hold-number-(\d+)")
_PATIENCE_S = 120.0
_ONE_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One number of waiting holds. Times in seconds; ``from_sent`` and ``from_decided`` per single decision."""

    holds: int
    fsync: str
    bytes_per_hold: float
    from_sent: list[float]
    from_decided: list[float]
    all_deciding: float
    all_released: float
    released: int
    failed: int


async def measure(plan: Plan, cores: Cores, generator: Generator) -> list[Section]:
    """One table; a gateway of its own per row."""
    possible = allow_many_files()
    kinds = [(min(wanted, possible), fsync) for wanted in plan.holds for fsync in ("always", "everysec")]
    measured = [await _measure(holds, fsync, plan.decisions, cores) for holds, fsync in kinds]
    notes = [
        "from sent: the reviewer's decision is sent to Redis → its request is at the model; two writes that are synced to disk lie between",
        "from decided: `store.holds.decide` has returned → the request is at the model (negative: it was there before)",
        f"all released: everything that still waits is decided by {_DECIDERS} deciders at once; until the last request is at the model",
    ]
    if possible < max(plan.holds):
        notes.append(
            f"LIMITED: this system lets one process have so few files that only {possible:,} holds were possible"
        )
    return [
        Section(
            "Waiting: holds held open by client sockets",
            (
                "waiting",
                "fsync",
                "memory of each",
                "from sent p50",
                "p99",
                "from decided p50",
                "p99",
                "all decided",
                "all released",
                "per second",
                "failed",
            ),
            [_row(each) for each in measured],
            verdicts=[verdict for each in measured for verdict in _verdicts(each)],
            notes=notes,
        )
    ]


async def _measure(holds: int, fsync: str, decisions: int, cores: Cores) -> Measured:
    arrivals = _Arrivals()
    async with _parts(arrivals.arrived, fsync, cores) as (gateway, stored, store):
        clients = Clients(int(gateway.url.rpartition(":")[2]), stored.key)
        try:
            await clients.open(range(holds, holds + _WARM_UP), _word)
            await _release_all(store, await _pending(store, _WARM_UP))
            await clients.answered(_WARM_UP)
            before = resident_bytes(gateway.pid)
            await clients.open(range(holds), _word)
            waiting = await _pending(store, holds)
            await asyncio.sleep(1)  # let the gateway come to rest
            memory = (resident_bytes(gateway.pid) - before) / holds
            sent, decided = await _one_by_one(store, waiting[:decisions], arrivals)
            started = time.perf_counter()
            await _release_all(store, waiting[decisions:])
            all_decided = time.perf_counter() - started
            await clients.answered(holds + _WARM_UP)
            last = max(arrivals.times.values(), default=started)
            return Measured(
                holds,
                fsync,
                memory,
                sent,
                decided,
                all_decided,
                last - started,
                len(waiting) - decisions,
                clients.failed,
            )
        finally:
            clients.close()


@asynccontextmanager
async def _parts(
    arrived: Callable[[bytes], None], fsync: str, cores: Cores
) -> AsyncIterator[tuple[Running, Backend, Store]]:
    with tempfile.TemporaryDirectory(prefix="hp-bench-") as name:
        folder = Path(name)
        server = await upstream.serve(0, arrived)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            async with (
                backend(folder, policy(url, rules=50, holding=True), fsync=fsync) as stored,
                program("gateway", folder, stored.url, cores=cores.target) as gateway,
            ):
                store = await Store.open(stored.url, clock=now_ms)
                try:
                    yield gateway, stored, store
                finally:
                    await store.aclose()
        finally:
            server.close()


async def _pending(store: Store, wanted: int) -> list[Hold]:
    """All pending holds, once there are ``wanted``.

    Raises:
        Failed: they do not come.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            while (await store.holds.count())[State.PENDING] < wanted:  # noqa: ASYNC110 - another process makes them
                await asyncio.sleep(0.05)
            found: list[Hold] = []
            cursor: str | None = None
            while len(found) < wanted:
                page, cursor = await store.holds.list(state=State.PENDING, limit=500, cursor=cursor)
                found += page
                if cursor is None:
                    break
            return found
    counts = {str(state): number for state, number in (await store.holds.count()).items() if number}
    raise Failed(f"{wanted} holds were to be pending: {counts}")


async def _approve(store: Store, hold: Hold) -> None:
    decision = Decision(
        kind=DecisionKind.APPROVE, by="sam@example.com", name="Sam", groups=("security",), channel="api",
        at_ms=now_ms(), digest=hold.digest, result_digest=hold.digest,
    )  # fmt: skip
    await store.holds.decide(hold, decision, state=State.APPROVED, body=None)


async def _one_by_one(store: Store, holds: list[Hold], arrivals: _Arrivals) -> tuple[list[float], list[float]]:
    """Approve one, wait until it is at the model, then the next."""
    from_sent, from_decided = [], []
    for hold in holds:
        number = _number(hold)
        sent = time.perf_counter()
        await _approve(store, hold)
        decided = time.perf_counter()
        at_model = await arrivals.of(number)
        from_sent.append(at_model - sent)
        from_decided.append(at_model - decided)
        await asyncio.sleep(_PAUSE_S)
    return from_sent, from_decided


async def _release_all(store: Store, holds: list[Hold]) -> None:
    left = iter(holds)

    async def decider() -> None:
        for hold in left:
            await _approve(store, hold)

    async with asyncio.TaskGroup() as group:
        for _ in range(_DECIDERS):
            group.create_task(decider())


def _word(number: int) -> str:
    """What the prompt of one request has in it: why it is held, and which one it is."""
    return f"{RISKY} hold-number-{number}"


def _number(hold: Hold) -> int:
    found = _MARKER.search(hold.query.body)
    if found is None:
        raise Failed(f"hold {hold.id} is none of ours")
    return int(found[1])


class _Arrivals:
    """When each request was at the model. Nobody polls for it: Redis needs the core."""

    def __init__(self) -> None:
        self.times: dict[int, float] = {}
        self._awaited: dict[int, asyncio.Future[None]] = {}

    def arrived(self, body: bytes) -> None:
        now = time.perf_counter()
        found = _MARKER.search(body)
        if found:
            self.times[int(found[1])] = now
            if waiter := self._awaited.get(int(found[1])):
                waiter.set_result(None)

    async def of(self, number: int) -> float:
        """The time of arrival, once it is there."""
        if number not in self.times:
            self._awaited[number] = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(_ONE_WITHIN_S):
                await self._awaited[number]
            del self._awaited[number]
        return self.times[number]


def _row(each: Measured) -> list[str]:
    return [
        f"{each.holds:,}",
        each.fsync,
        f"{each.bytes_per_hold / 1000:.1f} KB",
        milliseconds(statistics.median(each.from_sent)),
        milliseconds(_p99(each.from_sent)),
        milliseconds(statistics.median(each.from_decided)),
        milliseconds(_p99(each.from_decided)),
        f"{each.all_deciding:.2f} s",
        f"{each.all_released:.2f} s",
        count(each.released / max(each.all_released, 1e-9)),
        str(each.failed),
    ]


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def _verdicts(each: Measured) -> list[Verdict]:
    p50 = statistics.median(each.from_sent)
    where = f"{each.holds:,} waiting, fsync {each.fsync}"
    return [
        Verdict(
            f"decision to release < {RELEASED_WITHIN_S * 1e3:.0f} ms at the median, {where}",
            milliseconds(p50),
            p50 < RELEASED_WITHIN_S,
            f"{(p50 / RELEASED_WITHIN_S - 1) * 100:+.0f} %",
            "between a decision and the request at the model lie two writes, the decision and the release, and with fsync "
            "always each waits for the disk",
        ),
        Verdict(
            f"< {MOST_BYTES / 1000:.0f} KB per waiting hold, {where}",
            f"{each.bytes_per_hold / 1000:.1f} KB",
            each.bytes_per_hold < MOST_BYTES,
            f"{(each.bytes_per_hold / MOST_BYTES - 1) * 100:+.0f} %",
            "a waiting request keeps its socket, its task and its hold's id",
        ),
    ]
