"""What `Line` and `Shared` have in common: a connection on which Redis answers in the order in which it is asked (RESP 2)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import repeat
from typing import Any

import hiredis

Argument = str | int | bytes
"""One word of a command, before it is packed."""

Answered = Callable[[Any], None]
"""Called once with the raw answer, or with the error that it or the lack of it stands for. Must not raise."""


class Wire(asyncio.Protocol):
    """One connection, taken over from who made it, with any number of commands on their way, and one timer for all."""

    def __init__(
        self,
        transport: asyncio.Transport,
        error: Callable[[str], Exception],
        patience_s: float | None,
        *,
        exact: bool = False,
    ) -> None:
        """``error`` makes an exception of an error that Redis answers with; so long may it be silent while it is asked.

        ``exact``: an answer that comes with something that nobody asked for is none.
        """
        self.transport = transport
        self._maker = transport.get_protocol()
        self._reader = hiredis.Reader(protocolError=hiredis.ProtocolError, replyError=error)
        self._patience_s = patience_s
        self._exact = exact
        self._loop = asyncio.get_running_loop()
        self._awaited: deque[Answered] = deque()
        self._silent_since = 0.0  # the loop's time; while answers are awaited
        self._watch: asyncio.TimerHandle | None = None
        transport.set_protocol(self)

    def ask(self, commands: bytes, answered: Answered, *, answers: int = 1) -> None:
        """Send ``commands``, to which Redis has so many ``answers``, and call ``answered`` with the last of them."""
        if not self._awaited:
            self._silent_since = self._loop.time()
        if answers > 1:
            self._awaited.extend(repeat(_unheard, answers - 1))
        self._awaited.append(answered)
        if self._watch is None and self._patience_s is not None:
            self._watch = self._loop.call_later(self._patience_s, self._look, self._patience_s)
        self.transport.write(commands)

    def data_received(self, data: bytes) -> None:
        self._silent_since = self._loop.time()
        reader, awaited = self._reader, self._awaited
        try:
            reader.feed(data)
            while (found := reader.gets()) is not False:
                if not awaited or (self._exact and len(awaited) == 1 and reader.has_data()):
                    self.transport.abort()  # nobody asked for it, or for what came with it
                    return
                awaited.popleft()(found)
        except hiredis.ProtocolError:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(ConnectionResetError, "the connection broke")
        self._maker.connection_lost(exc)  # it waits for this when it closes

    def _look(self, patience_s: float) -> None:
        """See how long nothing has come. An idle connection has no timer."""
        self._watch = None
        if not self._awaited:
            return
        left = self._silent_since + patience_s - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look, patience_s)
        else:
            self._break(TimeoutError, "no answer")

    def _break(self, error: type[OSError], why: str) -> None:
        """Whatever came now would be an answer to nobody knows what: each that waits hears an ``error`` of its own."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self.transport.abort()
        while self._awaited:
            self._awaited.popleft()(error(why))


def _unheard(_found: Any) -> None:
    """An answer that says nothing which a later one does not say."""


def resolve(future: asyncio.Future[Any], found: Any) -> None:
    """An `Answered` for who waits; perhaps nobody does any more."""
    if not future.done():
        future.set_result(found)
