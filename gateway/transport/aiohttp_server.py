"""`Request`, `Reply` and `Server` on aiohttp's low-level server: no application, no router, no access log.

aiohttp parses and frames; nothing is decompressed. One connection object per client tells whoever asks when the client
is gone. A handler is never cancelled for that: only the few places that wait on a client's behalf ask to be told.
"""

from __future__ import annotations

import asyncio
import http
import re
from collections.abc import Callable, Iterable
from typing import Any, Self, cast

import orjson
from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_writer import HttpVersion10, StreamWriter
from aiohttp.web_protocol import RequestHandler, RequestPayloadError

from gateway.transport import BodyBroken, BodyTooLarge, BodyTooSlow, ClientGone, Serve

_IDLE_S = 75.0  # also the longest time that the headers of a request may take
_LINGER_S = 2.0  # how long the rest of a refused body is read and dropped, so that the client sees the refusal
_BACKLOG = 2048
_STATUS_LINES: dict[int, str] = {}
_DIGITS = re.compile(r"[0-9]{1,15}")


def _status_line(status: int) -> str:
    line = _STATUS_LINES.get(status)
    if line is None:
        try:
            phrase = http.HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unknown"
        line = _STATUS_LINES[status] = f"HTTP/1.1 {status} {phrase}"
    return line


class AiohttpServer:
    """Open with `open`; see `gateway.transport.Server`."""

    def __init__(self, serve: Serve, *, write_timeout_s: float) -> None:
        self._serve = serve
        self._write_timeout_s = write_timeout_s
        self._server = _Server(
            self._handle,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=_IDLE_S,
            lingering_time=_LINGER_S,
        )
        self._listening: asyncio.Server | None = None
        self.host = ""
        self.port = 0

    @classmethod
    async def open(cls, host: str, port: int, serve: Serve, *, write_timeout_s: float) -> Self:
        """Take ``host:port`` (0: any free port); `start_accepting` lets clients in.

        Raises:
            OSError: the address cannot be used.
        """
        server = cls(serve, write_timeout_s=write_timeout_s)
        loop = asyncio.get_running_loop()
        server._listening = await loop.create_server(server._server, host, port, backlog=_BACKLOG, start_serving=False)
        address = server._listening.sockets[0].getsockname()
        server.host, server.port = host, address[1]
        return server

    async def start_accepting(self) -> None:
        if self._listening is not None:
            await self._listening.start_serving()

    async def stop_accepting(self) -> None:
        if self._listening is not None:
            self._listening.close()
        self._server.pre_shutdown()

    async def aclose(self, drain_s: float) -> None:
        await self.stop_accepting()
        await self._server.shutdown(drain_s)

    async def _handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        connection = cast("_Connection", raw.protocol)
        reply = AiohttpReply(raw, connection, self._write_timeout_s)
        await self._serve(AiohttpRequest(raw, connection), reply)
        return cast("web.StreamResponse", reply)  # has what the server asks of one: prepare, write_eof, keep_alive


class _Connection(RequestHandler):
    """One client's connection, that tells when the client is gone, and refuses in the provider's shape."""

    __slots__ = ("when_lost",)

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.when_lost: Callable[[], object] | None = None

    @property
    def closes(self) -> bool:
        """Whether this is the connection's last request, because the server is being stopped."""
        return self._close or self._force_close

    def data_received(self, data: bytes) -> None:
        """The library queues bad framing as a request of its own, and leaves the body that it is in waiting for ever."""
        super().data_received(data)
        if self._messages and self._current_request is not None:
            message, _ = self._messages[-1]
            body = self._current_request.content
            if not isinstance(message, RawRequestMessage) and not body.is_eof():
                body.set_exception(RequestPayloadError("bad framing"))

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - the library's
        """The library calls this whenever a body was read, and parses nothing once more."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        callback, self.when_lost = self.when_lost, None
        if callback is not None:
            callback()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 - it quotes what the client sent
        message: str | None = None,  # noqa: ARG002 - it quotes what the client sent
    ) -> web.StreamResponse:
        """What is not HTTP at all is refused here; it never reaches the route."""
        if cast("StreamWriter", request.writer).output_size > 0:
            raise ConnectionError("an answer was begun")
        error = {"message": "The request is not valid HTTP.", "type": "invalid_request_error", "param": None}
        body = orjson.dumps({"error": {**error, "code": "uninspectable" if status < 500 else "unavailable"}})
        response = web.Response(status=status, body=body, content_type="application/json")
        response.headers["x-should-retry"] = "false"
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Not logged: the library's messages quote what was sent, and the outermost handler logs what is ours."""


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class AiohttpRequest:
    """See `gateway.transport.Request`."""

    __slots__ = ("_connection", "_headers", "_payload", "_raw", "method", "path", "peer", "query")

    def __init__(self, raw: web.BaseRequest, connection: _Connection) -> None:
        message = raw._message  # noqa: SLF001 - the target as it was sent; `raw.path` is decoded
        self._raw = raw
        self._connection = connection
        self._headers = message.headers
        self._payload = raw.content
        self.method = message.method
        self.path, _, self.query = message.path.partition("?")
        peer = raw._transport_peername  # noqa: SLF001 - `raw.remote` caches, and says the same
        self.peer = str(peer[0]) if isinstance(peer, tuple | list) and peer else ""

    @property
    def disconnected(self) -> bool:
        return self._connection.transport is None

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    def headers(self, name: str) -> list[str]:
        return self._headers.getall(name, [])

    def on_disconnect(self, callback: Callable[[], object] | None) -> None:
        self._connection.when_lost = callback
        if callback is not None and self.disconnected:
            self._connection.when_lost = None
            callback()

    async def body(self, limit: int, timeout_s: float) -> bytes:
        declared = self._headers.get("content-length")
        if declared is not None and (not _DIGITS.fullmatch(declared) or int(declared) > limit):
            raise BodyTooLarge
        payload = self._payload
        if payload.is_eof() and payload.exception() is None:
            data = payload.read_nowait()
            if len(data) > limit:
                raise BodyTooLarge
            return data
        if self._headers.get("expect", "").lower() == "100-continue" and self._connection.transport is not None:
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await self._rest(limit, timeout_s)

    async def _rest(self, limit: int, timeout_s: float) -> bytes:
        """The body, piece by piece as it comes."""
        pieces: list[bytes] = []
        size = 0
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s) as patience:
                while piece := await self._payload.readany():
                    size += len(piece)
                    if size > limit:
                        raise BodyTooLarge
                    pieces.append(piece)
                    patience.reschedule(loop.time() + timeout_s)
        except TimeoutError:
            raise BodyTooSlow from None
        except (RequestPayloadError, HttpProcessingError):
            raise BodyBroken from None
        except (OSError, RuntimeError):
            # The stream says so with a RuntimeError when the connection was lost before the wait began.
            if self.disconnected:
                raise ClientGone from None
            raise
        if self.disconnected:
            raise ClientGone
        return b"".join(pieces)


class AiohttpReply:
    """See `gateway.transport.Reply`. Also what aiohttp's server takes for a finished response.

    Heads and chunks are put together here, so that a whole answer is one write; the library's writer only counts.
    """

    __slots__ = ("_chunked", "_connection", "_ended", "_head", "_raw", "_timeout_s", "_writer", "keep_alive", "started")

    def __init__(self, raw: web.BaseRequest, connection: _Connection, timeout_s: float) -> None:
        self._raw = raw
        self._connection = connection
        self._writer = cast("StreamWriter", raw.writer)
        self._timeout_s = timeout_s
        self._head = b""  # fixed, and not sent yet
        self._chunked = False
        self._ended = False
        self.started = False
        self.keep_alive = raw.keep_alive

    def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        raw = self._raw
        lines = [_status_line(status)]
        sized = status in (204, 304)
        for name, value in headers:
            lines.append(f"{name}: {value}")
            sized = sized or name.lower() == "content-length"
        self.started = True
        if self._connection.closes or not raw.content.is_eof():
            self.keep_alive = False  # a body that was not read stands between this answer and the next request
        if not sized:
            if raw.version > HttpVersion10:
                self._chunked = raw.method != "HEAD"
                lines.append("transfer-encoding: chunked")
            else:
                self.keep_alive = False
        if not self.keep_alive:
            lines.append("connection: close")
        elif raw.version == HttpVersion10:
            lines.append("connection: keep-alive")
        if not "".join(lines).isprintable():
            raise ValueError("a header with a control character")  # a line break would begin another header
        self._head = ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def write(self, data: bytes) -> None:
        self._send(self._framed(data))
        if self._connection.writing_paused:
            await self._drain()

    async def end(self, data: bytes = b"") -> None:
        self._send(self._framed(data) + b"0\r\n\r\n" if self._chunked else self._framed(data))
        self._ended = True
        if self._connection.writing_paused:
            await self._drain()

    def _framed(self, data: bytes) -> bytes:
        if self._raw.method == "HEAD":
            return b""
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked and data else data

    def _send(self, data: bytes) -> None:
        """The head, when it has not been sent, and ``data``."""
        transport = self._connection.transport
        if transport is None or transport.is_closing():
            raise ClientGone
        if self._head:
            data, self._head = self._head + data, b""
        if data:
            self._writer.output_size += len(data)  # `handle_error` looks whether anything was sent
            transport.write(data)

    def abort(self) -> None:
        self.keep_alive = False
        if self._connection.transport is not None:
            self._connection.transport.close()

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._writer.drain()
        except TimeoutError:
            self.keep_alive = False
            if self._connection.transport is not None:
                self._connection.transport.abort()
            raise ClientGone from None
        except ConnectionError:
            raise ClientGone from None
        if self._connection.transport is None:
            raise ClientGone

    async def prepare(self, _request: web.BaseRequest) -> None:
        """Called by aiohttp once the route is done: what was not begun or ended by then never will be."""
        if not self._ended:
            self.abort()

    async def write_eof(self, _data: bytes = b"") -> None:
        """Called by aiohttp after `prepare`: the end was marked by the route."""
