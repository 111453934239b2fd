"""Events become cards: once, in the end always true, with one bot at work and every event acknowledged after its effect."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from bot.drawer import SETTLED_AFTER_MS, Drawer
from bot.notify import MOST_AT_ONCE, Notifier
from bot.platform import Found, Rendering
from bot.threads import Narrator
from holdpoint.errors import ChannelUnavailable, StoreUnavailable
from holdpoint.live import Live
from holdpoint.model import EventKind, Hold, Requester, State
from holdpoint.store import Store, keys
from holdpoint.tasks import Tasks
from tests.bot.board import Board
from tests.conftest import MovingClock
from tests.support.builders import DANA, make_decision, make_draft
from tests.support.redis_server import RedisServer
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
ROBOT = Requester("robot", frozenset())

Start = Callable[[Board], Awaitable[Notifier]]


@pytest.fixture
async def live(store: Store, clock: MovingClock) -> Live:
    await store.config.push_policy(POLICY, expect=0, by="test")
    live = Live(store, clock=clock)
    await live.look()
    return live


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks()
    yield tasks
    await tasks.aclose()


@pytest.fixture
def start(store: Store, live: Live, clock: MovingClock, tasks: Tasks) -> Start:
    """Start one more bot on the board."""
    numbers = iter(range(100))

    async def begin(board: Board) -> Notifier:
        notifier = Notifier(
            store, live, Drawer(store, live, board, clock=clock), holder=f"bot-{next(numbers)}", clock=clock
        )
        tasks.start("notifier", notifier.run())
        return notifier

    return begin


_numbers = itertools.count()


async def held(store: Store, requester: Requester | None = None) -> Hold:
    """A hold that is like no other one."""
    draft = make_draft(prompt=f"what is admin password {next(_numbers)}")
    if requester is not None:
        draft = replace(draft, requester=requester)
    return await store.holds.hold(draft, gateway="g1", idempotency_key=None)


async def approve(store: Store, hold: Hold) -> Hold:
    return await store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)


async def acknowledged(store: Store) -> None:
    async def done() -> bool:
        return await store.outbox.lag("events", group="cards:teams") == 0

    await wait_until(done, "every event is acknowledged", seconds=40)


async def test_a_hold_is_shown_where_its_routes_lead(store: Store, start: Start) -> None:
    board = Board()
    await start(board)
    await held(store)
    await acknowledged(store)
    assert sorted(board.posts) == [DM, "teams:one", "teams:two"]


async def test_requesters_without_a_route_of_their_own_have_that_of_everybody_else(store: Store, start: Start) -> None:
    board = Board()
    await start(board)
    await held(store, Requester("robot", frozenset({"others"})))
    await held(store, Requester("robot", frozenset({"others"}), owner="lee@example.com"))
    await acknowledged(store)
    assert sorted(board.posts) == ["teams:dm:lee@example.com", "teams:rest", "teams:rest"]


async def test_an_escalation_adds_the_routes_of_the_group_that_joined(store: Store, start: Start) -> None:
    board = Board()
    await start(board)
    hold = await held(store)
    await acknowledged(store)
    await store.holds.escalate(hold)
    await acknowledged(store)
    assert sorted(board.posts) == [DM, "teams:leads", "teams:one", "teams:two"]


@pytest.mark.promise(4)
async def test_every_change_reaches_every_copy_and_is_recorded(store: Store, start: Start) -> None:
    board = Board()
    await start(board)
    hold = await held(store)
    await acknowledged(store)
    hold = await approve(store, hold)
    await acknowledged(store)
    for target in (DM, "teams:one", "teams:two"):
        assert board.texts(target) == ["approved 1"]
    places = await store.cards.all(hold.id)
    assert {place.shown_rev for place in places.values()} == {hold.rev}
    await store.outbox.read("events", group="t", block_ms=1, count=100)
    events = await store.outbox.read("events", group="t", block_ms=1, count=100)
    shown = [(e.data["target"], e.data["rev"], e.data["view"]) for e in events if e.kind is EventKind.CARD_SHOWN]
    assert sorted(shown) == sorted(
        (t, r, v) for t in (DM, "teams:one", "teams:two") for r, v in ((1, "pending 0"), (hold.rev, "approved 1"))
    )


async def test_a_change_that_shows_nothing_new_sends_nothing(store: Store, start: Start) -> None:
    board = Board()
    await start(board)
    hold = await held(store)
    await acknowledged(store)
    await store.holds.leave(hold.id, gateway="g1", grace_ms=60_000)
    await acknowledged(store)
    assert board.updates == []
    assert (await store.cards.all(hold.id))["teams:one"].shown_rev == (await store.holds.get(hold.id)).rev


async def test_events_that_come_while_a_card_is_drawn_make_one_update(store: Store, start: Start) -> None:
    board = Board()
    board.gate = asyncio.Event()
    await start(board)
    hold = await held(store)
    await wait_until(lambda: board.busy == 3, "the copies are being posted")
    for number in range(10):
        hold = await store.holds.decide(hold, make_decision(hold, by=f"r{number}"), state=State.PENDING, body=None)
    board.gate.set()
    await acknowledged(store)
    assert board.texts("teams:one") == ["pending 10"]
    assert len(board.updates) <= 2 * 3


async def test_many_holds_are_drawn_at_the_same_time_but_not_too_many(store: Store, start: Start) -> None:
    board = Board()
    board.gate = asyncio.Event()
    await start(board)
    for _ in range(30):
        await held(store, Requester("robot", frozenset({"others"})))
    await wait_until(lambda: board.busy == 16, "sixteen are being drawn")
    board.gate.set()
    await acknowledged(store)
    assert (len(board.posts), board.most_busy) == (30, 16)


async def test_a_copy_that_fails_for_long_holds_up_neither_other_copies_nor_other_holds(
    store: Store, start: Start
) -> None:
    board = Board()
    await start(board)
    board.fail["teams:one"] = [ChannelUnavailable("down", retry_after_seconds=3600)] * 100
    first = await held(store)
    other = await held(store, Requester("robot", frozenset({"others"})))
    await wait_until(lambda: len(board.texts("teams:two")) == 1 and board.texts("teams:rest"), "the others are there")
    assert await store.outbox.lag("events", group="cards:teams") > 0
    assert set(await store.cards.all(other.id)) == {"teams:rest"}
    await approve(store, first)
    await wait_until(lambda: board.texts("teams:two") == ["approved 1"], "a new event does not wait")
    await acknowledged(store)  # a card that nobody can decide on any more is not posted
    assert board.texts("teams:one") == []


class Slow(Board):
    """A board of which one place does not answer: its calls are given up when ``patience`` is over."""

    def __init__(self, slow: str) -> None:
        super().__init__()
        self.slow = slow
        self.patience = asyncio.Event()
        self.hanging = 0
        self.given_up = 0
        self.drawn: Counter[str] = Counter()
        self.looks = 0

    async def _work(self, target: str) -> None:
        if target != self.slow:
            await super()._work(target)
            return
        self.hanging += 1
        await self.patience.wait()
        self.hanging -= 1
        self.given_up += 1
        raise ChannelUnavailable("no answer in time")

    def render(self, hold: Hold, target: str) -> Rendering:
        self.drawn[hold.id] += 1
        return super().render(hold, target)

    async def list(self, target: str, *, since_ms: int) -> Sequence[Found] | None:
        self.looks += 1
        return await super().list(target, since_ms=since_ms)


async def test_what_is_tried_again_where_nobody_answers_holds_up_nothing_elsewhere(store: Store, start: Start) -> None:
    board = Slow("teams:rest")
    board.patience.set()
    await start(board)
    for _ in range(MOST_AT_ONCE):
        await held(store, Requester("robot", frozenset({"others"})))
    await wait_until(lambda: board.given_up >= MOST_AT_ONCE, "all of them have been tried")
    board.patience.clear()
    await wait_until(lambda: board.hanging == MOST_AT_ONCE, "all of them are tried again", seconds=10)
    await held(store)
    await wait_until(lambda: board.texts("teams:one") and board.texts("teams:two"), "another one has its cards")
    assert board.hanging == MOST_AT_ONCE


async def test_one_call_that_fails_does_not_have_everything_drawn_again(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.reconcile.PAUSE_S", 0.05)
    board = Slow("nowhere")
    await start(board)
    await wait_until(lambda: board.looks == 4, "the first comparison is over, in all channels of the routes")
    holds = [await held(store) for _ in range(5)]
    await acknowledged(store)
    looks, drawn = board.looks, board.drawn.copy()
    board.fail["teams:one"] = [ChannelUnavailable("reset")]
    await approve(store, holds[0])
    await wait_until(lambda: board.looks > looks, "cards are compared after that")
    await held(store)
    await acknowledged(store)
    assert [board.drawn[hold.id] for hold in holds[1:]] == [drawn[hold.id] for hold in holds[1:]]


async def test_a_thread_where_nobody_answers_holds_up_no_other_one(
    store: Store, live: Live, clock: MovingClock
) -> None:
    board = Slow("thread of teams:one")
    drawer = Drawer(store, live, board, clock=clock)
    narrator = Narrator(store, live, drawer, clock=clock)
    holds = await told(store, drawer, clock, 3, DANA)
    telling = asyncio.create_task(narrator.tell([hold.id for hold in holds]))
    await wait_until(lambda: len(board.replies) == 3, "the other channel's threads say it")
    board.patience.set()
    assert len(await telling) == 2
    assert board.given_up == 1  # whoever does not answer is not asked for each of them
    board.slow = "nowhere"
    assert await narrator.tell([hold.id for hold in holds]) == set()
    assert [target for target, _ in board.replies].count("teams:one") == 2  # the first one may have been taken


async def test_an_outage_is_waited_out(store: Store, start: Start) -> None:
    board = Board()
    for target in (DM, "teams:one", "teams:two"):
        board.fail[target] = [ChannelUnavailable("down"), ChannelUnavailable("slow down", retry_after_seconds=0.01)]
    await start(board)
    await held(store)
    await acknowledged(store)
    assert sorted(board.posts) == [DM, "teams:one", "teams:two"]


@pytest.mark.promise(3)
async def test_a_post_whose_answer_was_lost_is_found_again(store: Store, start: Start) -> None:
    board = Board()
    board.fail_after["teams:one"] = [ChannelUnavailable("reset")]
    await start(board)
    await held(store)
    await acknowledged(store)
    assert board.posts.count("teams:one") == 1
    assert board.texts("teams:one") == ["pending 0"]


async def test_what_was_certainly_not_posted_is_not_looked_for(store: Store, start: Start) -> None:
    board = Board()
    board.fail["teams:one"] = [ChannelUnavailable("limited", retry_after_seconds=0.01)] * 3
    await start(board)
    await held(store)
    await acknowledged(store)
    assert (board.texts("teams:one"), board.finds) == (["pending 0"], 0)


async def test_what_was_read_and_not_acknowledged_is_drawn_by_the_next_bot(store: Store, start: Start) -> None:
    await store.outbox.read("events", group="cards:teams", block_ms=1, count=100)
    holds = [await held(store) for _ in range(250)]  # more than one page
    assert len(await store.outbox.read("events", group="cards:teams", block_ms=1, count=1000)) > 200
    board = Board()
    await start(board)
    await acknowledged(store)
    assert board.posts.count("teams:one") == len(holds)


async def test_one_bot_works_and_another_takes_over(store: Store, start: Start, tasks: Tasks) -> None:
    board = Board()
    first, second = await start(board), await start(board)
    await wait_until(lambda: first.leading or second.leading, "one leads")
    await held(store)
    await acknowledged(store)
    assert first.leading != second.leading
    # The first is thrown out, as after a pause that was longer than its lease; and no other one comes in between.
    await store._client.command("SET", keys.lease("cards:teams"), "somebody else", "PX", 60_000)
    await wait_until(lambda: not first.leading and not second.leading, "it notices")
    await store.leases.release("cards:teams", holder="somebody else")
    await held(store)
    await acknowledged(store)
    assert board.posts.count("teams:one") == 2


async def test_redis_may_be_away_for_a_while(redis_server: RedisServer, clock: MovingClock, tasks: Tasks) -> None:
    store = await Store.open(redis_server.url, clock=clock)
    await store.config.push_policy(POLICY, expect=0, by="test")
    live = Live(store, clock=clock)
    await live.look()
    board = Board()
    notifier = Notifier(store, live, Drawer(store, live, board, clock=clock), holder="bot", clock=clock)
    tasks.start("notifier", notifier.run())
    first = await held(store)
    await acknowledged(store)
    redis_server.kill()
    await wait_until(lambda: not notifier.leading, "the bot notices")
    redis_server.start()
    await wait_until(lambda: notifier.leading, "it leads again")
    await approve(store, first)
    second = await held(store)
    await acknowledged(store)
    assert board.texts("teams:one") == ["approved 1", "pending 0"]
    assert second.id
    await tasks.aclose()
    await store.aclose()


async def test_what_was_not_said_when_redis_was_lost_is_said_when_it_is_back(
    redis_server: RedisServer, clock: MovingClock, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.threads.BATCH_S", 0.05)
    store = await Store.open(redis_server.url, clock=clock)
    await store.config.push_policy(POLICY, expect=0, by="test")
    live = Live(store, clock=clock)
    await live.look()
    board = Board()
    notifier = Notifier(store, live, Drawer(store, live, board, clock=clock), holder="bot", clock=clock)
    tasks.start("notifier", notifier.run())
    hold = await held(store, ROBOT)
    await acknowledged(store)
    clock.forward(seconds=1)
    thread = board.gates["thread of teams:rest"] = asyncio.Event()
    board.fail["thread of teams:rest"] = [ChannelUnavailable("limited", retry_after_seconds=1)]
    decision = replace(make_decision(hold), at_ms=clock())
    await store.holds.decide(hold, decision, state=State.REJECTED, body=None)
    await acknowledged(store)
    await wait_until(lambda: board.busy == 1, "it is about to be said")
    redis_server.kill()
    thread.set()
    await wait_until(lambda: not notifier.leading, "the bot notices")
    redis_server.start()
    await wait_until(lambda: board.replies, "it is said")
    await tasks.aclose()
    await store.aclose()


async def told(
    store: Store, drawer: Drawer, clock: MovingClock, count: int, requester: Requester = ROBOT
) -> list[Hold]:  # fmt: skip
    """Holds that are on their cards (one each, of ``ROBOT``), of whose approval nothing has been said yet; by id."""
    holds = [await held(store, requester) for _ in range(count)]
    for hold in holds:
        await drawer.draw(hold.id)
    clock.forward(seconds=1)
    for hold in holds:
        decision = replace(make_decision(hold), at_ms=clock())
        await store.holds.decide(hold, decision, state=State.APPROVED, body=None)
    return sorted(holds, key=lambda hold: hold.id)


@pytest.mark.parametrize("limited", [False, True])
async def test_what_was_taken_on_when_redis_is_lost_is_said(
    store: Store, live: Live, clock: MovingClock, limited: bool
) -> None:
    board = Board()
    drawer = Drawer(store, live, board, clock=clock)
    narrator = Narrator(store, live, drawer, clock=clock)
    ids = [hold.id for hold in await told(store, drawer, clock, 3)]
    board.fail["thread of teams:rest"] = [ChannelUnavailable("limited", retry_after_seconds=1)] * limited
    await store._client.command("SET", keys.said(ids[2]), "no set")  # what Redis answers for this one is an error
    with pytest.raises(StoreUnavailable):
        await narrator.tell(ids)
    await store._client.command("DEL", keys.said(ids[2]))
    assert await narrator.tell(ids) == set()
    assert len(board.replies) == 3
    assert await narrator.tell(ids) == set()
    assert len(board.replies) == 3


async def test_a_stop_while_much_is_being_said_loses_nothing(
    store: Store, live: Live, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.threads.BATCH_S", 0.05)
    monkeypatch.setattr("bot.threads._BATCH", 2)
    board = Board()
    drawer = Drawer(store, live, board, clock=clock)
    narrator = Narrator(store, live, drawer, clock=clock)
    holds = await told(store, drawer, clock, 3)  # more than are said at once
    gate = board.gate = asyncio.Event()
    speaking = Tasks()
    speaking.start("narrator", narrator.run())
    for hold in holds:
        narrator.soon(hold.id)
    await wait_until(lambda: board.busy == 1, "the first is about to be said")
    stopping = asyncio.create_task(speaking.aclose())
    board.gate = None
    gate.set()
    await stopping
    assert len(board.replies) == len(holds)


async def test_what_a_stop_has_no_time_for_is_left_to_another_bot(
    store: Store, live: Live, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.threads.BATCH_S", 0.05)
    monkeypatch.setattr("bot.threads.STOP_S", 0.05)
    board = Board()
    drawer = Drawer(store, live, board, clock=clock)
    ids = [hold.id for hold in await told(store, drawer, clock, 3)]
    narrator = Narrator(store, live, drawer, clock=clock)
    board.gate = asyncio.Event()  # the platform answers nothing
    speaking = Tasks()
    speaking.start("narrator", narrator.run())
    for hold_id in ids:
        narrator.soon(hold_id)
    await wait_until(lambda: board.busy == 1, "the first is about to be said")
    await speaking.aclose()
    board.gate = None
    assert await Narrator(store, live, drawer, clock=clock).tell(ids) == set()
    # The one that was on its way at the first stop, and at the last, may have been said.
    assert len(board.replies) == len(ids) - 2


async def another_leads_while_a_card_waits(store: Store, board: Board, start: Start) -> tuple[Notifier, Hold]:
    """The platform takes no card at the moment, and the bot that was told so has lost the lease."""
    bot = await start(board)
    await wait_until(lambda: bot.leading, "it leads")
    board.fail["teams:rest"] = [ChannelUnavailable("limited", retry_after_seconds=60)]
    hold = await held(store, ROBOT)
    await wait_until(lambda: not board.fail["teams:rest"], "the card waits for the platform")
    await store._client.command("SET", keys.lease("cards:teams"), "another bot", "PX", 60_000)
    await wait_until(lambda: not bot.leading, "another one leads")
    return bot, hold


async def test_what_another_bot_has_posted_meanwhile_is_found(
    store: Store, live: Live, start: Start, clock: MovingClock
) -> None:
    board = Board()
    _, hold = await another_leads_while_a_card_waits(store, board, start)
    clock.forward(seconds=SETTLED_AFTER_MS / 1000)
    board.fail_after["teams:rest"] = [ChannelUnavailable("reset")]
    with pytest.raises(ChannelUnavailable):  # and dies before it has noted where the card stands
        await Drawer(store, live, board, clock=clock).draw(hold.id)
    await store.leases.release("cards:teams", holder="another bot")
    await acknowledged(store)
    assert board.texts("teams:rest") == ["pending 0"]


async def test_what_waited_when_the_lease_was_lost_holds_up_nothing_later(
    store: Store, live: Live, start: Start, clock: MovingClock
) -> None:
    board = Board()
    bot, hold = await another_leads_while_a_card_waits(store, board, start)
    other = Drawer(store, live, board, clock=clock)
    clock.forward(seconds=SETTLED_AFTER_MS / 1000)
    await other.draw(hold.id)
    await store.holds.cancel(hold, by="robot", reason="never mind")
    await other.draw(hold.id)
    for pending in (True, False):
        done = await store.outbox.read("events", group="cards:teams", block_ms=1, count=1000, pending=pending)
        await store.outbox.ack("events", group="cards:teams", events=done)
    await store.leases.release("cards:teams", holder="another bot")
    await wait_until(lambda: bot.leading, "it leads again")
    later = await held(store, ROBOT)
    await acknowledged(store)
    clock.forward(seconds=1)
    decision = replace(make_decision(later), at_ms=clock())
    await store.holds.decide(later, decision, state=State.APPROVED, body=None)
    await wait_until(lambda: board.replies, "the thread says what became of it")
