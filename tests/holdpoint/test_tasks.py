from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from holdpoint.tasks import Tasks, finished
from tests.support.waiting import wait_until, within


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
    async with within(5):
        await done.wait()
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
    async with within(5):
        await closed.wait()


async def test_nothing_starts_after_closing() -> None:
    async def work() -> None:
        raise AssertionError("never runs")

    tasks = Tasks()
    await tasks.aclose()
    with pytest.raises(RuntimeError, match="after shutdown"):
        tasks.start("late", work())


async def test_what_must_be_finished_goes_on_when_its_caller_is_cancelled() -> None:
    begun, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go_on.wait()
        ended.set()

    tasks = Tasks()
    caller = tasks.start("caller", finished(work(), grace_s=10))
    await begun.wait()
    stopping = asyncio.ensure_future(tasks.aclose())
    asyncio.get_running_loop().call_soon(go_on.set)
    await stopping
    assert ended.is_set()
    assert caller.cancelled()


async def test_what_must_be_finished_is_cancelled_after_its_grace() -> None:
    begun, cut_off = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()

    tasks = Tasks()
    tasks.start("caller", finished(work(), grace_s=0.01))
    await begun.wait()
    await tasks.aclose()
    await wait_until(cut_off.is_set, "the work is cut off")


async def test_what_must_be_finished_gives_its_result_and_its_error() -> None:
    async def work(error: Exception | None) -> int:
        if error is not None:
            raise error
        return 7

    assert await finished(work(None), grace_s=1) == 7
    with pytest.raises(OSError, match="gone"):
        await finished(work(OSError("gone")), grace_s=1)
