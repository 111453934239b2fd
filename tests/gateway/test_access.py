"""The access log: a line for every request, nothing in it that is nobody's business, and none of it when it is off."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest

from gateway.transport.counted import CountedReply
from holdpoint.logs import JsonFormatter
from tests.gateway.model import Model
from tests.gateway.raw import raw_client
from tests.gateway.world import CLEAN, RISKY, running_world
from tests.support.waiting import wait_until


class Lines(logging.Handler):
    """What the process would print."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.text.append(self.format(record))

    def requests(self) -> list[dict[str, object]]:
        return [line for line in map(json.loads, self.text) if line["message"] == "request"]


@pytest.fixture
def lines() -> Iterator[Lines]:
    log, handler = logging.getLogger("gateway.access"), Lines()
    level = log.level
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


async def test_a_line_for_every_way_a_request_can_end(redis_url: str, model: Model, lines: Lines) -> None:
    async with running_world(redis_url, model.url, access_log=True) as world:
        for _ in range(2):  # the second one goes by the fast lane
            async with world.chat(CLEAN) as answer:
                size = len(await answer.read())
        async with world.chat("BEGIN PRIVATE KEY"):
            pass
        async with world.http.get(f"{world.base}/models?api_key=hp_secret", headers=world.headers()):
            pass
        async with world.http.get(f"{world.gateway.url}/healthz"):
            pass
        asking = asyncio.ensure_future(world.chat(RISKY).__aenter__())
        (hold,) = await world.held()
        await world.approve(hold)
        async with await asking as answer:
            await answer.read()
        async with raw_client(world.port) as client:
            await client.send(b"NOT HTTP\r\n\r\n")
            await client.rest()
        found = await wait_until(lambda: (got := lines.requests())[5:] and got, "every request has its line")
    seen = [(line["method"], line["path"], line["status"], line["connection"], line["verdict"]) for line in found]
    chat = "/demo/v1/chat/completions"
    assert seen == [
        ("POST", chat, 200, "demo", "allow"),
        ("POST", chat, 200, "demo", "allow"),
        ("POST", chat, 403, "demo", "block"),
        ("GET", "/demo/v1/models", 400, "demo", None),
        ("GET", "/healthz", 200, None, None),
        ("POST", chat, 200, "demo", "review"),
    ]
    assert [line["hold"] for line in found] == [None, None, None, None, None, hold.id]
    assert len({line["request"] for line in found}) == len(found)
    for line in found:
        assert line["peer"] == "127.0.0.1"
        assert isinstance(line["bytes"], int)
        assert line["bytes"] > 50
        assert isinstance(line["ms"], float)
        assert line["ms"] > 0
        assert set(line) == {
            "time", "level", "logger", "message", "request", "peer", "method", "path", "status", "bytes", "ms",
            "connection", "verdict", "hold",
        }  # fmt: skip
    assert int(str(found[0]["bytes"])) > size
    refused = [line for line in map(json.loads, lines.text) if line["message"] == "no request"]
    assert [(line["peer"], line["status"]) for line in refused] == [("127.0.0.1", 400)]
    everything = "\n".join(lines.text)
    for secret in (CLEAN, RISKY, "PRIVATE", "hp_secret", "api_key", world.key, "sk-"):
        assert secret not in everything


async def test_a_client_that_leaves_has_its_line(redis_url: str, model: Model, lines: Lines) -> None:
    async with running_world(redis_url, model.url, access_log=True) as world:
        asking = asyncio.ensure_future(world.chat(RISKY).__aenter__())
        await world.held()
        asking.cancel()
        (line,) = await wait_until(lines.requests, "the request has its line")
    assert (line["status"], line["verdict"], line["bytes"]) == (None, "review", 0)


async def test_nothing_is_counted_when_it_is_off(
    redis_url: str, model: Model, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_arguments: object) -> None:
        raise AssertionError("counted")

    monkeypatch.setattr(CountedReply, "__init__", never)
    async with running_world(redis_url, model.url) as world, world.chat(CLEAN) as answer:
        assert answer.status == 200
    assert lines.text == []
