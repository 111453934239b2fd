"""Who reads the same bytes: our transport, the whole gateway, nginx, aiohttp's two parsers; and whether they agree.

::

    raw ─▶ our transport ─ handler that keeps what it was handed
        ├▶ the gateway ─▶ `Recorder`                     a raw socket that keeps every byte it is sent
        ├▶ nginx ─▶ `Recorder`                           another reader, with its own ways
        └▶ aiohttp's parsers (in C and in Python)

A server tells what it read by what it hands on; each ends the connection by itself after `PATIENCE_S` of nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from gateway.transport import BodyBroken, BodyTooSlow, ClientGone, Reply, Request
from gateway.transport.request import HttpRequest
from gateway.transport.server import HttpServer
from tests.bench import nginx
from tests.bench.children import child
from tests.gateway.raw import raw_client
from tests.support.ports import free_port

PATIENCE_S = 0.5
_HANGS_S = 10.0  # then a server neither answers nor closes, and the test fails
_CLIENT = "X-Test-Client"

Message = tuple[str, str, bytes]  # method, target, body


@dataclass
class Reading:
    """What one reader made of one input. ``stopped``: it refused the rest, or the connection was to end there."""

    requests: list[Message] = field(default_factory=list)
    refused: bool = False
    stopped: bool = False

    def __str__(self) -> str:
        shown = [(method, target[:60], len(body)) for method, target, body in self.requests]
        return f"{shown}{' then refused' if self.refused else ' then stopped' if self.stopped else ''}"


def disagreement(ours: Reading, other: Reading) -> str:
    """Empty when ``other`` takes nothing that we take for anything else."""
    if any(one != two for one, two in zip(ours.requests, other.requests, strict=False)):
        return f"another request: {ours} / {other}"
    if len(other.requests) > len(ours.requests) and not ours.stopped:
        return f"a request that we do not see: {ours} / {other}"
    if len(ours.requests) > len(other.requests) and not other.stopped:
        return f"no request where we see one: {ours} / {other}"
    return ""


async def exchange(port: int, raw: bytes) -> tuple[int, bytes]:
    """Send ``raw`` and read to the end that the server makes; the client's port, and all that came back."""
    async with raw_client(port) as client:
        name = client.writer.get_extra_info("sockname")[1]
        with suppress(ConnectionError):
            await client.send(raw)
        said = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(_HANGS_S):
                while piece := await client.reader.read(65_536):
                    said += piece
        return name, said


def statuses(said: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"(?:^|(?<=\n)|(?<=\}))HTTP/1\.[01] (\d{3})", said) if found != b"100"]


class Ours:
    """`HttpServer` with a handler that keeps what it is handed, by the client's port."""

    def __init__(self) -> None:
        self.port = 0
        self._seen: dict[int, Reading] = defaultdict(Reading)

    async def read(self, raw: bytes) -> Reading:
        name, said = await exchange(self.port, raw)
        reading = self._seen.pop(name, Reading())
        codes = statuses(said)
        reading.refused = bool(codes) and codes[-1] >= 400 and codes[-1] != 408
        reading.stopped = reading.stopped or reading.refused
        return reading

    async def _keep(self, request: Request, reply: Reply) -> None:
        assert isinstance(request, HttpRequest)
        peer = request._connection.transport
        assert peer is not None
        status = 200
        name = peer.get_extra_info("peername")[1]
        try:
            body = await request.body(1_000_000, PATIENCE_S)
        except (BodyBroken, BodyTooSlow) as error:
            status = 400 if isinstance(error, BodyBroken) else 408
        except ClientGone:
            return
        else:
            reading = self._seen[name]
            reading.requests.append((request.method, request.target, body))
            reading.stopped = not request.keep_alive
        reply.start(status, [("content-length", "0")])
        await reply.end()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Ours]:
        server = await HttpServer.open("127.0.0.1", 0, self._keep, write_timeout_s=5, idle_s=PATIENCE_S)
        await server.start_accepting()
        self.port = server.port
        try:
            yield self
        finally:
            await server.aclose(0.1)


class Recorder(asyncio.Protocol):
    """An upstream: keeps every byte, and by the client's port the requests, which it reads by their length alone."""

    sent = b""  # everything, from everybody
    by_client: dict[int, list[Message]] = defaultdict(list)  # noqa: RUF012 - `fresh` makes a class for each server

    @classmethod
    def fresh(cls) -> type[Recorder]:
        return type("FreshRecorder", (cls,), {"sent": b"", "by_client": defaultdict(list)})

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        kind = type(self)
        kind.sent += data
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
            size = int(fields.get("content-length", "0"))
            if len(rest) < size:
                return
            method, target, _ = line.split(" ")
            kind.by_client[int(fields.get(_CLIENT.lower(), "0"))].append((method, target, rest[:size]))
            self._buffer = rest[size:]
            answer = b'{"object":"list","data":[]}'
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(answer), b"" if method == "HEAD" else answer)
            )


@asynccontextmanager
async def recording() -> AsyncIterator[tuple[int, type[Recorder]]]:
    """A recorder of its own; its port."""
    recorder = Recorder.fresh()
    server = await asyncio.get_running_loop().create_server(recorder, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], recorder
    finally:
        server.close()


class Nginx:
    """nginx in front of a recorder. What it hands on is what it read."""

    def __init__(self, port: int, recorder: type[Recorder]) -> None:
        self._port = port
        self._recorder = recorder

    async def read(self, raw: bytes) -> Reading:
        name, said = await exchange(self._port, raw)
        codes = statuses(said)
        refused = bool(codes) and codes[-1] >= 400 and codes[-1] != 408
        found = self._recorder.by_client.pop(name, [])
        # It also closes after a request that asks for it, and after one without a status (HTTP/0.9): never silently more.
        return Reading(found, refused, stopped=refused or b"connection: close" in said.lower())


@asynccontextmanager
async def running_nginx(folder: Path) -> AsyncIterator[Nginx]:
    """One worker in front of a recorder of its own; everything that it writes is in ``folder``."""
    found = nginx.find()
    assert found is not None
    async with recording() as (upstream, recorder):
        port = free_port()
        command = nginx.command(found, folder / "nginx", port=port, upstream=f"http://127.0.0.1:{upstream}")
        config = folder / "nginx" / "nginx.conf"
        limits = "\n".join(
            f"    {name} {PATIENCE_S * 1000:.0f}ms;"
            for name in ("client_header_timeout", "client_body_timeout", "keepalive_timeout")
        )
        extra = f"      proxy_set_header {_CLIENT} $remote_port;\n      proxy_set_header Host x;\n"
        text = config.read_text().replace("    location / {", f"{limits}\n    location / {{")
        config.write_text(
            text.replace('      proxy_set_header Connection "";', f'{extra}      proxy_set_header Connection "";')
        )
        ready = f"http://127.0.0.1:{port}/"
        async with child(command, ready=ready, log=folder / "nginx.log", cores=()):
            recorder.by_client.clear()  # of the look whether it is ready: its port comes again
            yield Nginx(port, recorder)


def read_by_aiohttp(raw: bytes, *, pure: bool) -> Reading:
    """What its parser makes of ``raw``; in Python or in C. Needs a running loop."""
    loop = asyncio.get_running_loop()
    kind: Any = HttpRequestParserPy if pure else HttpRequestParser
    parser = kind(BaseProtocol(loop), loop, 2**20, max_line_size=8190, max_field_size=8190, auto_decompress=False)
    reading = Reading()
    found: list[Any] = []
    try:
        messages, upgraded, _ = parser.feed_data(raw)
    except HttpProcessingError:
        reading.refused = reading.stopped = True
        return reading
    found = list(messages)
    for message, payload in found:
        if not payload.is_eof():
            reading.refused = reading.refused or payload.exception() is not None
            break
        body = b"".join(payload._buffer) if hasattr(payload, "_buffer") else b""
        reading.requests.append((message.method, message.path, body))
        reading.stopped = message.should_close
        if message.should_close:
            break
    reading.stopped = reading.stopped or reading.refused or upgraded
    return reading
