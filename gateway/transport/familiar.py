"""A head that comes again: on one connection a client says the same before each of its bodies, but for their length.

::

    POST /demo/v1/… HTTP/1.1 … Content-Length: │ 2031 │ ␍␊ … ␍␊␍␊ │ body
                                       before ─┘      └─ behind ─┘

llhttp reads a head from its first byte, and the same bytes mean the same again. So what it has read and this server has
taken need not be parsed a second time on the same connection, where nothing of another message is under way: not when
every byte but the digits of the length is the same, and nothing has arrived that is not of the body. Whatever differs is
parsed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway.transport.messages import Fields, HttpRequest

if TYPE_CHECKING:
    from gateway.transport.client_connection import ClientConnection

_LONGEST = 8 * 1024  # bytes of a head that are kept for as long as its connection
_MOST_DIGITS = 15
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})\r\n", re.IGNORECASE)


class Familiar:
    """One head, of requests that leave their connection open."""

    __slots__ = ("_before", "_behind", "_fields", "_method", "_target", "_version")

    def __init__(self, before: bytes, behind: bytes, request: HttpRequest, fields: Fields) -> None:
        self._before = before
        self._behind = behind
        self._fields = fields
        self._method = request.method
        self._target = request.target
        self._version = request.version

    def read(self, connection: ClientConnection, data: bytes) -> tuple[HttpRequest, int] | None:
        """The request, when ``data`` is this head and of its body what has arrived; how many bytes of it are missing."""
        before, behind = self._before, self._behind
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r", start, start + _MOST_DIGITS + 1)
        digits = data[start:end] if end > start else b""
        if not digits.isdigit() or not data.startswith(behind, end):
            return None
        start = end + len(behind)
        missing = start + int(digits) - len(data)
        if missing < 0:
            return None
        fields = {**self._fields, "content-length": digits.decode()}
        request = HttpRequest(connection, self._method, self._target, fields, version=self._version, keep_alive=True)
        request.arrive(data[start:], whole=not missing)
        return request, missing


def familiar(data: bytes, request: HttpRequest | int, fields: Fields) -> Familiar | None:
    """What to look for next time, when ``data`` was the head of ``request``, with these ``fields``, and of its body what had come.

    None: it will not come again. It rests on nothing that others have checked: one length, and nothing behind the body.
    """
    if isinstance(request, int) or not request.keep_alive:
        return None  # nothing follows it
    end = data.find(b"\r\n\r\n", 0, _LONGEST) + 4
    found = _LENGTH.search(data, 0, end)
    if found is None or fields.get("content-length") != found[1].decode():
        return None
    if end + int(found[1]) < len(data):
        return None
    return Familiar(data[: found.start(1)], data[found.end(1) : end], request, fields)
