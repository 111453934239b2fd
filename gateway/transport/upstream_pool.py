"""The connections to one origin: made, kept while they are fresh, and closed.

A kept connection that has closed is passed over before anything is written to it. Several addresses are tried side by
side (RFC 8305), so that one that does not answer costs a quarter of a second and not the whole time limit.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import cast

from aiohappyeyeballs import AddrInfoType, start_connection

from gateway.transport import UpstreamUnreachable
from gateway.transport.upstream_connection import UpstreamConnection

_NAMES_KEPT_S = 10.0
_NEXT_ADDRESS_AFTER_S = 0.25


class Pool:
    """One origin. ``tls`` is None for plain HTTP. Also the `Owner` of its connections."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        *,
        connect_timeout_s: float,
        silence_s: float,
        keep_s: float,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._connect_timeout_s = connect_timeout_s
        self._silence_s = silence_s
        self._keep_s = keep_s
        self._loop = asyncio.get_running_loop()
        self._open: set[UpstreamConnection] = set()
        self._idle: list[UpstreamConnection] = []  # the one that was used last is last
        self._sweeping: asyncio.TimerHandle | None = None
        self._addresses: list[AddrInfoType] = []
        self._addresses_until = 0.0
        self._closed: asyncio.Future[None] | None = None

    async def take(self, *, fresh: bool) -> UpstreamConnection:
        """The kept connection that was used last, when it is still good; else, and if ``fresh``, a new one.

        Raises:
            UpstreamUnreachable: no connection could be made.
        """
        kept = None if fresh else self.take_kept()
        if kept is not None:
            return kept
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                connection = await self._connect(single=fresh)
        except (OSError, UnicodeError):  # a time-out and a TLS error are an OSError, too
            raise UpstreamUnreachable("the model cannot be reached") from None
        if self._closed is not None or not connection.usable:
            connection.abort()
            raise UpstreamUnreachable("the model cannot be reached")
        return connection

    def take_kept(self) -> UpstreamConnection | None:
        """The kept connection that was used last, when it is still good."""
        if self._idle:
            oldest = self._loop.time() - self._keep_s
            while self._idle:
                connection = self._idle.pop()
                if connection.usable and connection.idle_since > oldest:
                    return connection
                connection.abort()
        return None

    async def aclose(self) -> None:
        """Close all connections. Running requests get `UpstreamBroken`."""
        self._closed = asyncio.get_running_loop().create_future()
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._open:
            for connection in tuple(self._open):
                connection.abort()
            await self._closed

    def made(self, connection: UpstreamConnection) -> None:
        self._open.add(connection)

    def kept(self, connection: UpstreamConnection) -> None:
        if self._closed is not None:
            connection.abort()
            return
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(self._keep_s, self._sweep)

    def lost(self, connection: UpstreamConnection) -> None:
        with suppress(ValueError):
            self._idle.remove(connection)
        self._open.discard(connection)
        if self._closed is not None and not self._open and not self._closed.done():
            self._closed.set_result(None)

    def _sweep(self) -> None:
        """Close what has been idle for too long; again after a while, as long as anything is idle."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._keep_s
        while self._idle and self._idle[0].idle_since <= oldest:
            self._idle.pop(0).abort()
        self._sweeping = loop.call_later(self._keep_s, self._sweep) if self._idle else None

    async def _connect(self, *, single: bool) -> UpstreamConnection:
        """Tried twice: nothing has been sent yet, and a server that restarts refuses for a moment."""
        try:
            return await self._try_to_connect(single=single)
        except OSError:
            self._addresses_until = 0
            return await self._try_to_connect(single=single)

    async def _try_to_connect(self, *, single: bool) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        addresses = await self._resolve()
        tls, called = self._tls, self._host if self._tls is not None else None
        if (
            len(addresses) == 1 and addresses[0][0] is socket.AF_INET
        ):  # nothing to race: the loop alone is twice as fast
            host, port = addresses[0][4][:2]
            _, only = await loop.create_connection(
                lambda: UpstreamConnection(self, silence_s=self._silence_s, single=single),
                host, port, ssl=tls, server_hostname=called,
            )  # fmt: skip
            return only
        made = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER_S, interleave=1, loop=loop)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _, connection = await loop.create_connection(
                lambda: UpstreamConnection(self, silence_s=self._silence_s, single=single),
                sock=made,
                ssl=tls,
                server_hostname=called,
            )
        except BaseException:
            made.close()
            raise
        return connection

    async def _resolve(self) -> list[AddrInfoType]:
        """What the name stands for, asked again after a while; a numeric address stands for itself."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._addresses_until:
            try:
                numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
                found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=numeric)
            except socket.gaierror:
                found = await loop.getaddrinfo(
                    self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                )
            self._addresses = cast("list[AddrInfoType]", found)
            self._addresses_until = loop.time() + _NAMES_KEPT_S
        return self._addresses
