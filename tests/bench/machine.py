"""The machine: who runs on which core, what a process has used, how many files it may open, what to call it."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no stubs here

_SPARE_FILES = 1_500  # of a process that holds many clients: its own, and connections that come and go

_SYNCS = 100
_BUSY = 0.3  # of a core's time, for each core


@dataclass(frozen=True, slots=True)
class Cores:
    """``target`` is what is measured; ``others`` everything else. Empty where a process cannot be pinned."""

    target: tuple[int, ...]
    others: tuple[int, ...]

    @classmethod
    def choose(cls) -> Cores:
        """The first core for the target, all others for the rest; no pinning with one core, or outside Linux."""
        if not hasattr(os, "sched_getaffinity"):
            return cls((), ())
        cores = sorted(os.sched_getaffinity(0))
        return cls((cores[0],), tuple(cores[1:])) if len(cores) > 1 else cls((), ())

    def describe(self) -> str:
        if not self.target:
            return "nothing is pinned"
        return f"target on core {self.target[0]}, everything else on core {', '.join(map(str, self.others))}"


def pin(pid: int, cores: tuple[int, ...]) -> None:
    """Every thread of ``pid`` and of its children to ``cores``; 0 is this process, without its children."""
    if not cores:
        return
    if pid == 0:
        os.sched_setaffinity(0, cores)
        return
    top = psutil.Process(pid)
    for process in (top, *top.children(recursive=True)):
        for thread in process.threads():
            os.sched_setaffinity(thread.id, cores)


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its children, from /proc/PID/stat; 0 for pid 0 (no process)."""
    if pid == 0:
        return 0.0
    top = psutil.Process(pid)
    times = [each.cpu_times() for each in (top, *top.children(recursive=True))]
    return float(sum(t.user + t.system for t in times))


def resident_bytes(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


def allow_many_files() -> int:
    """Raise this process's limit as far as it goes; how many clients one process can hold then."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 1_048_576 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most - _SPARE_FILES


def describe() -> str:
    """One line: processor, cores, memory, kernel, Python."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def busyness() -> str:
    """What others do on this machine, to be asked before the run; says so when that spoils absolute numbers."""
    load = os.getloadavg()[0]
    spoilt = load > _BUSY * (os.cpu_count() or 1)
    return f"load average {load:.1f} before the run" + (
        ": BUSY with other work, only ratios mean something" if spoilt else ""
    )


def disk_sync_seconds() -> float:
    """How long the disk of the temporary folder takes to sync 4 KB: what a write waits for with fsync always."""
    taken = []
    with tempfile.TemporaryFile() as file:
        for _ in range(_SYNCS):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
