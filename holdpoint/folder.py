"""The data folder: private, writable, used by one instance at a time.

::

    DATA/            0700: the append-only file of the embedded Redis, the SQLite ledger, demo.json
    DATA/run/        what only matters while something runs: locks, socket, the server's log

Locks are `flock` locks on open files, so that the kernel drops them when their process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from holdpoint.errors import ConfigurationError

_LONGEST_SOCKET_PATH_BYTES = 100  # the kernel takes 107 (Linux) or 103 (macOS)


class Folder:
    """A data folder that exists and can be written.

    Raises:
        ConfigurationError: it cannot be created or written.
    """

    def __init__(self, data: Path) -> None:
        self.path = data.absolute()
        self.run = self.path / "run"
        try:
            self._make_private()
            self.run.mkdir(mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise ConfigurationError(f"the data folder {data} cannot be written: {error.strerror}") from error

    @property
    def socket(self) -> Path:
        """Where the embedded server listens: in the folder, unless that path is too long for a socket.

        Raises:
            ConfigurationError: the folder for it under the temporary folder belongs to somebody else.
        """
        inside = self.run / "redis.sock"
        if len(os.fsencode(inside)) <= _LONGEST_SOCKET_PATH_BYTES:
            return inside
        name = hashlib.sha256(os.fsencode(self.path.resolve())).hexdigest()[:16]
        outside = Path(tempfile.gettempdir()) / f"holdpoint-{os.getuid()}-{name}"
        outside.mkdir(mode=0o700, exist_ok=True)
        found = outside.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise ConfigurationError(f"{outside} must be a private folder of this user (mode 0700)")
        return outside / "redis.sock"

    def lock_instance(self) -> Lock:
        """Make this process the one instance on the folder, until the lock is released.

        Raises:
            ConfigurationError: another one has it.
        """
        lock = Lock(self.run / "instance.lock")
        if not lock.take():
            holder = lock.holder()
            lock.release()
            by = f" (pid {holder})" if holder else ""
            raise ConfigurationError(f"the data folder {self.path} is in use by another Holdpoint{by}")
        lock.sign()
        return lock

    def instance_runs(self) -> bool:
        """Whether a `holdpoint up` or `holdpoint demo` runs on the folder."""
        lock = Lock(self.run / "instance.lock")
        try:
            return not lock.take(shared=True)
        finally:
            lock.release()

    def _make_private(self) -> None:
        # A folder that somebody filled with other things keeps its mode: `--data /tmp` must not close /tmp.
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(mode=0o700, parents=True)
        entries = {entry.name for entry in self.path.iterdir()}
        if (not entries or "run" in entries) and self.path.stat().st_uid == os.getuid():
            self.path.chmod(0o700)


class Lock:
    """One `flock` lock. Not inherited by children unless they are handed `fileno`."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @property
    def fileno(self) -> int:
        return self._fd

    def take(self, *, shared: bool = False) -> bool:
        """Take it at once, or return False."""
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def sign(self) -> None:
        """Write this process's id into the file, for `holder`."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def holder(self) -> int | None:
        """The process that signed last; None when it has not done so yet."""
        text = os.pread(self._fd, 20, 0)
        return int(text) if text.isdigit() else None

    def release(self) -> None:
        """Drop the lock. It cannot be taken again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
