"""One worker and two behind one address: how much more two do, where the machine has the cores to show it."""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path

from tests.bench.holdpoint_parts import backend, policy, program
from tests.bench.load import Call, Generator, chat_body
from tests.bench.machine import Cores
from tests.bench.plan import Plan
from tests.bench.report import Section, Verdict, count
from tests.bench.targets import running_upstream

SCALES = 1.7
_CORES = 4  # two workers, and two for the load, the upstream and Redis
_CONNECTIONS = 64


async def measure(plan: Plan, cores: Cores, generator: Generator) -> list[Section]:
    """One table; nothing is pinned, so that the workers can have a core each."""
    rates = {workers: await _rate(workers, plan, generator) for workers in plan.workers}
    one = rates[plan.workers[0]]
    rows = [[f"{workers}", count(rate), f"{rate / one:.2f}"] for workers, rate in rates.items()]
    enough = (os.cpu_count() or 1) >= _CORES
    kept = rates[plan.workers[-1]] / one
    verdict = Verdict(
        f"≥ {SCALES} times the requests with 2 workers",
        f"{kept:.2f}",
        kept >= SCALES,
        f"{(kept / SCALES - 1) * 100:+.0f} %",
    )
    judged = enough and len(plan.workers) > 1
    return [Section(
        f"Workers: 2 KB chat body, 50 rules, fsync everysec, {_CONNECTIONS} connections",
        ("workers", "req/s", "of one"), rows,
        verdicts=[verdict] if judged else [],
        notes=[] if enough else [f"NOT JUDGED: this machine has fewer than {_CORES} cores, so the load and the workers share them"],
    )]  # fmt: skip


async def _rate(workers: int, plan: Plan, generator: Generator) -> float:
    everywhere = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()
    free = Cores((), tuple(range(os.cpu_count() or 1)) if everywhere else ())
    with tempfile.TemporaryDirectory(prefix="hp-bench-") as name:
        folder = Path(name)
        settings = {"HOLDPOINT_GATEWAY_WORKERS": str(workers)}
        async with (
            running_upstream(folder, free) as port,
            backend(folder, policy(f"http://127.0.0.1:{port}", rules=50), fsync="everysec") as stored,
            program("gateway", folder, stored.url, cores=free.others, settings=settings) as gateway,
        ):
            call = Call(int(gateway.url.rpartition(":")[2]), "/bench/v1/chat/completions", stored.key, chat_body())
            rates = []
            for _ in range(plan.rounds + 1):  # the first one warms up
                load = await generator.run(call, connections=_CONNECTIONS, seconds=plan.seconds, requests=plan.requests)
                stored.drop_traffic()
                rates.append(load.per_second)
            return statistics.median(rates[1:])
