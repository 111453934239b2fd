"""The answer to one request, on its way out: its head, the framing of its body, and a client that may not read."""

from __future__ import annotations

import asyncio
import http
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from gateway.transport import ClientGone
from gateway.transport.request import HttpRequest

if TYPE_CHECKING:
    from gateway.transport.client_connection import ClientConnection

_MOST_LINES = 64  # heads of answers that are remembered
_MOST_REMEMBERED = 24  # headers of one of them: more are a model's that may want to fill the memory
_CONTROL = "a header with a control character"


def _status_line(status: int) -> str:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return f"HTTP/1.1 {status} {phrase}"


def _lines(status: int, fields: tuple[tuple[str, str], ...]) -> tuple[str, bool]:
    """The first lines of a head, and whether they say how long the body is."""
    lines = [_status_line(status), *(f"{name}: {value}" for name, value in fields)]
    if not "".join(lines).isprintable():
        raise ValueError(_CONTROL)  # a line break would begin another header
    sized = status in (204, 304) or any(name.lower() == "content-length" for name, _ in fields)
    return "".join([f"{line}\r\n" for line in lines]), sized


_remembered_lines = lru_cache(maxsize=_MOST_LINES)(_lines)  # one answer begins like the next


class HttpReply:
    """See `gateway.transport.Reply`. ``keep_alive``: whether another request may follow once it has ``ended``."""

    __slots__ = ("_chunked", "_connection", "_head", "_request", "ended", "keep_alive", "open_ended", "started")

    def __init__(self, connection: ClientConnection, request: HttpRequest) -> None:
        self._connection = connection
        self._request = request
        self._head = b""  # fixed, and not sent yet
        self._chunked = False
        self.started = False
        self.ended = False
        self.keep_alive = request.keep_alive
        self.open_ended = False  # the end of the connection is its only end, as HTTP/1.0 has it

    def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        request = self._request
        fields = tuple(headers)
        length = fields[-1][1] if fields and fields[-1][0] == "content-length" else ""
        lines_of = _remembered_lines if len(fields) <= _MOST_REMEMBERED else _lines
        lines, sized = lines_of(status, fields[:-1] if length else fields)
        more = f"content-length: {length}\r\n" if length else ""
        self.started = True
        if self._connection.stopping or not request.whole:
            self.keep_alive = False  # a body that was not read stands between this answer and the next request
        if not sized and not length:
            if request.version == "1.1":
                self._chunked = request.method != "HEAD"
                more += "transfer-encoding: chunked\r\n"
            else:
                self.keep_alive = False
                self.open_ended = True
        if not self.keep_alive:
            more += "connection: close\r\n"
        elif request.version == "1.0":
            more += "connection: keep-alive\r\n"
        if not length.isprintable():
            raise ValueError(_CONTROL)
        self._head = f"{lines}{more}\r\n".encode()

    async def write(self, data: bytes) -> None:
        self._send(self._framed(data))
        if self._connection.when_writable is not None:
            await self._drain()

    async def end(self, data: bytes = b"") -> None:
        self._send(self._framed(data) + b"0\r\n\r\n" if self._chunked else self._framed(data))
        self.ended = True
        if self._connection.when_writable is not None:
            await self._drain()

    def send(self, data: bytes) -> bool:
        connection = self._connection
        transport = connection.transport
        if self._chunked and data and not self._head and transport is not None and not transport.is_closing():
            transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._send(self._framed(data))
        return connection.when_writable is None

    def finish(self, data: bytes) -> None:
        connection = self._connection
        try:
            self._send(self._framed(data) + b"0\r\n\r\n" if self._chunked else self._framed(data))
            self.ended = True
        except ClientGone:
            pass
        if connection.when_writable is not None:
            self.hand_over(self._drained())
        else:
            connection.answered()

    def hand_over(self, rest: Awaitable[None]) -> None:
        self._connection.wait_for(rest)

    async def _drained(self) -> None:
        with suppress(ClientGone):
            await self._drain()

    def abort(self) -> None:
        self.keep_alive = False
        self._connection.break_off(self)

    def _framed(self, data: bytes) -> bytes:
        if self._request.method == "HEAD":
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
            transport.write(data)

    async def _drain(self) -> None:
        """Until the client has taken enough of what was sent."""
        waiter = self._connection.when_writable
        if waiter is None:
            return
        try:
            async with asyncio.timeout(self._connection.write_timeout_s):
                await asyncio.shield(waiter)
        except TimeoutError:
            self.keep_alive = False
            self._connection.drop(self)
            raise ClientGone from None
        if self._connection.transport is None:
            raise ClientGone
