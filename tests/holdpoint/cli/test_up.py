"""`up`, `gateway` and `bot` as real processes: they serve, stop cleanly, and say in one line why they cannot start."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest

from holdpoint.cli.demo import _free_ports
from holdpoint.store import Store
from tests.support.cli import Cli
from tests.support.waiting import wait_until

SAMPLE = (resources.files("holdpoint.demo") / "policy.yaml").read_text()


@pytest.fixture
def ports() -> dict[str, str]:
    port = _free_ports(0)
    return {"HOLDPOINT_GATEWAY_PORT": str(port), "HOLDPOINT_BOT_PORT": str(port + 1)}


@pytest.fixture
def start(cli: Cli, ports: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, settings: dict[str, str] | None = None) -> subprocess.Popen[str]:
        running.append(cli.start(*arguments, settings=ports | (settings or {})))
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


Start = Callable[..., subprocess.Popen[str]]


def is_ready(port: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_up_serves_both_pushes_the_first_policy_and_stops_cleanly(
    number: signal.Signals, start: Start, ports: dict[str, str], tmp_path: Path, store: Store
) -> None:
    (tmp_path / "first.yaml").write_text(SAMPLE)
    up = start("up", settings={"HOLDPOINT_POLICY": "first.yaml"})
    for port in ports.values():
        await wait_until(lambda port=port: is_ready(port), "it is ready", seconds=60, every=0.05)  # type: ignore[misc]  # bound now
    stored = await store.config.policy()
    assert stored is not None
    assert (stored.version, stored.text) == (1, SAMPLE)
    up.send_signal(number)
    _, err = up.communicate(timeout=60)
    assert up.returncode == 0, err
    assert not any(is_ready(port) for port in ports.values())
    assert {json.loads(line)["level"] for line in err.splitlines()} == {"INFO"}


@pytest.mark.parametrize("name", ["gateway", "bot"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_one_process_serves_and_stops_cleanly(
    name: str, number: signal.Signals, start: Start, ports: dict[str, str]
) -> None:
    process = start(name)
    port = ports[f"HOLDPOINT_{name.upper()}_PORT"]
    # Without a policy the gateway is not ready, but it is there.
    await wait_until(lambda: answers(port), "it serves", seconds=60, every=0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


def answers(port: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
        return True
    return False


async def test_gateway_and_bot_share_the_embedded_server_of_a_folder(start: Start, ports: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory(prefix="hp-") as folder:
        embedded = {"HOLDPOINT_REDIS_URL": "", "HOLDPOINT_DATA": f"{folder}/data"}
        first, second = start("gateway", settings=embedded), start("bot", settings=embedded)
        for port in ports.values():
            await wait_until(lambda port=port: answers(port), "it serves", seconds=60, every=0.05)  # type: ignore[misc]  # bound now
        first.terminate()
        first.communicate(timeout=60)
        assert is_ready(ports["HOLDPOINT_BOT_PORT"])
        second.terminate()
        second.communicate(timeout=60)
        assert (first.returncode, second.returncode) == (0, 0)


@pytest.mark.parametrize("name", ["gateway", "bot", "up"])
def test_a_port_in_use_is_one_line_and_exit_2(name: str, cli: Cli, ports: dict[str, str]) -> None:
    which = "BOT" if name == "bot" else "GATEWAY"
    with socket.create_server(("127.0.0.1", int(ports[f"HOLDPOINT_{which}_PORT"]))):
        ended = cli(name, settings=ports | {"HOLDPOINT_LOG_LEVEL": "ERROR"})
    assert ended.code == 2
    (line,) = [line for line in ended.err.splitlines() if line.startswith("holdpoint: ")]
    assert line.startswith(f"holdpoint: HOLDPOINT_{which}_")
    assert "already in use" in line


def test_an_invalid_first_policy_is_said_with_its_line_and_exit_2(
    cli: Cli, ports: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "first.yaml").write_text("version: 1\nrules: 7\n")
    ended = cli("up", settings=ports | {"HOLDPOINT_POLICY": "first.yaml"})
    assert ended.code == 2
    assert ended.err.startswith("first.yaml:2: ")


def test_a_child_that_always_dies_is_given_up_with_exit_1(cli: Cli, ports: dict[str, str], tmp_path: Path) -> None:
    # The ledger's place is a folder: the bot fails each time, for a reason that might pass.
    (tmp_path / "ledger").mkdir()
    began = time.monotonic()
    ended = cli("up", settings=ports | {"HOLDPOINT_LEDGER_URL": f"sqlite:///{tmp_path}/ledger"})
    assert ended.code == 1
    assert ended.err.count("a process died and is started again") == 4
    assert "giving up" in ended.err
    assert time.monotonic() - began > 2, "it paused between the attempts"
