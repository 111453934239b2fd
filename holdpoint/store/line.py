"""One connection to Redis for one command after the other, as lean as the commits of many records need it (RESP 2).

::

    execute ─▶ one write ─▶ … ─▶ bytes ─▶ hiredis ─▶ the answer, or the error that it stands for

The driver packs, locks, times and awaits several times for each command. It still makes the connection, because it knows
the URL, TLS and the passwords, and says hello; then this takes the socket over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from holdpoint.store.wire import Answered, Argument, Wire, resolve

Connect = Callable[[], Awaitable[asyncio.Transport]]
"""Makes a connection on which Redis has been greeted, and nothing is on its way."""


class Line:
    """Commands in the order in which they are given; each waits for the answer to the one before.

    Only what was sent without waiting (`send`) may have the next one behind it on the wire.
    """

    def __init__(self, connect: Connect, *, error: Callable[[str], Exception], patience_s: float | None = None) -> None:
        """``error`` makes an exception of an error that Redis answers with. ``patience_s`` is for each answer."""
        self._connect = connect
        self._error = error
        self._patience_s = patience_s
        self._turn = asyncio.Lock()
        self._callers = 0  # whose turn it is, and who waits for theirs
        self._wire: Wire | None = None

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
        return await self.execute_packed(packed(arguments))

    async def execute_packed(self, commands: bytes, *, answers: int = 1) -> Any:
        """`execute` of what is `packed` already: one command, or several that end in an ``EXEC``, whose answer it returns."""
        self._callers += 1
        try:
            async with self._turn:
                found = await self._ask(commands, answers)
        finally:
            self._callers -= 1
        if isinstance(found, Exception):
            raise found
        return found

    def send(self, commands: bytes, answered: Answered, *, answers: int = 1) -> bool:
        """`execute_packed` without waiting. False: the line is not `ready`, and nothing was sent.

        ``answered`` is called with what `execute_packed` returns or raises.
        """
        wire = self._wire
        if self._callers or wire is None or wire.transport.is_closing():
            return False
        self._callers += 1
        wire.ask(commands, partial(self._sent, answered), answers=answers)
        return True

    def _sent(self, answered: Answered, found: Any) -> None:
        self._callers -= 1
        answered(found)

    async def _ask(self, commands: bytes, answers: int) -> Any:
        wire = self._wire
        if wire is None or wire.transport.is_closing():
            wire = self._wire = Wire(await self._connect(), self._error, self._patience_s, exact=True)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        wire.ask(commands, partial(resolve, answer), answers=answers)
        try:
            return await answer
        except BaseException:
            self.close()  # the answer may still come, and would be taken for that to the next command
            raise

    def close(self) -> None:
        """Close the connection. The next command makes a new one."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.transport.abort()


def packed(arguments: tuple[Argument, ...]) -> bytes:
    """One command as RESP: an array of bulk strings."""
    return b"*%d\r\n" % len(arguments) + b"".join(map(bulk, arguments))


def bulk(argument: Argument) -> bytes:
    """One argument of a command."""
    data = argument if isinstance(argument, bytes) else str(argument).encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)
