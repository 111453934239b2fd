"""Settings → where a gateway listens, and whom it lets in. A worker joins the place that its supervisor has taken.

::

    one process          taken(settings)
    several              shared_place(settings) in the supervisor ─▶ its workers: taken(settings, worker)
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.transport.listening import PathSocket, bound, shared
from gateway.transport.server import Door
from gateway.transport.tls import TlsError, TlsFiles, WatchedTls, upstream_context
from holdpoint.addresses import TrustedProxies
from holdpoint.errors import ConfigurationError
from holdpoint.settings import Settings


@dataclass(frozen=True, slots=True)
class Worker:
    """One of several processes in one place. ``number`` is 1 to ``of``; ``folder`` is where they find each other.

    ``inherited`` is the descriptor of a listening Unix socket, which nobody can join.
    """

    number: int
    of: int
    folder: Path
    inherited: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """``name`` is unique among all gateways that use the same Redis: no two processes have the same."""

    sockets: list[socket.socket]
    door: Door
    url: str
    name: str


@contextmanager
def taken(settings: Settings, worker: Worker | None = None) -> Iterator[Place]:
    """The place to listen in, for as long as the block lasts. Needs a running loop.

    Raises:
        ConfigurationError: the address cannot be used, or a setting is wrong.
    """
    with contextlib.ExitStack() as stack:
        tls = _tls(settings)
        if tls is not None:
            tls.watch()
            stack.callback(tls.stop)
        door = Door(
            most_connections=settings.gateway_connections,
            tls=(lambda: tls.context) if tls is not None else None,
            proxies=_proxies(settings),
            preambles=settings.proxy_protocol,
            forwarded_header=settings.forwarded_header,
        )
        sockets = _sockets(settings, worker, stack)
        for each in sockets:
            stack.callback(each.close)
        where, name = _called(settings, sockets[0])
        number = f"/{worker.number}" if worker is not None else ""
        scheme = "" if settings.gateway_socket is not None else "https://" if tls is not None else "http://"
        yield Place(sockets, door, url=f"{scheme}{where}", name=f"{socket.gethostname()}:{name}{number}")


@contextmanager
def shared_place(settings: Settings) -> Iterator[tuple[int, int | None]]:
    """The place of several workers, for as long as the block lasts: their port, and what they inherit, if anything.

    Raises:
        ConfigurationError: as `taken`, so that one process says it and not each of them.
    """
    _tls(settings)
    _proxies(settings)
    upstream_tls(settings)
    with contextlib.ExitStack() as stack:
        sockets = _sockets(settings, None, stack)
        for each in sockets:
            stack.callback(each.close)
        if settings.gateway_socket is not None:
            yield settings.gateway_port, sockets[0].fileno()
        else:
            yield shared(sockets)[0].getsockname()[1], None


def upstream_tls(settings: Settings) -> ssl.SSLContext | None:
    """What connections to models are made with; None: what the system trusts.

    Raises:
        ConfigurationError: a file cannot be used.
    """
    ca, certificate, key = settings.upstream_ca, settings.upstream_cert, settings.upstream_key
    if (certificate is None) != (key is None):
        raise ConfigurationError("HOLDPOINT_UPSTREAM_CERT/KEY: one needs the other")
    if ca is None and certificate is None:
        return None
    try:
        return upstream_context(ca, certificate, key)
    except TlsError as error:
        raise ConfigurationError(f"HOLDPOINT_UPSTREAM_CA/CERT/KEY: {error}") from None


def _tls(settings: Settings) -> WatchedTls | None:
    certificate, key = settings.gateway_tls_cert, settings.gateway_tls_key
    if certificate is None or key is None:
        if certificate is not key:
            raise ConfigurationError("HOLDPOINT_GATEWAY_TLS_CERT/KEY: one needs the other")
        if settings.gateway_tls_client_ca is not None:  # else somebody would believe that certificates are asked for
            raise ConfigurationError("HOLDPOINT_GATEWAY_TLS_CLIENT_CA: needs HOLDPOINT_GATEWAY_TLS_CERT")
        return None
    try:
        return WatchedTls(TlsFiles(certificate, key, settings.gateway_tls_client_ca))
    except TlsError as error:
        raise ConfigurationError(f"HOLDPOINT_GATEWAY_TLS_CERT/KEY/CLIENT_CA: {error}") from None


def _proxies(settings: Settings) -> TrustedProxies:
    try:
        proxies = TrustedProxies(settings.trusted_proxies)
    except ValueError as error:
        raise ConfigurationError(f"HOLDPOINT_TRUSTED_PROXIES: {error}") from None
    if settings.proxy_protocol and not proxies:
        raise ConfigurationError("HOLDPOINT_PROXY_PROTOCOL: needs HOLDPOINT_TRUSTED_PROXIES")
    return proxies


def _sockets(settings: Settings, worker: Worker | None, stack: contextlib.ExitStack) -> list[socket.socket]:
    if worker is not None and worker.inherited is not None:
        inherited = socket.socket(fileno=worker.inherited)
        inherited.setblocking(False)
        return [inherited]
    path, host, port = settings.gateway_socket, settings.gateway_host, settings.gateway_port
    try:
        if path is None:
            return bound(host, port, join=worker is not None)
        mine = PathSocket(path, int(settings.gateway_socket_mode, 8))
    except OSError as error:
        which, where = ("SOCKET", str(path)) if path is not None else ("HOST/PORT", f"{host}:{port}")
        why = error.strerror or type(error).__name__
        raise ConfigurationError(f"HOLDPOINT_GATEWAY_{which}: cannot listen on {where}: {why}") from None
    stack.callback(mine.close)
    return [mine.socket]


def _called(settings: Settings, listening: socket.socket) -> tuple[str, str]:
    """How people reach it, and how processes call it."""
    if settings.gateway_socket is not None:
        return f"unix:{settings.gateway_socket}", str(settings.gateway_socket)
    host, port = settings.gateway_host, listening.getsockname()[1]
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - not bound here, but shown
        host = "127.0.0.1" if listening.family == socket.AF_INET else "::1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}", str(port)
