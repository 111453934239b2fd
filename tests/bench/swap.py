"""A new policy of 5,000 rules while requests pass: the longest that a client waited, with and without a swap."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from holdpoint.clock import now_ms
from holdpoint.store import Store
from tests.bench.holdpoint_parts import backend, policy, program
from tests.bench.load import Call, Generator, chat_body, is_whole
from tests.bench.machine import Cores
from tests.bench.plan import Plan
from tests.bench.report import Section, Verdict, milliseconds
from tests.bench.targets import running_upstream

LONGEST_S = 0.1  # what a person feels
_RULES = 5_000
_CLIENTS = 8
_BETWEEN_S = 2.0  # swaps: compiling takes a part of it


async def measure(plan: Plan, cores: Cores, generator: Generator) -> list[Section]:
    """One table of two rows."""
    with tempfile.TemporaryDirectory(prefix="hp-bench-") as name:
        folder = Path(name)
        async with running_upstream(folder, cores) as port:
            text = policy(f"http://127.0.0.1:{port}", rules=_RULES)
            async with (
                backend(folder, text, fsync="everysec") as stored,
                program("gateway", folder, stored.url, cores=cores.target) as gateway,
            ):
                call = Call(int(gateway.url.rpartition(":")[2]), "/bench/v1/chat/completions", stored.key, chat_body())
                await _felt(call, asyncio.sleep(_BETWEEN_S))  # warm
                calm = await _felt(call, asyncio.sleep(_BETWEEN_S * plan.swaps))
                swapping = await _felt(call, _swap(stored.url, text, plan.swaps))
    worst = max(swapping)
    rows = [[name, str(swaps), f"{len(times):,}", milliseconds(_p99(times)), milliseconds(max(times))]
            for name, swaps, times in (("no swap", 0, calm), ("swapping", plan.swaps, swapping))]  # fmt: skip
    verdict = Verdict(
        f"longest wait while a policy of {_RULES:,} rules is swapped < {LONGEST_S * 1e3:.0f} ms",
        milliseconds(worst), worst < LONGEST_S, f"{(worst / LONGEST_S - 1) * 100:+.0f} %",
        "requests go on while the policy is read and compiled in a thread; but the matching engine makes each of its sets, several hundred patterns, in one call, and holds the interpreter meanwhile",
    )  # fmt: skip
    return [Section(f"A new policy of {_RULES:,} rules under load, {_CLIENTS} connections",
                    ("", "swaps", "requests", "p99", "longest"), rows, verdicts=[verdict])]  # fmt: skip


async def _swap(redis_url: str, text: str, times: int) -> None:
    store = await Store.open(redis_url, clock=now_ms)
    try:
        for number in range(times):
            await store.config.push_policy(f"{text}# {number}\n", expect=number + 1, by="bench")
            await asyncio.sleep(_BETWEEN_S)
    finally:
        await store.aclose()


async def _felt(call: Call, meanwhile: object) -> list[float]:
    """How long each request took, in seconds, until ``meanwhile`` (a coroutine) has ended."""
    over = asyncio.ensure_future(meanwhile)  # type: ignore[arg-type]
    times: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", call.port)
        while not over.done():
            started = time.perf_counter()
            writer.write(call.raw)
            answer = b""
            while not is_whole(answer):
                answer += await reader.read(65_536)
            times.append(time.perf_counter() - started)
        writer.close()

    await asyncio.gather(over, *(client() for _ in range(_CLIENTS)))
    return times


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]
