"""`Upstream` on bare asyncio: no cookies, no redirects, no decompression, no proxies from the environment.

::

    HttpUpstream.send ─▶ Pool.take (upstream_pool) ─▶ UpstreamConnection.ask (upstream_connection) ─▶ UpstreamAnswer

A request is sent at most once; only making the connection is tried a second time.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import cached_property
from urllib.parse import urlsplit

from gateway.transport import Answer, Asked, UpstreamUnreachable
from gateway.transport.tls import upstream_context
from gateway.transport.upstream_connection import UpstreamConnection
from gateway.transport.upstream_pool import Pool

_MOST_TARGETS = 10_000
_KEEP_S = 4.0  # below the five seconds after which uvicorn, and with it most model servers, closes an idle connection


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
        self._targets: dict[tuple[str, str], tuple[Pool, str]] = {}

    async def send(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes, *, fresh: bool
    ) -> Answer:
        pool, start = self._targets.get((method, url)) or self._target(method, url)
        head = _head(start, headers, body, last=fresh)
        connection = await pool.take(fresh=fresh)
        return await connection.ask(head, body, bodiless=method == "HEAD")

    def try_send(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes, asked: Asked
    ) -> UpstreamConnection | None:
        found = self._targets.get((method, url))
        if found is None:
            return None
        pool, start = found
        head = _head(start, headers, body, last=False)  # first: it may raise, and a connection that was taken is lost
        connection = pool.take_kept()
        if connection is not None:
            connection.begin(head, body, asked, bodiless=method == "HEAD")
        return connection

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    def _target(self, method: str, url: str) -> tuple[Pool, str]:
        """Where a URL leads, and how a request for it begins. Taking it apart costs more than looking it up."""
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
        start = f"{method} {parts.path or '/'} HTTP/1.1\r\nhost: {shown}\r\n"
        if len(self._targets) >= _MOST_TARGETS:
            self._targets.clear()
        self._targets[method, url] = pool, start
        return pool, start

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._own_tls or upstream_context(None, None, None)


def _head(start: str, headers: Iterable[tuple[str, str]], body: bytes, *, last: bool) -> bytes:
    """The head of a request; ``last`` closes the connection behind it."""
    lines = [f"{name}: {value}" for name, value in headers]
    if body:
        lines.append(f"content-length: {len(body)}")
    if last:
        lines.append("connection: close")
    if not "".join(lines).isprintable():  # a line break in one would be another header
        raise UpstreamUnreachable("the connection's credential cannot be sent as a header")
    return (start + "\r\n".join(lines) + "\r\n\r\n").encode()
