"""What a burst has used goes back to the system, although what lies between is still in use."""

from __future__ import annotations

import platform
import resource
from pathlib import Path

import pytest

from gateway.memory import give_back

_PIECE = 2_000
_PIECES = 30_000
_KEPT = 40  # one piece of so many is still in use


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to")
def test_pages_between_what_is_in_use_are_given_back() -> None:
    burst = [bytes(_PIECE) for _ in range(_PIECES)]
    kept = burst[::_KEPT]
    del burst
    before = resident_bytes()
    give_back()
    assert before - resident_bytes() > _PIECE * _PIECES / 2
    assert len(kept) == _PIECES / _KEPT
