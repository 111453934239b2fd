"""Memory that a burst has used goes back to the system.

A thousand requests that are held at the same moment need several times the memory that they need while they wait. The
C library would keep what they leave behind, because it lies between what is still in use.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress


def _trimmer() -> Callable[[int], int] | None:
    """``malloc_trim`` of glibc; other C libraries have no such thing."""
    with suppress(OSError, AttributeError):
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
        return found
    return None


_trim = _trimmer()


def give_back() -> None:
    """Return unused pages, where that is possible. Takes 0.2 to 6 ms with some thousand waiting requests."""
    if _trim is not None:
        _trim(0)
