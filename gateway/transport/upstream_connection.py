"""One connection to a model's server, and the answer that comes over it: framing, limits, silence, backpressure.

::

    ask ─▶ head of the answer ─▶ pieces ─▶ end ─▶ idle ─▶ ask …
             └───────── broken, silent, limits ─▶ closed, and the answer says why

llhttp parses, strictly: what has two lengths, a bad status line, bad chunks or folded headers is not HTTP. What arrives
in one read is handed over as one piece, without waiting. Nobody reads: the socket is not read either.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Protocol, cast

import httptools

from gateway.transport import Answer, Asked, UpstreamBroken, UpstreamError, UpstreamSilent
from gateway.transport.familiar import STRANGE, FamiliarAnswer, familiar_answer
from gateway.transport.upstream_answer import HIGH_WATER, UpstreamAnswer, resolve

_LONGEST_FIELD = 8190  # bytes of one header; as the server side
_MOST_FIELDS = 128
_MOST_BARREN = 64 * 1024  # bytes in a row that bring neither a head nor a piece: endless headers, trailers, extensions
_IN_ONE_WRITE = 64 * 1024  # below this copying head and body together is cheaper than two buffers

_NOT_HTTP = "the model broke off, or answered with something that is not HTTP"


class Owner(Protocol):
    """Who has the connections of one origin. Called back, never waited for."""

    def made(self, connection: UpstreamConnection) -> None:
        """It is open."""

    def kept(self, connection: UpstreamConnection) -> None:
        """Its request is done, and it may be used again."""

    def lost(self, connection: UpstreamConnection) -> None:
        """It is no more."""


class UpstreamConnection(asyncio.Protocol):
    """One connection, with one request on its way at a time. ``single`` ones are closed after one request."""

    __slots__ = (
        "_answer", "_arrived", "_asked", "_barren", "_begun", "_bodiless", "_familiar", "_fields", "_framed", "_heard",
        "_interim", "_keep", "_loop", "_owner", "_parser", "_paused", "_silence_s", "_single", "_strange", "_timer",
        "_transport", "idle_since", "on_body",
    )  # fmt: skip

    def __init__(self, owner: Owner, *, silence_s: float, single: bool) -> None:
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._silence_s = silence_s
        self._single = single
        self._transport: asyncio.Transport | None = None
        self._arrived: list[bytes] = []  # of one read, until the parser is done with it
        self.on_body = self._arrived.append  # a stream may have hundreds of chunks in one read
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._asked: Asked | None = None  # somebody waits for a head
        self._answer: UpstreamAnswer | None = None  # from its head until it is closed
        self._fields: list[tuple[str, str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._barren = 0
        self._begun = False  # the parser is in the middle of a message
        self._familiar: FamiliarAnswer | None = None  # the head of the last answer, if it may come again
        self._strange = 0  # heads in a row that did not come again
        self._bodiless = False
        self._framed = False
        self._interim = False
        self._keep = False
        self._paused = False

    @property
    def usable(self) -> bool:
        """Whether a request can be sent, as far as is known."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, head: bytes, body: bytes, *, bodiless: bool) -> Answer:
        """Send a request and wait for the head of its answer. ``bodiless``: the answer to a HEAD.

        Raises:
            UpstreamBroken, UpstreamSilent: the connection is of no more use.
        """
        waiter: asyncio.Future[Answer | UpstreamError] = self._loop.create_future()
        self.begin(head, body, partial(resolve, waiter), bodiless=bodiless)
        try:
            found = await waiter
        except asyncio.CancelledError:
            self.cancel()
            raise
        if isinstance(found, UpstreamError):
            raise found
        return found

    def begin(self, head: bytes, body: bytes, asked: Asked, *, bodiless: bool) -> None:
        """`ask` without waiting: ``asked`` is called once, with the answer or with what it would raise."""
        transport = self._transport
        if transport is None:
            self._loop.call_soon(asked, UpstreamBroken(_NOT_HTTP))
            return
        self._bodiless = bodiless
        self._barren = 0
        self._heard = self._loop.time()
        self._asked = asked
        if len(body) > _IN_ONE_WRITE:
            transport.writelines((head, body))
        else:
            transport.write(head + body)
        if self._timer is None:
            self._timer = self._loop.call_later(self._silence_s, self._listen)

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        self._asked = None
        self.abort()

    def release(self, answer: UpstreamAnswer) -> None:
        """``answer`` is done with: keep the connection when nothing of it is left, else close it."""
        if answer is not self._answer:
            return
        self._answer = None
        transport = self._transport
        if transport is None:
            return
        if answer.ended and self._keep and not transport.is_closing() and transport.get_write_buffer_size() == 0:
            self.idle_since = self._loop.time()
            self._owner.kept(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Close at once; what is not sent is not sent any more."""
        if self._transport is not None:
            self._transport.abort()

    def go_on(self) -> None:
        """Everything has been read: read the socket again."""
        if self._paused:
            self._paused = False
            self._heard = self._loop.time()
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    # What the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._owner.made(self)

    def eof_received(self) -> None:
        """The model hung up in good order (over TLS: said so), which ends an answer without a length."""
        if self._answer is not None and not self._framed:
            self._answer.finish()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - broken off is broken off
        self._transport = None
        self._parser = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._fail(UpstreamBroken)
        self._owner.lost(self)

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None or (self._asked is None and self._answer is None):
            self.abort()  # nobody asked
            return
        asked, begun = self._asked, self._begun
        if asked is not None and self._familiar is not None and not begun and not self._bodiless:
            answer = self._familiar.read(self, data)
            if answer is not None:  # the parser has not seen it
                self._strange = 0
                self._answer, self._asked = answer, None
                asked(answer)
                return
        self._heard = self._loop.time()
        self._barren += len(data)
        sound = True
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            sound = False
        if self._arrived:
            sound = self._take_in() and sound
        if not sound or self._barren > _MOST_BARREN:
            self._break_off()
            return
        if asked is not None and not begun and self._strange < STRANGE:
            self._learn(data)
        self._tell()

    def resume_writing(self) -> None:
        """A long request is on its way: the model's silence begins when it has it."""
        self._heard = self._loop.time()

    # What the parser says. Whatever is raised here ends the parsing.

    def on_message_begin(self) -> None:
        if self._answer is not None:
            raise UpstreamBroken(_NOT_HTTP)  # a second answer to one request
        self._begun = True
        self._fields = []
        self._framed = self._bodiless

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._answer is not None:
            return  # a trailer: nobody asked for one
        fields = self._fields
        if len(name) + len(value) > _LONGEST_FIELD or len(fields) >= _MOST_FIELDS:
            raise UpstreamBroken(_NOT_HTTP)
        field = name.lower().decode("latin-1")
        if field == "content-length":
            self._framed = True  # the parser sees to it that there is one, and that it is a number
        else:
            fields.append((field, value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None:
            raise UpstreamBroken(_NOT_HTTP)
        status = parser.get_status_code()
        self._interim = 100 <= status < 200
        if self._interim and status != 101:
            self._strange = STRANGE  # one read may bring two heads
            return
        if not 200 <= status < 600 or parser.get_http_version() not in ("1.1", "1.0"):
            raise UpstreamBroken(_NOT_HTTP)
        self._framed = self._framed or status in (204, 304)
        for name, value in self._fields:
            if name == "transfer-encoding":
                if value.strip().lower() != "chunked":
                    raise UpstreamBroken(_NOT_HTTP)
                self._framed = True
        self._keep = parser.should_keep_alive() and not self._bodiless and not self._single
        self._barren = 0
        self._answer = UpstreamAnswer(self, status, self._fields)
        self._answer.whole = self._bodiless

    def on_message_complete(self) -> None:
        self._begun = False
        if not self._interim and self._answer is not None:
            self._answer.finish()

    # Own

    def _take_in(self) -> bool:
        """Give the answer what arrived in this read, as one piece. Whether there is one that it could belong to."""
        arrived, answer = self._arrived, self._answer
        piece = arrived[0] if len(arrived) == 1 else b"".join(arrived)
        arrived.clear()
        self._barren = 0
        if answer is None or self._bodiless:
            return False
        if answer.feed(piece) > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        return True

    def _learn(self, data: bytes) -> None:
        """Whether what was parsed is an answer whose head may come again, and leaves the connection as it was."""
        answer = self._answer
        if answer is not None and answer.whole and self._keep:
            self._strange += 1
            self._familiar = familiar_answer(data, answer)

    def _tell(self) -> None:
        """Wake whoever waits, now that all that arrived together has been looked at."""
        answer = self._answer
        if answer is None:
            return
        asked = self._asked
        if asked is not None:
            self._asked = None
            asked(answer)
        else:
            answer.wake()

    def _break_off(self) -> None:
        """What came is not HTTP. An answer that was whole before is one all the same."""
        self._keep = False
        self._fail(UpstreamBroken)
        self.abort()

    def _fail(self, kind: type[UpstreamBroken | UpstreamSilent]) -> None:
        answer, asked = self._answer, self._asked
        if answer is not None:
            silent = kind is UpstreamSilent
            answer.fail(kind(f"the model {'fell silent' if silent else 'broke off'} in the middle of its answer"))
            self._tell()
        elif asked is not None:
            self._asked = None
            asked(kind("the model did not answer in time" if kind is UpstreamSilent else _NOT_HTTP))

    def _listen(self) -> None:
        """One timer for the life of a connection, and none while it is idle for longer: see how long it was silent."""
        self._timer = None
        answer = self._answer
        if self._asked is None and (answer is None or answer.whole):
            return
        now = self._loop.time()
        left = self._silence_s if self._paused else self._heard + self._silence_s - now
        if left > 0:
            self._timer = self._loop.call_later(left, self._listen)
        else:
            self._fail(UpstreamSilent)
            self.abort()
