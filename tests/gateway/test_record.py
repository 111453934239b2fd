from __future__ import annotations

import asyncio
import time

import pytest
import redis

from gateway.record import Recorder
from holdpoint.clock import now_ms
from holdpoint.errors import StoreUnavailable
from holdpoint.model import EventKind
from holdpoint.store import Entry, Store, keys
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until, within


def entry(number: int, size: int = 10) -> Entry:
    return Entry("traffic", EventKind.REQUEST_ALLOWED, f"r{number}", now_ms(), b'{"x":"' + b"y" * size + b'"}')


async def _round_trips(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.info("commandstats").get("cmdstat_exec", {}).get("calls", 0))


async def test_entries_of_one_moment_are_one_round_trip(redis_url: str) -> None:
    store = await Store.open(redis_url, clock=now_ms)
    recorder = Recorder(store)
    recorder.start()
    await recorder.record(entry(0))
    before = await _round_trips(redis_url)
    await asyncio.gather(*(recorder.record(entry(number)) for number in range(1, 101)))
    assert await _round_trips(redis_url) - before <= 2
    await store.outbox.read("traffic", group="g", block_ms=1, count=1)
    events = await store.outbox.read("traffic", group="g", block_ms=1, count=1000)
    assert [event.subject for event in events] == [f"r{number}" for number in range(101)]
    await recorder.stop()
    await store.aclose()


async def test_what_comes_while_a_batch_is_on_its_way_is_the_next(redis_url: str) -> None:
    store = await Store.open(redis_url, clock=now_ms)
    recorder = Recorder(store)
    recorder.start()
    await recorder.record(entry(0))
    before = await _round_trips(redis_url)
    told: list[int] = []
    everything: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def append(number: int) -> None:
        recorder.append(entry(number), lambda error: next_one(number, error))

    def next_one(number: int, error: StoreUnavailable | None) -> None:
        assert error is None
        told.append(number)
        if len(told) == 30:
            everything.set_result(None)
        elif number < 20:
            append(number + 10)

    for number in range(10):
        append(number)
    async with within(5):
        await everything
    assert told == list(range(30))
    assert await _round_trips(redis_url) - before == 3
    await recorder.stop()
    await store.aclose()


async def test_the_next_batch_is_on_its_way_before_anybody_hears_of_the_one_before(redis_url: str) -> None:
    store = await Store.open(redis_url, clock=now_ms)
    recorder = Recorder(store)
    recorder.start()
    await recorder.record(entry(0))
    with redis.Redis.from_url(redis_url) as client:
        length, second = client.xlen(keys.TRAFFIC), recorder.record(entry(2))

        def stands_still(error: StoreUnavailable | None) -> None:
            assert error is None
            until = time.monotonic() + 5
            while client.xlen(keys.TRAFFIC) < length + 2 and time.monotonic() < until:
                pass  # nothing else of this process runs, so what was not sent by now is not written now
            written.append(client.xlen(keys.TRAFFIC) - length)

        written: list[int] = []
        recorder.append(entry(1), stands_still)
        await asyncio.sleep(0)  # the first is sent at the end of this turn
        await second
    assert written == [2]
    await recorder.stop()
    await store.aclose()


async def test_large_entries_are_spread_over_several(redis_url: str) -> None:
    store = await Store.open(redis_url, clock=now_ms)
    recorder = Recorder(store)
    recorder.start()
    await recorder.record(entry(0))
    before = await _round_trips(redis_url)
    await asyncio.gather(*(recorder.record(entry(number, 3_000_000)) for number in range(1, 10)))
    assert await _round_trips(redis_url) - before >= 3
    await recorder.stop()
    await store.aclose()


async def test_many_entries_are_spread_over_several_in_their_order(redis_url: str) -> None:
    store = await Store.open(redis_url, clock=now_ms)
    recorder = Recorder(store)
    recorder.start()
    await store.outbox.read("traffic", group="g", block_ms=1, count=1)
    await recorder.record(entry(0))
    before = await _round_trips(redis_url)
    await asyncio.gather(*(recorder.record(entry(number)) for number in range(1, 1300)))
    assert await _round_trips(redis_url) - before >= 3
    events = await store.outbox.read("traffic", group="g", block_ms=1, count=2000)
    assert [event.subject for event in events] == [f"r{number}" for number in range(1300)]
    await recorder.stop()
    await store.aclose()


@pytest.mark.promise(1)
async def test_records_go_on_after_a_restart_of_redis(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    recorder = Recorder(store)
    recorder.start()
    async with within(5):
        await recorder.record(entry(0))
    redis_server.pause()
    cut_off = [asyncio.ensure_future(recorder.record(entry(number))) for number in range(1, 3)]
    await asyncio.sleep(0)
    redis_server.kill()
    answers = await asyncio.gather(*cut_off, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 2
    redis_server.start()
    async with within(5):
        await asyncio.gather(*(recorder.record(entry(number)) for number in range(3, 6)))
        await recorder.record(entry(6))
    await recorder.stop()
    await store.aclose()


@pytest.mark.promise(1)
async def test_when_redis_is_lost_every_caller_hears_it(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    recorder = Recorder(store)
    recorder.start()
    redis_server.kill()
    answers = await asyncio.gather(*(recorder.record(entry(n)) for n in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 5
    await recorder.stop()
    await store.aclose()


@pytest.mark.promise(1)
async def test_when_redis_is_lost_those_hear_it_too_who_wait_for_the_next_batch(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    recorder = Recorder(store)
    recorder.start()
    await recorder.record(entry(0))
    redis_server.pause()
    on_way = asyncio.ensure_future(recorder.record(entry(1)))
    await asyncio.sleep(0)  # appended; it is sent at the end of this turn
    await asyncio.sleep(0)
    next_ones = [asyncio.ensure_future(recorder.record(entry(n))) for n in range(2, 5)]
    await asyncio.sleep(0)
    redis_server.kill()
    async with within(10):
        answers = await asyncio.gather(on_way, *next_ones, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 4
    redis_server.start()
    async with within(5):
        await recorder.record(entry(5))
    await recorder.stop()
    await store.aclose()


async def test_who_waits_at_the_end_hears_it(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    recorder = Recorder(store)
    recorder.start()
    redis_server.pause()
    waiting = [asyncio.ensure_future(recorder.record(entry(n))) for n in range(2)]
    await asyncio.sleep(0)
    await recorder.stop()
    redis_server.resume()
    for each in waiting:
        with pytest.raises(StoreUnavailable):
            await each
    await store.aclose()


async def test_what_is_unsettled_is_written_once_redis_is_back(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    recorder = Recorder(store)
    recorder.start()
    redis_server.kill()
    tried = 0

    async def write() -> None:
        nonlocal tried
        tried += 1
        await store.outbox.append([entry(1)])

    recorder.settle("a test", write)
    await wait_until(lambda: tried >= 2, "it was tried twice")
    redis_server.start()
    async with within(5):
        await recorder.settled()
    await store.outbox.read("traffic", group="g", block_ms=1, count=1)
    assert [e.subject for e in await store.outbox.read("traffic", group="g", block_ms=1, count=9)] == ["r1"]
    await recorder.stop()
    await store.aclose()


async def test_clients_that_leave_leave_room_for_outcomes(store: Store) -> None:
    """Ten thousand leave while Redis is away."""
    recorder = Recorder(store)
    back, written = asyncio.Event(), []

    async def leave() -> None:
        await back.wait()

    async def outcome() -> None:
        await back.wait()
        written.append("an outcome")

    for _ in range(10_000):
        recorder.settle("a leave", leave)
    recorder.settle("an outcome", outcome)
    back.set()
    async with within(20):
        await recorder.settled()
    assert written == ["an outcome"]
    await recorder.stop()


async def test_a_recorder_that_dies_says_so_and_nobody_waits_for_it(store: Store) -> None:
    deaths: list[str] = []
    recorder = Recorder(store, on_death=lambda name, _error: deaths.append(name))
    recorder.start()
    broken = [Entry("no such stream", EventKind.REQUEST_ALLOWED, f"r{n}", 1, b"{}") for n in range(600)]
    async with within(5):  # they are more than one round trip takes
        answers = await asyncio.gather(*map(recorder.record, broken), return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    await wait_until(lambda: deaths == ["record"], "the death is told")
    async with within(5):
        with pytest.raises(StoreUnavailable):  # also who comes later: nothing could end, and the gateway never stop
            await recorder.record(entry(1))
    await recorder.stop()
