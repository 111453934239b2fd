"""The call to the model and its answer on the way to the client, piece by piece, with backpressure.

::

    send ─▶ head ─▶ piece ─▶ piece ─▶ … ─▶ last piece ─▶ finish (record) ─▶ last piece and end to the client

The end is not sent before ``finish`` has recorded what became of the request. Streams of events pass at once; any
other answer is held back up to a bound, because half of it is of no use, and whole it can still become a clean error.
A client that is gone ends the call; but the answer to a released hold is read on up to what can be kept, so that the
client finds it when it comes back: its approval is spent.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from gateway import headers
from gateway.exchange import Exchange
from gateway.record import Recorder
from gateway.transport import Answer, ClientGone, Request, Upstream, UpstreamBroken, UpstreamError, UpstreamSilent
from holdpoint.errors import Refusal, StoreUnavailable
from holdpoint.metrics import Metrics
from holdpoint.model import Outcome, RefusalCode, State
from holdpoint.settings import Settings, resolve_credential
from holdpoint.store import StoredResponse

_HELD_BACK = 256 * 1024
_LONGEST_ERROR = 64 * 1024

Finish = Callable[[Outcome, StoredResponse | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Job:
    """What is forwarded. ``finish`` records the outcome; ``held`` says that an approval was spent on it."""

    target: str
    body: bytes
    finish: Finish
    held: bool


class Forwarder:
    """Forwards what is allowed or released; it does not ask why."""

    def __init__(self, upstream: Upstream, recorder: Recorder, metrics: Metrics, settings: Settings) -> None:
        self._upstream = upstream
        self._recorder = recorder
        self._metrics = metrics
        self._keep_bytes = settings.record_response_bytes

    def check(self, exchange: Exchange) -> None:
        """Refuse while nothing is lost yet: the connection's credential must be there."""
        reference = exchange.connection.credential
        if reference is not None and resolve_credential(reference) is None:
            raise Refusal(RefusalCode.UNAVAILABLE, "The connection's credential is not configured.", status=503)

    async def forward(self, exchange: Exchange, job: Job) -> None:
        """Send ``job`` and pass the answer on; returns when the client has its end.

        Raises:
            Refusal: the model did not answer as it should, or the record could not be written.
            ClientGone: the client went; what became of the request is recorded.
        """
        transfer = _Transfer(exchange, job, self._keep_bytes)
        try:
            with _leaving_with_the_client(exchange.request, job):
                answer = await self._send(exchange, job)
                try:
                    last = await transfer.run(answer)
                finally:
                    answer.close()
        except UpstreamError as error:
            raise await self._failed(transfer, error) from None
        except ClientGone:
            await self._finish(transfer, "the client left")
            raise
        except asyncio.CancelledError:
            await self._finish(transfer, "the gateway stopped")
            raise
        await self._finish(transfer)
        await transfer.end(last)

    async def _send(self, exchange: Exchange, job: Job) -> Answer:
        connection = exchange.connection
        secret = resolve_credential(connection.credential) if connection.credential is not None else None
        fields = headers.to_model(
            exchange.request,
            exchange.protocol,
            credential=secret.get_secret_value() if secret is not None else None,
            stream=exchange.stream,
            has_body=bool(job.body),
        )
        loop = asyncio.get_running_loop()
        started = loop.time()
        url = connection.upstream.rstrip("/") + job.target
        answer = await self._upstream.send(exchange.endpoint.method, url, fields, job.body, fresh=job.held)
        self._metrics.upstream_seconds[connection.name].observe(loop.time() - started)
        return answer

    async def _finish(self, transfer: _Transfer, error: str = "") -> None:
        """Record the outcome; when Redis is away, later, and the client is told that something is wrong."""
        outcome, response = transfer.outcome(error)
        job = transfer.job
        try:
            await job.finish(outcome, response)
        except StoreUnavailable:
            self._recorder.settle("an outcome", lambda: job.finish(outcome, response))
            if not error:
                raise _outcome_lost(transfer) from None
        if job.held:
            transfer.exchange.state = State.FAILED if error else State.COMPLETED

    async def _failed(self, transfer: _Transfer, error: UpstreamError) -> Refusal:
        await self._finish(transfer, str(error))
        held = transfer.job.held
        return Refusal(
            RefusalCode.UNAVAILABLE,
            f"{str(error)[0].upper()}{str(error)[1:]}.",
            status=504 if isinstance(error, UpstreamSilent) else 502,
            retry=not held,
        )


def _outcome_lost(transfer: _Transfer) -> Refusal:
    return Refusal(
        RefusalCode.UNAVAILABLE,
        "The model answered, but the answer could not be recorded, so it is not passed on.",
        status=503,
        retry=not transfer.job.held,
    )


class _InterruptedByLeaving:
    """Interrupt whatever is awaited inside when the client goes; then it is `ClientGone` that comes out."""

    __slots__ = ("_left", "_request", "_task")

    def __init__(self, request: Request) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is handled outside a task")
        self._task = task
        self._request = request
        self._left = False

    def __enter__(self) -> None:
        self._request.on_disconnect(self._leave)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._request.on_disconnect(None)
        if kind is asyncio.CancelledError and self._left and self._task.uncancel() <= 0:
            raise ClientGone from None

    def _leave(self) -> None:
        self._left = True
        self._task.cancel()


def _leaving_with_the_client(request: Request, job: Job) -> AbstractContextManager[None]:
    return nullcontext() if job.held else _InterruptedByLeaving(request)


class _Transfer:
    """One answer on its way."""

    def __init__(self, exchange: Exchange, job: Job, keep_bytes: int) -> None:
        self.exchange = exchange
        self.job = job
        self._keep_bytes = keep_bytes
        self._started = asyncio.get_running_loop().time()
        self._digest = hashlib.sha256()
        self._kept: list[bytes] = []
        self._size = 0
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._content_type = ""
        self._gone = False

    async def run(self, answer: Answer) -> bytes:
        """Pass on everything but the last piece, which is returned."""
        self._status = answer.status
        self._headers = headers.to_client(answer.headers, held=self.job.held)
        self._content_type = next((value for name, value in self._headers if name == "content-type"), "").lower()
        self._check(answer)
        if self.exchange.events and not self._is_stream_of_events():
            return await self._translate(answer)
        if self._is_stream_of_events():
            return await self._pass_events(answer)
        return await self._hold_back(answer)

    async def end(self, last: bytes) -> None:
        """The last piece, now that the outcome is recorded."""
        if self._gone:
            raise ClientGone
        if not self.exchange.reply.started:
            self._start([("content-length", str(len(last)))] if self._status not in (204, 304) else [])
        await self.exchange.reply.end(last)

    def outcome(self, error: str) -> tuple[Outcome, StoredResponse | None]:
        """What became of the request so far, and the whole answer when it is small enough to keep."""
        raw = b"".join(self._kept)
        summary = self.exchange.protocol.summarise(self._content_type, raw)
        outcome = Outcome(
            status=self._status,
            digest=self._digest.hexdigest(),
            text=summary.text[: self._keep_bytes],
            prompt_tokens=summary.prompt_tokens,
            completion_tokens=summary.completion_tokens,
            duration_ms=int((asyncio.get_running_loop().time() - self._started) * 1000),
            size_bytes=self._size,
            error=error,
        )
        whole = not error and self._size <= self._keep_bytes and self.job.held
        return outcome, StoredResponse(self._status, tuple(self._headers), raw) if whole else None

    def _is_stream_of_events(self) -> bool:
        return self._content_type.startswith("text/event-stream")

    def _check(self, answer: Answer) -> None:
        if answer.status in (401, 407):
            raise UpstreamBroken("the model did not accept the gateway's credential")
        if 300 <= answer.status < 400:
            raise UpstreamBroken("the model answered with a redirect")
        if self.exchange.stream and answer.status == 200 and not self._is_stream_of_events():
            raise UpstreamBroken("the model was asked for a stream and answered with something else")

    async def _pass_events(self, answer: Answer) -> bytes:
        """Each piece goes on at once, but for what clients take for the end."""
        waiting = b""
        while True:
            piece = await self._read(answer)
            if answer.ended:
                return waiting + piece
            if waiting or self.exchange.protocol.is_last_piece(piece):
                waiting += piece
                if len(waiting) <= _HELD_BACK:
                    continue
                piece, waiting = waiting, b""
            await self._write(piece)

    async def _hold_back(self, answer: Answer) -> bytes:
        """Everything that is no stream is kept until it is whole, or large."""
        waiting: list[bytes] = []
        size = 0
        while True:
            piece = await self._read(answer)
            waiting.append(piece)
            size += len(piece)
            if answer.ended:
                return b"".join(waiting)
            if size > _HELD_BACK:
                await self._write(b"".join(waiting))
                waiting, size = [], 0

    async def _translate(self, answer: Answer) -> bytes:
        """The client has had the head of a stream, and the model answers with an error: tell it as an event."""
        raw = b""
        while not answer.ended and len(raw) < _LONGEST_ERROR:
            raw += await self._read(answer)
        return self.exchange.protocol.translate_error(self.exchange.endpoint, self._status, raw)

    async def _read(self, answer: Answer) -> bytes:
        piece = await answer.read()
        self._digest.update(piece)
        self._size += len(piece)
        if self._size <= self._keep_bytes:
            self._kept.append(piece)
        elif self._gone:
            raise UpstreamBroken("the client left, and the answer is too large to keep")
        return piece

    async def _write(self, piece: bytes) -> None:
        if self._gone or not piece:
            return
        try:
            if not self.exchange.reply.started:
                self._start()
            await self.exchange.reply.write(piece)
        except ClientGone:
            if not self.job.held:
                raise
            self._gone = True

    def _start(self, more: list[tuple[str, str]] | None = None) -> None:
        own = self.exchange.headers() + (more or [])
        if self.job.held and self._status >= 400:
            own.append(("x-should-retry", "false"))
        self.exchange.events = self._is_stream_of_events()
        self.exchange.reply.start(self._status, self._headers + own)
