"""Ports for programs that cannot be told to take any that is free."""

from __future__ import annotations

import contextlib
import secrets
import socket

_TAKEN: list[socket.socket] = []


def free_port() -> int:
    """A port below those that the kernel gives to clients: nobody takes it by chance, nor is connected to itself.

    Until this process ends, no other test gets it, also before its program listens or while that is stopped. What says so
    is a socket for datagrams: they have ports of their own, which no program here uses.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket() as probe, contextlib.suppress(OSError):
            mark.bind(("127.0.0.1", port))
            probe.bind(("127.0.0.1", port))
            _TAKEN.append(mark)
            return port
        mark.close()
