"""Commands of the real program without its start: a process that has loaded it forks one that runs it.

::

    run() ── arguments, folder, environment, files ──▶ this server ─ fork ─▶ waits ─ fork ─▶ the command, from main() to its exit
      ◀───────────────────────── exit code, as the wait status ──────────────┘

Loading takes ten times as long as what most commands do. What is not as usual: no module is loaded late, so what a
command loads is not to be tested this way; `tests.support.cli` says which commands go this way.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command printed, and its exit code (negative: the number of the signal that ended it)."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(arguments: Sequence[str], *, folder: Path, env: Mapping[str, str], stdin: str = "", seconds: float) -> Ended:
    """``holdpoint`` with ``arguments``; from several threads, too.

    Raises:
        TimeoutError: it has not ended within ``seconds``, and was killed.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, ours:
        given.write(stdin.encode())
        given.seek(0)
        order = json.dumps({"arguments": list(arguments), "folder": str(folder), "env": dict(env)}).encode()
        with theirs:
            socket.send_fds(_server(), [order], [each.fileno() for each in (given, out, err, theirs)])
        ours.settimeout(seconds)
        pid = 0
        try:
            pid = int(ours.recv(20))
            code = os.waitstatus_to_exitcode(int(ours.recv(20)))
        except TimeoutError:
            if pid:
                os.kill(pid, signal.SIGKILL)
            raise
        out.seek(0)
        err.seek(0)
        return Ended(code, out.read().decode(), err.read().decode())


@functools.cache
def _server() -> socket.socket:
    """The connection to this process's server. Messages stay whole on it, whichever thread sends them."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.support.warm", str(theirs.fileno())], pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


def _serve(orders: socket.socket) -> bool:
    """True: this is a new process, prepared to run a command. False: nobody will ask any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    while True:
        order, files, _, _ = socket.recv_fds(orders, _MOST_BYTES, 4)
        if not order:
            return False
        if os.fork() == 0:
            orders.close()
            return _prepared(json.loads(order), files)
        for each in files:
            os.close(each)


def _prepared(order: Mapping[str, Any], files: Sequence[int]) -> bool:
    """In the process that will run the command. Its parent, a copy of it, says its number and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, said = files
    if pid := os.fork():
        with socket.socket(fileno=said) as answer, contextlib.suppress(OSError):
            answer.send(str(pid).encode())
            answer.send(str(os.waitpid(pid, 0)[1]).encode())
        os._exit(0)
    os.close(said)
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["env"])
    random.seed()
    sys.argv[1:] = order["arguments"]
    return True


if __name__ == "__main__":
    import holdpoint.cli.audit
    import holdpoint.cli.audit_stats
    import holdpoint.cli.doctor
    import holdpoint.cli.holds
    import holdpoint.cli.keys
    import holdpoint.cli.policy
    import holdpoint.cli.run
    import holdpoint.cli.teams

    gc.freeze()  # a command is not to look through all that when it ends
    if _serve(socket.socket(fileno=int(sys.argv[1]))):
        holdpoint.cli.main()
