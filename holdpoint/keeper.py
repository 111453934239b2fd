"""The small process that keeps one embedded redis-server, and stops it when nobody uses it any more.

::

    python -m holdpoint.keeper DATA BINARY FSYNC SOCKET      started by `holdpoint.embedded`

Users (gateway, bot, commands) hold a shared lock on ``run/users.lock``. When they have all gone, by whatever end, the
keeper gets the exclusive one and shuts the server down: a killed user leaves no server behind. The server inherits the
lock on ``run/server.lock`` and so keeps it for as long as it lives: even when the keeper itself was killed, no second
server comes to the same append-only file, and the next keeper finds the left one and shuts it down. A server that dies
is started again, unless it dies early. The lock on ``run/serving.lock`` says that no left server can answer any more.

Exit codes: 0 stopped, 1 the server does not run (``run/redis.log`` says why), 4 another keeper is there.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from holdpoint.folder import Lock

BUSY = 4
_LOOK_EVERY_S = 0.2
_EARLY_DEATH_S = 2.0
_STOP_WITHIN_S = 30.0


def main() -> int:
    data, binary, fsync, socket_path = sys.argv[1:5]
    os.chdir(data)
    os.umask(0o077)  # the append-only file holds requests
    names = ("keeper", "users", "server", "serving")
    keeper, users, server_lock, serving = (Lock(Path("run") / f"{name}.lock") for name in names)
    if not keeper.take():
        return BUSY
    Path("run/keeper.pid").write_text(str(os.getpid()))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if not server_lock.take() and not _end_orphan(server_lock, socket_path):
        return 1
    while not serving.take():
        time.sleep(0.01)  # others only look whether it is taken, for a moment
    command = [binary, "-"]
    Path("run/redis.log").write_bytes(b"")
    while True:
        started = time.monotonic()
        server = _start(command, fsync, socket_path, server_lock)
        if _watch(server, users, stop):
            _end(server)
            return 0
        if time.monotonic() - started < _EARLY_DEATH_S:
            return 1


def _watch(server: subprocess.Popen[bytes], users: Lock, stop: threading.Event) -> bool:
    """True when the server should be stopped, False when it died by itself."""
    while not stop.wait(_LOOK_EVERY_S):
        if server.poll() is not None:
            return False
        # Held from here to the end of this process: who comes now waits until the server is gone, and starts another.
        if users.take():
            return True
    return True


def _start(command: list[str], fsync: str, socket_path: str, lock: Lock) -> subprocess.Popen[bytes]:
    with Path("run/redis.log").open("ab") as log:  # behind what the server before has said: why it died
        server = subprocess.Popen(  # noqa: S603 - the binary that `embedded.find_server` chose
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=(lock.fileno,)
        )
    Path("run/redis.pid").write_text(str(server.pid))
    assert server.stdin is not None  # noqa: S101 - it is PIPE
    try:
        server.stdin.write(configuration(fsync, socket_path).encode())
        server.stdin.close()
    except BrokenPipeError:
        pass  # it died before it read; `_watch` sees that
    return server


def configuration(fsync: str, socket_path: str) -> str:
    """The server's configuration file. Every write is on disk before it is answered, or within a second (`everysec`)."""
    quoted = socket_path.replace("\\", "\\\\").replace('"', '\\"')
    return f"""\
port 0
unixsocket "{quoted}"
unixsocketperm 600
protected-mode yes
dir .
appendonly yes
appendfsync {fsync}
aof-load-truncated yes
save ""
maxmemory 0
maxmemory-policy noeviction
databases 1
daemonize no
"""


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()  # Redis writes and syncs its append-only file before it goes
    try:
        server.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _end_orphan(server_lock: Lock, socket_path: str) -> bool:
    """Shut down the server that a killed keeper left. False when it does not go."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(socket_path)
            connection.sendall(b"SHUTDOWN\r\n")
            connection.recv(1)
    except OSError:
        pass  # it may be on its way out
    deadline = time.monotonic() + _STOP_WITHIN_S
    while not server_lock.take():
        if time.monotonic() > deadline:
            pid = Path("run/redis.pid").read_text()
            Path("run/redis.log").write_text(f"a redis-server that was left behind does not stop (pid {pid})\n")
            return False
        time.sleep(0.05)
    return True


if __name__ == "__main__":
    sys.exit(main())
