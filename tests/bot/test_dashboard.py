"""One person's page: what is on it, in which order, and how fresh it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.dashboard import MOST_QUEUED, Dashboards, urgency
from holdpoint.clock import now_ms
from holdpoint.errors import LedgerError
from holdpoint.live import Live
from holdpoint.model import Hold, Requirement, Reviewer, Risk, Role, State
from holdpoint.store import Store
from tests.conftest import MovingClock
from tests.support.builders import make_decision, make_draft, make_evaluation

SAM = Reviewer("sam@example.com", frozenset({"security"}), frozenset(), "slack")
DANA = Reviewer("dana@example.com", frozenset({"contractors"}), frozenset(), "slack")
ADMIN = Reviewer("lee@example.com", frozenset(), frozenset({Role.ADMIN}), "slack")
FOREVER = 10**15


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    store = await Store.open(redis_url, clock=now_ms)
    yield store
    await store.aclose()


@pytest.fixture
async def dashboards(store: Store) -> AsyncIterator[Dashboards]:
    live = Live(store, clock=now_ms)
    await live.start()

    async def broken(_days: int) -> int | None:
        raise LedgerError("the ledger is away")

    yield Dashboards(store, live, clock=now_ms, link_base="https://x.test", characters=100, median_of=broken)
    await live.stop()


async def hold(store: Store, **evaluation: object) -> Hold:
    draft = make_draft(evaluation=make_evaluation(**evaluation))
    return await store.holds.hold(draft, gateway="g1", idempotency_key=None)


async def test_deadline_before_risk_before_id(store: Store) -> None:
    soon = replace(await hold(store, risk=Risk.LOW), deadline_ms=1_000)
    low = replace(await hold(store, risk=Risk.LOW), deadline_ms=2_000)
    high = replace(await hold(store, risk=Risk.HIGH), deadline_ms=2_000)
    stands = replace(await hold(store), deadline_ms=500, paused_ms=0)  # the clock has stood for 5 s
    assert sorted([stands, low, high, soon], key=lambda each: urgency(each, 5_000)) == [soon, high, low, stands]


async def test_the_queue_is_what_waits_for_this_person(store: Store, dashboards: Dashboards) -> None:
    theirs = await hold(store, requirements=(Requirement("security", 2),))
    await hold(store, requirements=(Requirement("legal", 1),))
    gone = await hold(store)
    await store.holds.cancel(gone, by="dana@example.com", reason="withdrawn")
    page = await dashboards.of(SAM, since_ms=now_ms())
    assert [card.id for card in page.queue] == [theirs.id]
    assert page.overview is None
    await store.holds.decide(theirs, make_decision(theirs, by=SAM.principal), state=State.PENDING, body=None)
    page = await dashboards.of(SAM, since_ms=FOREVER)
    assert (page.queue, page.queued) == ((), 0)  # their part is done
    assert (await dashboards.of(DANA, since_ms=0)).queue == ()


async def test_more_than_fit_are_counted_and_followed(store: Store, dashboards: Dashboards) -> None:
    holds = [await hold(store) for _ in range(MOST_QUEUED + 3)]
    page = await dashboards.of(SAM, since_ms=now_ms())
    assert (len(page.queue), page.queued) == (MOST_QUEUED, MOST_QUEUED + 3)
    assert page.ids == {each.id for each in holds}


async def test_ones_own_newest_first(store: Store, dashboards: Dashboards) -> None:
    holds = [await hold(store) for _ in range(3)]
    page = await dashboards.of(DANA, since_ms=now_ms())
    newest = sorted(holds, key=lambda each: (each.created_ms, each.id), reverse=True)
    assert [card.id for card in page.own] == [each.id for each in newest]
    assert all(card.actions == () or "approve" not in card.actions for card in page.own)


async def test_as_fresh_as_asked_for_and_no_fresher(store: Store, dashboards: Dashboards) -> None:
    assert (await dashboards.of(SAM, since_ms=now_ms())).queued == 0
    seen = await hold(store, requirements=(Requirement("security", 2),))
    assert (await dashboards.of(SAM, since_ms=0)).queued == 0  # what was read after that is good enough
    assert (await dashboards.of(SAM, since_ms=FOREVER)).queued == 1
    await store.holds.escalate(seen)
    page = await dashboards.of(SAM, since_ms=FOREVER)
    assert "platform-leads" in page.queue[0].state_sentence  # a hold that changed is read again


async def test_a_clock_that_is_set_back_hides_nothing_new(redis_url: str, clock: MovingClock) -> None:
    store = await Store.open(redis_url, clock=clock)
    live = Live(store, clock=clock)

    async def unknown(_days: int) -> int | None:
        return None

    pages = Dashboards(store, live, clock=clock, link_base="https://x.test", characters=100, median_of=unknown)
    assert (await pages.of(SAM, since_ms=clock())).queued == 0
    clock.forward(seconds=-60)
    await hold(store, requirements=(Requirement("security", 2),))
    assert (await pages.of(SAM, since_ms=clock())).queued == 1
    await store.aclose()


async def test_a_ledger_that_is_away_hides_the_median_only(store: Store, dashboards: Dashboards) -> None:
    await hold(store)
    overview = (await dashboards.of(ADMIN, since_ms=now_ms())).overview
    assert overview is not None
    assert (overview.held, overview.median_ms, overview.routes) == (1, None, 0)
