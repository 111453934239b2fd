"""The fast lane: what the spine does for an allowed request, by callbacks, with no task and nothing awaited.

::

    start ─▶ record ─▶ _allowed ─▶ send ─▶ _answered ─▶ _more … ─▶ record ─▶ _completed ─▶ last piece and end

It is `Act.allow` and `Forwarder.forward` as long as all goes well. Where it does not (no kept connection to the model,
a client that reads slowly or leaves, a model that breaks off, Redis lost) the lane ends, and a step of the coroutine
route goes on from there: the lane itself refuses nothing and waits for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from gateway.exchange import Exchange
from gateway.forward import Forwarder
from gateway.guard import Guard, Step
from gateway.journal import Completion, Journal
from gateway.transfer import Job, Transfer
from gateway.transport import Answer, Call, ClientGone, UpstreamError
from holdpoint.errors import StoreUnavailable
from holdpoint.model import Evaluation, Outcome, Query

T = TypeVar("T")


class Lane:
    """What all passages share."""

    def __init__(self, *, journal: Journal, forwarder: Forwarder, guard: Guard) -> None:
        self.journal = journal
        self.forwarder = forwarder
        self.guard = guard
        self.loop = asyncio.get_running_loop()

    def start(self, exchange: Exchange, query: Query, evaluation: Evaluation) -> None:
        """Bring the answer to an allowed request, up to `Reply.finish`."""
        passage = Passage(self, exchange, query.body)
        self.journal.allowed(exchange, query, evaluation, passage.allowed)


def _callback(method: Callable[[Passage, T], None]) -> Callable[[Passage, T], None]:
    """Nobody is there to catch what a callback raises: the coroutine route does, and refuses."""

    def called_back(passage: Passage, found: T) -> None:
        try:
            method(passage, found)
        except Exception as error:  # noqa: BLE001 - the outermost handler of what is called back
            passage.give_up(error)

    return called_back


class Passage:
    """One allowed request on its way."""

    __slots__ = ("_answer", "_call", "_completion", "_exchange", "_lane", "_outcome", "_transfer")

    def __init__(self, lane: Lane, exchange: Exchange, body: bytes) -> None:
        self._lane = lane
        self._exchange = exchange
        self._completion: Completion = lane.journal.completion(exchange)
        job = Job(exchange.endpoint.target, body, self._completion, held=False)
        self._transfer: Transfer = lane.forwarder.transfer(exchange, job)
        self._call: Call | None = None  # from the request to the head of its answer
        self._answer: Answer | None = None  # from the head of the answer to its end
        self._outcome: Outcome | None = None

    @_callback
    def allowed(self, error: StoreUnavailable | None) -> None:
        """The allow is in Redis, or nobody knows: only now may it be forwarded."""
        if error is not None:
            raise error
        transfer, forwarder, request = self._transfer, self._lane.forwarder, self._exchange.request
        if request.disconnected:
            raise ClientGone
        transfer.started = self._lane.loop.time()
        self._call = forwarder.try_send(transfer, self._answered)
        if self._call is None:
            self._hand_over(forwarder.carry_on, transfer)
        else:
            request.on_disconnect(self._left)

    @_callback
    def _answered(self, found: Answer | UpstreamError) -> None:
        self._call = None
        if isinstance(found, UpstreamError):
            raise found
        self._answer, transfer = found, self._transfer
        self._lane.forwarder.answered(transfer)
        transfer.begin(found)
        found.on_more(self._more)
        self._more()

    def _more(self) -> None:
        """Pass on what has arrived. Called for every piece of a stream, so it does for itself what `_callback` does."""
        answer, transfer = self._answer, self._transfer
        if answer is None:
            return
        try:
            piece = answer.take()
            ended = answer.ended
            ready = transfer.take(piece, ended=ended) if piece or ended else b""
            if transfer.done:
                self._let_go()
                self._outcome, _ = transfer.outcome("", self._lane.loop.time())
                self._completion.append(self._outcome, self._completed)
            elif ready:
                reply = self._exchange.reply
                if not reply.started:
                    transfer.start(whole=False)
                if not reply.send(ready):
                    self._hand_over(self._lane.forwarder.carry_on, transfer, self._detached())
        except Exception as error:  # noqa: BLE001 - see `_callback`
            self.give_up(error)

    @_callback
    def _completed(self, error: StoreUnavailable | None) -> None:
        """The outcome is in Redis, or nobody knows: only now may the answer end."""
        transfer, reply = self._transfer, self._exchange.reply
        if error is not None and self._outcome is not None:
            self._hand_over(self._lane.forwarder.unrecorded, transfer, self._outcome)
            return
        if not reply.started:
            transfer.start(whole=True)
        reply.finish(transfer.last)

    def _left(self) -> None:
        """The client is gone, and with it the call."""
        self.give_up(ClientGone())

    def give_up(self, error: Exception) -> None:
        """What the coroutine route makes of ``error`` ends the request."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        self._let_go()
        self._hand_over(self._lane.forwarder.broke_off, self._transfer, error)

    def _let_go(self) -> None:
        """Done with the model: its connection is kept when nothing of the answer is left, else closed."""
        answer = self._detached()
        if answer is not None:
            answer.close()

    def _detached(self) -> Answer | None:
        """The answer, for somebody else to go on with it."""
        self._exchange.request.on_disconnect(None)
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.on_more(None)
        return answer

    def _hand_over(self, step: Step, *arguments: object) -> None:
        self._exchange.request.on_disconnect(None)
        self._exchange.reply.hand_over(self._lane.guard(self._exchange, step, *arguments))
