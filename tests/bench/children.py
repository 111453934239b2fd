"""Child processes: started, waited for until they serve, pinned, and stopped whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.machine import pin

_READY_WITHIN_S = 30.0
_STOPPED_WITHIN_S = 8.0


class Failed(Exception):
    """A part of the benchmark does not run; with its last words."""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This environment without anything that would set Holdpoint up otherwise."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOLDPOINT_", "SLACK_"))}
    return kept | dict(more or {})


@asynccontextmanager
async def child(
    command: Sequence[str],
    *,
    ready: str,
    log: Path,
    cores: tuple[int, ...],
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[int]:
    """A process that answers ``ready`` (a URL) with a status below 500; its pid. Stopped at the end of the block.

    Raises:
        Failed: it ended, or did not serve in time.
    """
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, env=environment(env), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        await _until_ready(process, " ".join(command[:3]), ready, log)
        pin(process.pid, cores)
        yield process.pid
    finally:
        await asyncio.to_thread(_stop, process)


def module(name: str, *arguments: str) -> list[str]:
    """The command of a module of this project."""
    return [sys.executable, "-m", name, *arguments]


async def status(url: str) -> int:
    """The status of a GET over a connection of its own; 0 when what comes is not HTTP."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    try:
        writer.write(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        words = (await reader.readline()).split(b" ", 2)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return int(words[1]) if len(words) > 1 else 0


async def _until_ready(process: subprocess.Popen[bytes], name: str, url: str, log: Path) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_READY_WITHIN_S):
            while process.poll() is None:
                with contextlib.suppress(OSError):
                    if 0 < await status(url) < 500:
                        return
                await asyncio.sleep(0.05)
    words = (await asyncio.to_thread(log.read_text, errors="replace"))[-1500:]
    raise Failed(f"{name} does not serve: {words}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
