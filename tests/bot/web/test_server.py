from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from bot.app import running_bot
from bot.history import History
from bot.web.feed import Feed
from bot.web.oidc_party import RelyingParty
from bot.web.saml_party import ServiceProvider
from bot.web.server import WebServer
from bot.web.site import Site as Parts
from bot.web.slack_door import slack_routes
from holdpoint.clock import now_ms
from holdpoint.errors import ConfigurationError
from holdpoint.ledger.sql import Ledger
from holdpoint.store import Store
from tests.bot.world import Site, running_site, settings_for
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until


async def get(site: Site, path: str) -> tuple[int, str]:
    async with site.client.get(site.url + path) as answer:
        return answer.status, await answer.text()


async def test_health_readiness_and_metrics(site: Site) -> None:
    await site.world.hold()
    assert await get(site, "/healthz") == (200, '{"status": "ok"}')
    assert await get(site, "/readyz") == (200, '{"status": "ok", "problems": {}}')
    status, text = await get(site, "/metrics")
    assert status == 200
    assert 'holdpoint_holds{state="pending"} 1.0' in text
    assert "holdpoint_policy_version 1.0" in text
    assert "password" not in text


async def test_without_redis_nothing_is_ready_and_nothing_breaks(redis_server: RedisServer, tmp_path: Path) -> None:
    async with running_site(redis_server.url, tmp_path) as site:
        redis_server.kill()
        status, text = await get(site, "/readyz")
        assert status == 503
        assert "redis" in json.loads(text)["problems"]
        assert (await site.api("GET", "/holds"))[0] == 503
        assert (await get(site, "/metrics"))[0] == 200
        assert (await get(site, "/healthz"))[0] == 200
        redis_server.start()

        async def is_ready() -> bool:
            return (await get(site, "/readyz"))[0] == 200

        await wait_until(is_ready, "the bot is ready again")
        assert (await site.api("GET", "/holds"))[0] == 200


async def test_a_bug_is_a_500_with_an_id_and_nothing_else(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    async def broken(_request: aiohttp.web.Request) -> aiohttp.web.Response:
        raise RuntimeError("prompt text of a request")

    routes = [aiohttp.web.get("/broken", broken), aiohttp.web.get("/api/broken", broken)]
    async with in_front_of(site, routes) as server:
        with caplog.at_level(logging.ERROR, logger="bot.web.server"):
            async with site.client.get(f"http://127.0.0.1:{server.port}/broken") as answer:
                page = await answer.text()
                assert answer.status == 500
            async with site.client.get(f"http://127.0.0.1:{server.port}/api/broken") as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (500, "error")
    incident = caplog.records[0].__dict__["incident"]
    assert incident in page
    assert "prompt text" not in page
    assert site.bot.metrics.errors["bot.web"] == 2


@asynccontextmanager
async def in_front_of(site: Site, routes: Sequence[aiohttp.web.RouteDef]) -> AsyncIterator[WebServer]:
    """A second server on the parts of the running bot, with more routes."""
    world = site.world
    ledger = await asyncio.to_thread(Ledger.open, site.bot.settings.ledger)
    history = History(ledger, world.store, clock=now_ms)
    parts = Parts(
        settings=site.bot.settings, store=world.store, live=world.live, decider=world.decider, directory=world.directory,
        metrics=site.bot.metrics, clock=now_ms, feed=Feed(world.store), history=history,
        party=RelyingParty(site.bot.settings, world.store, world.live, clock=now_ms),
        saml=ServiceProvider(site.bot.settings, world.store, world.live, clock=now_ms),
    )  # fmt: skip
    server = WebServer(parts, extra=routes)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.stop()
        await history.aclose()
        await asyncio.to_thread(ledger.close)


async def test_a_port_in_use_is_one_clear_line(redis_url: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = settings_for(redis_url, tmp_path).model_copy(update={"bot_port": port})
        with pytest.raises(ConfigurationError, match=f"HOLDPOINT_BOT_PORT: cannot listen on 127.0.0.1:{port}"):
            async with running_bot(settings):
                pytest.fail("it started")


async def test_stopping_ends_open_streams_and_leaves_no_task(redis_url: str, tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with running_site(redis_url, tmp_path) as site:
        data = {"key": site.world.keys["sam@example.com"]}
        jar = aiohttp.CookieJar(unsafe=True)
        session = aiohttp.ClientSession(cookie_jar=jar)
        async with session.post(f"{site.url}/sign-in", data=data) as answer:
            assert answer.status == 200
        stream = await session.get(f"{site.url}/review/events")
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert await stream.content.readline() == b"retry: 1000\n"
    assert await stream.content.read() in (b"\n", b"\nevent: changed\ndata: .\n\n")
    await session.close()
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()


async def test_two_bots_serve_the_same_session(redis_url: str, tmp_path: Path) -> None:
    async with running_site(redis_url, tmp_path) as site, running_bot(settings_for(redis_url, tmp_path)) as second:
        session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        data = {"key": site.world.keys["sam@example.com"]}
        async with session.post(f"{site.url}/sign-in", data=data):
            pass
        async with session.get(f"{second.url}/review") as answer:
            assert "Waiting for a decision" in await answer.text()
        await session.close()


async def test_what_happened_is_in_the_ledger(site: Site) -> None:
    hold = await site.world.hold()
    await site.decide(hold)
    store = await Store.open(site.bot.settings.redis_url, clock=now_ms)

    async def is_recorded() -> bool:
        return await store.outbox.lag("events", group="ledger") == 0

    await wait_until(is_recorded, "the recorder has everything")
    await store.aclose()


class Echo:
    """Answers a platform's callback with what it was given."""

    async def handle(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        return 202, {"x-signature": headers["X-Slack-Signature"]}, body


async def test_callbacks_of_slack_go_through_the_door_unread(site: Site) -> None:
    headers = {"X-Slack-Signature": "v0=abc"}
    async with in_front_of(site, slack_routes(Echo())) as server:
        events = f"http://127.0.0.1:{server.port}/slack/events"
        async with site.client.post(events, data=b"a=%ff", headers=headers) as answer:
            assert (answer.status, answer.headers["x-signature"], await answer.read()) == (202, "v0=abc", b"a=%ff")
