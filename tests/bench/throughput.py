"""Throughput, latency and CPU time per request: every target at every number of connections, in interleaved rounds."""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass

from tests.bench.load import Generator, Load, chat_body
from tests.bench.machine import Cores, cpu_seconds
from tests.bench.plan import Plan
from tests.bench.report import Section, Verdict, count, milliseconds
from tests.bench.targets import BARE, Target, gateway_name, running_targets

KEPT = 0.8  # of the bare proxy's throughput, with 50 rules and recording on
_JUDGED_RULES = 50


@dataclass(frozen=True, slots=True)
class Sample:
    """One short run. ``cpu`` is the target's CPU time in seconds."""

    load: Load
    cpu: float


Samples = dict[tuple[str, int], list[Sample]]


async def measure(plan: Plan, cores: Cores, generator: Generator) -> list[Section]:
    """The table of requests, then the table of streams."""
    async with running_targets(plan, cores) as targets:
        for target in targets.all:
            most = max(plan.connections)
            await generator.run(target.call(chat_body()), connections=most, seconds=1, requests=plan.warm_up)
            target.tidy()
        rounds = _Rounds(plan, targets.all, generator)
        plain = await rounds.run(plan.rounds, plan.connections, chat_body())
        streams = await rounds.run(plan.stream_rounds, plan.stream_connections, chat_body(stream=True))
    notes = [f"{name}: SKIPPED, {why}" for name, why in targets.missing.items()]
    return [
        Section(
            "Requests: 2 KB chat body, 600 bytes of answer",
            ("target", "connections", "req/s", "p50", "p99", "CPU per request", "of the bare proxy", "errors"),
            _rows(plain, targets.all, plan.connections),
            verdicts=_verdicts(plain, plan),
            notes=[*notes, f"load: {generator.name}; CPU time is that of the target's process alone"],
        ),
        Section(
            "Streams: the same request, answered with 50 events of 150 bytes at once",
            ("target", "connections", "streams/s", "p50", "p99", "CPU per stream", "of the bare proxy", "errors"),
            _rows(streams, targets.all, plan.stream_connections),
            notes=notes,
        ),
    ]


class _Rounds:
    """Every target in turn, at every number of connections, round after round."""

    def __init__(self, plan: Plan, targets: list[Target], generator: Generator) -> None:
        self._plan = plan
        self._targets = targets
        self._generator = generator

    async def run(self, rounds: int, connections: tuple[int, ...], body: bytes) -> Samples:
        samples: Samples = defaultdict(list)
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
            answers = sum(each.load.answers for each in mine)
            cpu = sum(each.cpu for each in mine) / max(1, answers)
            rows.append(
                [
                    target.name,
                    str(clients),
                    count(median["per_second"]),
                    milliseconds(median["p50"]),
                    milliseconds(median["p99"]),
                    f"{cpu * 1e6:.0f} µs" if target.pid else "",
                    f"{ratio(samples, target.name, BARE, clients):.2f}",
                    str(sum(each.load.errors for each in mine)),
                ]
            )
    return rows


def ratio(samples: Samples, one: str, other: str, connections: int) -> float:
    """The median, over the rounds, of ``one``'s throughput divided by ``other``'s in the same round."""
    pairs = zip(samples[one, connections], samples[other, connections], strict=True)
    return statistics.median(a.load.per_second / b.load.per_second for a, b in pairs)


def _why(connections: int) -> str:
    if connections == 1:
        return (
            "with one connection nothing overlaps: each request waits for its two records, before the model and after it, "
            "and with fsync always each of them for the disk; the bare proxy waits for neither"
        )
    return (
        "the gateway does more than the bare proxy does: it identifies, parses, matches, hashes and records twice; the CPU "
        "times per request in the table tell how much more"
    )


def _verdicts(samples: Samples, plan: Plan) -> list[Verdict]:
    kinds = [(_JUDGED_RULES, "always")] if _JUDGED_RULES in plan.rules else []
    kinds += [(_JUDGED_RULES, "everysec")] if _JUDGED_RULES in plan.everysec_rules else []
    found = []
    for rules, fsync in kinds:
        for clients in plan.connections:
            kept = ratio(samples, gateway_name(rules, fsync), BARE, clients)
            found.append(
                Verdict(
                    f"≥ {KEPT} of the bare aiohttp proxy's throughput, {rules} rules, recording, fsync {fsync}, "
                    f"{clients} connection{'s' if clients > 1 else ''}",
                    f"{kept:.2f}",
                    kept >= KEPT,
                    f"{(kept / KEPT - 1) * 100:+.0f} %",
                    _why(clients),
                )
            )
    return found
