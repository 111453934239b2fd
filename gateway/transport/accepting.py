"""From a listening socket to a connection: accept, read the PROXY preamble where one is due, shake hands, hand over.

::

    accept ─┬─ from a trusted proxy, if proxies send preambles: read it ─┬─ TLS handshake, if TLS ─┬─▶ connected(peer)
            └─ anybody else: no preamble (one would be no HTTP) ─────────┘                        └─▶ refused: closed

The preamble comes before the handshake, in the clear. It is taken from the socket to its last byte and not further, so
that what follows is read by whoever it is for.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Sequence

from gateway.transport.listening import BACKLOG
from gateway.transport.proxy_protocol import LONGEST, Preamble, Unread, parse
from holdpoint.addresses import UNIX, TrustedProxies
from holdpoint.tasks import Tasks

_GREETING_S = 10.0  # for the preamble, and again for the handshake
_UNSENT = 64 * 1024  # bytes of an answer that wait for the client
_AT_ONCE = 256  # connections that are taken in one turn of the loop
_PAUSE_S = 0.5
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = logging.getLogger(__name__)

Connected = Callable[[str], asyncio.Protocol]
"""Makes the protocol of a connection, given the address of its client."""


class Acceptor:
    """``tls`` is asked for every connection; None: none of them has TLS. ``most_greetings`` may be under way at once."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        connected: Connected,
        *,
        tls: Callable[[], ssl.SSLContext] | None,
        preambles_from: TrustedProxies | None,
        most_greetings: int,
        goodbye_s: float,
    ) -> None:
        """``goodbye_s``: for the end of TLS, and all that is sent before it."""
        self._sockets = sockets
        self._connected = connected
        self._tls = tls
        self._preambles_from = preambles_from
        self._most_greetings = most_greetings
        self._goodbye_s = goodbye_s
        self._loop = asyncio.get_running_loop()
        self._greetings = Tasks()
        self._stopped = False

    def start(self) -> None:
        """Let clients in."""
        for listening in self._sockets:
            listening.listen(BACKLOG)
            self._loop.add_reader(listening.fileno(), self._accept, listening)

    def stop(self) -> None:
        """Let nobody in any more, and close the sockets."""
        if not self._stopped:
            self._stopped = True
            for listening in self._sockets:
                self._loop.remove_reader(listening.fileno())
                listening.close()

    async def aclose(self) -> None:
        """Also cut who has not been handed over."""
        self.stop()
        await self._greetings.aclose()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause(listening, error)
                    return
                continue  # this client is gone already
            if len(self._greetings) >= self._most_greetings:
                client.close()
                continue
            client.setblocking(False)
            peer = str(address[0]) if isinstance(address, tuple) else UNIX
            self._greetings.start("greet a client", self._greet(client, peer))

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        """Nothing can be accepted just now; the clients wait in the kernel's queue."""
        _log.error("cannot accept connections for a moment: %s", error.strerror)
        self._loop.remove_reader(listening.fileno())
        self._loop.call_later(_PAUSE_S, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if not self._stopped:
            self._loop.add_reader(listening.fileno(), self._accept, listening)

    async def _greet(self, client: socket.socket, peer: str) -> None:
        try:
            if client.family != socket.AF_UNIX:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._preambles_from is not None and peer in self._preambles_from:
                async with asyncio.timeout(_GREETING_S):
                    peer = await self._source(client) or peer
            if self._tls is None:
                await self._loop.connect_accepted_socket(lambda: self._connected(peer), client)
            else:
                transport, _ = await self._loop.connect_accepted_socket(
                    lambda: self._connected(peer),
                    client,
                    ssl=self._tls(),
                    ssl_handshake_timeout=_GREETING_S,
                    ssl_shutdown_timeout=self._goodbye_s,
                )
                # The loops let half a megabyte wait before they encrypt it, eight times what they let wait without TLS.
                transport.set_write_buffer_limits(high=_UNSENT)
        except (OSError, _NoPreamble) as error:  # a time-out and a TLS error are an OSError, too
            client.close()
            _log.debug("a connection was refused: %s", type(error).__name__, extra={"peer": peer})
        except BaseException:
            client.close()
            raise

    async def _source(self, client: socket.socket) -> str:
        """Whose connection the proxy passes on, by its preamble; empty when it does not say."""
        taken = b""
        while True:
            try:
                waiting = client.recv(LONGEST + 1 - len(taken), socket.MSG_PEEK)
            except BlockingIOError:
                await self._readable(client)
                continue
            found = parse(taken + waiting) if waiting else Unread.MALFORMED
            if found is Unread.MALFORMED:
                raise _NoPreamble
            if isinstance(found, Preamble):
                client.recv(found.size - len(taken))
                return found.source
            taken += client.recv(len(waiting))

    async def _readable(self, client: socket.socket) -> None:
        readable = self._loop.create_future()

        def tell() -> None:
            if not readable.done():
                readable.set_result(None)

        self._loop.add_reader(client.fileno(), tell)
        try:
            await readable
        finally:
            self._loop.remove_reader(client.fileno())


class _NoPreamble(Exception):
    """A trusted proxy began with something else, or left."""
