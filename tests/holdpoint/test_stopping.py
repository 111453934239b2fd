"""A process ends at a signal, or when one of its parts has died."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from holdpoint.stopping import stop_signals, until_stopped


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order(number: signal.Signals) -> None:
    with stop_signals() as stop:
        os.kill(os.getpid(), number)
        await until_stopped(stop, asyncio.Event())
    assert stop.is_set()


async def test_the_death_of_a_part_ends_it_with_an_error() -> None:
    died = asyncio.Event()
    died.set()
    with stop_signals() as stop, pytest.raises(RuntimeError, match="died"):
        await until_stopped(stop, died)


async def test_a_part_that_dies_while_everything_stops_is_no_error() -> None:
    died = asyncio.Event()
    died.set()
    with stop_signals() as stop:
        stop.set()
        await until_stopped(stop, died)
