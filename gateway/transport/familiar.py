"""A head that comes again: on one connection the same is said before each body, but for its length.

::

    POST /demo/v1/… HTTP/1.1 … Content-Length: │ 2031 │ ␍␊ … ␍␊␍␊ │ body
                                       before ─┘      └─ behind ─┘

llhttp reads a head from its first byte, and the same bytes mean the same again. So what it has read and this gateway has
taken need not be parsed a second time on the same connection, where nothing of another message is under way: not when
every byte but the digits of the length is the same, and nothing has arrived that is not of the body. Whatever differs is
parsed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway.transport.request import Fields, HttpRequest
from gateway.transport.upstream_answer import UpstreamAnswer

if TYPE_CHECKING:
    from gateway.transport.client_connection import ClientConnection
    from gateway.transport.upstream_connection import UpstreamConnection

STRANGE = 3
"""After so many heads in a row that did not come again nobody looks whether the next one will."""
_LONGEST = 8 * 1024  # bytes of a head that are kept for as long as its connection
_MOST_DIGITS = 15
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})\r\n", re.IGNORECASE)


class _Head:
    """The bytes of a head but for its length, of messages that leave their connection open."""

    __slots__ = ("_before", "_behind")

    def __init__(self, before: bytes, behind: bytes) -> None:
        self._before = before
        self._behind = behind

    def find(self, data: bytes) -> tuple[bytes, int] | None:
        """The digits of the length, and where the body begins, when ``data`` begins with this head."""
        before, behind = self._before, self._behind
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r", start, start + _MOST_DIGITS + 1)
        digits = data[start:end] if end > start else b""
        if not digits.isdigit() or not data.startswith(behind, end):
            return None
        return digits, end + len(behind)


class FamiliarRequest(_Head):
    """The head of a request. ``learned`` is what the route has made of it: see `gateway.transport.Request`."""

    __slots__ = ("_fields", "_method", "_target", "_version", "learned")

    def __init__(self, before: bytes, behind: bytes, request: HttpRequest, fields: Fields) -> None:
        super().__init__(before, behind)
        self.learned: object = None
        self._fields = fields
        self._method = request.method
        self._target = request.target
        self._version = request.version

    def read(self, connection: ClientConnection, data: bytes) -> tuple[HttpRequest, int] | None:
        """The request, when ``data`` is this head and of its body what has arrived; how many bytes of it are missing."""
        found = self.find(data)
        if found is None:
            return None
        digits, start = found
        missing = start + int(digits) - len(data)
        if missing < 0:
            return None
        fields = {**self._fields, "content-length": digits.decode()}
        request = HttpRequest(connection, self._method, self._target, fields, version=self._version, keep_alive=True)
        request.familiar = self
        request.arrive(data[start:], whole=not missing)
        return request, missing


class FamiliarAnswer(_Head):
    """The head of an answer."""

    __slots__ = ("_headers", "_status")

    def __init__(self, before: bytes, behind: bytes, answer: UpstreamAnswer) -> None:
        super().__init__(before, behind)
        self._status = answer.status
        self._headers = tuple(answer.headers)

    def read(self, connection: UpstreamConnection, data: bytes) -> UpstreamAnswer | None:
        """The answer, when ``data`` is this head and all of its body, and there is a body."""
        found = self.find(data)
        if found is None:
            return None
        digits, start = found
        length = int(digits)
        if not length or start + length != len(data):
            return None
        answer = UpstreamAnswer(connection, self._status, self._headers)
        answer.feed(data[start:])
        answer.whole = True
        return answer


def familiar_request(data: bytes, request: HttpRequest | int, fields: Fields) -> FamiliarRequest | None:
    """What to look for next time, when ``data`` was the head of ``request``, with these ``fields``, and of its body what had come.

    None: it will not come again. It rests on nothing that others have checked: one length, and nothing behind the body.
    """
    if isinstance(request, int) or not request.keep_alive:
        return None  # nothing follows it
    found, end = _length(data)
    if found is None or fields.get("content-length") != found[1].decode():
        return None
    if end + int(found[1]) < len(data):
        return None
    return FamiliarRequest(data[: found.start(1)], data[found.end(1) : end], request, fields)


def familiar_answer(data: bytes, answer: UpstreamAnswer) -> FamiliarAnswer | None:
    """What to look for next time, when ``data`` was all of ``answer``, which leaves its connection open. None as above."""
    found, end = _length(data)
    if found is None or not answer.unread or not answer.unread == int(found[1]) == len(data) - end:
        return None
    return FamiliarAnswer(data[: found.start(1)], data[found.end(1) : end], answer)


def _length(data: bytes) -> tuple[re.Match[bytes] | None, int]:
    """Where the first head in ``data`` says how long its body is, and where it ends."""
    end = data.find(b"\r\n\r\n", 0, _LONGEST) + 4
    return _LENGTH.search(data, 0, end), end
