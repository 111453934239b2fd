"""The listening side: takes connections, closes idle ones, and drains.

::

    HttpServer ─ one ClientConnection per client (llhttp parses) ─ one HttpRequest and HttpReply at a time ─▶ Serve
"""

from __future__ import annotations

import asyncio
from typing import Self

from gateway.transport import Serve
from gateway.transport.client_connection import ClientConnection

_IDLE_S = 75.0
_BACKLOG = 2048


class HttpServer:
    """Open with `open`; see `gateway.transport.Server`."""

    def __init__(self, serve: Serve, *, write_timeout_s: float, idle_s: float) -> None:
        self.serve = serve
        self.write_timeout_s = write_timeout_s
        self._idle_s = idle_s
        self.stopping = False
        self.host = ""
        self.port = 0
        self._loop = asyncio.get_running_loop()
        self._listening: asyncio.Server | None = None
        self._connections: set[ClientConnection] = set()
        # In the order in which their time is up, because all are given the same time.
        self._idle: dict[ClientConnection, float] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._look: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, host: str, port: int, serve: Serve, *, write_timeout_s: float, idle_s: float = _IDLE_S) -> Self:
        """Take ``host:port`` (0: any free port); `start_accepting` lets clients in.

        ``write_timeout_s``: a client that reads nothing for so long is dropped. ``idle_s``: so is one that has brought
        no request for so long; it is also the longest time that the head of a request may take.

        Raises:
            OSError: the address cannot be used.
        """
        server = cls(serve, write_timeout_s=write_timeout_s, idle_s=idle_s)
        server._listening = await server._loop.create_server(
            lambda: ClientConnection(server), host, port, backlog=_BACKLOG, start_serving=False
        )
        server.host, server.port = host, server._listening.sockets[0].getsockname()[1]
        server._close_idle()
        return server

    async def start_accepting(self) -> None:
        if self._listening is not None:
            await self._listening.start_serving()

    async def stop_accepting(self) -> None:
        self.stopping = True
        if self._listening is not None:
            self._listening.close()
        for connection in list(self._idle):
            connection.close()

    async def aclose(self, drain_s: float) -> None:
        await self.stop_accepting()
        try:
            async with asyncio.timeout(drain_s):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.cut()
            await self._empty.wait()
        if self._look is not None:
            self._look.cancel()

    def opened(self, connection: ClientConnection) -> None:
        """A client came."""
        self._connections.add(connection)
        self._empty.clear()
        self.waits(connection)

    def waits(self, connection: ClientConnection) -> None:
        """``connection`` has a while from now on to bring the head of a request."""
        self._idle.pop(connection, None)
        self._idle[connection] = self._loop.time() + self._idle_s

    def works(self, connection: ClientConnection) -> None:
        """``connection`` has a request that is being answered."""
        self._idle.pop(connection, None)

    def done(self, connection: ClientConnection) -> None:
        """The connection and all of its work are over."""
        self._idle.pop(connection, None)
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _close_idle(self) -> None:
        now = self._loop.time()
        for connection, until in list(self._idle.items()):
            if until > now:
                break
            connection.close()
        self._look = self._loop.call_later(self._idle_s / 50, self._close_idle)
