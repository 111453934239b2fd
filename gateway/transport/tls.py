"""TLS on both sides: contexts from files, 1.2 or newer, and certificates that are renewed while the process runs.

::

    watched = WatchedTls(files) ─ context now ─▶ every new connection       (client CA given: clients must show theirs)
                 └─ look every few seconds; changed and readable ─▶ another context; unreadable ─▶ the old one stays
    upstream_context(ca, certificate, key)                                  read once, at the start
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

_LOOK_EVERY_S = 5.0

_log = logging.getLogger(__name__)


class TlsError(Exception):
    """A file cannot be used. ``str()`` names it and says why; nothing of its content."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the server's chain, its key, and the authorities of clients (None: clients need no certificate)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def stamps(self) -> tuple[tuple[int, int, int] | None, ...]:
        """What changes when one of the files does: also behind a symbolic link that is turned, as Kubernetes does it."""
        return tuple(_stamp(path) for path in (self.certificate, self.key, self.client_ca) if path is not None)


class WatchedTls:
    """``context`` is the one for new connections. `watch` looks for renewed files until `stop`.

    Raises:
        TlsError: a file cannot be used.
    """

    def __init__(self, files: TlsFiles, *, look_every_s: float = _LOOK_EVERY_S) -> None:
        self._files = files
        self._look_every_s = look_every_s
        self._stamps = files.stamps()
        self._timer: asyncio.TimerHandle | None = None
        self.context = server_context(files)

    def watch(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._look_every_s, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        # The certificate and its key are two files: halfway between them they do not fit, and are looked at again when
        # the second one changes.
        stamps = self._files.stamps()
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                self.context = server_context(self._files)
                _log.info("renewed TLS certificate in use")
            except TlsError as error:
                _log.warning("renewed TLS certificate not in use: %s", error)
        self.watch()


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Raises `TlsError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    _load_chain(context, files.certificate, files.key)
    if files.client_ca is not None:
        _load_authorities(context, files.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def upstream_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """``ca`` is trusted instead of the system's authorities; ``certificate`` and ``key`` are shown to who asks.

    Raises:
        TlsError: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and host name
    _harden(context)
    if ca is None:
        context.load_default_certs()
    else:
        _load_authorities(context, ca)
    if certificate is not None:
        _load_chain(context, certificate, key)
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])


def _load_chain(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    for path in (certificate, key):
        _readable(path)
    try:
        # A key behind a passphrase would ask for it on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError):
        with_key = f" with the key {key}" if key is not None else ""
        raise TlsError(f"{certificate}{with_key}: no PEM certificate with its unencrypted key") from None


def _load_authorities(context: ssl.SSLContext, path: Path) -> None:
    _readable(path)
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ValueError):
        raise TlsError(f"{path}: no PEM certificates") from None


def _readable(path: Path | None) -> None:
    try:
        if path is not None:
            with path.open("rb"):
                pass
    except OSError as error:
        raise TlsError(f"{path}: {error.strerror}") from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
