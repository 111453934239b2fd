"""A hundred clients that do not read, on streams that do not end: the gateway's memory stays where it is."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

import psutil
import pytest

from holdpoint.clock import now_ms
from holdpoint.store import Store
from tests.gateway.raw import post
from tests.support.certificates import Authority, trusting
from tests.support.programs import POLICY, Program, make_key
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

CLIENTS = 100
RECORDED = 32 * 1024  # bytes of each answer that are kept for its record
# Bytes for each client besides: what waits in either direction (one read of the event loop brings 256 KB), under TLS a
# second time, encrypted; and what the allocator keeps of the bursts before the stream stood still.
MOST = 1536 * 1024
PIECE = b"data: " + b"x" * 16_000 + b"\n\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Endless:
    """A model that streams for as long as somebody reads; ``stalled`` counts the streams on which nobody does."""

    def __init__(self) -> None:
        self.serving = 0
        self.stalled = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        try:
            while True:
                writer.write(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
                draining = asyncio.ensure_future(writer.drain())
                done, _ = await asyncio.wait({draining}, timeout=1)
                if not done:
                    self.stalled += 1
                await draining
                if not done:
                    self.stalled -= 1
        except OSError:
            pass
        finally:
            self.serving -= 1
            writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is counted as Linux does")
@pytest.mark.parametrize("tls", [False, True])
async def test_memory_is_bounded(tls: bool, redis_server: RedisServer, tmp_path: Path) -> None:
    model = Endless()
    upstream = await asyncio.start_server(model.serve, "127.0.0.1", 0)
    store = await Store.open(redis_server.url, clock=now_ms)
    url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
    await store.config.push_policy(POLICY.format(upstream=url), expect=0, by="test")
    key = await make_key(store, "dana@example.com", {"contractors"}, set())
    await store.aclose()
    environment = {
        "HOLDPOINT_REDIS_URL": redis_server.url, "HOLDPOINT_DATA": str(tmp_path), "PATH": "/usr/bin:/bin",
        "HOLDPOINT_WRITE_TIMEOUT_S": "600", "HOLDPOINT_RECORD_RESPONSE_BYTES": str(RECORDED),
    }  # fmt: skip
    authority = Authority(tmp_path)
    if tls:
        pair = authority.issue("localhost")
        environment |= {
            "HOLDPOINT_GATEWAY_TLS_CERT": str(pair.certificate), "HOLDPOINT_GATEWAY_TLS_KEY": str(pair.key),
        }  # fmt: skip
    gateway = Program("gateway", environment, tmp_path / "gateway.log")
    if tls:
        gateway.is_ready = lambda: _listens(gateway.port)  # type: ignore[method-assign,assignment,return-value]
    writers: list[asyncio.StreamWriter] = []
    try:
        await gateway.start()
        assert gateway.process is not None
        process = psutil.Process(gateway.process.pid)
        body = json.dumps({"model": "demo", "messages": [], "stream": True}).encode()
        request = post("/demo/v1/chat/completions", key, body)
        writers += [await _ask(gateway.port, request, trusting(authority) if tls else None) for _ in range(3)]
        await wait_until(lambda: model.stalled == 3, "three streams stand still", seconds=60)
        before = process.memory_info().rss
        writers += [await _ask(gateway.port, request, trusting(authority) if tls else None) for _ in range(CLIENTS)]
        await wait_until(lambda: model.stalled == CLIENTS + 3, "all streams stand still", seconds=90)
        grown = process.memory_info().rss - before
        assert grown < CLIENTS * (RECORDED + MOST), f"{grown / CLIENTS / 1024:.0f} KB for each client"
    finally:
        for writer in writers:
            writer.transport.abort()
        gateway.kill()
        upstream.close()
        await wait_until(lambda: not model.serving, "the model has nobody left")


async def _ask(port: int, request: bytes, context: object) -> asyncio.StreamWriter:
    """Send the request, and read nothing of the answer but what the system takes by itself."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    plain.connect(("127.0.0.1", port))
    plain.setblocking(False)
    more = {"ssl": context, "server_hostname": "localhost"} if context is not None else {}
    _, writer = await asyncio.open_connection(sock=plain, limit=1024, **more)  # type: ignore[arg-type]
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(request)
    return writer


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
