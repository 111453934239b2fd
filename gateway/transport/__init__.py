"""The narrow door to HTTP: what the route sees of a server and of a client.

::

    client ──▶ Request ──▶ proxy ──▶ Upstream.send ──▶ model
    client ◀── Reply   ◀── forward ◀── Answer      ◀──

Nothing outside this folder knows which library is behind it. A request says when its client is gone; a reply waits
until the client has read; an answer waits until it is read. That is the whole of the backpressure.

Who serves a request awaits what it needs of these, in a coroutine that it gives to the server; or it is called back,
and gives none: `Reply.send` and `finish`, `Upstream.try_send` and `Answer.take` never wait. Who finds out on the way
that it has to wait after all gives a coroutine to `Reply.hand_over`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

Headers = Sequence[tuple[str, str]]


class ClientGone(Exception):
    """The client has closed its connection, or did not read in time. Nobody is there to be answered."""


class BodyTooLarge(Exception):
    """The body is larger than the limit."""


class BodyTooSlow(Exception):
    """No piece of the body came within the time."""


class BodyBroken(Exception):
    """The framing of the body is wrong."""


class UpstreamError(Exception):
    """The model did not answer as it should. ``str()`` is one phrase without content."""


class UpstreamUnreachable(UpstreamError):
    """No connection could be made: nothing was sent."""


class UpstreamBroken(UpstreamError):
    """The connection broke, or what came was not HTTP."""


class UpstreamSilent(UpstreamError):
    """Nothing came for too long."""


class Familiar(Protocol):
    """A head that comes again and again on one connection: everything but the length and the body is the same."""

    learned: object
    """What whoever serves has concluded from it, for the next time; None at first."""


class Request(Protocol):
    """One request of a client. ``path`` is as it was sent (percent-encoded), without the query string."""

    method: str
    path: str
    query: str
    peer: str
    whole: bool
    """Whether all of its body has arrived."""
    familiar: Familiar | None
    """Its head, when it has come before; with one length, which nobody can read in two ways."""
    stopped: bool
    """Whether the gateway itself has cut the connection, because it stops."""

    def forget_head(self) -> None:
        """Keep nothing for a head that may come again: this request is going to wait, and has to be small."""

    @property
    def disconnected(self) -> bool:
        """Whether the client has closed its connection."""

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever its case."""

    def headers(self, name: str) -> list[str]:
        """Every value of a header, whatever its case."""

    async def body(self, limit: int, timeout_s: float) -> bytes:
        """The whole body, as it was sent.

        Raises:
            BodyTooLarge, BodyTooSlow, BodyBroken, ClientGone.
        """

    def take_arrived(self) -> bytes:
        """All of the body of a request that is ``whole`` and that nobody has read. The request keeps none of it."""

    def on_disconnect(self, callback: Callable[[], object] | None) -> None:
        """Call ``callback`` once when the client goes (at once when it is gone already); None: nobody asks any more."""


class Reply(Protocol):
    """The answer to one request. Headers go out with the first piece, or at the end."""

    started: bool
    """Whether status and headers are fixed."""

    def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Fix status and headers. Without ``content-length`` the length is told by chunks."""

    async def write(self, data: bytes) -> None:
        """Send a piece; returns when the client has taken enough of what was sent before.

        Raises:
            ClientGone: it is gone, or did not read within the time limit (its connection is then cut).
        """

    async def end(self, data: bytes = b"") -> None:
        """Send the last piece and mark the end. Raises `ClientGone` as `write` does."""

    def send(self, data: bytes) -> bool:
        """`write` without waiting: whether the client keeps up. Raises `ClientGone` when it is gone."""

    def finish(self, data: bytes) -> None:
        """`end` without waiting, for who gave the server no coroutine; whether or not the client is still there."""

    def hand_over(self, rest: Awaitable[None]) -> None:
        """What is left to do for this answer is awaited from here on, by the server."""

    def abort(self) -> None:
        """Cut the connection without marking an end, once what was written is sent."""


class Answer(Protocol):
    """A model's answer. Not reading it stops the model from sending.

    ``headers`` are all but the length, their names in lower case; those of a head that has come before are a tuple.
    """

    status: int
    headers: Headers

    async def read(self) -> bytes:
        """The next piece; empty at the end.

        Raises:
            UpstreamBroken, UpstreamSilent.
        """

    def take(self) -> bytes:
        """`read` without waiting: what has arrived since; empty when that is nothing, or at the end. Raises as `read`."""

    def on_more(self, callback: Callable[[], object] | None) -> None:
        """Call ``callback`` whenever `take` has something to say; None: nobody asks any more."""

    @property
    def ended(self) -> bool:
        """Whether all of it has been read."""

    def close(self) -> None:
        """Done: the connection is kept when the answer was read to its end, and closed when it was not."""


Asked = Callable[[Answer | UpstreamError], None]


class Call(Protocol):
    """A request that is on its way to a model and has no answer yet."""

    def cancel(self) -> None:
        """Nobody waits for the answer any more: close the connection, and call nobody back."""


class Prepared(Protocol):
    """A request but for its body."""

    def try_send(self, body: bytes, asked: Asked) -> Call | None:
        """As `Upstream.try_send`."""


class Upstream(Protocol):
    """The client side.

    ``headers`` are those that request after request has in common: how such a request begins is remembered. ``more``
    are those of one request alone.
    """

    def try_send(
        self, method: str, url: str, headers: Headers, body: bytes, asked: Asked, *, more: Headers = ()
    ) -> Call | None:
        """`send` without waiting, over a kept connection; None, and nothing was sent, when there is none that is good.

        ``asked`` is called once, later, with the answer when its head is there, or with what went wrong.

        Raises:
            UpstreamUnreachable: a header cannot be sent; nothing was.
        """

    def prepare(self, method: str, url: str, headers: Headers, *, more: Headers = ()) -> Prepared:
        """What `try_send` does before it knows the body, for requests that have all the rest in common. Raises as it does."""

    async def send(
        self, method: str, url: str, headers: Headers, body: bytes, *, fresh: bool, more: Headers = ()
    ) -> Answer:
        """Send one request and wait for the head of its answer. It is never sent twice.

        ``fresh`` asks for a connection of its own, so that a kept one that just closes cannot spoil the request.

        Raises:
            UpstreamUnreachable, UpstreamBroken, UpstreamSilent.
        """

    async def aclose(self) -> None:
        """Close all connections."""


class Server(Protocol):
    """A listening server."""

    host: str
    port: int

    async def start_accepting(self) -> None:
        """Let clients in."""

    async def stop_accepting(self) -> None:
        """Take no new connections, and close those that are idle."""

    async def aclose(self, drain_s: float) -> None:
        """Wait for running answers up to ``drain_s``, then cut what is left."""


Serve = Callable[[Request, Reply], Awaitable[None] | None]
"""Takes a request: what is to be awaited for its answer; None when callbacks bring it, up to `Reply.finish`."""
