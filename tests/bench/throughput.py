"""Throughput, latency and CPU time per request: every target at every number of connections, in interleaved rounds."""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections import defaultdict

from tests.bench.judge import Sample, Samples, ratio, verdicts
from tests.bench.load import Generator, chat_body
from tests.bench.machine import Cores, cpu_seconds
from tests.bench.plan import Plan
from tests.bench.report import Section, count, milliseconds
from tests.bench.targets import BARE, NGINX, Target, running_targets
from tests.bench.upstream import SLOW

_LARGE = 100_000
_COLUMNS = ("p50", "p99", "CPU of each", "of nginx", "of the bare proxy", "errors")


async def measure(plan: Plan, cores: Cores, generator: Generator) -> list[Section]:
    """Five tables: requests and streams, with a small and with a large body, and streams that come slowly."""
    async with running_targets(plan, cores) as targets:
        for target in targets.all:
            most = max(plan.connections)
            await generator.run(target.call(chat_body()), connections=most, seconds=1, requests=plan.warm_up)
            target.tidy()
        rounds = _Rounds(plan, targets.all, generator)
        plain = await rounds.run(plan.rounds, plan.connections, chat_body())
        streams = await rounds.run(plan.stream_rounds, plan.stream_connections, chat_body(stream=True))
        large = chat_body(characters=_LARGE)
        large_plain = await rounds.run(plan.large_rounds, plan.stream_connections, large)
        large = chat_body(characters=_LARGE, stream=True)
        large_streams = await rounds.run(plan.large_rounds, plan.stream_connections, large)
        slow_streams = await rounds.run(plan.stream_rounds, plan.stream_connections, chat_body(stream=True, model=SLOW))
    notes = [f"{name}: SKIPPED, {why}" for name, why in targets.missing.items()]
    notes.append(f"load: {generator.name}; CPU time is that of the target's process alone")
    notes.append(
        "recording cannot be switched off: fsync says how long a record is waited for (always: until the disk has it)"
    )
    events = "answered with 50 events of 150 bytes at once"
    slow_events = "answered with 50 events of 150 bytes, one every 10 ms (compare the CPU; the rate is the upstream's)"
    return [
        Section(
            "Requests: 2 KB chat body, 600 bytes of answer",
            ("target", "connections", "req/s", *_COLUMNS),
            _rows(plain, targets.all, plan.connections),
            verdicts=verdicts(plain, streams, plan),
            notes=notes,
            bars=_bars(plain, targets.all, plan),
        ),
        *(
            Section(
                title, ("target", "connections", rate, *_COLUMNS), _rows(samples, targets.all, plan.stream_connections)
            )
            for title, rate, samples in (
                (f"Streams: 2 KB chat body, {events}", "streams/s", streams),
                ("Requests: 100 KB chat body, 600 bytes of answer", "req/s", large_plain),
                (f"Streams: 100 KB chat body, {events}", "streams/s", large_streams),
                (f"Slow streams: 2 KB chat body, {slow_events}", "streams/s", slow_streams),
            )
        ),
    ]


def _bars(samples: Samples, targets: list[Target], plan: Plan) -> list[tuple[str, float]]:
    """Requests a second at the middle number of connections, for the chart."""
    clients = sorted(plan.connections)[len(plan.connections) // 2]
    return [
        (target.name, statistics.median(each.load.per_second for each in samples[target.name, clients]))
        for target in targets
    ]


class _Rounds:
    """Every target in turn, at every number of connections, round after round."""

    def __init__(self, plan: Plan, targets: list[Target], generator: Generator) -> None:
        self._plan = plan
        self._targets = targets
        self._generator = generator

    async def run(self, rounds: int, connections: tuple[int, ...], body: bytes) -> Samples:
        samples: dict[tuple[str, int], list[Sample]] = defaultdict(list)
        for number in range(rounds):
            for clients in connections:
                # Whoever comes first in a round is another one each time.
                for index in range(len(self._targets)):
                    target = self._targets[(index + number) % len(self._targets)]
                    samples[target.name, clients].append(await self._sample(target, clients, body))
            print(f"   round {number + 1} of {rounds} done", file=sys.stderr, flush=True)
        return samples

    async def _sample(self, target: Target, connections: int, body: bytes) -> Sample:
        before = cpu_seconds(target.pid)
        load = await self._generator.run(
            target.call(body), connections=connections, seconds=self._plan.seconds, requests=self._plan.requests
        )
        used = cpu_seconds(target.pid) - before
        await asyncio.to_thread(target.tidy)
        return Sample(load, used)


def _rows(samples: Samples, targets: list[Target], connections: tuple[int, ...]) -> list[list[str]]:
    rows = []
    for clients in connections:
        for target in targets:
            mine = samples[target.name, clients]
            median = {
                name: statistics.median(getattr(each.load, name) for each in mine)
                for name in ("per_second", "p50", "p99")
            }
            of = [ratio(samples, target.name, other, clients) for other in (NGINX, BARE)]
            good = sum(each.load.good for each in mine)
            cpu = sum(each.cpu for each in mine) / max(1, good)
            rows.append(
                [
                    target.name,
                    str(clients),
                    count(median["per_second"]),
                    milliseconds(median["p50"]) if good else "",
                    milliseconds(median["p99"]) if good else "",
                    f"{cpu * 1e6:.0f} µs" if target.pid and good else "",
                    *(f"{found:.2f}" if found is not None else "" for found in of),
                    str(sum(each.load.errors for each in mine)),
                ]
            )
    return rows
