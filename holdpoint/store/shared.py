"""One connection to Redis for the commands of many callers at once: each is sent at once, answers come in that order (RESP 2).

::

    execute ─┐                                       ┌─▶ answer
    execute ─┼─▶ bytes ─▶ … Redis … ─▶ bytes ─▶ hiredis ─┼─▶ answer
    execute ─┘                                       └─▶ or the error that it stands for

A thousand requests that are held at the same moment would take a connection of the driver's each, or wait for one with
all that they carry. What is large goes there all the same: it would keep the others waiting (see `Client`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis

from holdpoint.store.line import Argument, Connect, packed


class Shared:
    """Commands of many callers. ``patience_s``: so long may Redis be silent while it is asked, or connecting take."""

    def __init__(self, connect: Connect, *, error: Callable[[str], Exception], patience_s: float) -> None:
        """``error`` makes an exception of an error that Redis answers with."""
        self._connect = connect
        self._error = error
        self._patience_s = patience_s
        self._connecting = asyncio.Lock()
        self._failures = 0  # of attempts to connect
        self._wire: _Wire | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a command would be sent at once."""
        return self._wire is not None and not self._wire.transport.is_closing()

    async def execute(self, *arguments: Argument) -> Any:
        """The raw answer to one command. Never sent twice. Who is cancelled after it was sent has it carried out all the same.

        Raises:
            OSError: no connection, or it broke, or Redis is silent: nobody knows whether the command was carried out.
            Exception: whatever ``error`` makes of the answer, or connecting raises.
        """
        wire = self._wire
        if wire is None or wire.transport.is_closing():
            wire = await self._connected()
        found = await wire.ask(packed(arguments))
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """Close the connection. The next command makes a new one."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.transport.abort()

    async def _connected(self) -> _Wire:
        """A connection that works. Who waits while somebody else tries shares what comes of it, also the failure."""
        failures = self._failures
        async with self._connecting:
            wire = self._wire
            if wire is not None and not wire.transport.is_closing():
                return wire
            if self._failures != failures:
                raise ConnectionRefusedError("the connection could not be made")
            try:
                async with asyncio.timeout(self._patience_s):
                    made = await self._connect()
            except Exception:
                self._failures += 1
                raise
            wire = self._wire = _Wire(made, self._error, self._patience_s)
            return wire


class _Wire(asyncio.Protocol):
    """One connection, taken over from who made it, with any number of commands on their way."""

    def __init__(self, transport: asyncio.Transport, error: Callable[[str], Exception], patience_s: float) -> None:
        self.transport = transport
        self._maker = transport.get_protocol()
        self._reader = hiredis.Reader(protocolError=hiredis.ProtocolError, replyError=error)
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._answers: deque[asyncio.Future[Any]] = deque()
        self._silent_since = 0.0  # the loop's time; while answers are awaited
        self._watch: asyncio.TimerHandle | None = None
        transport.set_protocol(self)

    def ask(self, command: bytes) -> asyncio.Future[Any]:
        """Send ``command``; what comes back is the answer, also when that is an error."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        if not self._answers:
            self._silent_since = self._loop.time()
        self._answers.append(answer)
        if self._watch is None:
            self._watch = self._loop.call_later(self._patience_s, self._look)
        self.transport.write(command)
        return answer

    def data_received(self, data: bytes) -> None:
        self._silent_since = self._loop.time()
        try:
            self._reader.feed(data)
            while (found := self._reader.gets()) is not False:
                answer = self._answers.popleft()
                if not answer.done():  # else nobody waits for it any more
                    answer.set_result(found)
        except (hiredis.ProtocolError, IndexError):  # no RESP, or what nobody asked for
            self._break(ConnectionResetError, "the connection is out of step")

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(ConnectionResetError, "the connection broke")
        self._maker.connection_lost(exc)  # it waits for this when it closes

    def _look(self) -> None:
        """See how long nothing has come. An idle connection has no timer."""
        self._watch = None
        if not self._answers:
            return
        left = self._silent_since + self._patience_s - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
        else:
            self._break(TimeoutError, "no answer")

    def _break(self, error: type[OSError], why: str) -> None:
        """Whatever came now would be an answer to nobody knows what: each that waits hears an ``error`` of its own."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        while self._answers:
            answer = self._answers.popleft()
            if not answer.done():
                answer.set_exception(error(why))
        self.transport.abort()
