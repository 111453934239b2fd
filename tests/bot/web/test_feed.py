from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.web.feed import Feed
from holdpoint.clock import now_ms
from holdpoint.store import Store
from holdpoint.store.card_events import card_shown
from holdpoint.tasks import Tasks
from tests.support.builders import make_draft
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until, within


class Page:
    """Counts how often it is told to look again."""

    def __init__(self, feed: Feed, tasks: Tasks, hold_id: str | None = None) -> None:
        self.changes = self.beats = 0
        self.task = tasks.start("page", self._listen(feed, hold_id))

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})

    async def _listen(self, feed: Feed, hold_id: str | None) -> None:
        async for changed in feed.changes(hold_id, beat_s=0.05):
            self.changes += changed
            self.beats += not changed


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    running = Tasks()
    yield running
    await running.aclose()


@pytest.fixture
async def feed(store: Store, tasks: Tasks) -> Feed:
    """One that has looked where the outbox ends: then it tells every page to look again."""
    made = Feed(store)
    page = Page(made, tasks)
    await wait_until(lambda: len(made) == 1, "the page listens")
    tasks.start("feed", made.run())
    await wait_until(lambda: page.changes, "it was told to look again")
    await page.leave()
    return made


async def hold(store: Store) -> str:
    return (await store.holds.hold(make_draft(), gateway="g#1", idempotency_key=None)).id


async def settled(page: Page) -> int:
    """How many changes there were, once the page has been quiet for two beats."""
    before = page.beats
    await wait_until(lambda: page.beats >= before + 2, "the page is quiet")
    return page.changes


async def test_every_page_hears_of_a_change(feed: Feed, store: Store, tasks: Tasks) -> None:
    pages = [Page(feed, tasks) for _ in range(3)]
    before = [await settled(page) for page in pages]
    await hold(store)
    await wait_until(lambda: all(p.changes > b for p, b in zip(pages, before, strict=True)), "all heard", seconds=2)


# Step by step: a feed that runs wakes every page when something changes between two of its looks.


async def test_a_page_of_one_hold_hears_of_that_one_only(store: Store, tasks: Tasks) -> None:
    feed, mine = Feed(store), await hold(store)
    page, other = Page(feed, tasks, mine), Page(feed, tasks, "another")
    assert [await settled(each) for each in (page, other)] == [0, 0]
    position = await store.outbox.latest("events")
    await store.holds.cancel(await store.holds.get(mine), by="x", reason="y")
    await feed.step(position)
    await wait_until(lambda: page.changes, "it heard")
    assert await settled(other) == 0


async def test_that_a_page_was_shown_wakes_nobody(store: Store, tasks: Tasks) -> None:
    feed, mine = Feed(store), await hold(store)
    pages = [Page(feed, tasks, mine), Page(feed, tasks)]
    assert [await settled(page) for page in pages] == [0, 0]
    position = await store.outbox.latest("events")
    await store.outbox.append([card_shown(hold=mine, rev=1, target="web:x", digest="d", view="v", at_ms=1)])
    assert await feed.step(position) != position
    assert [await settled(page) for page in pages] == [0, 0]


async def test_changes_that_are_trimmed_at_once_are_noticed(store: Store, tasks: Tasks) -> None:
    feed = Feed(store)
    page = Page(feed, tasks)
    position = await feed.step(None)
    before = await settled(page)
    await hold(store)
    for _ in range(2):  # the first read makes the group
        events = await store.outbox.read("events", group="ledger", block_ms=1, count=10)
    await store.outbox.ack("events", group="ledger", events=events)
    await store.outbox.trim("events")
    assert await store.outbox.follow("events", after=position, block_ms=1) == []
    assert await feed.step(position) != position
    await wait_until(lambda: page.changes > before, "it heard")


async def test_after_an_outage_of_redis_every_page_looks_again(redis_server: RedisServer, tasks: Tasks) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    feed = Feed(store)
    tasks.start("feed", feed.run())
    page = Page(feed, tasks)
    before = await settled(page)
    redis_server.kill()
    redis_server.start()
    await wait_until(lambda: page.changes > before, "it looks again")
    before = await settled(page)
    await hold(store)
    await wait_until(lambda: page.changes > before, "it heard")
    await tasks.aclose()
    await store.aclose()


async def test_a_page_that_leaves_is_forgotten(feed: Feed, tasks: Tasks) -> None:
    page = Page(feed, tasks)
    await settled(page)
    assert len(feed) == 1
    await page.leave()
    assert len(feed) == 0


async def test_stopping_ends_every_page(feed: Feed, tasks: Tasks) -> None:
    page = Page(feed, tasks)
    await settled(page)
    feed.stop()
    async with within(2):
        await page.task
