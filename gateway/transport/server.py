"""The listening side: takes connections up to a bound, closes idle ones, and drains.

::

    Acceptor ─▶ HttpServer ─ one ClientConnection per client (llhttp parses) ─ one HttpRequest and HttpReply at a time ─▶ Serve
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from gateway.transport import Serve
from gateway.transport.accepting import Acceptor
from gateway.transport.client_connection import ClientConnection
from gateway.transport.counted import CountedReply, Watcher
from gateway.transport.listening import bound
from gateway.transport.reply import HttpReply
from gateway.transport.request import HttpRequest
from holdpoint.addresses import TrustedProxies
from holdpoint.forwarded import client_behind

_IDLE_S = 75.0
_MOST_CONNECTIONS = 20_000
_TURNED_AWAY = 256  # beyond the bound, connections that are told so at the same time; others are cut

NOBODY = TrustedProxies("")


@dataclass(frozen=True, slots=True)
class Door:
    """Who is let in, and how.

    ``tls`` gives the context for the next connection; None: no TLS. ``proxies`` are believed what they say about their
    clients in ``forwarded_header``, and, if ``preambles``, begin each connection with a PROXY preamble.
    """

    most_connections: int = _MOST_CONNECTIONS
    tls: Callable[[], ssl.SSLContext] | None = None
    proxies: TrustedProxies = NOBODY
    preambles: bool = False
    forwarded_header: str = "x-forwarded-for"


_OPEN_DOOR = Door()


class HttpServer:
    """Open with `open`, or on sockets that are bound already; see `gateway.transport.Server`."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        serve: Serve,
        *,
        write_timeout_s: float,
        idle_s: float = _IDLE_S,
        door: Door = _OPEN_DOOR,
        watcher: Watcher | None = None,
    ) -> None:
        """The sockets are the server's from here on; `start_accepting` lets clients in.

        ``write_timeout_s``: a client that reads nothing for so long is dropped. ``idle_s``: so is one that has brought
        no request for so long; it is also the longest time that the head of a request may take.
        """
        self.serve = serve
        self.write_timeout_s = write_timeout_s
        self._idle_s = idle_s
        self._door = door
        self._watcher = watcher
        self.stopping = False
        self.host, self.port = "", 0
        if sockets[0].family != socket.AF_UNIX:
            self.host, self.port = sockets[0].getsockname()[:2]
        self._loop = asyncio.get_running_loop()
        self._acceptor = Acceptor(
            sockets,
            lambda peer: ClientConnection(self, peer),
            tls=door.tls,
            preambles_from=door.proxies if door.preambles else None,
            most_greetings=door.most_connections,
            goodbye_s=write_timeout_s,
        )
        self._connections: set[ClientConnection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._look = self._loop.call_later(idle_s / 50, self._close_idle)

    @classmethod
    async def open(cls, host: str, port: int, serve: Serve, *, write_timeout_s: float, idle_s: float = _IDLE_S) -> Self:
        """Take ``host:port`` (0: any free port), without TLS and proxies.

        Raises:
            OSError: the address cannot be used.
        """
        return cls(bound(host, port), serve, write_timeout_s=write_timeout_s, idle_s=idle_s)

    async def start_accepting(self) -> None:
        self._acceptor.start()

    async def stop_accepting(self) -> None:
        self.stopping = True
        self._acceptor.stop()
        for connection in list(self._connections):
            if connection.idle_until:
                connection.close()

    async def aclose(self, drain_s: float) -> None:
        await self.stop_accepting()
        await self._acceptor.aclose()
        try:
            async with asyncio.timeout(drain_s):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.cut()
            await self._empty.wait()
        self._look.cancel()

    def opened(self, connection: ClientConnection) -> bool:
        """A client came. False: there is no room for it."""
        self._connections.add(connection)
        self._empty.clear()
        self.waits(connection)
        beyond = len(self._connections) - self._door.most_connections
        if beyond > _TURNED_AWAY:
            connection.cut()
        return beyond <= 0

    def passes_on(self, peer: str) -> bool:
        """Whether ``peer`` may say for whom its requests are."""
        return peer in self._door.proxies

    def client_behind(self, request: HttpRequest) -> str | None:
        """For whom the request is that a trusted proxy passed on; None when that cannot be read."""
        header = self._door.forwarded_header
        return client_behind(request.peer, header, request.headers(header), self._door.proxies)

    def reply(self, connection: ClientConnection, request: HttpRequest) -> HttpReply:
        """What the request is answered with."""
        return HttpReply(connection, request) if self._watcher is None else CountedReply(connection, request)

    def tell_answered(self, request: HttpRequest, reply: CountedReply) -> None:
        """Nothing is left to do for a request whose answer was counted."""
        if self._watcher is not None:
            self._watcher.answered(request, reply)

    def tell_refused(self, peer: str, status: int) -> None:
        """What came from ``peer`` never reached the route."""
        if self._watcher is not None:
            self._watcher.refused(peer, status)

    def waits(self, connection: ClientConnection) -> None:
        """``connection`` has a while from now on to bring the head of a request."""
        connection.idle_until = self._loop.time() + self._idle_s

    def done(self, connection: ClientConnection) -> None:
        """The connection and all of its work are over."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def _close_idle(self) -> None:
        now = self._loop.time()
        for connection in list(self._connections):
            if 0 < connection.idle_until <= now:
                connection.close()
        self._look = self._loop.call_later(self._idle_s / 50, self._close_idle)
