"""What an access log wants to know of an answer. Only replies that are watched count; the others cost nothing."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from gateway.transport import Request
from gateway.transport.reply import HttpReply
from gateway.transport.request import HttpRequest

if TYPE_CHECKING:
    from gateway.transport.client_connection import ClientConnection


class CountedReply(HttpReply):
    """``status`` is 0 until the reply has started; ``sent`` is bytes, head included; ``began`` is monotonic seconds."""

    __slots__ = ("began", "sent", "status")

    def __init__(self, connection: ClientConnection, request: HttpRequest) -> None:
        super().__init__(connection, request)
        self.began = monotonic()
        self.status = 0
        self.sent = 0

    def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        super().start(status, headers)
        self.status = status

    def _send(self, data: bytes) -> None:
        size = len(self._head) + len(data)
        super()._send(data)
        self.sent += size


class Watcher(Protocol):
    """Who is told of every answer, once it has been given or nobody is there any more to get it."""

    def answered(self, request: Request, reply: CountedReply) -> None:
        """The route has answered."""

    def refused(self, peer: str, status: int) -> None:
        """What came was no request, or there was no room for it; no route has seen it."""
