"""Bytes → requests of one connection, in order; strict about what a request is.

::

    read ─┬─ llhttp ─▶ head ─▶ HttpRequest ─ body, piece by piece ─▶ whole
          └─ a head that comes again, with all of its body (`familiar`) ─▶ whole

Whatever could be read in two ways (two lengths, folded headers, bare line feeds, bad chunks, control characters) is
refused: nobody else will read it otherwise than this gateway did (RFC 9112, sections 2 to 6 and 11).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import httptools

from gateway.transport.familiar import STRANGE, FamiliarRequest, familiar_request
from gateway.transport.heads import Refused, check
from gateway.transport.request import Fields, HttpRequest

if TYPE_CHECKING:
    from gateway.transport.client_connection import ClientConnection
    from gateway.transport.server import HttpServer

_LONGEST_TARGET = 8190  # bytes
_LONGEST_FIELD = 17 * 1024  # bytes of one header: a token of 16 KB fits
_MOST_FIELDS = 128
_LONGEST_HEAD = 64 * 1024  # also of trailers and of chunk extensions
_AT_ONCE = 16 * 1024  # bytes that are parsed before anybody looks how barren they were
_UNREAD = 256 * 1024  # bytes of a body that nobody has read yet, above which the socket is not read
_MOST_USUAL = 256  # names of headers
_LONGEST_USUAL = 64  # bytes of one
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # but for the tab


def _lowered(name: bytes) -> str:
    return name.decode("ascii").lower()


# Ten thousand requests that wait have the same dozen names: each would keep its own.
_usual = lru_cache(maxsize=_MOST_USUAL)(_lowered)


class RequestReader:
    """What ``connection`` reads. ``arrived`` are requests whose turn has not come, and at the end the status of what is none."""

    __slots__ = (
        "_barren", "_begun", "_connection", "_familiar", "_field_count", "_fields", "_head_size", "_missing", "_parser",
        "_proxied", "_server", "_strange", "_target", "arrived", "reading",
    )  # fmt: skip

    def __init__(self, connection: ClientConnection, server: HttpServer, peer: str) -> None:
        self.arrived: list[HttpRequest | int] = []
        self.reading: HttpRequest | None = None  # whose body comes now
        self._connection = connection
        self._server = server
        self._proxied = server.passes_on(peer)  # so its headers say whose requests these are
        self._parser: httptools.HttpRequestParser | None = None  # a kilobyte: only from the first bytes that need it
        self._begun = False  # the parser is in the middle of a message
        self._familiar: FamiliarRequest | None = None  # the head of the last request, if it may come again
        self._missing = 0  # bytes of a body whose head the parser has not seen
        self._strange = STRANGE if self._proxied else 0  # heads in a row that did not come again
        self._target = b""
        self._fields: Fields = {}
        self._field_count = 0
        self._head_size = 0
        self._barren = 0  # bytes in a row that brought neither a head nor a piece of a body

    def read(self, data: bytes) -> None:
        """Take what the socket brought."""
        if self._missing:
            data = self._rest_of_body(data)
            if not data:
                return
        may_learn = not self._begun and not self.arrived and self._strange < STRANGE
        if not self._begun and self._familiar is not None:
            found = self._familiar.read(self._connection, data)
            if found is not None:  # the parser has not seen it, and will not see the rest of it
                request, self._missing = found
                self._barren = self._strange = 0
                self.arrived.append(request)
                if self._missing:
                    self.reading = request
                return
        try:
            self._feed(data)
        except Refused as refused:
            self._refuse(refused.status)
        except httptools.HttpParserCallbackError as error:
            self._refuse(error.__context__.status if isinstance(error.__context__, Refused) else 400)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(400)
        else:
            if may_learn and len(self.arrived) == 1:
                self._strange += 1
                self._familiar = familiar_request(data, self.arrived[0], self._fields)

    def forget_head(self) -> None:
        """See `gateway.transport.Request`."""
        self._familiar = None
        if not self._begun:
            self._parser = None

    # What llhttp says. Whatever is raised here ends the parsing.

    def on_message_begin(self) -> None:
        self._begun = True
        self._target, self._fields, self._field_count, self._head_size = b"", {}, 0, 0

    def on_url(self, piece: bytes) -> None:
        self._target += piece
        if len(self._target) > _LONGEST_TARGET:
            raise Refused(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.reading is not None:
            return  # a trailer: nothing here asks for one, and none is passed on
        size = len(name) + len(value)
        self._head_size += size
        self._field_count += 1
        if size > _LONGEST_FIELD or self._field_count > _MOST_FIELDS or self._head_size > _LONGEST_HEAD:
            raise Refused(400)
        text = value.decode("utf-8", "surrogateescape")
        if not text.isprintable() and _CONTROL.search(value):
            raise Refused(400)
        fields, field = self._fields, _usual(name) if len(name) <= _LONGEST_USUAL else _lowered(name)
        before = fields.get(field)
        if before is None:
            fields[field] = text
        elif isinstance(before, str):
            fields[field] = [before, text]
        else:
            before.append(text)

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None:
            raise Refused(400)
        request = HttpRequest(
            self._connection, parser.get_method().decode(), self._target.decode("latin-1"), self._fields,
            version=parser.get_http_version(), keep_alive=parser.should_keep_alive(),
        )  # fmt: skip
        check(request, self._fields, upgrade=parser.should_upgrade())
        if self._proxied:
            peer = self._server.client_behind(request)
            if peer is None:
                raise Refused(400)
            request.peer = peer
        self._barren = 0
        self.reading = request
        self.arrived.append(request)

    def on_body(self, piece: bytes) -> None:
        self._barren = 0
        if self.reading is not None and self.reading.feed(piece) > _UNREAD:
            self._connection.stop_reading()

    def on_message_complete(self) -> None:
        self._barren = 0
        self._begun = False
        request, self.reading = self.reading, None
        if request is not None:
            request.finish()

    # The rest is private

    def _feed(self, data: bytes) -> None:
        """Parse, and look in between: one read may bring all of a message whose trailers are endless."""
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpRequestParser(self)
        for start in range(0, len(data), _AT_ONCE):
            piece = data[start : start + _AT_ONCE]
            self._barren += len(piece)
            parser.feed_data(piece)
            if self._barren > _LONGEST_HEAD:
                raise Refused(400)

    def _rest_of_body(self, data: bytes) -> bytes:
        """What is missing of a request that the parser has not seen comes first in ``data``; what follows it is a message of its own."""
        piece, rest = data[: self._missing], data[self._missing :]
        self._missing -= len(piece)
        self.on_body(piece)
        if not self._missing:
            self.on_message_complete()
        return rest

    def _refuse(self, status: int) -> None:
        """What came cannot be read, nor anything after it. A body in the middle is broken; else it is answered in turn."""
        reading, self.reading = self.reading, None
        self._begun = True  # and will never end
        if reading is not None:
            reading.broken()
            return
        self.arrived.append(status)
