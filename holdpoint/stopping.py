"""When a process ends: at SIGTERM or SIGINT, or when a part that must run for ever has died.

A process that ran on half blind would be worse than one that is started again.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set, inside the block."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def until_stopped(stop: asyncio.Event, died: asyncio.Event) -> None:
    """Return when the process is to stop.

    Raises:
        RuntimeError: one of its background tasks died; the log says which and why.
    """
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(event.wait()) for event in (stop, died)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
    if died.is_set() and not stop.is_set():
        raise RuntimeError("a background task died")
