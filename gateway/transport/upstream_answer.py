"""The answer of a model: pieces as they arrive, until somebody reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gateway.transport import Headers, UpstreamError

if TYPE_CHECKING:
    from gateway.transport.upstream_connection import UpstreamConnection

HIGH_WATER = 64 * 1024  # unread bytes above which the socket is not read
T = TypeVar("T")


class UpstreamAnswer:
    """See `gateway.transport.Answer`."""

    __slots__ = ("_callback", "_connection", "_error", "_pieces", "headers", "status", "unread", "whole")

    def __init__(self, connection: UpstreamConnection, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        self.whole = False  # all of it has arrived
        self.unread = 0  # bytes
        self._connection = connection
        self._pieces: list[bytes] = []
        self._error: UpstreamError | None = None
        self._callback: Callable[[], object] | None = None  # somebody wants to know when there is more

    async def read(self) -> bytes:
        while True:
            piece = self.take()
            if piece or self.whole:
                return piece
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._callback = partial(resolve, waiter, None)
            try:
                await waiter
            finally:
                self._callback = None

    def take(self) -> bytes:
        pieces = self._pieces
        if pieces:
            if self.unread > HIGH_WATER:
                self._connection.go_on()
            self._pieces, self.unread = [], 0
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._error is not None and not self.whole:
            raise self._error
        return b""

    def on_more(self, callback: Callable[[], object] | None) -> None:
        self._callback = callback

    @property
    def ended(self) -> bool:
        return self.whole and not self._pieces

    def close(self) -> None:
        self._connection.release(self)

    def feed(self, piece: bytes) -> int:
        """Take a piece; how many bytes nobody has read yet."""
        self._pieces.append(piece)
        self.unread += len(piece)
        return self.unread

    def fail(self, error: UpstreamError) -> None:
        """What has arrived is still read; then ``error`` is raised."""
        if not self.whole:
            self._error = error
        self.wake()

    def finish(self) -> None:
        """All of it has arrived."""
        if self._error is None:
            self.whole = True

    def wake(self) -> None:
        """There is something to read, or will never be."""
        if self._callback is not None:
            self._callback()


def resolve(waiter: asyncio.Future[T], found: T) -> None:
    """Tell ``waiter``, unless it has stopped waiting."""
    if not waiter.done():
        waiter.set_result(found)
