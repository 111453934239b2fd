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
from collections.abc import Callable
from functools import partial
from typing import Any

from holdpoint.store.line import Connect, packed
from holdpoint.store.wire import Argument, Wire, resolve


class Shared:
    """Commands of many callers. ``patience_s``: so long may Redis be silent while it is asked, or connecting take."""

    def __init__(self, connect: Connect, *, error: Callable[[str], Exception], patience_s: float) -> None:
        """``error`` makes an exception of an error that Redis answers with."""
        self._connect = connect
        self._error = error
        self._patience_s = patience_s
        self._connecting = asyncio.Lock()
        self._failures = 0  # of attempts to connect
        self._wire: Wire | None = None

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
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        wire.ask(packed(arguments), partial(resolve, answer))
        found = await answer
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """Close the connection. The next command makes a new one."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.transport.abort()

    async def _connected(self) -> Wire:
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
            wire = self._wire = Wire(made, self._error, self._patience_s)
            return wire
