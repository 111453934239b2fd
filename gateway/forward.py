"""The call to the model and its answer on the way to the client, piece by piece, with backpressure.

::

    send ─▶ head ─▶ piece ─▶ piece ─▶ … ─▶ last piece ─▶ finish (record) ─▶ last piece and end to the client

The end is not sent before ``finish`` has recorded what became of the request. A client that is gone ends the call; but
the answer to a released hold is read on up to what can be kept, so that the client finds it when it comes back: its
approval is spent. `gateway.lane` goes the same way by callbacks, and hands over to this coroutine where it cannot.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext

from pydantic import SecretStr

from gateway import headers
from gateway.exchange import Exchange
from gateway.record import Recorder
from gateway.transfer import Job, Transfer
from gateway.transport import Answer, Asked, Call, ClientGone, Headers, Request, Upstream, UpstreamError, UpstreamSilent
from holdpoint.errors import Refusal, StoreUnavailable
from holdpoint.metrics import Metrics
from holdpoint.model import Outcome, RefusalCode, State
from holdpoint.settings import Settings, resolve_credential
from holdpoint.store import StoredResponse

_MOST_CREDENTIALS = 1_000


class Forwarder:
    """Forwards what is allowed or released; it does not ask why."""

    def __init__(self, upstream: Upstream, recorder: Recorder, metrics: Metrics, settings: Settings) -> None:
        self._upstream = upstream
        self._recorder = recorder
        self._metrics = metrics
        self._keep_bytes = settings.record_response_bytes
        self._credentials: dict[str, SecretStr] = {}
        self._loop = asyncio.get_running_loop()

    def check(self, exchange: Exchange) -> None:
        """Refuse while nothing is lost yet: the connection's credential must be there."""
        reference = exchange.connection.credential
        if reference is not None and self._credential(reference) is None:
            raise Refusal(RefusalCode.UNAVAILABLE, "The connection's credential is not configured.", status=503)

    def transfer(self, exchange: Exchange, job: Job) -> Transfer:
        """What ``job`` needs to be forwarded."""
        return Transfer(exchange, job, keep_bytes=self._keep_bytes, started=self._loop.time())

    def try_send(self, transfer: Transfer, asked: Asked) -> Call | None:
        """`Upstream.try_send` for ``transfer``."""
        exchange, body = transfer.exchange, transfer.job.body
        known = exchange.prepared
        prepared = known.get(exchange.stream) if known is not None else None
        if prepared is None or not body:
            method, url, fields = self._question(transfer)
            more = headers.passed_on(exchange.request)
            if known is None or not body:
                return self._upstream.try_send(method, url, fields, body, asked, more=more)
            prepared = known[exchange.stream] = self._upstream.prepare(method, url, fields, more=more)
        return prepared.try_send(body, asked)

    def answered(self, transfer: Transfer) -> None:
        """The head of the answer is there: count how long it took."""
        elapsed = self._loop.time() - transfer.started
        self._metrics.upstream_seconds[transfer.exchange.connection.name].observe(elapsed)

    async def forward(self, exchange: Exchange, job: Job) -> None:
        """Send ``job`` and pass the answer on; returns when the client has its end.

        Raises:
            Refusal: the model did not answer as it should, or the record could not be written.
            ClientGone: the client went; what became of the request is recorded.
        """
        await self.carry_on(self.transfer(exchange, job))

    async def carry_on(self, transfer: Transfer, answer: Answer | None = None) -> None:
        """`forward` from where ``transfer`` stands; without ``answer`` nothing was sent yet. Raises as `forward`."""
        try:
            try:
                with _leaving_with_the_client(transfer.exchange.request, transfer.job):
                    if answer is None:
                        answer = await self._send(transfer)
                    await self._pass_on(transfer, answer)
            finally:
                if answer is not None:
                    answer.close()
        except (UpstreamError, ClientGone) as error:
            await self.broke_off(transfer, error)
        except asyncio.CancelledError:
            await self._finish(transfer, "the gateway stopped")
            raise
        await self._finish(transfer)
        await self._end(transfer)

    async def broke_off(self, transfer: Transfer, error: Exception) -> None:
        """Record why the answer does not come to its end, when it is the client or the model. Always raises.

        Raises:
            Refusal: the model did not answer as it should.
            Exception: any other ``error`` itself.
        """
        if isinstance(error, UpstreamError):
            await self._finish(transfer, str(error))
            raise _no_answer(transfer, error) from None
        if isinstance(error, ClientGone):
            stopped = transfer.exchange.request.stopped
            await self._finish(transfer, "the gateway stopped" if stopped else "the client left")
        raise error

    async def unrecorded(self, transfer: Transfer, outcome: Outcome) -> None:
        """The outcome is not in Redis: it will be, and the answer goes nowhere. Raises the `Refusal` that says so."""
        self._settle(transfer, outcome, None)
        raise _outcome_lost(transfer)

    async def _send(self, transfer: Transfer) -> Answer:
        method, url, fields = self._question(transfer)
        job, more = transfer.job, headers.passed_on(transfer.exchange.request)
        answer = await self._upstream.send(method, url, fields, job.body, fresh=job.held, more=more)
        self.answered(transfer)
        return answer

    async def _pass_on(self, transfer: Transfer, answer: Answer) -> None:
        """Everything but the last piece, which ``transfer`` keeps."""
        if transfer.begun:
            await self._write(transfer, b"")  # until the client has taken what it was sent before
        else:
            transfer.begin(answer)
        while not transfer.done:
            # The piece itself is kept by nobody: a client that does not read would keep it beside what is ready of it.
            ready = transfer.take(await answer.read(), ended=answer.ended)
            if ready:
                await self._write(transfer, ready)

    async def _write(self, transfer: Transfer, ready: bytes) -> None:
        if transfer.gone:
            return
        reply = transfer.exchange.reply
        try:
            if not reply.started:
                transfer.start(whole=False)
            await reply.write(ready)
        except ClientGone:
            if not transfer.job.held:
                raise
            transfer.gone = True

    async def _end(self, transfer: Transfer) -> None:
        """The last piece, now that the outcome is recorded."""
        if transfer.gone:
            raise ClientGone
        reply = transfer.exchange.reply
        if not reply.started:
            transfer.start(whole=True)
        await reply.end(transfer.last)

    async def _finish(self, transfer: Transfer, error: str = "") -> None:
        """Record the outcome; when Redis is away, later, and the client is told that something is wrong."""
        outcome, response = transfer.outcome(error, self._loop.time())
        job = transfer.job
        try:
            await job.finish(outcome, response)
        except StoreUnavailable:
            self._settle(transfer, outcome, response)
            if not error:
                raise _outcome_lost(transfer) from None
        if job.held:
            transfer.exchange.state = State.FAILED if error else State.COMPLETED

    def _question(self, transfer: Transfer) -> tuple[str, str, Headers]:
        """Method, URL and own headers of what the model is sent."""
        exchange, job = transfer.exchange, transfer.job
        connection = exchange.connection
        secret = self._credential(connection.credential) if connection.credential is not None else None
        credential = secret.get_secret_value() if secret is not None else None
        fields = headers.to_model(
            exchange.protocol, credential=credential, stream=exchange.stream, has_body=bool(job.body)
        )
        return exchange.endpoint.method, connection.upstream.rstrip("/") + job.target, fields

    def _credential(self, reference: str) -> SecretStr | None:
        """What a process was started with does not change: once found, it need not be looked for again."""
        found = self._credentials.get(reference)
        if found is None:
            found = resolve_credential(reference)
            if found is not None:
                if len(self._credentials) >= _MOST_CREDENTIALS:
                    self._credentials.clear()
                self._credentials[reference] = found
        return found

    def _settle(self, transfer: Transfer, outcome: Outcome, response: StoredResponse | None) -> None:
        finish = transfer.job.finish
        self._recorder.settle("an outcome", lambda: finish(outcome, response))


def _no_answer(transfer: Transfer, error: UpstreamError) -> Refusal:
    return Refusal(
        RefusalCode.UNAVAILABLE,
        f"{str(error)[0].upper()}{str(error)[1:]}.",
        status=504 if isinstance(error, UpstreamSilent) else 502,
        retry=not transfer.job.held,
    )


def _outcome_lost(transfer: Transfer) -> Refusal:
    return Refusal(
        RefusalCode.UNAVAILABLE,
        "The model answered, but the answer could not be recorded, so it is not passed on.",
        status=503,
        retry=not transfer.job.held,
    )


class _InterruptedByLeaving:
    """Interrupt whatever is awaited inside when the client goes; then, or when it is gone, it is `ClientGone`."""

    __slots__ = ("_left", "_request", "_task")

    def __init__(self, request: Request) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is handled outside a task")
        self._task = task
        self._request = request
        self._left = False

    def __enter__(self) -> None:
        if self._request.disconnected:  # an interruption now would hit what is awaited after the block
            raise ClientGone
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
