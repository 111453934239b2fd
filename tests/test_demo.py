"""`holdpoint demo` as people start it: the real program with everything in it, talked to over HTTP."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import openai
import pytest

from holdpoint.cli.demo import _serve_model
from holdpoint.demo.model import DemoModel
from holdpoint.demo.people import Sheet
from holdpoint.folder import Lock
from holdpoint.store import Store
from tests.support.cli import Cli
from tests.support.ports import free_port
from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: Any


class Demo:
    """One run of the program, from its start to Ctrl-C."""

    def __init__(self, cli: Cli, data: Path, *options: str) -> None:
        self.data = data
        self.process = cli.start("demo", "--port", "0", "--data", data, "--no-browser", *options)
        self.sheet: dict[str, str] = {}

    async def ready(self) -> dict[str, str]:
        """Wait as a script would: for `demo.json`."""

        def written() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            return (self.data / "demo.json").exists()

        await wait_until(written, "demo.json is written", seconds=60)
        self.sheet = json.loads((self.data / "demo.json").read_text())
        return self.sheet

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """(exit code, what it printed, its errors)."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err

    def client(self, key: str = "requester_key") -> openai.OpenAI:
        return openai.OpenAI(base_url=self.sheet["base_url"], api_key=self.sheet[key], max_retries=0, timeout=60)

    def ask(self, prompt: str, key: str = "requester_key") -> str:
        with self.client(key) as client:
            messages: list[Any] = [{"role": "user", "content": prompt}]
            answer = client.chat.completions.create(model="demo", messages=messages)
        return answer.choices[0].message.content or ""

    def hold_without_waiting(self, prompt: str) -> Answered:
        body = {"model": "demo", "messages": [{"role": "user", "content": prompt}]}
        url = f"{self.sheet['base_url']}/chat/completions"
        return call("POST", url, self.sheet["requester_key"], body, {"Prefer": "respond-async"})

    def review(self, method: str, path: str, body: object = None, key: str = "reviewer_key") -> Answered:
        return call(method, f"{self.sheet['bot_url']}/api/v1{path}", self.sheet[key], body)

    def pending(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.review("GET", "/holds?state=pending").body["holds"]
        return found


def call(method: str, url: str, key: str, body: object = None, headers: dict[str, str] | None = None) -> Answered:
    request = urllib.request.Request(  # noqa: S310 - our own server
        url, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json", **(headers or {})},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            return Answered(answer.status, dict(answer.headers), json.loads(answer.read() or b"null"))
    except urllib.error.HTTPError as error:
        with error:
            return Answered(error.code, dict(error.headers), json.loads(error.read() or b"null"))


Start = Callable[..., Demo]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, so that the socket is in the data folder."""
    path = Path(tempfile.mkdtemp(prefix="hp-demo-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Starts demos on a data folder (the same one each time) and kills what a failed test left."""
    running: list[Demo] = []

    def begin(*options: str) -> Demo:
        demo = Demo(Cli(folder, {}), folder / "data", *options)
        running.append(demo)
        return demo

    yield begin
    for demo in running:
        if demo.process.poll() is None:
            demo.process.terminate()
        demo.process.communicate(timeout=60)


def nothing_is_left(data: Path) -> bool:
    """No instance and no server on the folder, by the kernel's word."""
    for name in ("instance", "server", "keeper"):
        lock = Lock(data / "run" / f"{name}.lock")
        try:
            if not lock.take():
                return False
        finally:
            lock.release()
    return True


@pytest.mark.promise(1)
async def test_the_whole_story(start: Start) -> None:
    """Clean passes, risky waits for a reviewer, blocked is refused; all of it is there after a restart."""
    demo = start()
    sheet = await demo.ready()
    assert list(sheet) == [field.name for field in fields(Sheet)]
    assert stat.S_IMODE((demo.data / "demo.json").stat().st_mode) == 0o600
    assert sheet["base_url"] == sheet["gateway_url"] + "/demo/v1"
    assert int(sheet["bot_url"].rpartition(":")[2]) == int(sheet["gateway_url"].rpartition(":")[2]) + 1

    assert sheet["clean_prompt"] in demo.ask(sheet["clean_prompt"])
    with pytest.raises(openai.PermissionDeniedError) as refused:
        demo.ask(sheet["blocked_prompt"])
    assert refused.value.code == "blocked"
    assert "4111 1111" not in demo.ask("Is 4111 1111 1111 1111 a card number?")

    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(demo.ask(sheet["risky_prompt"])))
    asking.start()
    held = (await wait_until(demo.pending, "the risky request waits"))[0]
    decision = {"decision": "approve", "digest": held["digest"]}
    by_itself = demo.review("POST", f"/holds/{held['id']}/decisions", decision, key="requester_key")
    assert by_itself.status == 403
    assert demo.review("POST", f"/holds/{held['id']}/decisions", decision).status == 201
    asking.join(30)
    assert sheet["risky_prompt"] in answers[0]
    assert demo.review("POST", f"/holds/{held['id']}/decisions", decision, key="second_reviewer_key").status == 409

    waiting = demo.hold_without_waiting(sheet["risky_prompt"])
    assert waiting.status == 202
    code, out, err = demo.stop()
    assert (code, err) == (0, "")
    assert f"{sheet['bot_url']}/review" in out
    assert sheet["reviewer_key"] in out
    assert nothing_is_left(demo.data)
    assert not (demo.data / "demo.json").exists()

    again = start()
    restarted = await again.ready()
    unchanged = {name: value for name, value in sheet.items() if not name.endswith("_url")}
    assert {name: restarted[name] for name in unchanged} == unchanged
    assert [hold["id"] for hold in again.pending()] == [waiting.headers["x-holdpoint-hold"]]
    assert sheet["clean_prompt"] in again.ask(sheet["clean_prompt"])
    assert again.stop(signal.SIGTERM)[0] == 0


async def test_the_two_curl_lines_work_when_pasted(start: Start, folder: Path) -> None:
    demo = start()
    await demo.ready()
    assert demo.process.stdout is not None
    lines = []
    while len(lines) < 2:
        line = demo.process.stdout.readline()
        if line.startswith("curl "):
            lines.append(line)
    clean, risky = (
        subprocess.Popen(["sh", "-c", line], cwd=folder, stdout=subprocess.PIPE, text=True) for line in lines
    )
    assert demo.sheet["clean_prompt"] in clean.communicate(timeout=30)[0]
    held = (await wait_until(demo.pending, "the second one waits"))[0]
    cli = Cli(folder, {"HOLDPOINT_PUBLIC_URL": demo.sheet["bot_url"], "HOLDPOINT_KEY": demo.sheet["reviewer_key"]})
    assert cli("holds", "list", "--json").json["holds"][0]["id"] == held["id"]
    assert demo.sheet["risky_prompt"] in cli("holds", "show", held["id"]).out
    assert cli("holds", "approve", held["id"]).code == 0
    assert demo.sheet["risky_prompt"] in risky.communicate(timeout=30)[0]
    assert cli("holds", "reject", held["id"], "--reason", "late").code == 1
    assert cli("holds", "list", settings={"HOLDPOINT_KEY": "hp_wrong"}).code == 2


async def test_another_demo_on_the_same_data_is_refused_in_one_line(start: Start) -> None:
    first = start()
    sheet = await first.ready()
    second = start()
    out, err = second.process.communicate(timeout=60)
    assert (second.process.returncode, out) == (2, "")
    assert err == (
        f"holdpoint: the data folder {first.data} is in use by another Holdpoint (pid {first.process.pid})\n"
    )
    assert json.loads((first.data / "demo.json").read_text()) == sheet


@pytest.mark.parametrize("offset", [0, 1])
def test_a_port_in_use_is_refused_in_one_line(offset: int, folder: Path) -> None:
    with pair_of_ports() as (port, taken):
        listener = taken[offset]
        taken[1 - offset].close()
        ended = Cli(folder, {})("demo", "--port", str(port), "--data", folder / "data", "--no-browser")
        user = ("gateway", "bot")[offset]
        wanted = listener.getsockname()[1]
    said = f"holdpoint: port {wanted} (for the {user}) is in use; choose another with --port\n"
    assert (ended.code, ended.out, ended.err) == (2, "", said)


@pytest.mark.parametrize("name", ["SOCKET", "TLS_CERT"])
def test_a_setting_that_the_demo_cannot_follow_is_refused_in_one_line(name: str, folder: Path) -> None:
    variable = f"HOLDPOINT_GATEWAY_{name}"
    ended = Cli(folder, {variable: str(folder / "file")})(
        "demo", "--port", "0", "--data", folder / "data", "--no-browser"
    )
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"holdpoint: {variable}: ")
    assert ended.err.count("\n") == 1


class pair_of_ports:  # noqa: N801 - used as a function
    """Two listeners on neighbouring ports."""

    def __enter__(self) -> tuple[int, tuple[socket.socket, socket.socket]]:
        while True:
            port = free_port()
            first = socket.create_server(("127.0.0.1", port))
            try:
                self.taken = (first, socket.create_server(("127.0.0.1", port + 1)))
            except OSError:
                first.close()
                continue
            return port, self.taken

    def __exit__(self, *_: object) -> None:
        for listener in self.taken:
            listener.close()


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(folder: Path) -> None:
    (folder / "file").write_text("")
    ended = Cli(folder, {})("demo", "--port", "0", "--data", folder / "file" / "data", "--no-browser")
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(r"holdpoint: the data folder .* cannot be written: Not a directory\n", ended.err)


async def test_a_demo_that_is_killed_leaves_no_process_and_comes_back(start: Start) -> None:
    demo = start()
    sheet = await demo.ready()
    held = demo.hold_without_waiting(sheet["risky_prompt"]).headers["x-holdpoint-hold"]
    demo.process.kill()
    demo.process.communicate()
    await wait_until(lambda: nothing_is_left(demo.data), "the server is gone")
    port = int(sheet["gateway_url"].rpartition(":")[2])
    await wait_until(lambda: is_free(port) and is_free(port + 1), "gateway and bot are gone", seconds=60, every=0.05)
    (demo.data / "demo.json").unlink()  # a killed demo could not take it away
    again = start()
    await again.ready()
    assert held in [hold["id"] for hold in again.pending()]


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("name", ["gateway", "bot"])
async def test_a_process_that_dies_is_started_again(name: str, start: Start) -> None:
    demo = start()
    sheet = await demo.ready()
    victim = child_of(demo.process.pid, name)
    os.kill(victim, signal.SIGKILL)

    def is_back() -> bool:
        try:
            with urllib.request.urlopen(sheet[f"{name}_url"] + "/readyz", timeout=5):  # noqa: S310 - our own server
                return child_of(demo.process.pid, name) != victim
        except OSError:
            return False

    await wait_until(is_back, f"the {name} is back", seconds=60, every=0.05)
    assert sheet["clean_prompt"] in demo.ask(sheet["clean_prompt"])


def child_of(parent: int, name: str) -> int:
    """The process of the supervisor that runs ``holdpoint <name>``; 0 when there is none."""
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if name in Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0"):
            return int(pid)
    return 0


async def test_on_the_last_ports_the_model_takes_another_one(store: Store) -> None:
    model = DemoModel()
    try:
        await _serve_model(model, store, first_choice=65_536)  # --port 65534
        stored = await store.config.policy()
        assert stored is not None
        assert model.url in stored.text
    finally:
        await model.stop()
