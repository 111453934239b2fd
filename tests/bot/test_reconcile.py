"""Cards and records are compared: what differs is repaired, what is right is left alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.drawer import Drawer
from bot.reconcile import BACK_MS, Reconciler
from holdpoint.errors import ChannelRefused, ChannelUnavailable
from holdpoint.live import Live
from holdpoint.model import Hold, Requester, Requirement, State
from holdpoint.store import Store
from tests.bot.board import Board
from tests.conftest import MovingClock
from tests.support.builders import make_decision, make_draft, make_evaluation

POLICY = """
version: 1
connections:
  demo: {upstream: "http://127.0.0.1:9000", protocol: openai, environment: production}
routes:
  - {group: "*", channels: ["teams:one", "teams:two"]}
"""
ROBOT = Requester("robot", frozenset())
_numbers = itertools.count()


@pytest.fixture
async def live(store: Store, clock: MovingClock) -> Live:
    await store.config.push_policy(POLICY, expect=0, by="test")
    live = Live(store, clock=clock)
    await live.look()
    return live


class Bot:
    """A drawer and a reconciler on a board; `check` compares and draws what is to be drawn."""

    def __init__(self, store: Store, live: Live, board: Board, clock: MovingClock) -> None:
        self.asked: list[str] = []
        self.drawer = Drawer(store, live, board, clock=clock)
        self.reconciler = Reconciler(store, live, board, again=self.asked.append, clock=clock)

    async def check(self) -> set[str]:
        self.asked.clear()
        self.report = await self.reconciler.check()
        drawn = set(self.asked)
        for hold_id in drawn:
            await self.drawer.draw(hold_id)
        return drawn


@pytest.fixture
def bot(store: Store, live: Live, clock: MovingClock) -> Callable[[Board], Bot]:
    return lambda board: Bot(store, live, board, clock)


async def held(store: Store, prompt: str | None = None) -> Hold:
    draft = make_draft(
        prompt=prompt or f"password {next(_numbers)}",
        requester=ROBOT,
        evaluation=make_evaluation(requirements=(Requirement("security", 2),)),
    )
    return await store.holds.hold(draft, gateway="g1", idempotency_key=None)


async def approve(store: Store, hold: Hold) -> Hold:
    return await store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)


async def test_what_is_right_is_left_alone(store: Store, bot: Callable[[Board], Bot]) -> None:
    board = Board()
    one = bot(board)
    open_hold, closed = await held(store), await held(store)
    for hold in (open_hold, closed):
        await one.drawer.draw(hold.id)
    closed = await store.holds.cancel(closed, by="x", reason="x")
    await one.drawer.draw(closed.id)
    posts, updates = len(board.posts), len(board.updates)
    assert await one.check() == {open_hold.id}
    assert (len(board.posts), len(board.updates)) == (posts, updates)
    assert (one.report.holds, one.report.strays, one.report.gone) == (2, 0, 0)


async def test_a_lost_update_is_made_up_for(store: Store, bot: Callable[[Board], Bot]) -> None:
    board = Board()
    one = bot(board)
    changed, ended = await held(store), await held(store)
    for hold in (changed, ended):
        await one.drawer.draw(hold.id)
    await store.holds.decide(changed, make_decision(changed), state=State.PENDING, body=None)
    await store.holds.cancel(ended, by="x", reason="x")
    assert await one.check() == {changed.id, ended.id}
    assert board.texts("teams:one") == ["pending 1", "cancelled 0"]


async def test_a_hold_that_ended_long_ago_is_not_looked_at(
    store: Store, bot: Callable[[Board], Bot], clock: MovingClock
) -> None:
    board = Board()
    one = bot(board)
    hold = await held(store)
    await one.drawer.draw(hold.id)
    await store.holds.cancel(hold, by="x", reason="x")
    clock.forward(seconds=BACK_MS / 1000 + 1)
    assert await one.check() == set()
    assert one.report.holds == 0


async def test_a_second_message_of_one_card_is_removed_and_the_known_one_stays(
    store: Store, bot: Callable[[Board], Bot]
) -> None:
    board = Board()
    one = bot(board)
    hold = await held(store)
    await one.drawer.draw(hold.id)
    place = (await store.cards.all(hold.id))["teams:one"]
    board.messages["stray"] = ("teams:one", "pending 0", place.intent)
    board.messages["of somebody else"] = ("teams:one", "hello", "unknown")
    await one.check()
    assert "stray" not in board.messages
    assert {place.message, "of somebody else"} <= set(board.messages)
    assert one.report.strays == 1


async def test_a_card_whose_place_is_not_known_yet_is_no_stray(store: Store, bot: Callable[[Board], Bot]) -> None:
    board = Board()
    one = bot(board)
    hold = await held(store)
    await store.cards.intend(hold.id, "teams:one", intent="i")
    board.messages["m99"] = ("teams:one", "pending 0", "i")
    await one.check()
    assert (await store.cards.all(hold.id))["teams:one"].message == "m99"
    assert board.posts == ["teams:two"]


async def test_a_deleted_message_is_posted_again_while_the_hold_waits(
    store: Store, bot: Callable[[Board], Bot]
) -> None:
    board = Board()
    one = bot(board)
    hold, ended = await held(store), await held(store)
    for each in (hold, ended):
        await one.drawer.draw(each.id)
    await store.holds.cancel(ended, by="x", reason="x")
    await one.drawer.draw(ended.id)
    for each in (hold, ended):
        del board.messages[(await store.cards.all(each.id))["teams:one"].message]
    await one.check()
    assert board.texts("teams:one") == ["pending 0"]
    assert one.report.gone == 1


async def test_a_shared_card_that_was_deleted_comes_back(store: Store, bot: Callable[[Board], Bot]) -> None:
    board = Board()
    one = bot(board)
    holds = [await held(store, "same password") for _ in range(2)]
    for hold in holds:
        await one.drawer.draw(hold.id)
    for message, (target, *_) in list(board.messages.items()):
        if target == "teams:one":
            del board.messages[message]
    await one.check()
    (text,) = board.texts("teams:one")
    assert all(hold.id in text for hold in holds)


async def test_a_refusal_is_tried_again(store: Store, bot: Callable[[Board], Bot]) -> None:
    board = Board()
    one = bot(board)
    board.fail["teams:one"] = [ChannelRefused("not_in_channel")]
    hold = await held(store)
    await one.drawer.draw(hold.id)
    assert [(f.target, f.text) for f in await store.cards.failing()] == [("teams:one", "not_in_channel")]
    await one.drawer.draw(hold.id)
    assert board.texts("teams:one") == []  # nothing has changed
    await one.check()
    assert board.texts("teams:one") == ["pending 0"]
    assert await store.cards.failing() == []


async def test_a_refused_card_that_is_posted_while_places_are_compared_is_not_posted_again(
    store: Store, bot: Callable[[Board], Bot]
) -> None:
    board = Board()
    one = bot(board)
    board.fail["teams:one"] = [ChannelRefused("not_in_channel")]
    hold = await held(store)
    await one.drawer.draw(hold.id)
    read_before = (await store.cards.all(hold.id))["teams:one"]
    await store.holds.decide(hold, make_decision(hold), state=State.PENDING, body=None)
    await one.drawer.draw(hold.id)
    assert board.texts("teams:one") == ["pending 1"]
    await one.reconciler._retry(hold.id, "teams:one", read_before)
    await one.drawer.draw(hold.id)
    assert board.texts("teams:one") == ["pending 1"]


async def test_a_platform_that_lists_nothing_loses_nothing(store: Store, bot: Callable[[Board], Bot]) -> None:
    board = Board()
    board.lists = False
    one = bot(board)
    hold = await held(store)
    await one.drawer.draw(hold.id)
    updates = len(board.updates)
    await one.check()
    assert (len(board.updates), one.report.gone) == (updates, 0)


@pytest.mark.parametrize("error", [ChannelRefused("no"), ChannelUnavailable("later", retry_after_seconds=0.001)])
async def test_a_channel_that_cannot_be_read_holds_up_no_other(
    store: Store, bot: Callable[[Board], Bot], error: Exception
) -> None:
    board = Board()
    one = bot(board)
    hold = await held(store)
    await one.drawer.draw(hold.id)
    del board.messages[(await store.cards.all(hold.id))["teams:two"].message]
    board.unlisted = {"teams:one": error}
    await one.check()
    assert board.texts("teams:two") == ["pending 0"]


async def test_places_of_other_platforms_are_left_alone(store: Store, bot: Callable[[Board], Bot]) -> None:
    board = Board()
    one = bot(board)
    hold = await held(store)
    await one.drawer.draw(hold.id)
    await store.cards.intend(hold.id, "slack:C1", intent="i")
    place = (await store.cards.all(hold.id))["slack:C1"]
    refused = replace(place, refused="no", shown_rev=9)
    await store.cards.posted(hold.id, "slack:C1", place=refused)
    await one.check()
    assert (await store.cards.all(hold.id))["slack:C1"] == refused
