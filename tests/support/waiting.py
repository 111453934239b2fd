"""Wait for a condition, never for a time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def wait_until(
    condition: Callable[[], T | Awaitable[T]], what: str, *, seconds: float = 10, every: float = 0.005
) -> T:
    """The first truthy result of ``condition`` (sync or async); fails with ``what`` after ``seconds``.

    ``every``: seconds between two looks, for a condition that is dear.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        result = await found if inspect.isawaitable(found) else found
        if result:
            return result  # type: ignore[return-value]
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain until {what}")
        await asyncio.sleep(every)
