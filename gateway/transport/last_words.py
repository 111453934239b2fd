"""Answers that no route gives, after which the connection closes: whole, as they are sent."""

from __future__ import annotations

import orjson

_RETRY_AFTER_S = 2


def no_request(status: int) -> bytes:
    """What is not HTTP never reaches the route."""
    error = {"message": "The request is not valid HTTP.", "type": "invalid_request_error", "code": "uninspectable"}
    return _answer(f"{status} Bad Request", error, "x-should-retry: false")


def no_room() -> tuple[int, bytes]:
    """There is no room for this connection. The status, too."""
    error = {"message": "The gateway has too many connections.", "type": "server_error", "code": "unavailable"}
    return 503, _answer("503 Service Unavailable", error, f"retry-after: {_RETRY_AFTER_S}")


def _answer(status: str, error: dict[str, str], header: str) -> bytes:
    body = orjson.dumps({"error": {**error, "param": None}})
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"{header}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
