"""Cards for several holds: each hold on exactly one card of a channel, and a click covers what its card listed."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from bot.bundles import BURST, BURST_MS
from bot.drawer import Drawer
from bot.pressure import FAST_MS, MOST_WAITING
from holdpoint.errors import ChannelUnavailable, NotFound, StoreUnavailable
from holdpoint.live import Live
from holdpoint.model import DecisionKind, Edit, EventKind, Hold, Question, Requester, Requirement, State
from holdpoint.store import Store
from holdpoint.store.bundles import BundleKind, Covered
from tests.bot.board import Board
from tests.conftest import MovingClock
from tests.support.builders import make_decision, make_draft, make_evaluation
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

POLICY = """
version: 1
connections:
  demo: {upstream: "http://127.0.0.1:9000", protocol: openai, environment: production}
groups:
  security: {members: [sam@example.com]}
routes:
  - {group: "*", channels: ["teams:one"]}
"""
ROBOT = Requester("robot", frozenset())
_numbers = itertools.count()


@pytest.fixture
async def live(store: Store, clock: MovingClock) -> Live:
    await store.config.push_policy(POLICY, expect=0, by="test")
    live = Live(store, clock=clock)
    await live.look()
    return live


@pytest.fixture
def drawer(store: Store, live: Live, clock: MovingClock) -> Callable[[Board], Drawer]:
    return lambda board: Drawer(store, live, board, clock=clock)


async def same(
    store: Store, *, prompt: str = "the password", requester: Requester = ROBOT, **evaluation: object
) -> Hold:
    draft = make_draft(prompt=prompt, requester=requester, evaluation=make_evaluation(**evaluation))
    return await store.holds.hold(draft, gateway="g1", idempotency_key=None)


async def other(store: Store) -> Hold:
    return await same(store, prompt=f"password {next(_numbers)}")


async def approve(store: Store, hold: Hold) -> Hold:
    return await store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)


async def drawn(drawer: Drawer, clock: MovingClock, *holds: Hold) -> None:
    """Draw all at the same time, and again when the drawer says."""
    left = list(holds)
    while left:
        results = await asyncio.gather(*(drawer.draw(hold.id) for hold in left), return_exceptions=True)
        left = [hold for hold, result in zip(left, results, strict=True) if result is not None]
        for result in results:
            assert result is None or isinstance(result, ChannelUnavailable)
            clock.forward(seconds=result.retry_after_seconds or 0 if result else 0)


def card_of(board: Board, hold: Hold) -> str:
    """The one message that shows the hold."""
    (message,) = [m for m, (_, text, _) in board.messages.items() if hold.id in text]
    return message


async def test_identical_requests_are_one_card(store: Store, drawer: Callable[[Board], Drawer]) -> None:
    board = Board()
    draw = drawer(board).draw
    holds = [await same(store) for _ in range(3)]
    for hold in holds:
        await draw(hold.id)
    assert board.posts == ["teams:one"]
    assert board.texts("teams:one") == ["same " + ", ".join(f"{hold.id} pending 0" for hold in holds)]


async def test_identical_requests_that_are_drawn_at_the_same_moment_are_one_card(
    store: Store, drawer: Callable[[Board], Drawer]
) -> None:
    board = Board()
    board.jitter = random.Random(1)
    drawing = drawer(board)
    await asyncio.gather(*(store.ping() for _ in range(32)))  # connections are there: nobody is held up by making one
    kinds = [[await same(store, prompt=f"password {kind}") for _ in range(4)] for kind in range(8)]
    await asyncio.gather(*(drawing.draw(hold.id) for holds in kinds for hold in holds))
    assert len(board.posts) == len(kinds)
    for holds in kinds:
        assert len({card_of(board, hold) for hold in holds}) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda store: same(store, prompt="another password"),
        lambda store: same(store, requester=Requester("another robot", frozenset())),
        lambda store: same(store, requester=replace(ROBOT, groups=frozenset({"contractors"}))),
        lambda store: same(store, requirements=(Requirement("legal", 1),)),
    ],
    ids=["text", "requester", "groups", "requirements"],
)
async def test_what_is_not_the_same_has_its_own_card(
    store: Store, drawer: Callable[[Board], Drawer], change: Callable[[Store], Awaitable[Hold]]
) -> None:
    board = Board()
    draw = drawer(board).draw
    for hold in (await same(store), await change(store)):
        await draw(hold.id)
    assert board.texts("teams:one") == ["pending 0", "pending 0"]


async def test_who_comes_after_something_has_happened_has_a_card_of_its_own(
    store: Store, drawer: Callable[[Board], Drawer]
) -> None:
    board = Board()
    draw = drawer(board).draw
    asked = await same(store, prompt="one", requirements=(Requirement("security", 2),))
    voted = await same(store, prompt="two", requirements=(Requirement("security", 2),))
    for hold in (asked, voted):
        await draw(hold.id)
    await store.talk.ask(asked, Question("q1", "sam@example.com", "Sam", "why?", asked.created_ms), pauses=False)
    await store.holds.decide(voted, make_decision(voted), state=State.PENDING, body=None)
    for prompt in ("one", "two"):
        await draw((await same(store, prompt=prompt, requirements=(Requirement("security", 2),))).id)
    assert len(board.posts) == 4


@pytest.mark.promise(5)
async def test_a_click_covers_exactly_what_its_card_listed(store: Store, drawer: Callable[[Board], Drawer]) -> None:
    board = Board()
    draw = drawer(board).draw
    first, second = await same(store), await same(store)
    for hold in (first, second):
        await draw(hold.id)
    card = card_of(board, first)
    seen = board.values[card]
    third = await same(store)
    await draw(third.id)
    assert {each.hold for each in await store.bundles.resolve(board.values[card])} == {first.id, second.id, third.id}
    assert await store.bundles.resolve(seen) == (Covered(first.id, first.digest), Covered(second.id, second.digest))
    await approve(store, first)
    await draw(first.id)
    assert [each.hold for each in await store.bundles.resolve(board.values[card])] == [second.id, third.id]
    assert card_of(board, first) == card


@pytest.mark.parametrize(
    "value",
    ["", "b1", "b1 ", "h1 00", "b1 not-a-hash", "b1 \u0660", "b*1 00", "b1 00", "B1 00", "b1  00", "\x00 \x00"],
)
async def test_a_value_that_is_not_ours_resolves_to_nothing(store: Store, value: str) -> None:
    with pytest.raises(NotFound):
        await store.bundles.resolve(value)


async def test_an_old_offer_is_known_for_a_day_after_its_last_deadline(store: Store, clock: MovingClock) -> None:
    covered = (Covered("h1", "00"),)
    await store.bundles.offer("b1 aa", covered, until_ms=clock() + 600_000)
    assert await store.bundles.resolve("b1 aa") == covered
    left_ms = await store._client.command("PTTL", "hp:{p00}:bundle:b1:aa")
    assert 86_400_000 < left_ms <= 86_400_000 + 600_000
    with pytest.raises(NotFound):
        await store.bundles.resolve("b2 aa")


async def test_a_hold_whose_text_was_edited_leaves_its_equals(store: Store, drawer: Callable[[Board], Drawer]) -> None:
    board = Board()
    draw = drawer(board).draw
    needs = (Requirement("security", 2),)
    first, second = [await same(store, requirements=needs) for _ in range(2)]
    for hold in (first, second):
        await draw(hold.id)
    edit = Edit("messages/0/content", "fine")
    decision = replace(make_decision(first), edits=(edit,), before=(edit,), result_digest="f" * 64)
    await store.holds.decide(first, decision, state=State.PENDING, body=first.query.body)
    await draw(first.id)
    await draw(second.id)
    assert sorted(board.texts("teams:one")) == ["pending 1", f"same {second.id} pending 0"]


@pytest.mark.parametrize("limit", [0, 1])
async def test_the_card_that_an_edited_hold_has_left_shows_it_no_more_and_the_last_one_takes_it_along(
    store: Store, drawer: Callable[[Board], Drawer], limit: int
) -> None:
    board = Board()
    draw = drawer(board).draw
    first, second = [await same(store, requirements=(Requirement("security", 2),)) for _ in range(2)]
    for hold in (first, second):
        await draw(hold.id)

    async def edit(hold: Hold) -> None:
        edit = Edit("messages/0/content", "fine")
        decision = replace(make_decision(hold), edits=(edit,), before=(edit,), result_digest="f" * 64)
        await store.holds.decide(hold, decision, state=State.PENDING, body=hold.query.body)

    await edit(first)
    board.fail["teams:one"] = limited(limit)
    for _ in range(limit):
        with pytest.raises(ChannelUnavailable):
            await draw(first.id)
    await draw(first.id)
    assert sorted(board.texts("teams:one")) == ["pending 1", f"same {second.id} pending 0"]
    await edit(second)
    await draw(second.id)
    assert board.texts("teams:one") == ["pending 1", "pending 1"]
    places = [(await store.cards.all(hold.id))["teams:one"].message for hold in (first, second)]
    assert sorted(places) == sorted(board.messages)


async def test_a_full_card_is_followed_by_another(
    store: Store, drawer: Callable[[Board], Drawer], clock: MovingClock
) -> None:
    board = Board()
    drawing = drawer(board)
    holds = [await same(store) for _ in range(board.most_listed + 2)]
    for hold in holds:
        await drawn(drawing, clock, hold)
    assert len(board.posts) == 2
    assert len({card_of(board, hold) for hold in holds}) == 2


def limited(times: int) -> list[ChannelUnavailable]:
    return [ChannelUnavailable("limited", retry_after_seconds=1) for _ in range(times)]


async def _flood(store: Store, drawer: Drawer, board: Board, count: int) -> list[Hold]:
    """So many holds that come while the platform takes no post."""
    board.fail["teams:one"] = [*limited(10_000)]
    holds = [await other(store) for _ in range(count)]
    for hold in holds:
        with pytest.raises(ChannelUnavailable):
            await drawer.draw(hold.id)
    board.fail.clear()
    return holds


async def test_a_flood_goes_onto_digests_and_every_hold_is_on_exactly_one(
    store: Store, drawer: Callable[[Board], Drawer]
) -> None:
    board = Board()
    drawing = drawer(board)
    holds = await _flood(store, drawing, board, 10)
    await asyncio.gather(*(drawing.draw(hold.id) for hold in holds))
    assert {card_of(board, hold) for hold in holds} == set(board.messages)
    assert all(text.startswith("digest") for text in board.texts("teams:one"))
    assert len(board.messages) == 3  # four on each
    for hold in holds:
        await approve(store, hold)
    await asyncio.gather(*(drawing.draw(hold.id) for hold in holds))
    assert not any("pending" in text for text in board.texts("teams:one"))


async def test_nothing_is_kept_of_the_cards_that_a_digest_takes_the_place_of(
    store: Store, drawer: Callable[[Board], Drawer]
) -> None:
    board = Board()
    drawing = drawer(board)
    holds = await _flood(store, drawing, board, 10)
    await asyncio.gather(*(drawing.draw(hold.id) for hold in holds))
    assert drawing.copies._mine == {}


async def test_a_few_that_wait_are_no_flood(store: Store, drawer: Callable[[Board], Drawer]) -> None:
    board = Board()
    drawing = drawer(board)
    holds = await _flood(store, drawing, board, MOST_WAITING - 1)
    for hold in holds:
        await drawing.draw(hold.id)
    assert board.texts("teams:one") == ["pending 0"] * len(holds)


async def test_afterwards_the_channel_has_single_cards_again(
    store: Store, drawer: Callable[[Board], Drawer], clock: MovingClock
) -> None:
    board = Board()
    drawing = drawer(board)
    await drawn(drawing, clock, *await _flood(store, drawing, board, 8))
    soon = await other(store)
    await drawn(drawing, clock, soon)
    assert "digest" in board.messages[card_of(board, soon)][1]
    clock.forward(seconds=FAST_MS / 1000)
    late = await other(store)
    await drawing.draw(late.id)
    assert board.texts("teams:one")[-1] == "pending 0"


async def test_a_bot_that_takes_over_in_a_flood_goes_on_with_the_digest(
    store: Store, drawer: Callable[[Board], Drawer], clock: MovingClock
) -> None:
    board = Board()
    board.most_listed = 100
    first = drawer(board)
    before = await _flood(store, first, board, 6)
    await drawn(first, clock, *before)
    second = drawer(board)
    after = await _flood(store, second, board, 6)
    await drawn(second, clock, *before, *after)
    assert len({card_of(board, hold) for hold in (*before, *after)}) == 1


async def test_a_post_that_may_have_got_through_stays_a_card_of_its_own(
    store: Store, drawer: Callable[[Board], Drawer]
) -> None:
    """Else the hold would be on two cards."""
    board = Board()
    drawing = drawer(board)
    lost = await other(store)
    board.fail_after["teams:one"] = [ChannelUnavailable("reset")]
    with pytest.raises(ChannelUnavailable):
        await drawing.draw(lost.id)
    await _flood(store, drawing, board, 8)
    await drawing.draw(lost.id)
    assert (await store.cards.all(lost.id))["teams:one"].message
    assert board.texts("teams:one").count("pending 0") == 1


async def test_an_identical_request_joins_a_card_whose_post_may_have_got_through(
    store: Store, drawer: Callable[[Board], Drawer]
) -> None:
    board = Board()
    drawing = drawer(board)
    first = await same(store)
    board.fail_after["teams:one"] = [ChannelUnavailable("reset")]
    with pytest.raises(ChannelUnavailable):
        await drawing.draw(first.id)
    second = await same(store)
    await drawing.draw(second.id)
    await drawing.draw(first.id)
    assert board.posts == ["teams:one"]
    assert card_of(board, first) == card_of(board, second)


async def test_a_single_card_that_overtakes_the_shared_one_is_overwritten(
    store: Store, drawer: Callable[[Board], Drawer]
) -> None:
    """Another bot updates the card of the first hold while the leader makes it one for two."""
    board = Board()
    leader, follower = drawer(board), drawer(board)
    first = await same(store, requirements=(Requirement("security", 2),))
    await leader.draw(first.id)
    await store.holds.leave(first.id, gateway="g1", grace_ms=60_000)
    board.gate = asyncio.Event()
    (place,) = (await store.cards.all(first.id)).values()
    await store.cards.posted(first.id, "teams:one", place=replace(place, shown="something old"))
    slow = asyncio.create_task(follower.draw(first.id, may_post=False))
    await wait_until(lambda: board.busy, "the follower is about to send")
    gate, board.gate = board.gate, None
    second = await same(store, requirements=(Requirement("security", 2),))
    await leader.draw(second.id)
    gate.set()
    await slow
    assert card_of(board, first) == card_of(board, second)
    assert board.texts("teams:one") == [f"same {first.id} pending 0, {second.id} pending 0"]


async def test_what_only_lists_more_is_drawn_seldom_and_a_decision_at_once(
    store: Store, drawer: Callable[[Board], Drawer], clock: MovingClock
) -> None:
    board = Board()
    board.most_listed = 100
    drawing = drawer(board)
    first = await same(store)
    await drawing.draw(first.id)
    for _ in range(BURST):
        await drawing.draw((await same(store)).id)
    late = await same(store)
    with pytest.raises(ChannelUnavailable) as caught:
        await drawing.draw(late.id)
    assert caught.value.retry_after_seconds == BURST_MS / 1000
    await approve(store, first)
    await drawing.draw(first.id)
    assert board.texts("teams:one")[0].startswith(f"same {first.id} approved 1")
    assert late.id in board.texts("teams:one")[0]


@pytest.mark.promise(4)
async def test_what_a_shared_card_shows_is_recorded_though_redis_was_lost_when_it_was_sent(
    redis_server: RedisServer, clock: MovingClock
) -> None:
    store = await Store.open(redis_server.url, clock=clock)
    await store.config.push_policy(POLICY, expect=0, by="test")
    board = Board()
    drawing = Drawer(store, Live(store, clock=clock), board, clock=clock)
    holds = [await same(store) for _ in range(2)]
    await drawing.draw(holds[0].id)
    board.gate_after = asyncio.Event()
    drawn = asyncio.create_task(drawing.draw(holds[1].id))
    await wait_until(lambda: board.updates, "both are on the card")
    redis_server.kill()
    board.gate_after.set()
    with pytest.raises(StoreUnavailable):
        await drawn
    redis_server.start()
    await drawing.draw(holds[1].id)
    events = await store.outbox.read("events", group="test", block_ms=1, count=100)
    events = events or await store.outbox.read("events", group="test", block_ms=1, count=100)
    shown = {
        event.subject for event in events if event.kind is EventKind.CARD_SHOWN and event.data["view"] == "pending 0"
    }
    assert holds[1].id in shown
    await store.aclose()


async def test_a_clock_that_is_set_back_keeps_no_hold_from_its_card(
    store: Store, drawer: Callable[[Board], Drawer], clock: MovingClock
) -> None:
    board = Board()
    board.most_listed = 100
    drawing = drawer(board)
    for _ in range(BURST + 1):
        await drawing.draw((await same(store)).id)
    clock.forward(seconds=-3_600)
    late = await same(store)
    await drawing.draw(late.id)
    assert late.id in board.texts("teams:one")[0]


async def test_many_holds_on_one_card_make_few_updates(store: Store, drawer: Callable[[Board], Drawer]) -> None:
    board = Board()
    board.most_listed = 100
    drawing = drawer(board)
    holds = await _flood(store, drawing, board, 30)
    await asyncio.gather(*(drawing.draw(hold.id) for hold in holds))
    holds = [await approve(store, hold) for hold in holds]
    before = len(board.updates)
    await asyncio.gather(*(drawing.draw(hold.id) for hold in holds))
    assert len(board.updates) - before <= 2


async def test_a_hold_is_listed_once_however_often_it_is_drawn(store: Store, drawer: Callable[[Board], Drawer]) -> None:
    board = Board()
    drawing = drawer(board)
    holds = await _flood(store, drawing, board, 6)
    await asyncio.gather(*(drawing.draw(hold.id) for hold in (*holds, *holds)))
    for hold in holds:
        bundle = await store.bundles.get((await store.cards.all(hold.id))["teams:one"].bundle)
        assert bundle.kind is BundleKind.DIGEST
        assert bundle.holds.count(hold.id) == 1


async def test_a_rejected_hold_among_its_equals_is_told(store: Store, drawer: Callable[[Board], Drawer]) -> None:
    board = Board()
    drawing = drawer(board)
    first, second = await same(store), await same(store)
    for hold in (first, second):
        await drawing.draw(hold.id)
    decision = make_decision(second, DecisionKind.REJECT)
    await store.holds.decide(second, decision, state=State.REJECTED, body=None)
    await drawing.draw(second.id, may_post=False)  # another bot took the click
    assert board.texts("teams:one") == [f"same {first.id} pending 0, {second.id} rejected 1"]
