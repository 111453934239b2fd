"""The one way to start a background task: named, referenced, logged when it dies, cancelled and awaited at shutdown.

A task that nobody references may be collected while it runs, and one that nobody awaits dies unheard. `Tasks` owns
the tasks of one process or part; whoever must stop when one of them dies passes ``on_death``. What must not be cut off
in the middle by that shutdown is `finished`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_log = logging.getLogger(__name__)

T = TypeVar("T")

OnDeath = Callable[[str, BaseException], None]
"""Told the name of a task that ended with an error, and the error."""


class Tasks:
    """The background tasks of one part. ``on_death(name, error)`` is told of each task that ended with an error."""

    def __init__(self, *, on_death: OnDeath | None = None) -> None:
        self._on_death = on_death
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def start(self, name: str, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run ``coroutine`` in the background under ``name``.

        Raises:
            RuntimeError: after `aclose`; the coroutine is closed and never runs.
        """
        if self._closed:
            coroutine.close()
            raise RuntimeError(f"task {name!r} was started after shutdown")
        task = asyncio.create_task(coroutine, name=name)  # noqa: TID251 - this is the one place
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def __len__(self) -> int:
        """How many tasks are running."""
        return len(self._running)

    async def aclose(self) -> None:
        """Cancel every task and wait for its end; also of those that a task started while it was being cancelled."""
        current = asyncio.current_task()
        while others := self._running - {current}:
            for task in others:
                task.cancel()
            await asyncio.wait(others)
        self._closed = True

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        _log.error("background task died", extra={"task": task.get_name()}, exc_info=error)
        if self._on_death is not None:
            self._on_death(task.get_name(), error)


async def finished(work: Coroutine[Any, Any, T], *, grace_s: float) -> T:
    """The result of ``work``, which goes on to its end when the caller is cancelled; for at most ``grace_s`` more.

    Raises:
        asyncio.CancelledError: the caller was cancelled; by then the work has ended, or is cancelled too.
    """
    task = asyncio.create_task(work)  # noqa: TID251 - awaited right here, whatever happens
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=grace_s)
        raise
    finally:
        task.cancel()
        task.add_done_callback(_heard)


def _heard(task: asyncio.Task[Any]) -> None:
    """Of an error after the caller was cancelled nobody else wants to hear: the work is done again by whoever is next."""
    if not task.cancelled():
        task.exception()
