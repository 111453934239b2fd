"""One client's connection: bytes in, requests out, one after the other; strict about what a request is.

::

    data_received ─┬─ llhttp ─▶ head ─▶ HttpRequest ─ body, piece by piece ─▶ whole
                   └─ a head that comes again, with all of its body (`familiar`) ─▶ whole
                                          └─ queued ─▶ serve (awaited or called back) ─▶ kept, lingering or closed

What arrives while a request is answered is kept unparsed, and the socket is not read beyond a bound. Whatever could be
read in two ways (two lengths, folded headers, bare line feeds, bad chunks, control characters) is refused, and the
connection closed: nobody else will read it otherwise than this gateway did (RFC 9112, sections 2 to 6 and 11).
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import httptools

from gateway.transport.counted import CountedReply
from gateway.transport.familiar import Familiar, familiar
from gateway.transport.heads import Refused, check, comes_at_once
from gateway.transport.last_words import no_request, no_room
from gateway.transport.messages import Fields, HttpReply, HttpRequest

if TYPE_CHECKING:
    from gateway.transport.server import HttpServer

_LONGEST_TARGET = 8190  # bytes
_LONGEST_FIELD = 17 * 1024  # bytes of one header: a token of 16 KB fits
_MOST_FIELDS = 128
_LONGEST_HEAD = 64 * 1024  # also of trailers and of chunk extensions
_AT_ONCE = 16 * 1024  # bytes that are parsed before anybody looks how barren they were
_UNREAD = 256 * 1024  # bytes of a body that nobody has read yet, above which the socket is not read
_AHEAD = 64 * 1024  # bytes that came after the request that is being answered
_SOON_S = 0.02  # many clients send head and body in two writes; whoever has a whole request needs no coroutine for it
_STRANGE = 3  # heads in a row that did not come again, after which nobody looks whether the next one will
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # but for the tab
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: do not send what is left, and close with RST instead of FIN
_LINGER_S = 2.0  # how long the rest of a refused body is read and dropped, so that the client sees the refusal


class ClientConnection(asyncio.Protocol):
    """See the module. ``transport`` is None once the client is gone."""

    __slots__ = (
        "_ahead", "_barren", "_begun", "_current", "_deaf", "_familiar", "_field_count", "_fields", "_head_size",
        "_lingering", "_loop", "_missing", "_parser", "_proxied", "_queue", "_reading", "_reply", "_server", "_soon", "_strange", "_target",
        "_task", "idle_until", "peer", "transport", "when_writable",
    )  # fmt: skip

    def __init__(self, server: HttpServer, peer: str) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer = peer
        self._proxied = server.passes_on(peer)  # so its headers say whose requests these are
        self.when_writable: asyncio.Future[None] | None = None  # while the client does not read
        self.idle_until = 0.0  # the loop's time at which the head of a request must be there; 0: one is being answered
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._queue: list[HttpRequest | int] = []  # requests, and at the end the status of what is none
        self._current: HttpRequest | None = None
        self._reply: HttpReply | None = None  # of the current request
        self._task: asyncio.Future[None] | None = None  # what is awaited for it, if anything is
        self._reading: HttpRequest | None = None  # whose body comes now
        self._begun = False  # the parser is in the middle of a message
        self._familiar: Familiar | None = None  # the head of the last request, if it may come again
        self._missing = 0  # bytes of a body whose head the parser has not seen
        self._soon: asyncio.TimerHandle | None = (
            None  # a request is served when its body is there, but not later than this
        )
        self._strange = _STRANGE if self._proxied else 0  # heads in a row that did not come again
        self._deaf = False  # the socket is not read
        self._target = b""
        self._fields: Fields = {}
        self._field_count = 0
        self._head_size = 0
        self._barren = 0  # bytes in a row that brought neither a head nor a piece of a body
        self._ahead = bytearray()
        self._lingering: asyncio.TimerHandle | None = None

    # What the event loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if not self._server.opened(self):
            self._say(*no_room())
        elif self._server.stopping:
            self.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self.transport = None
        for timer in (self._lingering, self._soon):
            if timer is not None:
                timer.cancel()
        self._queue.clear()
        self._ahead.clear()
        self.resume_writing()
        if self._current is not None:
            self._current.client_left()
        if self._current is None:
            self._server.done(self)

    def pause_writing(self) -> None:
        if self.when_writable is None:
            self.when_writable = self._loop.create_future()

    def resume_writing(self) -> None:
        waiter, self.when_writable = self.when_writable, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._lingering is not None:
            return
        if self._current is not None and self._reading is None:
            self._ahead += data
            if len(self._ahead) > _AHEAD:
                self._stop_reading()
            return
        self._parse(data)

    # What llhttp says

    def on_message_begin(self) -> None:
        self._begun = True
        self._target, self._fields, self._field_count, self._head_size = b"", {}, 0, 0

    def on_url(self, piece: bytes) -> None:
        self._target += piece
        if len(self._target) > _LONGEST_TARGET:
            raise Refused(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading is not None:
            return  # a trailer: nothing here asks for one, and none is passed on
        size = len(name) + len(value)
        self._head_size += size
        self._field_count += 1
        if size > _LONGEST_FIELD or self._field_count > _MOST_FIELDS or self._head_size > _LONGEST_HEAD:
            raise Refused(400)
        text = value.decode("utf-8", "surrogateescape")
        if not text.isprintable() and _CONTROL.search(value):
            raise Refused(400)
        fields, field = self._fields, name.decode("ascii").lower()
        before = fields.get(field)
        if before is None:
            fields[field] = text
        elif isinstance(before, str):
            fields[field] = [before, text]
        else:
            before.append(text)

    def on_headers_complete(self) -> None:
        parser = self._parser
        request = HttpRequest(
            self, parser.get_method().decode(), self._target.decode("latin-1"), self._fields,
            version=parser.get_http_version(), keep_alive=parser.should_keep_alive(),
        )  # fmt: skip
        check(request, self._fields, upgrade=parser.should_upgrade())
        if self._proxied:
            peer = self._server.client_behind(request)
            if peer is None:
                raise Refused(400)
            request.peer = peer
        self._barren = 0
        self._reading = request
        self._queue.append(request)

    def on_body(self, piece: bytes) -> None:
        self._barren = 0
        if self._reading is not None and self._reading.feed(piece) > _UNREAD:
            self._stop_reading()

    def on_message_complete(self) -> None:
        self._barren = 0
        self._begun = False
        request, self._reading = self._reading, None
        if request is not None:
            request.finish()

    # What requests and replies ask for

    def go_on(self) -> None:
        """A body was read: there is room for more."""
        if self._deaf and self.transport is not None and not self.transport.is_closing():
            self._deaf = False
            self.transport.resume_reading()

    @property
    def stopping(self) -> bool:
        """Whether the answer that begins now is the last one."""
        return self._server.stopping

    @property
    def write_timeout_s(self) -> float:
        return self._server.write_timeout_s

    def wait_for(self, rest: Awaitable[None]) -> None:
        """The answer to the current request has been given when ``rest`` has ended."""
        self._task = asyncio.ensure_future(rest, loop=self._loop)  # noqa: TID251 - see below
        # Referenced here, awaited by nobody: `rest` never raises, and `cut` cancels it.
        self._task.add_done_callback(self.answered)

    def answered(self, _task: object = None) -> None:
        """Nothing is left to do for the current request."""
        request, reply = self._current, self._reply
        self._current = self._reply = self._task = None
        if request is not None and reply is not None:
            if isinstance(reply, CountedReply):
                self._server.tell_answered(request, reply)
            self._finish(request, reply)

    def close(self) -> None:
        """Once what was written is sent."""
        if self.transport is not None:
            self.transport.close()

    def break_off(self, reply: HttpReply) -> None:
        """Without the end of ``reply``, so that nobody takes it for whole."""
        if reply.open_ended and not reply.ended:
            self.drop(reply)
        else:
            self.close()

    def drop(self, reply: HttpReply | None) -> None:
        """At once, whatever of ``reply`` is not sent yet, and so that nobody takes that for its end."""
        if self.transport is None:
            return
        own = self.transport.get_extra_info("socket")
        if reply is not None and reply.open_ended and own is not None and own.family != socket.AF_UNIX:
            with suppress(OSError):  # a Unix socket has no other end than this
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def cut(self) -> None:
        """At once, and whoever works on an answer is interrupted."""
        if self._current is not None:
            self._current.stopped = True
        self.drop(self._reply)
        if self._task is not None:
            # Later, because what has not begun would not even tidy up.
            self._loop.call_soon(self._task.cancel)

    # The rest is private

    def _parse(self, data: bytes) -> None:
        if self._missing:
            self._go_on_with_body(data)
            return
        may_learn = not self._begun and not self._queue and self._strange < _STRANGE
        if not self._begun and self._familiar is not None:
            found = self._familiar.read(self, data)
            if found is not None:
                self._take(*found)
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
            if may_learn and len(self._queue) == 1:
                self._strange += 1
                self._familiar = familiar(data, self._queue[0], self._fields)
        self._next()

    def _feed(self, data: bytes) -> None:
        """Parse, and look in between: one read may bring all of a message whose trailers are endless."""
        for start in range(0, len(data), _AT_ONCE):
            piece = data[start : start + _AT_ONCE]
            self._barren += len(piece)
            self._parser.feed_data(piece)
            if self._barren > _LONGEST_HEAD:
                raise Refused(400)

    def _take(self, request: HttpRequest, missing: int) -> None:
        """A request that the parser has not seen, and will not see the rest of."""
        self._barren = self._strange = 0
        self._queue.append(request)
        self._missing = missing
        if missing:
            self._reading = request
        self._next()

    def _go_on_with_body(self, data: bytes) -> None:
        """What is missing of such a request comes first in ``data``; what follows it is a message of its own."""
        piece, rest = data[: self._missing], data[self._missing :]
        self._missing -= len(piece)
        self.on_body(piece)
        if not self._missing:
            self.on_message_complete()
        if rest:
            self._parse(rest)
        else:
            self._next()

    def _refuse(self, status: int) -> None:
        """What came cannot be read, nor anything after it. A body in the middle is broken; else it is answered in turn."""
        reading, self._reading = self._reading, None
        self._begun = True  # and will never end
        self._stop_reading()
        if reading is not None:
            reading.broken()
            return
        self._queue.append(status)

    def _next(self) -> None:
        """Serve what is next in the queue, if nothing is being served."""
        if self._current is not None or not self._queue or self.transport is None:
            return
        self.idle_until = 0.0
        item = self._queue[0]
        if self._soon is not None:
            if item is self._reading:
                return
            self._soon.cancel()
        elif item is self._reading and comes_at_once(item):
            self._soon = self._loop.call_later(_SOON_S, self._serve)
            return
        self._serve()

    def _serve(self) -> None:
        self._soon = None
        item = self._queue.pop(0)
        if isinstance(item, int):
            self._say(item, no_request(item))
            return
        self._current = item
        self._reply = self._server.reply(self, item)
        rest = self._server.serve(item, self._reply)
        if rest is not None:
            self.wait_for(rest)

    def _finish(self, request: HttpRequest, reply: HttpReply) -> None:
        if self.transport is None:
            self._server.done(self)
        elif not reply.ended:
            self.break_off(reply)
        elif not request.whole:
            self._linger()
        elif not reply.keep_alive or self._server.stopping:
            self.close()
        else:
            self._server.waits(self)
            self.go_on()
            if self._ahead and not self._queue:
                ahead, self._ahead = bytes(self._ahead), bytearray()
                self._parse(ahead)
            else:
                self._next()

    def _linger(self) -> None:
        """Read and drop what the client still sends: a reset would take the answer from it."""
        self._lingering = self._loop.call_later(_LINGER_S, self.close)
        if self.transport is not None and self.transport.can_write_eof():
            self.transport.write_eof()
        self.go_on()

    def _stop_reading(self) -> None:
        if not self._deaf and self.transport is not None and not self.transport.is_closing():
            self._deaf = True
            self.transport.pause_reading()

    def _say(self, status: int, words: bytes) -> None:
        """A last answer that no route gave."""
        self._server.tell_refused(self.peer, status)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(words)
            self._linger()
