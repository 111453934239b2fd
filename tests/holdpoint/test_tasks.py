from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from holdpoint.tasks import Tasks
from tests.support.waiting import wait_until


async def test_a_task_runs_under_its_name_and_gives_its_result() -> None:
    async def work() -> int:
        return 7

    tasks = Tasks()
    task = tasks.start("seven", work())
    assert task.get_name() == "seven"
    assert await task == 7
    assert len(tasks) == 0


async def test_a_task_that_nobody_references_is_not_collected() -> None:
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.get_running_loop().run_in_executor(None, gc.collect)
        done.set()

    tasks = Tasks()
    tasks.start("unreferenced", work())
    gc.collect()
    await asyncio.wait_for(done.wait(), 5)
    await tasks.aclose()


async def test_a_task_that_dies_is_logged_and_its_death_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise OSError("gone")

    deaths: list[tuple[str, str]] = []
    tasks = Tasks(on_death=lambda name, error: deaths.append((name, str(error))))
    with caplog.at_level(logging.ERROR, "holdpoint.tasks"):
        tasks.start("reader", work())
        await wait_until(lambda: deaths, "the death is told")
    assert deaths == [("reader", "gone")]
    (record,) = caplog.records
    assert vars(record)["task"] == "reader"
    assert record.exc_info is not None


async def test_closing_cancels_and_awaits_everything_and_calls_nobody_dead() -> None:
    deaths: list[str] = []
    cleaned: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.get_running_loop().run_in_executor(None, cleaned.append, name)

    tasks = Tasks(on_death=lambda name, _: deaths.append(name))
    for name in ("a", "b"):
        tasks.start(name, work(name))
    started = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(started.set_result, None)
    await started
    await tasks.aclose()
    assert sorted(cleaned) == ["a", "b"]
    assert deaths == []
    assert len(tasks) == 0


async def test_closing_also_ends_what_a_task_starts_while_it_is_cancelled() -> None:
    tasks = Tasks()
    ended: list[str] = []
    running = asyncio.Event()

    async def late() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("late")

    async def stubborn() -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            tasks.start("late", late())
            ended.append("stubborn")

    tasks.start("stubborn", stubborn())
    await running.wait()
    await tasks.aclose()
    assert "stubborn" in ended
    assert len(tasks) == 0


async def test_a_task_may_close_its_own_owner() -> None:
    tasks = Tasks()
    closed = asyncio.Event()

    async def work() -> None:
        await tasks.aclose()
        closed.set()

    tasks.start("closer", work())
    await asyncio.wait_for(closed.wait(), 5)


async def test_nothing_starts_after_closing() -> None:
    async def work() -> None:
        raise AssertionError("never runs")

    tasks = Tasks()
    await tasks.aclose()
    with pytest.raises(RuntimeError, match="after shutdown"):
        tasks.start("late", work())
