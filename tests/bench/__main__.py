"""``python -m tests.bench [--quick] [--only NAME] [--output FILE]``: measure, print, judge."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import uvloop

from holdpoint.embedded import find_server
from tests.bench import cards, identity, slack, swap, throughput, waiting, workers
from tests.bench.chart import bar_chart
from tests.bench.children import Failed
from tests.bench.load import Generator, choose
from tests.bench.machine import Cores, allow_many_files, busyness, describe, disk_sync_seconds, pin
from tests.bench.plan import FULL, QUICK, TINY, Plan
from tests.bench.report import Section, document, milliseconds

Measure = Callable[[Plan, Cores, Generator], Awaitable[list[Section]]]
PARTS: dict[str, Measure] = {
    "throughput": throughput.measure,
    "identity": identity.measure,
    "waiting": waiting.measure,
    "swap": swap.measure,
    "workers": workers.measure,
    "cards": cards.measure,
    "slack": slack.measure,
}
_MOST_SECONDS = {"full": 1_800, "quick": 320, "tiny": 120}  # then something hangs


def main() -> int:
    """Exit code 0 when everything could be measured, whether targets are met or not; 1 when a part does not run."""
    options = _options()
    plan = replace(TINY if options.tiny else QUICK if options.quick else FULL, peers=options.peers)
    allow_many_files()
    busy = busyness()
    cores = Cores.choose()
    pin(0, cores.others)  # and with it every child that is not pinned elsewhere
    with (
        tempfile.TemporaryDirectory(prefix="hp-bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        generator = choose(Path(folder), own=plan.requests is not None)
        names = options.only or list(PARTS)
        try:
            sections, seconds = runner.run(_measure(names, plan, cores, generator))
        except (Failed, TimeoutError) as error:
            print(f"a part does not run: {error or type(error).__name__}", file=sys.stderr)
            return 1
    setup = [
        cores.describe(),
        f"load: {generator.name}",
        f"Redis {'.'.join(map(str, find_server()[1]))}, embedded",
        f"the disk syncs 4 KB in {milliseconds(disk_sync_seconds())}",
        busy,
    ]
    _judge(sections)
    print(f"\n{plan.name} run, {seconds:.0f} s; {describe()}; {'; '.join(setup)}")
    if options.output is not None:
        options.output.write_text(document(sections, machine=describe(), setup=setup, plan=plan.name))
        for section in (each for each in sections if each.bars):
            options.output.with_suffix(".svg").write_text(
                bar_chart(f"Requests a second · {section.title}", section.bars)
            )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench", description="Measure Holdpoint; see tests/bench/__init__.py.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, within five minutes")
    parser.add_argument("--tiny", action="store_true", help="a few hundred requests: does the benchmark itself work?")
    parser.add_argument("--peers", action="store_true", help="also LiteLLM and Portkey, once make bench-peers has run")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="one part; may be repeated")
    parser.add_argument("--output", type=Path, help="also write the page for readers (docs/performance.md)")
    return parser.parse_args()


async def _measure(names: list[str], plan: Plan, cores: Cores, generator: Generator) -> tuple[list[Section], float]:
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)  # as for Ctrl-C: stop all children
    started = time.monotonic()
    sections: list[Section] = []
    async with asyncio.timeout(_MOST_SECONDS[plan.name]):
        for name in names:
            print(f"{name} …", file=sys.stderr, flush=True)
            for section in await PARTS[name](plan, cores, generator):
                sections.append(section)
                print(section.text(), flush=True)
    return sections, time.monotonic() - started


def _judge(sections: list[Section]) -> None:
    verdicts = [verdict for section in sections for verdict in section.verdicts]
    missed = [verdict for verdict in verdicts if not verdict.met]
    print(f"\n{len(verdicts) - len(missed)} of {len(verdicts)} targets met")
    for verdict in verdicts:
        print(f"   {verdict.line()}")


if __name__ == "__main__":
    sys.exit(main())
