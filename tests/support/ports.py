"""Ports for programs that cannot be told to take any that is free."""

from __future__ import annotations

import contextlib
import secrets
import socket


def free_port() -> int:
    """A port below those that the kernel gives to clients: nobody takes it by chance, nor is connected to itself."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
