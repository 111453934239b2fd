"""One request of a client, as it came: its head, and of its body what has arrived."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.transport import BodyBroken, BodyTooLarge, BodyTooSlow, ClientGone, Familiar

if TYPE_CHECKING:
    from gateway.transport.client_connection import ClientConnection

_DIGITS = re.compile(r"[0-9]{1,15}")

Fields = dict[str, str | list[str]]
"""Name in lower case → its value, or all of them when it is repeated."""


class HttpRequest:
    """See `gateway.transport.Request`."""

    __slots__ = (
        "_broken", "_connection", "_fields", "_pieces", "_size", "_waiter", "_when_lost", "familiar", "keep_alive",
        "method", "path", "peer", "query", "stopped", "target", "version", "whole",
    )  # fmt: skip

    def __init__(
        self,
        connection: ClientConnection,
        method: str,
        target: str,
        fields: Fields,
        *,
        version: str,
        keep_alive: bool,
    ) -> None:
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition("?")
        self.version = version
        self.keep_alive = keep_alive
        self.peer = connection.peer
        self.whole = False  # all of it has arrived
        self.stopped = False
        self.familiar: Familiar | None = None
        self._connection = connection
        self._fields = fields
        self._pieces: list[bytes] = []
        self._size = 0
        self._broken = False
        self._waiter: asyncio.Future[None] | None = None
        self._when_lost: Callable[[], object] | None = None

    def forget_head(self) -> None:
        self.familiar = None
        self._connection.forget_head()

    @property
    def disconnected(self) -> bool:
        return self._connection.transport is None

    def header(self, name: str) -> str | None:
        wanted = name.lower()
        values = self._fields.get(wanted)
        return values if values is None or isinstance(values, str) else values[0]

    def headers(self, name: str) -> list[str]:
        wanted = name.lower()
        values = self._fields.get(wanted)
        if values is None:
            return []
        return [values] if isinstance(values, str) else values

    def take_arrived(self) -> bytes:
        pieces, self._pieces, self._size = self._pieces, [], 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def on_disconnect(self, callback: Callable[[], object] | None) -> None:
        self._when_lost = callback
        if callback is not None and self.disconnected:
            self._when_lost = None
            callback()

    async def body(self, limit: int, timeout_s: float) -> bytes:
        declared = self.header("content-length")
        if declared is not None and (not _DIGITS.fullmatch(declared) or int(declared) > limit):
            raise BodyTooLarge
        if not self.whole and self.header("expect") is not None and self._connection.transport is not None:
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        taken: list[bytes] = []
        size = 0
        while True:
            size += self._size
            taken += self._pieces
            self._pieces, self._size = [], 0
            if size > limit:
                raise BodyTooLarge
            if self.whole:
                return taken[0] if len(taken) == 1 else b"".join(taken)
            if self._broken:
                raise BodyBroken
            if self.disconnected:
                raise ClientGone
            self._connection.go_on()
            await self._more(timeout_s)

    async def _more(self, timeout_s: float) -> None:
        """Until something arrives, or never will."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                await self._waiter
        except TimeoutError:
            raise BodyTooSlow from None
        finally:
            self._waiter = None

    def arrive(self, body: bytes, *, whole: bool) -> None:
        """So much of the body is there already, before anybody has seen the request."""
        if body:
            self._pieces.append(body)
            self._size = len(body)
        self.whole = whole

    def feed(self, piece: bytes) -> int:
        """Take a piece of the body; how many bytes nobody has read yet."""
        self._pieces.append(piece)
        self._size += len(piece)
        self._wake()
        return self._size

    def finish(self) -> None:
        """All of it has arrived."""
        self.whole = True
        self._wake()

    def broken(self) -> None:
        """The framing of its body is wrong."""
        self._broken = True
        self._wake()

    def client_left(self) -> None:
        """Nobody is there to be answered."""
        self._wake()
        callback, self._when_lost = self._when_lost, None
        if callback is not None:
            callback()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
