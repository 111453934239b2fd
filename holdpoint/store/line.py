"""One connection to Redis for one command after the other, as lean as the commits of many records need it (RESP 2).

::

    execute ─▶ one write ─▶ … ─▶ bytes ─▶ hiredis ─▶ the answer, or the error that it stands for

The driver packs, locks, times and awaits several times for each command. It still makes the connection, because it knows
the URL, TLS and the passwords, and says hello; then this takes the socket over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import hiredis

Argument = str | int | bytes
Connect = Callable[[], Awaitable[asyncio.Transport]]
"""Makes a connection on which Redis has been greeted, and nothing is on its way."""


class Line:
    """Commands in the order in which they are given; each waits for the answer to the one before."""

    def __init__(self, connect: Connect, *, error: Callable[[str], Exception], patience_s: float | None = None) -> None:
        """``error`` makes an exception of an error that Redis answers with. ``patience_s`` is for each answer."""
        self._connect = connect
        self._error = error
        self._patience_s = patience_s
        self._turn = asyncio.Lock()
        self._callers = 0  # whose turn it is, and who waits for theirs
        self._wire: _Wire | None = None

    @property
    def ready(self) -> bool:
        """Whether a command would be sent at once: there is a connection, and nobody else who uses it or wants to."""
        return self._callers == 0 and self._wire is not None and not self._wire.transport.is_closing()

    async def execute(self, *arguments: Argument) -> Any:
        """The raw answer to one command. Never sent twice. Waits for its turn and for a connection without a limit.

        Raises:
            OSError: no connection, or it broke: nobody knows whether the command was carried out.
            TimeoutError: no answer within ``patience_s``: nobody knows.
            Exception: whatever ``error`` makes of the answer, or connecting raises.
        """
        self._callers += 1
        try:
            async with self._turn:
                found = await self._ask(arguments)
        finally:
            self._callers -= 1
        if isinstance(found, Exception):
            raise found
        return found

    async def _ask(self, arguments: tuple[Argument, ...]) -> Any:
        wire = self._wire
        if wire is None or wire.transport.is_closing():
            wire = self._wire = _Wire(await self._connect(), self._error, self._patience_s)
        try:
            return await wire.ask(packed(arguments))
        except BaseException:
            self.close()  # the answer may still come, and would be taken for that to the next command
            raise

    def close(self) -> None:
        """Close the connection. The next command makes a new one."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.transport.abort()


class _Wire(asyncio.Protocol):
    """One connection, taken over from who made it, with one command on its way at a time, and one timer for all."""

    def __init__(
        self, transport: asyncio.Transport, error: Callable[[str], Exception], patience_s: float | None
    ) -> None:
        self.transport = transport
        self._loop = asyncio.get_running_loop()
        self._patience_s = patience_s
        self._asked_at = 0.0  # the loop's time
        self._timer: asyncio.TimerHandle | None = None
        self._maker = transport.get_protocol()
        self._reader = hiredis.Reader(protocolError=hiredis.ProtocolError, replyError=error)
        self._answer: asyncio.Future[Any] | None = None
        transport.set_protocol(self)

    def ask(self, command: bytes) -> asyncio.Future[Any]:
        """Send ``command``; what comes back is the answer, also when that is an error."""
        self._answer = self._loop.create_future()
        self._asked_at = self._loop.time()
        if self._timer is None and self._patience_s is not None:
            self._timer = self._loop.call_later(self._patience_s, self._look, self._patience_s)
        self.transport.write(command)
        return self._answer

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            found = self._reader.gets()
        except hiredis.ProtocolError:
            self.transport.abort()
            return
        if found is False:
            return  # not all of it is there
        answer = self._answer
        if answer is None or answer.done() or self._reader.has_data():
            self.transport.abort()  # nobody asked for it, or for what came with it
        else:
            self._answer = None
            answer.set_result(found)

    def _look(self, patience_s: float) -> None:
        """See how long the answer is on its way. An idle connection has no timer."""
        self._timer = None
        if self._answer is None or self._answer.done():
            return
        left = self._asked_at + patience_s - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look, patience_s)
        else:
            self._answer.set_exception(TimeoutError("no answer"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._answer is not None and not self._answer.done():
            broken = ConnectionResetError("the connection broke")
            broken.__cause__ = exc
            self._answer.set_exception(broken)
        self._maker.connection_lost(exc)  # it waits for this when it closes


def packed(arguments: tuple[Argument, ...]) -> bytes:
    """One command as RESP: an array of bulk strings."""
    pieces = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        pieces += (b"$%d\r\n" % len(data), data, b"\r\n")
    return b"".join(pieces)
