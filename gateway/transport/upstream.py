"""`Upstream` on bare asyncio: no cookies, no redirects, no decompression, no proxies from the environment.

::

    HttpUpstream.send ─▶ Pool.take (upstream_pool) ─▶ UpstreamConnection.ask (upstream_connection) ─▶ UpstreamAnswer

A request is sent at most once; only making the connection is tried a second time.
"""

from __future__ import annotations

import ssl
from functools import cached_property
from urllib.parse import urlsplit

from gateway.transport import Answer, Asked, Headers, UpstreamUnreachable
from gateway.transport.tls import upstream_context
from gateway.transport.upstream_connection import UpstreamConnection
from gateway.transport.upstream_pool import Pool

_MOST_STARTS = 1_000
_KEEP_S = 4.0  # below the five seconds after which uvicorn, and with it most model servers, closes an idle connection


class Prepared:
    """See `gateway.transport.Prepared`."""

    __slots__ = ("_bodiless", "_pool", "_start")

    def __init__(self, pool: Pool, start: bytes, *, bodiless: bool) -> None:
        self._pool = pool
        self._start = start
        self._bodiless = bodiless

    def try_send(self, body: bytes, asked: Asked) -> UpstreamConnection | None:
        connection = self._pool.take_kept()
        if connection is not None:
            connection.begin(_with_length(self._start, body), body, asked, bodiless=self._bodiless)
        return connection


class HttpUpstream:
    """See `gateway.transport.Upstream`."""

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        keep_s: float = _KEEP_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``tls`` is for https; None: the system's authorities, and no certificate of one's own."""
        self._own_tls = tls
        self._keep_s = keep_s
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._pools: dict[tuple[str, int, bool], Pool] = {}
        self._starts: dict[tuple[str, str, Headers], tuple[Pool, bytes]] = {}

    async def send(
        self, method: str, url: str, headers: Headers, body: bytes, *, fresh: bool, more: Headers = ()
    ) -> Answer:
        pool, start = self._start(method, url, headers)
        head = _head(start, more, body, last=fresh)
        connection = await pool.take(fresh=fresh)
        return await connection.ask(head, body, bodiless=method == "HEAD")

    def try_send(
        self, method: str, url: str, headers: Headers, body: bytes, asked: Asked, *, more: Headers = ()
    ) -> UpstreamConnection | None:
        return self.prepare(method, url, headers, more=more).try_send(body, asked)

    def prepare(self, method: str, url: str, headers: Headers, *, more: Headers = ()) -> Prepared:
        pool, start = self._start(method, url, headers)
        return Prepared(pool, start + _lines(more), bodiless=method == "HEAD")

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    def _start(self, method: str, url: str, headers: Headers) -> tuple[Pool, bytes]:
        """Where a request goes, and how it begins. Raises `UpstreamUnreachable` when it cannot be sent."""
        key = (method, url, tuple(headers))
        found = self._starts.get(key)
        if found is None:
            pool, lines = self._target(method, url)
            found = pool, lines.encode() + _lines(headers)
            if len(self._starts) >= _MOST_STARTS:
                self._starts.clear()
            self._starts[key] = found
        return found

    def _target(self, method: str, url: str) -> tuple[Pool, str]:
        """Where a URL leads, and the first lines of a request for it."""
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        host = parts.hostname or ""
        try:
            host = host if host.isascii() else host.encode("idna").decode("ascii")
        except UnicodeError:
            raise UpstreamUnreachable("the model cannot be reached") from None
        usual = 443 if tls else 80
        port = parts.port or usual
        pool = self._pools.get((host, port, tls))
        if pool is None:
            pool = self._pools[host, port, tls] = Pool(
                host,
                port,
                self._tls if tls else None,
                connect_timeout_s=self._connect_timeout_s,
                silence_s=self._read_timeout_s,
                keep_s=self._keep_s,
            )
        shown = (f"[{host}]" if ":" in host else host) + ("" if port == usual else f":{port}")
        return pool, f"{method} {parts.path or '/'} HTTP/1.1\r\nhost: {shown}\r\n"

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._own_tls or upstream_context(None, None, None)


def _lines(headers: Headers) -> bytes:
    """Headers as they are sent. Raises `UpstreamUnreachable` when one of them would be more than one line."""
    if not headers:
        return b""
    lines = [f"{name}: {value}" for name, value in headers]
    if not "".join(lines).isprintable():
        raise UpstreamUnreachable("the connection's credential cannot be sent as a header")
    return "".join([f"{line}\r\n" for line in lines]).encode()


def _head(start: bytes, more: Headers, body: bytes, *, last: bool) -> bytes:
    """The head of a request; ``last`` closes the connection behind it."""
    start += _lines(more)
    if last:
        start += b"connection: close\r\n"
    return _with_length(start, body)


def _with_length(start: bytes, body: bytes) -> bytes:
    return b"%bcontent-length: %d\r\n\r\n" % (start, len(body)) if body else start + b"\r\n"
