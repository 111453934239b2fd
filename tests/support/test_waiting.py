"""Limits: kept on a quiet machine, and not broken by one that does not let this process run."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support import waiting
from tests.support.waiting import Patience, wait_until, within


class Machine:
    """A clock on the wall and one of the process, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.cpu = 0.0
        monkeypatch.setattr(waiting.time, "monotonic", lambda: self.wall)
        monkeypatch.setattr(waiting.time, "process_time", lambda: self.cpu)

    def go(self, wall: float, cpu: float = 0.0) -> None:
        self.wall += wall
        self.cpu += cpu


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def looks(patience: Patience, machine: Machine, wall: float, cpu: float = 0.0) -> int:
    """How many looks there are before the end."""
    for number in range(10_000):
        if patience.is_over():
            return number
        machine.go(wall, cpu)
    raise AssertionError("it never ends")


def test_on_a_quiet_machine_a_second_is_a_second(machine: Machine) -> None:
    assert looks(Patience(1), machine, 0.01) in range(100, 103)


def test_pauses_count_only_so_much(machine: Machine) -> None:
    assert looks(Patience(1), machine, 0.5) in range(10, 13)


def test_what_this_process_does_itself_counts_in_full(machine: Machine) -> None:
    assert looks(Patience(1), machine, 0.5, cpu=0.5) == 3


def test_nobody_waits_for_ever(machine: Machine) -> None:
    assert looks(Patience(100), machine, 20) < 10


async def test_what_takes_too_long_is_cancelled() -> None:
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        async with within(0.05):
            await asyncio.Event().wait()
    with pytest.raises(AssertionError, match=r"waited 0\.05 s in vain until it is true"):
        await wait_until(lambda: False, "it is true", seconds=0.05)
    assert time.monotonic() - begun >= 0.1


async def test_what_is_in_time_is_left_alone() -> None:
    async with within(5):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await wait_until(lambda: 7, "it is true") == 7
    assert len(asyncio.all_tasks()) == 1, "nothing goes on"
