"""Where connections to Redis are made: the driver's own, and those that it greets Redis on and hands over.

::

    new_pool ─┬─▶ new_driver: commands of any kind, one connection each while it runs
              ├─▶ Greeted ─▶ Line, Shared: one socket, without the driver from then on
              └─▶ Readers: a Line for each command that blocks

The driver knows the URL, TLS and the passwords, and says hello.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import redis.asyncio as driver
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from holdpoint.store.line import Line
from holdpoint.store.wire import Argument

_CONNECT_TIMEOUT_S = 2.0
_MAX_CONNECTIONS = 256
_CONNECTION_WAIT_S = 2.0  # for one of them to become free


class Pool(driver.BlockingConnectionPool):
    """Who finds all connections in use waits for one. One that broke while nobody used it is made anew at once."""

    async def ensure_connection(self, connection: AbstractConnection) -> None:
        await _drop_broken(connection)
        await super().ensure_connection(connection)


def new_pool(url: str, *, timeout: float | None) -> Pool:
    """``timeout`` is for each answer.

    Raises:
        ValueError: the URL is no Redis URL.
    """
    return Pool.from_url(
        url,
        protocol=2,
        socket_timeout=timeout,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        max_connections=_MAX_CONNECTIONS,
        timeout=_CONNECTION_WAIT_S,
    )


def new_driver(url: str, *, timeout: float) -> driver.Redis:
    """The driver's client, on a pool of its own. Raises as `new_pool`."""
    client = driver.Redis.from_pool(new_pool(url, timeout=timeout))
    # The driver reshapes answers by command name, and not every form of every command: take them as they come.
    client.response_callbacks.clear()
    return client


class Greeted:
    """A `holdpoint.store.line.Connect`: the driver makes the connection and says hello. One at a time."""

    def __init__(self, pool: Pool) -> None:
        self._connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]  # the driver's

    async def connect(self) -> asyncio.Transport:
        """A new connection; the one before is closed."""
        await self._connection.disconnect(nowait=True)
        await self._connection.connect()  # type: ignore[no-untyped-call]  # the driver's
        writer = self._connection._writer  # noqa: SLF001 - the driver has no question for it
        if writer is None:
            raise ConnectionResetError("the connection broke")
        return cast("asyncio.Transport", writer.transport)

    async def aclose(self) -> None:
        await self._connection.disconnect()


class Readers:
    """As many lines as there are commands that block at the same time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._all: list[tuple[Line, Greeted]] = []
        self._free: list[Line] = []

    async def execute(self, *arguments: Argument) -> Any:
        """See `Line.execute`."""
        line = self._free.pop() if self._free else self._another()
        try:
            return await line.execute(*arguments)
        finally:
            self._free.append(line)

    async def aclose(self) -> None:
        for line, greeted in self._all:
            line.close()
            await greeted.aclose()

    def _another(self) -> Line:
        greeted = Greeted(self._pool)
        line = Line(greeted.connect, error=to_error)
        self._all.append((line, greeted))
        return line


def to_error(message: str) -> RedisError:
    """What Redis answered with, as the driver would raise it."""
    return NoScriptError(message) if message.startswith("NOSCRIPT") else ResponseError(message)


async def _drop_broken(connection: AbstractConnection) -> None:
    """Close a connection that the server has closed, so that the next command makes a new one before it is sent.

    The driver sees a clean end by itself, and not one that came as an error (a server that was killed).
    """
    reader = connection._reader  # noqa: SLF001 - the driver has no question for it
    if reader is not None and (reader.exception() is not None or reader.at_eof()):
        await connection.disconnect(nowait=True)
