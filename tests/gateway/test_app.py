"""Start and stop: what is said, what is refused, and where waiting requests go."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import aiohttp
import pytest

from gateway.app import running_gateway
from holdpoint import compiling
from holdpoint.errors import ConfigurationError, StoreUnavailable
from holdpoint.model import State
from holdpoint.policy import parse_policy
from holdpoint.policy.document import Document
from holdpoint.settings import Settings
from tests.gateway.model import Model, Received, http
from tests.gateway.world import CLEAN, POLICY, RISKY, World, running_world
from tests.support.waiting import wait_until, within


async def test_a_port_in_use_is_one_line(redis_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = Settings(redis_url=redis_url, gateway_port=port, _env_file=None)  # type: ignore[call-arg]
        with pytest.raises(ConfigurationError) as caught:
            async with running_gateway(settings):
                pass
    assert str(caught.value).startswith(f"HOLDPOINT_GATEWAY_HOST/PORT: cannot listen on 127.0.0.1:{port}")
    assert "\n" not in str(caught.value)


async def test_no_redis_is_an_error_at_the_start(tmp_path: Path) -> None:
    settings = Settings(redis_url=f"unix://{tmp_path}/none.sock", gateway_port=0, _env_file=None)  # type: ignore[call-arg]
    with pytest.raises(StoreUnavailable):
        async with running_gateway(settings):
            pass


async def test_health_and_metrics_need_no_key(world: World) -> None:
    async with world.chat(CLEAN) as answer:
        assert answer.status == 200
    async with world.chat("BEGIN PRIVATE KEY") as answer:
        assert answer.status == 403
    async with world.http.get(f"{world.gateway.url}/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ok"})
    async with world.http.get(f"{world.gateway.url}/metrics") as answer:
        text = await answer.text()
    assert 'holdpoint_requests_total{connection="demo",verdict="allow"} 1.0' in text
    assert 'holdpoint_requests_total{connection="demo",verdict="block"} 1.0' in text
    assert 'holdpoint_refusals_total{code="blocked"} 1.0' in text
    assert 'holdpoint_upstream_seconds_count{connection="demo"} 1.0' in text
    assert "holdpoint_policy_version 1.0" in text
    async with world.http.head(f"{world.gateway.url}/healthz") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    async with world.http.post(f"{world.gateway.url}/healthz") as answer:
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_how_many_wait_is_counted(world: World) -> None:
    asking = asyncio.ensure_future(world.chat(RISKY).__aenter__())
    (hold,) = await world.held()

    def waiting() -> bool:
        return b"holdpoint_waiting_requests 1.0" in world.gateway.metrics.render()

    await wait_until(waiting, "one request waits")
    await world.approve(hold)
    async with await asking:
        pass
    assert b"holdpoint_waiting_requests 0.0" in world.gateway.metrics.render()
    assert b"holdpoint_release_seconds_count 1.0" in world.gateway.metrics.render()


@pytest.mark.promise(3)
async def test_a_gateway_that_stops_sends_waiting_requests_to_the_next_one(redis_url: str, model: Model) -> None:
    async with running_world(redis_url, model.url) as second:
        async with running_world(redis_url, model.url) as first:
            first.http = second.http  # the client outlives the gateway
            key = {"Authorization": f"Bearer {second.key}"}
            asking = asyncio.ensure_future(first.chat(RISKY, headers=key).__aenter__())
            (hold,) = await first.held()
        async with await asking as answer:
            assert answer.status == 503
            assert answer.headers["x-holdpoint-hold"] == hold.id
            assert answer.headers["x-holdpoint-state"] == "pending"
            assert "x-should-retry" not in answer.headers
        again = asyncio.ensure_future(second.chat(RISKY, headers={"x-stainless-retry-count": "1"}).__aenter__())

        async def attached() -> bool:
            return (await second.store.holds.get(hold.id)).waiter.startswith(second.gateway.name)

        await wait_until(attached, "the retry waits at the other gateway")
        await second.approve(await second.store.holds.get(hold.id))
        async with await again as answer:
            assert answer.status == 200
            assert answer.headers["x-holdpoint-hold"] == hold.id
    assert len(model.received) == 1


async def test_running_answers_are_finished_before_the_end(redis_url: str, model: Model) -> None:
    gate = asyncio.Event()

    async def behave(received: Received) -> None:
        await gate.wait()
        received.writer.write(http(b"{}"))

    model.behave = behave
    async with aiohttp.ClientSession() as client:
        async with running_world(redis_url, model.url, drain_s=5) as world:
            body = {"model": "demo", "messages": [{"role": "user", "content": CLEAN}]}
            url = f"{world.base}/chat/completions"
            asking = asyncio.ensure_future(client.post(url, json=body, headers=world.headers()).__aenter__())
            await wait_until(lambda: model.received, "the model was asked")

            async def answer_once_it_stops() -> None:
                await wait_until(lambda: _nobody_listens(world.port), "the gateway stops")
                gate.set()

            answering = asyncio.create_task(answer_once_it_stops())
        await answering
        async with await asking as answer:
            assert answer.status == 200
            assert answer.headers["connection"] == "close"


async def _nobody_listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return True
    writer.close()
    return False


@pytest.mark.promise(3)
async def test_a_hold_left_by_one_gateway_is_decided_and_collected_at_another(redis_url: str, model: Model) -> None:
    async with running_world(redis_url, model.url) as one, running_world(redis_url, model.url) as two:
        asking = asyncio.ensure_future(one.chat(RISKY).__aenter__())
        (hold,) = await one.held()
        await two.approve(hold)
        async with await asking as answer:
            assert answer.status == 200
        url = f"{two.gateway.url}/holds/{hold.id}/response"
        async with two.http.get(url, headers=one.headers()) as answer:
            assert answer.status == 200
        await two.state(hold.id, State.COMPLETED)
    assert len(model.received) == 1


async def test_sigterm_ends_the_process_in_order(redis_url: str) -> None:
    program = (
        "import asyncio, logging; logging.basicConfig(level='INFO'); from holdpoint.settings import Settings; "
        "from gateway.app import run; asyncio.run(run(Settings(_env_file=None)))"
    )
    environment = {
        **os.environ, "HOLDPOINT_REDIS_URL": redis_url, "HOLDPOINT_GATEWAY_PORT": "0", "HOLDPOINT_DRAIN_S": "1",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with within(60):
        while b"gateway listens" not in await process.stderr.readline():
            assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        said = await process.stderr.read()
        assert await process.wait() == 0
    assert b"gateway stops" in said
    assert b"Traceback" not in said


async def test_requests_go_on_while_a_policy_compiles(
    world: World, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate = threading.Event(), threading.Event()

    def slowly(text: str, file: str) -> Document:
        begun.set()
        gate.wait(60)
        return parse_policy(text, file)

    monkeypatch.setattr(compiling, "parse_policy", slowly)
    forbidding = POLICY.format(upstream=model.url, timeout="10m").replace("BEGIN PRIVATE KEY", "weather")
    try:
        await world.store.config.push_policy(forbidding, expect=1, by="test")
        await wait_until(begun.is_set, "the new policy compiles")
        async with world.chat(CLEAN) as answer:
            assert answer.status == 200
        await world.store.config.revoke_key(world.key_id, by="test")

        async def refused() -> bool:
            async with world.chat(CLEAN) as answer:
                return answer.status == 401

        await wait_until(refused, "the key is revoked all the same")
        assert b"holdpoint_policy_version 1.0" in world.gateway.metrics.render()
    finally:
        gate.set()
    world.key = world.other_key

    async def blocked() -> bool:
        async with world.chat(CLEAN) as answer:
            return answer.status == 403

    await wait_until(blocked, "the new policy is in force")
