"""Sockets to listen on: TCP on every address of a host, shared by workers if asked for, or a Unix socket.

::

    bound(host, port)                 exclusive: an address in use is an error, also when workers of another share it
    shared(bound(host, port))         the supervisor's: nobody but workers may join, and it never takes a client itself
    bound(host, port, join=True)      a worker's: the kernel spreads the clients over all of them (SO_REUSEPORT)
    bound_to_path(path, mode)

None of them listens yet. Every function raises OSError when the address cannot be used.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from holdpoint.folder import Lock

BACKLOG = 2048


def bound(host: str, port: int, *, join: bool = False) -> list[socket.socket]:
    """One socket per address of ``host``, all on the same port (0: any free one)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with contextlib.ExitStack() as unless_all:
        sockets: list[socket.socket] = []
        for family, _, _, _, address in dict.fromkeys(found):
            listening = socket.socket(family, socket.SOCK_STREAM)
            unless_all.callback(listening.close)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what waits in TIME_WAIT does not count
            if join:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
            chosen = sockets[0].getsockname()[1] if sockets else port
            listening.bind((address[0], chosen, *address[2:]))
            sockets.append(_unblocked(listening))
        unless_all.pop_all()
    return sockets


def shared(sockets: list[socket.socket]) -> list[socket.socket]:
    """Let workers of the same user join the addresses of ``sockets``, for as long as these are open.

    They were taken alone, so whoever else is there has been found; and they stay closed to whoever does not join on
    purpose: without SO_REUSEADDR a bound socket is in the way of every other, whether or not it listens.
    """
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return sockets


class PathSocket:
    """A Unix socket that exists as a file until `close`. ``mode`` is the file's: who may connect."""

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self._lock = Lock(path.with_name(f"{path.name}.lock"))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._claim()
            self.socket.bind(str(path))
            path.chmod(mode)  # it does not listen yet, so nobody came in before
        except BaseException:
            self.socket.close()
            self._lock.release()
            raise
        _unblocked(self.socket)

    def _claim(self) -> None:
        """Take the path, and what an earlier process left there out of the way."""
        if not self._lock.take() or _answers(self.path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        _remove(self.path)

    def close(self) -> None:
        """Take the file away; the lock, kept until then, says that it is ours."""
        self.socket.close()
        with contextlib.suppress(OSError):
            _remove(self.path)
        self._lock.release()


def _unblocked(listening: socket.socket) -> socket.socket:
    listening.setblocking(False)
    return listening


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except TimeoutError:
            return True
        except OSError:
            return False
    return True


def _remove(path: Path) -> None:
    """What an earlier process left. What is no socket is somebody's file: an error."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "the path exists and is no socket")
        path.unlink()
