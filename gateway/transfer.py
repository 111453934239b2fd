"""One answer on its way: what of it may go on to the client now, and what became of it. Waits for nothing.

::

    begin(answer) ─▶ take(piece) ─▶ take(piece) ─▶ … ─▶ done: outcome() is recorded ─▶ last

Both ways of forwarding drive it: callbacks for a clean request (`gateway.lane`), a coroutine for any other
(`gateway.forward`). Of a stream every event passes as soon as it is whole, so that an error can follow it wherever the
model breaks off; but for the one that clients take for the end. Any other answer is held back up to a bound, because half
of it is of no use, and whole it can still become a clean error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from gateway import headers
from gateway.exchange import Exchange
from gateway.protocols.events import EVENT_ENDS, size_of_whole_events
from gateway.transport import Answer, UpstreamBroken
from holdpoint.model import Outcome
from holdpoint.store import StoredResponse

_HELD_BACK = 256 * 1024
_LONGEST_ERROR = 64 * 1024

Finish = Callable[[Outcome, StoredResponse | None], Awaitable[None]]


class Job(NamedTuple):
    """What is forwarded. ``finish`` records the outcome; ``held`` says that an approval was spent on it."""

    target: str
    body: bytes
    finish: Finish
    held: bool


class Transfer:
    """``started`` is the loop's time; ``keep_bytes`` of the answer are kept for its record."""

    __slots__ = (
        "_beyond", "_content_type", "_ending", "_headers", "_is_events", "_keep_bytes", "_kept", "_size", "_status",
        "_waiting", "begun", "done", "exchange", "gone", "job", "last", "started",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, job: Job, *, keep_bytes: int, started: float) -> None:
        self.exchange = exchange
        self.job = job
        self.started = started
        self.begun = False  # the head of the answer is there, and is fit to be passed on
        self.done = False  # nothing is left to read
        self.last = b""  # what the client gets once the outcome is recorded
        self.gone = False  # the client of a held request has left, and the answer is read on for its return
        self._keep_bytes = keep_bytes
        self._kept: list[bytes] = []
        self._beyond: hashlib._Hash | None = None  # the digest so far of what is too large to be kept whole
        self._waiting: list[bytes] = []
        self._ending = False  # what waits has the end of a stream, as clients see it
        self._size = 0
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._content_type = ""
        self._is_events = False

    def begin(self, answer: Answer) -> None:
        """Take the head of ``answer``. Raises `UpstreamBroken` for what a model should not say."""
        self._status = answer.status
        self._headers = headers.to_client(answer.headers, held=self.job.held)
        for name, value in self._headers:
            if name == "content-type":
                self._content_type = value.lower()
                break
        self._is_events = self._content_type.startswith("text/event-stream")
        if answer.status in (401, 407):
            raise UpstreamBroken("the model did not accept the gateway's credential")
        if 300 <= answer.status < 400:
            raise UpstreamBroken("the model answered with a redirect")
        if self.exchange.stream and answer.status == 200 and not self._is_events:
            raise UpstreamBroken("the model was asked for a stream and answered with something else")
        self.begun = True

    def take(self, piece: bytes, *, ended: bool) -> bytes:
        """Count ``piece`` in, and return what may go on now; with ``ended`` nothing, because ``last`` has it."""
        self._size += len(piece)
        if self._size <= self._keep_bytes:
            self._kept.append(piece)
        else:
            self._go_beyond(piece)
        exchange, waiting = self.exchange, self._waiting
        if exchange.events and not self._is_events:
            return self._translated(piece, ended=ended)
        is_open = self._is_events and not ended and not self._ending
        if is_open and not waiting and piece.endswith(EVENT_ENDS) and not exchange.protocol.is_last_piece(piece):
            return piece
        if is_open:
            return self._whole_events(piece)
        waiting.append(piece)
        if ended:
            self.done = True
            self.last = piece if len(waiting) == 1 else b"".join(waiting)
        elif sum(map(len, waiting)) > _HELD_BACK:
            ready = b"".join(waiting)
            waiting.clear()
            self._ending = False
            return ready
        return b""

    def start(self, *, whole: bool) -> None:
        """Fix status and headers of the reply; ``whole``: ``last`` is all of its body."""
        own = self.exchange.headers()
        if whole and self._status not in (204, 304):
            own.append(("content-length", str(len(self.last))))
        if self.job.held and self._status >= 400:
            own.append(("x-should-retry", "false"))
        self.exchange.events = self._is_events
        self.exchange.reply.start(self._status, self._headers + own)

    def outcome(self, error: str, now: float) -> tuple[Outcome, StoredResponse | None]:
        """What became of the request so far, and the whole answer when it is small enough to keep."""
        raw = b"".join(self._kept)
        summary = self.exchange.protocol.summarise(self._content_type, raw)
        outcome = Outcome(
            status=self._status,
            digest=(hashlib.sha256(raw) if self._beyond is None else self._beyond).hexdigest(),
            text=summary.text[: self._keep_bytes],
            prompt_tokens=summary.prompt_tokens,
            completion_tokens=summary.completion_tokens,
            duration_ms=int((now - self.started) * 1000),
            size_bytes=self._size,
            error=error,
        )
        whole = not error and self._size <= self._keep_bytes and self.job.held
        return outcome, StoredResponse(self._status, tuple(self._headers), raw) if whole else None

    def _whole_events(self, piece: bytes) -> bytes:
        """Those that end with ``piece``, unless one of them is the end. What has not come to its end waits on, up to a bound."""
        waiting = self._waiting
        size = size_of_whole_events(piece, before=b"".join(each[-2:] for each in waiting[-2:])[-2:])
        unfinished = len(piece) - size if size else len(piece) + sum(map(len, waiting))
        if unfinished > _HELD_BACK:
            size = len(piece)
        if not size:
            waiting.append(piece)
            return b""
        # Copied once: of what is copied in a burst, the allocator keeps much for as long as a slow client is there.
        ready = b"".join((*waiting, memoryview(piece)[:size]))
        rest = [piece[size:]] if size < len(piece) else []
        self._ending = self.exchange.protocol.is_last_piece(ready)
        self._waiting = [ready, *rest] if self._ending else rest
        return b"" if self._ending else ready

    def _go_beyond(self, piece: bytes) -> None:
        """Count in what is not kept any more."""
        if self._beyond is None:
            self._beyond = hashlib.sha256(b"".join(self._kept))
        self._beyond.update(piece)
        if self.gone:
            raise UpstreamBroken("the client left, and the answer is too large to keep")

    def _translated(self, piece: bytes, *, ended: bool) -> bytes:
        """The client has had the head of a stream, and the model answers with an error: tell it as an event."""
        waiting = self._waiting
        waiting.append(piece)
        if ended or sum(map(len, waiting)) >= _LONGEST_ERROR:
            self.done = True
            exchange = self.exchange
            self.last = exchange.protocol.translate_error(exchange.endpoint, self._status, b"".join(waiting))
        return b""
