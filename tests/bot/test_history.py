# ruff: noqa: F401, F811 - fixtures of the ledger's tests are imported, and asked for by name
"""What the bot asks of the ledger: noted once, in time, and never in the way of a card or of the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text

from bot.drawer import Drawer
from bot.history import History
from bot.sentences import similar_sentence
from holdpoint.errors import LedgerError, NotFound
from holdpoint.ledger.recorder import Recorder
from holdpoint.ledger.sql import Ledger
from holdpoint.live import Live
from holdpoint.model import DecisionKind, GrantScope, Hold, Similar, State, Tally
from holdpoint.policy.engine import compile_policy
from holdpoint.policy.parse import parse_policy
from holdpoint.store import Store
from tests.bot.board import Board
from tests.conftest import MovingClock
from tests.holdpoint.ledger.conftest import ledger, ledger_url, postgres, sqlite_file  # fixtures
from tests.support.builders import hold_in, make_decision, make_draft
from tests.support.waiting import wait_until, within

SHORT_S = 0.3
POLICY = """
version: 1
connections: {demo: {upstream: "http://x", protocol: openai, environment: production}}
masks: [{name: card, matches: ['\\b4111 1111\\b']}]
routes: [{group: "*", channels: ["teams:one"]}]
"""
MASKS = compile_policy(parse_policy(POLICY), 1).masks


@pytest.fixture
async def history(ledger: Ledger, store: Store, clock: MovingClock) -> AsyncIterator[History]:
    opened = History(
        ledger, store, clock=clock, masks=lambda: MASKS, similar_within_s=30
    )  # whatever else the disk does
    yield opened
    await opened.aclose()


async def record(store: Store, ledger: Ledger, clock: MovingClock) -> None:
    """Everything that has happened so far is in the ledger afterwards."""
    running = asyncio.create_task(Recorder(store, ledger, clock=clock, holder="test").run())
    await wait_until(lambda: _nothing_left(store), "everything is recorded", seconds=20)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def _nothing_left(store: Store) -> bool:
    lags = [await store.outbox.lag(stream, group="ledger") for stream in store.outbox.streams()]
    pending = [
        await store.outbox.read_raw(s, group="ledger", block_ms=1, count=1, pending=True)
        for s in store.outbox.streams()
    ]
    return not any(lags) and not any(pending)


@contextmanager
def locked(ledger: Ledger, url: str) -> Iterator[None]:
    """Nobody else can read the ledger inside."""
    ledger._engine.dispose()  # SQLite locks a file for one connection only while there is no other
    engine = create_engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA locking_mode = EXCLUSIVE")
            connection.exec_driver_sql("UPDATE holdpoint_ledger_head SET hash = hash")
        else:
            connection.execute(text("LOCK TABLE holdpoint_ledger IN ACCESS EXCLUSIVE MODE"))
        yield
        connection.rollback()
    engine.dispose()


async def test_the_store_notes_what_the_ledger_knows_once(
    history: History,
    store: Store,
    ledger: Ledger,
    clock: MovingClock,
) -> None:
    await hold_in(store, State.COMPLETED, gateway="g#1")
    await hold_in(store, State.REJECTED, gateway="g#1")
    clock.forward(seconds=60)
    hold = await store.holds.hold(make_draft(), gateway="g#1", idempotency_key=None)
    await record(store, ledger, clock)
    noted = await history.note(hold)
    assert noted == await store.holds.get(hold.id) == replace(hold, similar=noted.similar)
    sam = (Tally("sam@example.com", "sam@example.com", 1),)
    assert noted.similar == Similar(GrantScope.REQUESTER, 1, 1, 0, 0, sam, sam, noted.similar.last_ms)
    await hold_in(store, State.EXPIRED, gateway="g#1")
    await record(store, ledger, clock)
    assert await history.note(replace(hold, similar=None)) == noted
    assert (await store.holds.get(hold.id)).rev == hold.rev


async def test_a_first_request_is_noted_as_one(history: History, store: Store) -> None:
    hold = await store.holds.hold(make_draft(), gateway="g#1", idempotency_key=None)
    noted = await history.note(hold)
    assert noted.similar == Similar(GrantScope.REQUESTER)
    assert similar_sentence(noted, clean=str) == "No similar request in the 30 days before"


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
async def test_what_is_decided_is_not_looked_up(history: History, store: Store, state: State) -> None:
    hold = await hold_in(store, state, gateway="g#1")
    assert await history.note(hold) == hold
    assert (await store.holds.get(hold.id)).similar is None


async def test_a_hold_that_is_gone_is_no_error(history: History, store: Store) -> None:
    hold = await store.holds.hold(make_draft(), gateway="g#1", idempotency_key=None)
    assert await history.note(replace(hold, id="hgone")) == replace(hold, id="hgone")
    with pytest.raises(NotFound):
        await store.holds.get("hgone")


async def test_a_locked_ledger_delays_a_card_by_its_limit_and_the_next_ones_not_at_all(
    store: Store,
    ledger: Ledger,
    ledger_url: str,
    clock: MovingClock,
) -> None:
    history = History(ledger, store, clock=clock, similar_within_s=SHORT_S)
    hold = await store.holds.hold(make_draft(), gateway="g#1", idempotency_key=None)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    beating = asyncio.create_task(beat())
    with locked(ledger, ledger_url):
        async with within(SHORT_S + 0.5):
            assert await history.note(hold) == hold
        assert beats > 3  # the loop went on
        async with within(SHORT_S):
            for _ in range(50):
                assert await history.note(hold) == hold
    beating.cancel()

    async def noted_later() -> bool:
        clock.forward(seconds=31)
        return await _is_noted(history, hold)

    await wait_until(noted_later, "the ledger is asked again", seconds=10)
    await history.aclose()


async def _is_noted(history: History, hold: Hold) -> bool:
    return (await history.note(hold)).similar is not None


async def test_a_locked_ledger_is_an_error_in_words_for_who_asks_for_a_report(
    store: Store,
    ledger: Ledger,
    ledger_url: str,
    clock: MovingClock,
) -> None:
    history = History(ledger, store, clock=clock, similar_within_s=SHORT_S, report_within_s=SHORT_S)
    hold = await store.holds.hold(make_draft(), gateway="g#1", idempotency_key=None)
    with locked(ledger, ledger_url):
        for ask in (history.stats(7), history.audit(hold.id), history.similar(hold)):
            with pytest.raises(LedgerError, match=r"did not answer within 0\.3 s"):
                await ask
    await history.aclose()


@pytest.mark.parametrize("fail", [False, True])
async def test_the_drawer_asks_before_the_first_card(
    history: History,
    store: Store,
    live: Live,
    clock: MovingClock,
    ledger: Ledger,
    ledger_url: str,
    *,
    fail: bool,
) -> None:
    board = Board()
    hold = await store.holds.hold(make_draft(), gateway="g#1", idempotency_key=None)
    drawer = Drawer(store, live, board, clock=clock, prepare=history.note)
    if fail:
        history._similar_within_s = SHORT_S
        with locked(ledger, ledger_url):
            await drawer.draw(hold.id)
    else:
        await drawer.draw(hold.id)
    assert board.texts("teams:one") == ["pending 0"]
    assert ((await store.holds.get(hold.id)).similar is None) is fail


@pytest.fixture
async def live(store: Store, clock: MovingClock) -> Live:
    await store.config.push_policy(POLICY, expect=0, by="test")
    live = Live(store, clock=clock)
    await live.look()
    return live


async def test_numbers(history: History, store: Store, ledger: Ledger, clock: MovingClock) -> None:
    hold = await store.holds.hold(make_draft(), gateway="g#1", idempotency_key=None)
    clock.forward(seconds=90)
    decision = replace(make_decision(hold, DecisionKind.REJECT), at_ms=clock())
    await store.holds.decide(hold, decision, state=State.REJECTED, body=None)
    await record(store, ledger, clock)
    stats = await history.stats(2)
    assert (stats.counts.held, stats.counts.rejected, stats.median_ms) == (1, 1, 90_000)
    assert stats.until_ms == clock() + 1
    assert await history.decision_median_ms(2) == 90_000


@pytest.mark.parametrize("days", [0, 367, -3])
async def test_a_number_of_days_that_makes_no_sense(history: History, days: int) -> None:
    for ask in (history.stats(days), history.decision_median_ms(days)):
        with pytest.raises(ValueError, match="1 to 366"):
            await ask


async def test_the_median_is_asked_for_once_a_minute_and_is_none_when_unknown(
    history: History,
    store: Store,
    ledger: Ledger,
    ledger_url: str,
    clock: MovingClock,
) -> None:
    with locked(ledger, ledger_url):
        assert await history.decision_median_ms(2) is None
        async with within(0.5):
            assert await history.decision_median_ms(2) is None
    hold = await store.holds.hold(make_draft(), gateway="g#1", idempotency_key=None)
    await store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    await record(store, ledger, clock)
    assert await history.decision_median_ms(2) is None
    clock.forward(seconds=61)
    assert await history.decision_median_ms(2) == 0


@pytest.mark.promise(8)
@pytest.mark.promise(7)
async def test_the_story_of_a_hold_is_masked_and_has_no_contents(
    history: History,
    store: Store,
    ledger: Ledger,
    clock: MovingClock,
) -> None:
    hold = await store.holds.hold(make_draft(prompt="the password is tulip"), gateway="g#1", idempotency_key=None)
    decision = replace(make_decision(hold, DecisionKind.REJECT), reason="not 4111 1111\nnor \u202ethis")
    await store.holds.decide(hold, decision, state=State.REJECTED, body=None)
    await record(store, ledger, clock)
    lines = await history.audit(hold.id)
    told = "\n".join(lines)
    assert "hold.created  pending" in lines[0]
    assert "reject by" in told
    assert "⟦card 1⟧" in told
    assert "⟨U+202E⟩this" in told
    assert not any(secret in told for secret in ("tulip", "4111", "\u202e"))
    assert lines[-1] == "Whole: 2 records, each as it was written, each in its place in the chain"


async def test_the_story_of_nothing(history: History) -> None:
    with pytest.raises(NotFound, match="nothing on 'h\\\\u202e1'"):
        await history.audit("h\u202e1")


@pytest.mark.promise(4)
@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            "UPDATE holdpoint_ledger SET data = replace(data, 'sam@', 'tom@') WHERE seq = 2",
            "record 2: the content is not",
        ),
        ("UPDATE holdpoint_ledger SET reviewer = 'tom@example.com' WHERE seq = 2", "record 2: a search column says"),
        ("DELETE FROM holdpoint_ledger WHERE seq = 3", "record 3: it is missing"),
        ("UPDATE holdpoint_ledger SET hash = previous WHERE seq = 1", "record 1: the hash was changed"),
        ("UPDATE holdpoint_ledger SET previous = hash WHERE seq = 5", "record 5"),
    ],
)
async def test_a_story_that_somebody_changed_says_so(
    history: History,
    store: Store,
    ledger: Ledger,
    ledger_url: str,
    clock: MovingClock,
    sql: str,
    says: str,
) -> None:
    hold = await hold_in(store, State.COMPLETED, gateway="g#1")  # records 1 to 4
    await hold_in(store, State.REJECTED, gateway="g#1")
    await record(store, ledger, clock)
    engine = create_engine(ledger_url)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            for guard in ("no_update", "no_delete"):
                connection.exec_driver_sql(f"DROP TRIGGER holdpoint_ledger_{guard}")
        else:
            connection.exec_driver_sql("DROP TRIGGER holdpoint_ledger_no_change ON holdpoint_ledger")
        connection.execute(text(sql))
    engine.dispose()
    last = (await history.audit(hold.id))[-1]
    assert last.startswith("NOT WHOLE: ")
    assert says in last
