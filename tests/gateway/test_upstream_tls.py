"""TLS to models: whose certificates are believed, and what the gateway shows of itself. Nothing is sent to anybody else."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway.model import http
from tests.gateway.world import CLEAN, running_world
from tests.support.certificates import Authority, Pair

ANSWER = b'{"id": "c1", "object": "chat.completion", "choices": []}'


@asynccontextmanager
async def secure_model(pair: Pair, client_ca: Path | None, received: list[bytes]) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            received.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(http(ANSWER))
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize(
    ("trust", "shows", "name", "valid_days", "status"),
    [
        ("right", "right", "localhost", 1, 200),
        ("right", "nothing", "localhost", 1, 502),
        ("right", "stranger", "localhost", 1, 502),
        ("stranger", "right", "localhost", 1, 502),
        ("system", "right", "localhost", 1, 502),
        ("right", "right", "elsewhere.example", 1, 502),
        ("right", "right", "localhost", -1, 502),
    ],
)
async def test_both_sides_know_each_other(
    trust: str, shows: str, name: str, valid_days: int, status: int, redis_url: str, tmp_path: Path
) -> None:
    authorities = {"right": Authority(tmp_path, "right"), "stranger": Authority(tmp_path, "stranger")}
    own = authorities["right"].issue(name, file="model", valid_for=dt.timedelta(days=valid_days))
    settings: dict[str, object] = {}
    if trust in authorities:
        settings["upstream_ca"] = authorities[trust].ca
    if shows in authorities:
        shown = authorities[shows].issue("gateway")
        settings |= {"upstream_cert": shown.certificate, "upstream_key": shown.key}
    received: list[bytes] = []
    async with (
        secure_model(own, authorities["right"].ca, received) as port,
        running_world(redis_url, f"https://localhost:{port}", **settings) as world,
        world.chat(CLEAN) as answer,
    ):
        assert answer.status == status
        assert len(received) == (status == 200)
