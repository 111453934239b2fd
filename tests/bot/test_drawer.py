"""One hold is drawn: every copy once, found again after a crash, and true in the end."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.drawer import NEWS_MS, SETTLED_AFTER_MS, Drawer, NobodyThere, Posted
from bot.platform import AccessLost
from holdpoint.errors import ChannelRefused, ChannelUnavailable
from holdpoint.live import Live
from holdpoint.model import Hold, Question, Requester, State
from holdpoint.store import CardPlace, Store
from holdpoint.store.cards import installation
from holdpoint.store.quiet import Quiet
from tests.bot.board import Board
from tests.conftest import MovingClock
from tests.support.builders import make_decision, make_draft
from tests.support.waiting import wait_until

POLICY = """
version: 1
connections:
  demo: {upstream: "http://127.0.0.1:9000", protocol: openai, environment: production}
groups:
  contractors: {members: [dana@example.com]}
  security: {members: [sam@example.com]}
  platform-leads: {members: [lee@example.com]}
routes:
  - {group: contractors, channels: ["teams:one", "teams:two", "slack:C0OTHER"]}
  - {group: platform-leads, channels: ["teams:leads"]}
  - {group: "*", channels: ["teams:rest"]}
"""
DM = "teams:dm:dana@example.com"


@pytest.fixture
async def live(store: Store, clock: MovingClock) -> Live:
    await store.config.push_policy(POLICY, expect=0, by="test")
    live = Live(store, clock=clock)
    await live.look()
    return live


@pytest.fixture
def drawer(store: Store, live: Live, clock: MovingClock) -> Callable[[Board], Drawer]:
    return lambda board: Drawer(store, live, board, clock=clock)


_numbers = itertools.count()


async def held(store: Store, requester: Requester | None = None) -> Hold:
    """A hold that is like no other one."""
    draft = make_draft(prompt=f"what is admin password {next(_numbers)}")
    if requester is not None:
        draft = replace(draft, requester=requester)
    return await store.holds.hold(draft, gateway="g1", idempotency_key=None)


async def approve(store: Store, hold: Hold) -> Hold:
    return await store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)


@pytest.mark.parametrize("error", [ChannelRefused("no such channel"), NobodyThere("no account")])
async def test_a_refusal_is_remembered_until_the_hold_changes(
    store: Store, drawer: Callable[[Board], Drawer], error: ChannelRefused
) -> None:
    board = Board()
    board.fail["teams:one"] = [error, error]
    draw = drawer(board).draw
    hold = await held(store)
    for _ in range(3):
        await draw(hold.id)
    assert len(board.fail["teams:one"]) == 1
    assert (await store.cards.all(hold.id))["teams:one"].refused == str(error)
    await store.holds.decide(hold, make_decision(hold), state=State.PENDING, body=None)
    for _ in range(3):
        await draw(hold.id)
    assert board.fail["teams:one"] == []
    assert board.texts("teams:two") == ["pending 1"]


async def test_a_hold_that_is_gone_is_done(store: Store, drawer: Callable[[Board], Drawer]) -> None:
    await drawer(Board()).draw("h0")
    assert await store.cards.all("h0") == {}


@pytest.mark.promise(3)
async def test_intended_by_a_bot_that_died_is_posted_by_the_next(
    store: Store, drawer: Callable[[Board], Drawer], clock: MovingClock
) -> None:
    hold = await held(store)
    await store.cards.intend(hold.id, "teams:one", intent="of-the-dead")
    board = Board()
    board.messages["m0"] = ("teams:two", "pending 0", "posted-by-the-dead")
    await store.cards.intend(hold.id, "teams:two", intent="posted-by-the-dead")
    with pytest.raises(ChannelUnavailable):  # the other bot may be about to post it
        await drawer(board).draw(hold.id)
    assert board.texts("teams:one") == []
    clock.forward(seconds=SETTLED_AFTER_MS / 1000)
    await drawer(board).draw(hold.id)
    assert board.texts("teams:one") == ["pending 0"]
    assert board.texts("teams:two") == ["pending 0"]
    assert sorted(board.posts) == [DM, "teams:one"]
    assert (await store.cards.all(hold.id))["teams:two"].message == "m0"


@pytest.mark.promise(4)
@pytest.mark.parametrize("seed", range(4))
async def test_many_drawers_and_a_moving_hold_end_with_the_truth(
    store: Store, drawer: Callable[[Board], Drawer], seed: int
) -> None:
    board = Board()
    board.jitter = random.Random(seed)
    leader, *others = [drawer(board) for _ in range(4)]
    hold = await held(store)
    await leader.draw(hold.id)
    drawing: list[asyncio.Task[None]] = []
    for number in range(25):
        decision = make_decision(hold, by=f"r{number}")
        hold = await store.holds.decide(hold, decision, state=State.PENDING, body=None)
        drawing += [asyncio.create_task(each.draw(hold.id, may_post=False)) for each in (leader, *others)]
        await asyncio.gather(*(drawing if number % 5 == 4 else drawing[:2]))
        if number % 5 == 4:
            for target in (DM, "teams:one", "teams:two"):
                assert board.texts(target) == [f"pending {number + 1}"]


@pytest.mark.promise(4)
async def test_an_old_text_that_overtook_a_new_one_is_replaced(
    store: Store, drawer: Callable[[Board], Drawer], clock: MovingClock
) -> None:
    """The old one arrives last, and still the store comes to say that the new one is shown."""
    board = Board()
    quick = drawer(board)
    slow_live = Live(store, clock=clock)
    slow = Drawer(store, slow_live, board, clock=clock)
    hold = await held(store)
    await quick.draw(hold.id)
    hold = await store.holds.decide(hold, make_decision(hold, by="r1"), state=State.PENDING, body=None)
    before, after = asyncio.Event(), asyncio.Event()
    board.gate = before
    slowly = asyncio.create_task(slow.draw(hold.id))
    await wait_until(lambda: board.busy == 3, "the slow one is about to send")
    board.gate, board.gate_after = None, after
    hold = await store.holds.decide(hold, make_decision(hold, by="r2"), state=State.PENDING, body=None)
    quickly = asyncio.create_task(quick.draw(hold.id))
    await wait_until(lambda: board.texts("teams:one") == ["pending 2"], "the quick one has sent")
    board.gate_after = None
    async with slow_live._looking:  # the slow one stops here in its next round
        before.set()
        await wait_until(lambda: board.texts("teams:one") == ["pending 1"], "the slow one has sent")
        await wait_until(lambda: _all_show(store, hold.id, 2), "the slow one has noted it")
        after.set()
        await quickly
    await slowly
    for target in (DM, "teams:one", "teams:two"):
        assert board.texts(target) == ["pending 2"]


async def _all_show(store: Store, hold_id: str, rev: int) -> bool:
    return all(place.shown_rev == rev for place in (await store.cards.all(hold_id)).values())


async def test_who_may_not_post_brings_only_what_is_there_up_to_date(
    store: Store, drawer: Callable[[Board], Drawer]
) -> None:
    board = Board()
    hold = await held(store)
    await store.cards.intend(hold.id, "teams:one", intent="of the leader")
    await drawer(board).draw(hold.id, may_post=False)
    assert (board.posts, board.finds) == ([], 0)


async def test_a_card_is_for_what_can_still_be_decided_and_a_message_for_news(
    store: Store, drawer: Callable[[Board], Drawer], clock: MovingClock
) -> None:
    hold = await approve(store, await held(store))
    board = Board()
    await drawer(board).draw(hold.id)
    assert board.posts == [DM]
    old = await store.holds.cancel(await held(store), by="dana@example.com", reason="x")
    clock.forward(seconds=NEWS_MS / 1000 + 1)
    await drawer(board).draw(old.id)
    assert board.posts == [DM]


async def test_a_copy_that_nobody_knew_is_adopted(store: Store, drawer: Callable[[Board], Drawer]) -> None:
    board = Board()
    hold = await held(store)
    await drawer(board).draw(hold.id)
    board.messages["m99"] = ("teams:one", "an old text", "lost")
    for _ in range(2):
        await drawer(board).adopt(hold.id, Posted("teams:one", "m99"))
    assert board.messages["m99"][1] == "pending 0"
    assert set(await store.cards.all(hold.id)) == {DM, "teams:one", "teams:two", "teams:teams:one"}


async def test_a_card_that_is_clicked_before_its_place_is_noted_is_that_copy(
    store: Store, drawer: Callable[[Board], Drawer]
) -> None:
    board = Board()
    leader, other = drawer(board), drawer(board)
    hold = await held(store, Requester("robot", frozenset()))
    board.fail_after["teams:rest"] = [ChannelUnavailable("reset")]
    with pytest.raises(ChannelUnavailable):
        await leader.draw(hold.id)
    (message,) = board.messages
    await other.clicked(hold.id, Posted("rest", message), anyway=False)
    await leader.draw(hold.id)
    assert [(target, place.message) for target, place in (await store.cards.all(hold.id)).items()] == [
        ("teams:rest", message)
    ]
    assert board.posts == ["teams:rest"]


async def test_a_route_that_was_added_a_moment_ago_counts(store: Store, drawer: Callable[[Board], Drawer]) -> None:
    await store.config.add_route("contractors", "teams:new", by="lee@example.com")
    hold = await held(store)
    board = Board()
    await drawer(board).draw(hold.id)
    assert board.texts("teams:new") == ["pending 0"]


@pytest.mark.parametrize("quiet", list(Quiet))
async def test_the_requester_hears_of_what_they_want_to_hear(
    store: Store, drawer: Callable[[Board], Drawer], quiet: Quiet
) -> None:
    board = Board()
    await store.quiet.set("Dana@example.com", quiet)
    decided, asked = await held(store), await held(store)
    for hold in (decided, asked):
        await drawer(board).draw(hold.id)
    assert board.texts(DM) == (["pending 0"] * 2 if quiet is Quiet.ALL else [])
    await approve(store, decided)
    await store.talk.ask(asked, Question("q1", "s@example.com", "Sam", "why?", asked.created_ms), pauses=False)
    for hold in (decided, asked):
        await drawer(board).draw(hold.id)
    assert board.texts(DM) == ([] if quiet is Quiet.NONE else ["approved 1", "pending 0"])
    assert board.texts("teams:one") == ["approved 1", "pending 0"]


async def test_quiet_is_off_until_somebody_asks_for_it(store: Store) -> None:
    assert await store.quiet.get("dana@example.com") is Quiet.ALL
    await store.quiet.set("dana@example.com", Quiet.NONE)
    assert await store.quiet.get("DANA@example.com") is Quiet.NONE
    await store.quiet.set("dana@example.com", Quiet.ALL)
    assert await store.quiet.get("dana@example.com") is Quiet.ALL


async def test_who_goes_quiet_keeps_true_messages(store: Store, drawer: Callable[[Board], Drawer]) -> None:
    board = Board()
    hold = await held(store)
    await drawer(board).draw(hold.id)
    await store.quiet.set("dana@example.com", Quiet.NONE)
    await approve(store, hold)
    await drawer(board).draw(hold.id)
    assert board.texts(DM) == ["approved 1"]


async def test_what_the_first_card_needs_is_prepared_before_it(store: Store, live: Live, clock: MovingClock) -> None:
    board, prepared = Board(), list[str]()

    async def prepare(hold: Hold) -> Hold:
        assert board.messages == {}
        prepared.append(hold.id)
        return hold

    one = Drawer(store, live, board, clock=clock, prepare=prepare)
    hold = await held(store)
    await one.draw(hold.id)
    await one.draw(hold.id)
    await one.draw(hold.id, may_post=False)
    assert prepared == [hold.id]


async def test_a_message_that_was_deleted_is_posted_again_by_who_may_post(
    store: Store, drawer: Callable[[Board], Drawer]
) -> None:
    board = Board()
    leader, follower = drawer(board), drawer(board)
    hold = await held(store)
    await leader.draw(hold.id)
    board.messages.clear()
    hold = await store.holds.decide(hold, make_decision(hold), state=State.PENDING, body=None)
    await leader.draw(hold.id)
    assert board.texts("teams:one") == ["pending 1"]
    board.messages.clear()
    hold = await store.holds.decide(hold, make_decision(hold, by="kim"), state=State.PENDING, body=None)
    await follower.draw(hold.id, may_post=False)
    assert board.messages == {}
    await leader.draw(hold.id)
    assert sorted(board.texts("teams:one") + board.texts("teams:two")) == ["pending 2", "pending 2"]


async def test_a_change_that_matters_is_urgent_and_another_is_not(
    store: Store, drawer: Callable[[Board], Drawer], clock: MovingClock
) -> None:
    board = Board()
    one = drawer(board)
    hold = await held(store)
    await one.draw(hold.id)
    for target in (DM, "teams:one", "teams:two"):  # nothing has happened, but a template has changed
        place = (await store.cards.all(hold.id))[target]
        await store.cards.posted(hold.id, target, place=replace(place, shown="another look"))
    await one.draw(hold.id)
    assert board.urgent == [False] * 3
    await approve(store, hold)
    await one.draw(hold.id)
    assert board.urgent[3:] == [True] * 3


async def test_lost_access_waits_and_is_said_once(
    store: Store, drawer: Callable[[Board], Drawer], caplog: pytest.LogCaptureFixture
) -> None:
    board = Board()
    one = drawer(board)
    for target in ("teams:one", "teams:two", DM):
        board.fail[target] = [AccessLost("token_revoked", retry_after_seconds=30) for _ in range(2)]
    hold = await held(store)
    for _ in range(2):
        with pytest.raises(AccessLost):
            await one.draw(hold.id)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert [(each.target, each.text) for each in await store.cards.failing()] == [("teams", "token_revoked")]
    await one.draw(hold.id)
    assert board.texts("teams:one") == ["pending 0"]
    assert await store.cards.failing() == []


async def test_a_place_that_has_become_another_one_is_left_alone(store: Store) -> None:
    await store.cards.intend("h1", "teams:one", intent="new")
    stale = CardPlace(intent="old", intended_ms=1, message="m1")
    assert not await store.cards.posted("h1", "teams:one", place=stale)
    assert (await store.cards.all("h1"))["teams:one"].intent == "new"
    assert await store.cards.posted("h1", "teams:one", place=stale, seen="new")
    assert (await store.cards.get("h1", "teams:one")) == stale


@pytest.mark.parametrize(
    ("target", "installed"),
    [("slack:C1", "slack"), ("slack:T1/C1", "slack:T1"), ("slack:dm:a/b@example.com", "slack"), ("web", "web")],
)
def test_what_a_target_is_reached_by(target: str, installed: str) -> None:
    assert installation(target) == installed
