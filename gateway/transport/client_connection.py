"""One client's connection: its requests are served one after the other, and it ends so that each answer arrives.

::

    data_received ─▶ RequestReader (`reading`) ─▶ arrived ─▶ serve (awaited or called back) ─▶ kept, lingering or closed

What arrives while a request is answered is kept unparsed, up to a bound. After what cannot be read the connection closes.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from gateway.transport.counted import CountedReply
from gateway.transport.heads import comes_at_once
from gateway.transport.last_words import no_request, no_room
from gateway.transport.reading import RequestReader
from gateway.transport.reply import HttpReply
from gateway.transport.request import HttpRequest

if TYPE_CHECKING:
    from gateway.transport.server import HttpServer

_AHEAD = 64 * 1024  # bytes that came after the request that is being answered
_SOON_S = 0.02  # many clients send head and body in two writes; whoever has a whole request needs no coroutine for it
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: do not send what is left, and close with RST instead of FIN
_GOODBYE_S = 2.0  # for the end of TLS, which a client that is gone never sends
_LINGER_S = 2.0  # how long the rest of a refused body is read and dropped, so that the client sees the refusal


class ClientConnection(asyncio.Protocol):
    """See the module. ``transport`` is None once the client is gone."""

    __slots__ = (
        "_ahead", "_current", "_deaf", "_lingering", "_loop", "_reader", "_reply", "_server", "_soon", "_task",
        "idle_until", "peer", "transport", "when_writable",
    )  # fmt: skip

    def __init__(self, server: HttpServer, peer: str) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer = peer
        self.when_writable: asyncio.Future[None] | None = None  # while the client does not read
        self.idle_until = 0.0  # the loop's time at which the head of a request must be there; 0: one is being answered
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(self, server, peer)
        self._current: HttpRequest | None = None
        self._reply: HttpReply | None = None  # of the current request
        self._task: asyncio.Future[None] | None = None  # what is awaited for it, if anything is
        self._soon: asyncio.TimerHandle | None = None  # until then a request may wait for its body before it is served
        self._deaf = False  # the socket is not read
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
        self._reader.arrived.clear()
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
        if self._current is None or self._reader.reading is self._current:
            self._reader.read(data)
            self._next()
            return
        self._ahead += data
        if len(self._ahead) > _AHEAD:
            self.stop_reading()

    def eof_received(self) -> None:
        """It sends nothing any more, and so has left. The loop would close the connection, too, but without a time limit."""
        self.close(answered=True)

    # What requests and replies ask for

    def go_on(self) -> None:
        """A body was read: there is room for more."""
        if self._deaf and self.transport is not None and not self.transport.is_closing():
            self._deaf = False
            self.transport.resume_reading()

    def stop_reading(self) -> None:
        """There is more than anybody has room for."""
        if not self._deaf and self.transport is not None and not self.transport.is_closing():
            self._deaf = True
            self.transport.pause_reading()

    def forget_head(self) -> None:
        """See `gateway.transport.Request`."""
        self._reader.forget_head()

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

    def close(self, *, answered: bool = False) -> None:
        """Once what was written is sent, as far as it is read in time; ``answered``: its end may be on the way still."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        unsent = transport.get_write_buffer_size() > 0
        transport.close()
        within_s = self.write_timeout_s if unsent or answered else _GOODBYE_S
        self._lingering = self._loop.call_later(within_s, self._reset if unsent else transport.abort)

    def break_off(self, reply: HttpReply) -> None:
        """Without the end of ``reply``, so that nobody takes it for whole."""
        if reply.open_ended and not reply.ended:
            self.drop(reply)
        else:
            self.close(answered=True)

    def drop(self, reply: HttpReply | None) -> None:
        """At once, whatever of ``reply`` is not sent yet, and so that nobody takes that for its end."""
        if reply is not None and reply.open_ended:
            self._reset()
        elif self.transport is not None:
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

    def _next(self) -> None:
        """Serve what is next in the queue, if nothing is being served."""
        if self._current is not None or not self._reader.arrived or self.transport is None:
            return
        self.idle_until = 0.0
        item = self._reader.arrived[0]
        if self._soon is not None:
            if item is self._reader.reading:
                return
            self._soon.cancel()
        elif item is self._reader.reading and comes_at_once(item):
            self._soon = self._loop.call_later(_SOON_S, self._serve)
            return
        self._serve()

    def _serve(self) -> None:
        self._soon = None
        item = self._reader.arrived.pop(0)
        if isinstance(item, int):
            self._say(item, no_request(item))
            return
        self._current = item
        self._reply = self._server.reply(self, item)
        if (rest := self._server.serve(item, self._reply)) is not None:
            self.wait_for(rest)

    def _finish(self, request: HttpRequest, reply: HttpReply) -> None:
        if self.transport is None:
            self._server.done(self)
        elif not reply.ended:
            self.break_off(reply)
        elif not request.whole:
            self._linger()
        elif not reply.keep_alive or self._server.stopping:
            self.close(answered=not reply.keep_alive)
        else:
            self._server.waits(self)
            self.go_on()
            # What is ahead belongs to the next one, when that has not begun or is not all there; else to one behind it.
            if self._ahead and self._reader.arrived[:1] in ([], [self._reader.reading]):
                ahead, self._ahead = bytes(self._ahead), bytearray()
                self._reader.read(ahead)
            self._next()

    def _linger(self) -> None:
        """Read and drop what the client still sends: a reset would take the answer from it."""
        self._lingering = self._loop.call_later(_LINGER_S, self.close)
        if self.transport is not None and self.transport.can_write_eof():
            self.transport.write_eof()
        self.go_on()

    def _reset(self) -> None:
        """At once, with an end that nobody takes for that of an answer."""
        if self.transport is None:
            return
        own = self.transport.get_extra_info("socket")
        if own is not None and own.family != socket.AF_UNIX:
            with suppress(OSError):  # a Unix socket has no other end than this
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _say(self, status: int, words: bytes) -> None:
        """A last answer that no route gave."""
        self._server.tell_refused(self.peer, status)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(words)
            self._linger()
