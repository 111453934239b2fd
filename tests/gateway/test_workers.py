"""Several workers on one address, as real processes: they share the work, tell one story, and die and drain in order."""

from __future__ import annotations

import asyncio
import re
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from holdpoint.clock import now_ms
from holdpoint.store import Store
from tests.support.certificates import Authority, trusting
from tests.support.cli import Cli
from tests.support.programs import POLICY, Installation, Program, make_key
from tests.support.redis_server import RedisServer
from tests.support.upstream import Upstream, running_upstream
from tests.support.waiting import wait_until, within

CLEAN, RISKY = "what is the weather", "what is the admin password"
WORKERS = {"HOLDPOINT_GATEWAY_WORKERS": "3", "HOLDPOINT_DRAIN_S": "5"}


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with running_upstream() as running:
        yield running


@pytest.fixture
async def installation(redis_server: RedisServer, tmp_path: Path, upstream: Upstream) -> AsyncIterator[Installation]:
    running = Installation(redis_server, tmp_path, upstream.url, **WORKERS)
    try:
        await running.start()
        yield running
    finally:
        stop(running.gateway)
        running.stop()


def stop(program: Program) -> None:
    """The supervisor in order, so that none of its workers is left."""
    if program.process is not None:
        program.process.terminate()
        program.process.wait(30)


def workers(program: Program) -> list[int]:
    assert program.process is not None
    return sorted(child.pid for child in psutil.Process(program.process.pid).children())


def chat(session: aiohttp.ClientSession, base: str, key: str, prompt: str) -> Any:
    body = {"model": "demo", "messages": [{"role": "user", "content": prompt}]}
    return session.post(f"{base}/demo/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})


async def ask_anew(base: str, key: str, prompt: str = CLEAN, **connecting: Any) -> int:
    """Over a connection of its own, so that any worker may get it."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(**connecting)) as session,
        chat(session, base, key, prompt) as answer,
    ):
        await answer.read()
        return answer.status


async def numbers(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        return await answer.text()


async def all_are_up(url: str) -> str:
    """Also those that did not answer when the first one was ready: each takes clients, and has retired its predecessor.

    What one of them then says of all. On a busy machine one may take longer to answer than the others wait for it.
    """

    async def look() -> str:
        text = await numbers(url)
        return text if len(re.findall(r'^holdpoint_worker_up\{worker="\d"\} 1$', text, re.MULTILINE)) == 3 else ""

    return await wait_until(look, "all workers are up", seconds=60)


def allowed_by_worker(text: str) -> dict[str, float]:
    found = re.findall(
        r'^holdpoint_requests_total\{connection="demo",verdict="allow",worker="(\d)"\} (\S+)$', text, re.MULTILINE
    )
    return {worker: float(number) for worker, number in found}


async def test_every_worker_works_and_each_of_them_tells_the_numbers_of_all(installation: Installation) -> None:
    gateway, key = installation.gateway, installation.keys["dana"]
    await all_are_up(gateway.url)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask_anew(gateway.url, key)) for _ in range(60)]
    assert Counter(each.result() for each in asked) == {200: 60}
    for _ in range(6):  # whichever of them answers
        text = await all_are_up(gateway.url)
        found = allowed_by_worker(text)
        assert set(found) == {"1", "2", "3"}
        assert sum(found.values()) == 60
        assert re.findall(r'^holdpoint_worker_up\{worker="(\d)"\} (\d)$', text, re.MULTILINE) == [
            ("1", "1"), ("2", "1"), ("3", "1"),
        ]  # fmt: skip
        assert (
            text.count("# TYPE holdpoint_requests_total counter\n") + text.count("# TYPE holdpoint_requests counter\n")
            == 1
        )
        assert len(re.findall(r"^process_resident_memory_bytes\{", text, re.MULTILINE)) == 3


async def test_a_killed_worker_comes_back_and_its_hold_is_kept(installation: Installation) -> None:
    gateway, key = installation.gateway, installation.keys["dana"]
    await all_are_up(gateway.url)
    asking = asyncio.ensure_future(ask_anew(gateway.url, key, RISKY))
    hold = await installation.the_hold()
    before = workers(gateway)
    assert len(before) == 3
    for pid in before:  # one after the other: one of them has the waiting request
        psutil.Process(pid).kill()
    with pytest.raises(aiohttp.ClientError):
        await asking
    await wait_until(lambda: len(set(workers(gateway)) - set(before)) == 3, "all workers are new", seconds=20)
    await wait_until(gateway.is_ready, "the gateway is ready again", seconds=20)
    await all_are_up(gateway.url)  # before, a killed one may still be taken for alive, and keeps its hold
    again = asyncio.ensure_future(ask_anew(gateway.url, key, RISKY))  # comes back to its hold, in a new worker

    async def nobody_was_asked_twice() -> bool:
        return len(await installation.pending()) == 1 and 'verdict="review"' in await numbers(gateway.url)

    await wait_until(nobody_was_asked_twice, "the retry waits for the same hold")
    assert (await installation.decide(hold))[0] == 201
    assert await again == 200
    assert await ask_anew(gateway.url, key) == 200


async def test_one_worker_is_away(installation: Installation) -> None:
    gateway = installation.gateway
    await all_are_up(gateway.url)
    frozen = psutil.Process(workers(gateway)[0])
    frozen.suspend()

    async def said() -> bool:
        try:
            async with within(2):  # the kernel may give us to the frozen one
                return '"} 0\n' in "".join(
                    re.findall(r"^holdpoint_worker_up.*\n", await numbers(gateway.url), re.MULTILINE)
                )
        except TimeoutError:
            return False

    try:
        await wait_until(said, "the others say that it does not answer", seconds=30)
    finally:
        frozen.resume()


async def test_all_drain_over_tls_and_waiting_requests_keep_their_hold(
    redis_server: RedisServer, tmp_path: Path, upstream: Upstream
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("localhost")
    store = await Store.open(redis_server.url, clock=now_ms)
    await store.config.push_policy(POLICY.format(upstream=upstream.url), expect=0, by="test")
    key = await make_key(store, "dana@example.com", {"contractors"}, set())
    environment = Installation(redis_server, tmp_path, upstream.url, **WORKERS).environment | {
        "HOLDPOINT_GATEWAY_TLS_CERT": str(pair.certificate), "HOLDPOINT_GATEWAY_TLS_KEY": str(pair.key),
    }  # fmt: skip
    gateway = Program("gateway", environment, tmp_path / "gateway.log")
    base, context = f"https://localhost:{gateway.port}", trusting(authority)

    async def ready() -> bool:
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
                session.get(f"{base}/readyz") as answer,
            ):
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    gateway.is_ready = ready  # type: ignore[method-assign]
    try:
        await gateway.start()
        upstream.gate.clear()
        running = [asyncio.ensure_future(ask_anew(base, key, ssl=context)) for _ in range(9)]
        waiting = [asyncio.ensure_future(ask_anew(base, key, RISKY, ssl=context)) for _ in range(3)]
        await wait_until(lambda: len(upstream.bodies) == 9, "the model was asked")

        async def held() -> bool:
            return len((await store.holds.list(state=None))[0]) == 3

        await wait_until(held, "three wait")
        gateway.send(signal.SIGTERM)
        assert await asyncio.gather(*waiting) == [503] * 3
        upstream.gate.set()
        assert await asyncio.gather(*running) == [200] * 9
        assert gateway.process is not None
        assert await asyncio.to_thread(gateway.process.wait, 30) == 0
        assert {hold.state.value for hold in (await store.holds.list(state=None))[0]} == {"pending"}
    finally:
        stop(gateway)
        await store.aclose()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as made:  # a socket's path is short
        yield Path(made)


async def test_workers_share_a_unix_socket(
    redis_url: str, store: Store, upstream: Upstream, folder: Path, tmp_path: Path
) -> None:
    await store.config.push_policy(POLICY.format(upstream=upstream.url), expect=0, by="test")
    key = await make_key(store, "dana@example.com", {"contractors"}, set())
    path = folder / "gateway.sock"
    settings = {
        "HOLDPOINT_REDIS_URL": redis_url,
        "HOLDPOINT_GATEWAY_SOCKET": str(path),
        "HOLDPOINT_DATA": str(tmp_path),
    }
    process = Cli(tmp_path, settings).start("gateway", "--workers", "2")

    async def answers() -> bool:
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
                chat(session, "http://gateway", key, CLEAN) as answer,
                session.get("http://gateway/metrics") as scrape,
            ):
                return answer.status == 200 and (await scrape.text()).count('"} 1\n') >= 2
        except aiohttp.ClientError:
            return False

    try:
        await wait_until(answers, "the workers answer", seconds=60)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0, errors
    assert not path.exists()


@pytest.mark.parametrize("arguments", [("--workers", "2"), ()])
async def test_a_port_that_workers_share_is_in_use_for_everybody_else(
    arguments: tuple[str, ...], installation: Installation, tmp_path: Path
) -> None:
    settings = installation.gateway._environment | {"HOLDPOINT_GATEWAY_WORKERS": "1"}
    second = await asyncio.to_thread(Cli(tmp_path, settings), "gateway", *arguments)
    assert second.code == 2
    where = f"127.0.0.1:{installation.gateway.port}"
    assert second.err == f"holdpoint: HOLDPOINT_GATEWAY_HOST/PORT: cannot listen on {where}: Address already in use\n"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"HOLDPOINT_GATEWAY_TLS_CERT": "none.pem"}, "HOLDPOINT_GATEWAY_TLS_CERT/KEY: one needs the other"),
        (
            {"HOLDPOINT_GATEWAY_TLS_CERT": "none.pem", "HOLDPOINT_GATEWAY_TLS_KEY": "none.key"},
            "HOLDPOINT_GATEWAY_TLS_CERT/KEY/CLIENT_CA: none.pem: No such file or directory",
        ),
        (
            {"HOLDPOINT_GATEWAY_TLS_CLIENT_CA": "none.pem"},
            "HOLDPOINT_GATEWAY_TLS_CLIENT_CA: needs HOLDPOINT_GATEWAY_TLS_CERT",
        ),
        ({"HOLDPOINT_UPSTREAM_CERT": "none.pem"}, "HOLDPOINT_UPSTREAM_CERT/KEY: one needs the other"),
        ({"HOLDPOINT_UPSTREAM_CA": "none.pem"}, "HOLDPOINT_UPSTREAM_CA/CERT/KEY: none.pem: No such file or directory"),
        (
            {"HOLDPOINT_TRUSTED_PROXIES": "10.0.0.0/8, me"},
            "HOLDPOINT_TRUSTED_PROXIES: must be networks such as 10.0.0.0/8, or unix:, separated by commas",
        ),
        ({"HOLDPOINT_PROXY_PROTOCOL": "1"}, "HOLDPOINT_PROXY_PROTOCOL: needs HOLDPOINT_TRUSTED_PROXIES"),
        (
            {"HOLDPOINT_GATEWAY_SOCKET_MODE": "rw"},
            "HOLDPOINT_GATEWAY_SOCKET_MODE: must be three octal digits such as 660",
        ),
        ({"HOLDPOINT_FORWARDED_HEADER": "x"}, "HOLDPOINT_FORWARDED_HEADER: must be 'x-forwarded-for' or 'forwarded'"),
        (
            {"HOLDPOINT_GATEWAY_SOCKET": "no/folder.sock"},
            "HOLDPOINT_GATEWAY_SOCKET: cannot listen on no/folder.sock: No such file or directory",
        ),
    ],
)
@pytest.mark.parametrize("count", ["1", "2"])
def test_a_wrong_setting_is_one_line(
    settings: dict[str, str], line: str, count: str, redis_url: str, tmp_path: Path
) -> None:
    cli = Cli(tmp_path, {"HOLDPOINT_REDIS_URL": redis_url, "HOLDPOINT_GATEWAY_PORT": "0", **settings})
    ended = cli("gateway", "--workers", count)
    assert (ended.code, ended.err) == (2, f"holdpoint: {line}\n")
