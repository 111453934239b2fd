"""Does the benchmark itself work? A few hundred requests and a few holds; nothing here says how fast anything is."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET

import psutil  # type: ignore[import-untyped]  # it has no stubs here
import pytest

from tests.bench import nginx, upstream
from tests.bench.judge import Sample, verdicts
from tests.bench.load import Call, Generator, Load, PythonLoad, Wrk, chat_body, is_whole
from tests.bench.peers import LITELLM
from tests.bench.plan import TINY
from tests.bench.report import Section, Verdict, document
from tests.bench.targets import DIRECT, NGINX, gateway_name

ROOT = Path(__file__).parents[2]


def run_bench(*arguments: str) -> list[str]:
    """The lines of a tiny run."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--tiny", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def row(lines: list[str], start: str, second: str = "") -> list[str]:
    """The cells of the line that starts with ``start`` and, if given, has ``second`` next."""
    found = [line[len(start) :].split() for line in lines if line.startswith(start)]
    return next(cells for cells in found if not second or cells[0] == second)


def test_throughput_is_measured_and_judged(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    lines = run_bench("--only", "throughput", "--output", str(page))
    for target in ("direct to the upstream", "bare aiohttp pass-through", "gateway, 50 rules, recording, fsync always"):
        for connections in ("1", "4"):
            cells = row(lines, target, connections)
            assert float(cells[1].replace(",", "")) > 0
            assert cells[-1] == "0", f"errors: {cells}"
    if nginx.find() is not None:
        assert sum(line.strip().startswith(("met", "MISSED")) for line in lines) == 8  # four targets, each said twice
    text = page.read_text()
    assert text.count("| gateway, 50 rules, recording, fsync always |") == 6  # two, then one in each of four tables
    chart = ET.fromstring(page.with_suffix(".svg").read_text())  # noqa: S314 - our own
    assert len(chart.findall("{*}rect")) == len({line.split("|")[1] for line in text.splitlines() if " ms |" in line})
    assert str(ROOT) not in text


def test_waiting_holds_are_released_and_nothing_is_left_behind() -> None:
    lines = run_bench("--only", "waiting")
    for fsync in ("always", "everysec"):
        cells = row(lines, "20 ", fsync)
        assert float(cells[3]) > 0, cells  # from sent, p50
        assert cells[-1] == "0", f"failed: {cells}"
    ours = [each for each in psutil.Process().children(recursive=True) if each.is_running()]
    assert not [each for each in ours if "tests.bench" in " ".join(each.cmdline())]


def test_it_is_measured_what_it_costs_to_know_who_asks() -> None:
    lines = run_bench("--only", "identity")
    for who in ("a key  ", "a key for one connection, from one network", "a token, RS256 with 2048 bits"):
        cells = row(lines, who)
        assert cells[-1] == "0", f"errors: {cells}"
        known, first = float(cells[3]), float(cells[7])
        assert 0 < known < first, cells  # who is known is not looked up, nor verified, again
    assert "1 of 1 targets met" in lines or "0 of 1 targets met" in lines


def test_a_policy_is_swapped_under_load() -> None:
    lines = run_bench("--only", "swap")
    assert row(lines, "no swap")[0] == "0"
    assert float(row(lines, "swapping")[1].replace(",", "")) > 0


def test_workers_are_compared_only_where_there_are_cores() -> None:
    assert float(row(run_bench("--only", "workers"), "1 ")[0].replace(",", "")) > 0


def sample(per_second: float, p50: float, p99: float) -> Sample:
    return Sample(Load(int(per_second), 1.0, p50, p99, 0), 0.1)


def test_targets_are_judged_by_ratios_within_a_round() -> None:
    ours = gateway_name(50, "always")
    samples = {
        (name, clients): [sample(*numbers)]
        for clients in TINY.connections
        for name, numbers in (
            (DIRECT, (9_000, 0.1, 1)),
            (NGINX, (1_000, 0.2, 1)),
            (ours, (390, 0.3, 4)),
            (LITELLM, (2, 9, 9)),
        )
    }
    found = {verdict.asked: (verdict.measured, verdict.met) for verdict in verdicts(samples, samples, TINY)}
    assert found == {
        "≥ 0.4 of nginx's requests, fsync always, 4 connections": ("0.39", False),
        "≥ 100 times LiteLLM's, fsync always, 4 connections": ("195.00", True),
        "≤ 2.5 times nginx's added latency, fsync always, 1 connection": ("2.00", True),
        "≤ 3 times nginx's p99, fsync always, 4 connections": ("4.00", False),
        "≥ 0.4 of nginx's streams, fsync always, 4 connections": ("0.39", False),
    }


def test_nobody_is_compared_with_who_only_refuses() -> None:
    refuses = Sample(Load(500, 1.0, 1, 1, 500), 0.1)
    samples = {
        (name, clients): [refuses if name == LITELLM else sample(1_000, 0.2, 1)]
        for clients in TINY.connections
        for name in (DIRECT, NGINX, gateway_name(50, "always"), LITELLM)
    }
    assert not [verdict for verdict in verdicts(samples, samples, TINY) if "LiteLLM" in verdict.asked]


def test_cards_are_drawn_and_posted() -> None:
    lines = run_bench("--only", "cards")
    posted = row(lines, "drawn and posted to Slack (fake), two for each hold")
    assert 0 < float(posted[0]) < 10  # the first ones start the clock
    assert float(posted[1].replace(",", "")) > 0
    assert float(row(lines, "only drawn")[1].replace(",", "")) > 0


def test_a_flood_and_clicks_go_through_slack() -> None:
    lines = run_bench("--only", "slack")
    for what in ("every hold is on a card (5 cards)", "all decided at once: every card says so"):
        assert float(row(lines, what)[-1]) > 0
    for what in (
        "clicked → acknowledged (the decision is in Redis)",
        "clicked → card and requester's message updated",
    ):
        assert row(lines, what)[0] == "5"


def generators() -> list[str]:
    return ["own", "wrk"] if shutil.which("wrk") else ["own"]


@pytest.mark.parametrize("kind", generators())
@pytest.mark.parametrize("stream", [False, True])
async def test_generators_count_whole_answers(kind: str, stream: bool, tmp_path: Path) -> None:
    bodies: list[bytes] = []
    server = await upstream.serve(0, bodies.append)
    port = server.sockets[0].getsockname()[1]
    generator: Generator = PythonLoad() if kind == "own" else Wrk(shutil.which("wrk") or "", tmp_path)
    call = Call(port, "/v1/chat/completions", "hp_none", chat_body(stream=stream))
    load = await generator.run(call, connections=3, seconds=1, requests=30)
    server.close()
    assert load.errors == 0
    assert load.answers == 30 if kind == "own" else load.answers > 30
    assert 0 < load.p50 <= load.p99 < 1
    assert set(bodies) == {chat_body(stream=stream)}


async def test_a_refusal_is_an_error_of_the_load() -> None:
    class Refuses(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.Transport", transport)

        def data_received(self, data: bytes) -> None:
            self.transport.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

    server = await asyncio.get_running_loop().create_server(Refuses, "127.0.0.1", 0)
    call = Call(server.sockets[0].getsockname()[1], "/", "hp_none", b"{}")
    load = await PythonLoad().run(call, connections=2, seconds=1, requests=4)
    server.close()
    assert (load.answers, load.errors, load.per_second) == (4, 4, 0)


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
        (upstream.COMPLETION, True),
        (upstream.COMPLETION[:-1], False),
        (upstream.STREAM, True),
        (upstream.STREAM[:-1], False),
    ],
)
def test_whole_answers(answer: bytes, whole: bool) -> None:
    assert is_whole(answer) is whole


def test_the_page_says_what_is_missed() -> None:
    section = Section("Speed", ("who", "req/s"), [["gateway", "10"]], [
        Verdict("fast", "10", met=False, margin="-20 %", why="it is slow"), Verdict("small", "1 KB", met=True, margin="-96 %"),
    ])  # fmt: skip
    page = document([section], machine="a machine", setup=["pinned"], plan="full")
    assert "| fast | 10 | **missed** | -20 % |" in page
    assert "| small | 1 KB | met | -96 % |" in page
    assert "1 of 2 are missed." in page
    assert "- It is slow." in page
    assert "| gateway | 10 |" in page
