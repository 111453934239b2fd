"""The access log: one line for every request, with numbers and names and never with content, keys or query strings.

Off unless `HOLDPOINT_ACCESS_LOG` is set; then nothing of this runs.
"""

from __future__ import annotations

import logging
from time import monotonic

from gateway.exchange import Exchange
from gateway.transport import Request
from gateway.transport.counted import CountedReply

_LONGEST_PATH = 200

_log = logging.getLogger(__name__)


class AccessLog:
    """A `gateway.transport.counted.Watcher` that also knows what the route found out. On whatever the log's level is."""

    def __init__(self) -> None:
        _log.setLevel(logging.INFO)
        self._under_way: dict[Request, Exchange] = {}

    def began(self, exchange: Exchange) -> None:
        """The route has taken a request."""
        self._under_way[exchange.request] = exchange

    def answered(self, request: Request, reply: CountedReply) -> None:
        exchange = self._under_way.pop(request)
        _log.info(
            "request",
            extra={
                "request": exchange.id,
                "peer": request.peer,
                "method": request.method,
                "path": request.path[:_LONGEST_PATH],
                "status": reply.status or None,  # None: the client left before there was one
                "bytes": reply.sent,
                "ms": round((monotonic() - reply.began) * 1000, 3),
                "connection": exchange.connection.name or None,
                "verdict": exchange.verdict.value if exchange.verdict is not None else None,
                "hold": exchange.hold,
            },
        )

    def refused(self, peer: str, status: int) -> None:
        _log.info("no request", extra={"peer": peer, "status": status})
