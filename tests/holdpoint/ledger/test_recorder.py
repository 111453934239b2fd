"""Events on a real Redis become records in a real database: none twice, none lost, whoever dies when."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from holdpoint.clock import now_ms
from holdpoint.errors import StoreUnavailable
from holdpoint.ledger.recorder import GROUP, LEASE, Recorder, _entry
from holdpoint.ledger.search import Filter, statement
from holdpoint.ledger.sql import Ledger
from holdpoint.ledger.verify import Verifier
from holdpoint.model import EventKind
from holdpoint.store import Entry, Store
from holdpoint.tasks import Tasks
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

PROGRAM = """
import asyncio, sys
from holdpoint.clock import now_ms
from holdpoint.ledger.recorder import Recorder
from holdpoint.ledger.sql import Ledger
from holdpoint.store import Store

async def main():
    store = await Store.open(sys.argv[1], clock=now_ms)
    await Recorder(store, Ledger.open(sys.argv[2]), clock=now_ms, holder=sys.argv[3], lease_ttl_ms=300).run()

asyncio.run(main())
"""


def request(n: int) -> Entry:
    return Entry("traffic", EventKind.REQUEST_ALLOWED, f"r{n}", 1000 + n, b'{"request":"r%d"}' % n)


def change(n: int) -> Entry:
    return Entry("events", EventKind.ROUTE_ADDED, f"g{n}", 1000 + n, b'{"group":"g%d"}' % n)


def subjects(ledger: Ledger) -> list[str]:
    return [row.record.subject for row in reversed(ledger.select(statement(Filter(), limit=100_000)))]


def is_whole(ledger: Ledger) -> bool:
    with ledger.snapshot() as snapshot:
        return list(Verifier().check(snapshot)) == []


def length(store: Store, stream: str) -> Callable[[], object]:
    async def ask() -> int:
        return int(await store._client.command("XLEN", f"hp:{{p00}}:{stream}"))

    return ask


@asynccontextmanager
async def running(store: Store, ledger: Ledger, holder: str = "a", ttl_ms: int = 300) -> AsyncIterator[Recorder]:
    tasks = Tasks()
    recorder = Recorder(store, ledger, clock=now_ms, holder=holder, lease_ttl_ms=ttl_ms)
    tasks.start("recorder", recorder.run())
    try:
        yield recorder
    finally:
        await tasks.aclose()


@pytest.mark.promise(4)
async def test_events_of_every_stream_are_recorded_acknowledged_and_trimmed(store: Store, ledger: Ledger) -> None:
    await store.outbox.append([request(n) for n in range(2500)])
    await store.outbox.append([change(n) for n in range(10)])
    async with running(store, ledger) as recorder:
        await wait_until(lambda: ledger.head().seq == 2510, "all is recorded")
        for stream in store.outbox.streams():
            await wait_until(lambda s=stream: _is_zero(length(store, s)), f"{stream} is trimmed")  # type: ignore[misc]
            assert await store.outbox.lag(stream, group=GROUP) == 0
        assert (recorder.recorded, recorder.leading, recorder.last_error, recorder.lag_seconds) == (
            2510,
            True,
            None,
            0.0,
        )
        await wait_until(lambda: recorder.lag == 0, "the lag is gone")
    recorded = subjects(ledger)
    assert [s for s in recorded if s.startswith("r")] == [f"r{n}" for n in range(2500)]
    assert [s for s in recorded if s.startswith("g")] == [f"g{n}" for n in range(10)]
    assert is_whole(ledger)


@pytest.mark.promise(4)
async def test_data_is_recorded_byte_for_byte(store: Store, ledger: Ledger) -> None:
    raw = b'{ "b":1.50,"a":"\\u00fc","big":123456789012345678901234567890 }'
    await store.outbox.append([Entry("events", EventKind.CARD_SHOWN, "h1", 5, raw)])
    async with running(store, ledger):
        await wait_until(lambda: ledger.head().seq == 1, "it is recorded")
    (row,) = ledger.select(statement(Filter(), limit=1))
    assert row.record.data == raw.decode()


@pytest.mark.promise(4)
async def test_a_crash_between_the_commit_and_the_acknowledgement_records_nothing_twice(
    store: Store, ledger: Ledger
) -> None:
    await store.outbox.append([request(n) for n in range(20)])
    await store.outbox.read_raw("traffic", group=GROUP, block_ms=1, count=1)  # makes the group
    events = await store.outbox.read_raw("traffic", group=GROUP, block_ms=1, count=10)
    ledger.append([_entry(event) for event in events])
    async with running(store, ledger):
        await wait_until(lambda: ledger.head().seq == 20, "the rest is recorded")
        await wait_until(lambda: _is_zero(length(store, "traffic")), "all is acknowledged and trimmed")
    assert subjects(ledger) == [f"r{n}" for n in range(20)]
    assert is_whole(ledger)


@pytest.mark.promise(4)
async def test_a_crash_before_the_commit_loses_nothing(store: Store, ledger: Ledger) -> None:
    await store.outbox.append([request(n) for n in range(20)])
    await store.outbox.read_raw("traffic", group=GROUP, block_ms=1, count=1)
    assert len(await store.outbox.read_raw("traffic", group=GROUP, block_ms=1, count=10)) == 10
    async with running(store, ledger):
        await wait_until(lambda: ledger.head().seq == 20, "all is recorded")
    assert subjects(ledger) == [f"r{n}" for n in range(20)]


@pytest.mark.promise(4)
async def test_what_a_recorder_without_the_lease_read_and_left_is_recorded_by_the_one_with_it(
    store: Store, ledger: Ledger
) -> None:
    async with running(store, ledger) as recorder:
        await wait_until(lambda: recorder.leading, "it leads")
        appended = taken = 0
        while not taken:  # a recorder that was frozen wakes up, takes some, and dies
            await store.outbox.append([request(n) for n in range(appended, appended + 50)])
            appended += 50
            taken = len(await store.outbox.read_raw("traffic", group=GROUP, block_ms=1, count=5))
        await store.outbox.append([request(n) for n in range(appended, appended + 20)])
        appended += 20
        await wait_until(lambda: ledger.head().seq == appended, "all is recorded")
        await wait_until(lambda: _is_zero(length(store, "traffic")), "all is acknowledged and trimmed")
    assert sorted(subjects(ledger)) == sorted(f"r{n}" for n in range(appended))
    assert is_whole(ledger)


@pytest.mark.promise(4)
async def test_two_recorders_at_once_record_everything_once(store: Store, ledger: Ledger, ledger_url: str) -> None:
    other = Ledger.open(ledger_url)
    async with running(store, ledger, "a") as first, running(store, other, "b") as second:
        for start in range(0, 1000, 50):
            await store.outbox.append([request(n) for n in range(start, start + 50)])
            await store.leases.release(LEASE, holder="a" if start % 100 else "b")  # the lease runs out all the time
        await wait_until(lambda: ledger.head().seq == 1000, "all is recorded")
        await wait_until(lambda: first.recorded + second.recorded == 1000, "both know what they recorded")
    other.close()
    assert sorted(subjects(ledger)) == sorted(f"r{n}" for n in range(1000))
    assert is_whole(ledger)


async def test_the_next_one_takes_over_when_the_first_stops(store: Store, ledger: Ledger) -> None:
    async with running(store, ledger, "a", 60_000) as first:
        await wait_until(lambda: first.leading, "the first leads")
        second = Recorder(store, ledger, clock=now_ms, holder="b", lease_ttl_ms=60_000)
    tasks = Tasks()
    tasks.start("recorder", second.run())
    await wait_until(lambda: second.leading, "the other one leads")
    await store.outbox.append([change(1)])
    await wait_until(lambda: ledger.head().seq == 1, "it records")
    await tasks.aclose()


async def test_who_cannot_write_gives_way_to_one_who_can(store: Store, ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "broken.sqlite3"
    broken = Ledger.open(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE holdpoint_ledger_head")
    async with running(store, broken, "a", 60_000) as first:
        await wait_until(lambda: first.leading, "the one who cannot leads")
        async with running(store, ledger, "b", 60_000) as second:
            await store.outbox.append([change(1)])
            await wait_until(lambda: ledger.head().seq == 1, "the other one records")
            assert second.leading
            await wait_until(lambda: first.last_error is None, "the first stands by")
            assert not first.leading
    broken.close()


@pytest.mark.promise(4)
async def test_kill_9_of_recorders_at_any_moment(redis_url: str, store: Store, sqlite_file: Path) -> None:
    url = f"sqlite:///{sqlite_file}"
    ledger = Ledger.open(url)
    total = 0
    for turn in range(5):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, redis_url, url, f"p{turn}"])
        for _ in range(20):
            await store.outbox.append([request(n) for n in range(total, total + 100)])
            total += 100
        least = 300 * (turn + 1)
        await wait_until(lambda n=least: ledger.head().seq >= n, "it has recorded something", seconds=30)  # type: ignore[misc]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    async with running(store, ledger, "last"):
        await wait_until(lambda: ledger.head().seq == total, "all is recorded", seconds=30)
        await wait_until(lambda: _is_zero(length(store, "traffic")), "all is trimmed")
    assert subjects(ledger) == [f"r{n}" for n in range(total)]
    assert is_whole(ledger)
    ledger.close()


async def test_events_stay_in_redis_while_the_ledger_cannot_be_written(store: Store, sqlite_file: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{sqlite_file}")
    with closing(sqlite3.connect(sqlite_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await store.outbox.append([change(n) for n in range(3)])
        async with running(store, ledger) as recorder:
            await wait_until(lambda: recorder.last_error, "it says that it cannot")
            assert "locked" in str(recorder.last_error)
            assert recorder.lag_seconds > 0
            assert await store.outbox.lag("events", group=GROUP) == 3
            other.execute("ROLLBACK")
            await wait_until(lambda: ledger.head().seq == 3, "they are recorded")
            await wait_until(lambda: recorder.last_error is None and recorder.lag_seconds == 0, "it says that it can")
    ledger.close()


async def test_it_goes_on_when_redis_is_back(redis_server: RedisServer, sqlite_file: Path) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    ledger = Ledger.open(f"sqlite:///{sqlite_file}")
    async with running(store, ledger) as recorder:
        await store.outbox.append([change(1)])
        await wait_until(lambda: ledger.head().seq == 1, "the first is recorded")
        redis_server.kill()
        await wait_until(lambda: recorder.last_error, "it says that it cannot")
        redis_server.restart()
        await wait_until(lambda: _appended(store, change(2)), "redis is back")
        await wait_until(lambda: ledger.head().seq == 2, "the second is recorded")
    assert subjects(ledger) == ["g1", "g2"]
    ledger.close()
    await store.aclose()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (("kind", b"hold.created", "subject", b"h", "at", b"7", "data", b"{broken"), ("hold.created", "h", 7, "text", "{broken")),
        (("kind", b"hold.created", "subject", b"h", "at", b"7", "data", b"\xff"), ("hold.created", "h", 7, "base64", "/w==")),
        (("kind", b"from.the.future", "subject", b"h", "at", b"7", "data", b"{}"), ("from.the.future", "h", 7, "json", "{}")),
        (("kind", b"\xff\x00", "subject", b"\xfe", "at", b"7", "data", b"{}"), ("\\xff⟨U+0000⟩", "\\xfe", 7, "json", "{}")),
        (("kind", b"k", "subject", b"s", "at", b"soon", "data", b"{}"), ("k", "s", None, "json", "{}")),
        (("nothing", b"known"), ("unreadable", "", None, "text", "")),
    ],
)  # fmt: skip
async def test_an_event_that_nobody_can_read_is_recorded_as_it_was(
    store: Store, ledger: Ledger, fields: tuple[str | bytes, ...], told: tuple[object, ...]
) -> None:
    await store._client.command("XADD", "hp:{p00}:events", "*", *fields)
    await store.outbox.append([change(1)])
    async with running(store, ledger) as recorder:
        await wait_until(lambda: ledger.head().seq == 2, "both are recorded")
        await wait_until(lambda: recorder.unreadable == 1, "it is counted")
    odd, good = (row.record for row in reversed(ledger.select(statement(Filter(), limit=2))))
    kind, subject, at_ms, form, data = told
    assert (odd.kind, odd.subject, odd.form, odd.data) == (kind, subject, form, data)
    assert odd.at_ms == (at_ms or int(odd.source.partition("/")[2].partition("-")[0]))
    assert good.subject == "g1"
    assert is_whole(ledger)


async def test_large_events_make_smaller_batches(store: Store, sqlite_file: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{sqlite_file}")
    await store.outbox.append([request(0)])
    large = b'{"x":"%s"}' % (b"x" * 5_000_000)
    for n in range(2):  # more than one batch should have, and not so much that a busy machine cannot read it in time
        await store.outbox.append([Entry("traffic", EventKind.REQUEST_ALLOWED, f"L{n}", 1, large)])
    async with running(store, ledger) as recorder:
        await wait_until(lambda: ledger.head().seq == 3, "all is recorded")
        await wait_until(lambda: recorder._count == 500, "the next batch is smaller")
        await store.outbox.append([request(1)])
        await wait_until(lambda: recorder._count == 1000, "and grows again")
    ledger.close()


async def _is_zero(ask: Callable[[], object]) -> bool:
    answer = ask()
    assert asyncio.iscoroutine(answer)
    return bool(await answer == 0)


async def _appended(store: Store, entry: Entry) -> bool:
    try:
        await store.outbox.append([entry])
    except StoreUnavailable:
        return False
    return True
