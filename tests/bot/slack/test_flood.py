"""More holds than Slack takes messages: every one on exactly one card of the channel, decidable, and true in the end.

Time runs ten times as fast: for Slack's limits, for deadlines, and for what the bot waits for. What everything costs is
real, so that the bot has ten times less of it than it would have.
"""

from __future__ import annotations

import asyncio
import json
import re
import time

import pytest

from bot import slack as names
from bot.slack.digest import MOST_LINES
from holdpoint.clock import now_ms
from holdpoint.model import Hold, Requester, Risk, State
from tests.bot.slack.conftest import MakeWorld, World
from tests.fakes.slack import Channel, Message
from tests.fakes.slack.workspace import TRIGGER_MS
from tests.support.builders import make_decision
from tests.support.waiting import wait_until

FASTER = 10
_HOLD = re.compile(r"\bh[0-9a-v]{24}\b")
CLIENT = Requester("load-test", frozenset({"contractors"}))  # no person: nobody is told in a DM


def fast_clock() -> int:
    return _BASE + (time.monotonic_ns() // 1_000_000 - _START) * FASTER


_BASE, _START = now_ms(), time.monotonic_ns() // 1_000_000


async def ask(world: World, prompt: str | None = None) -> Hold:
    """Its deadline is ten minutes of this machine away: whatever it does meanwhile, none passes."""
    return await world.hold(prompt, requester=CLIENT, risk=Risk.MEDIUM, timeout_ms=FASTER * 600_000)


def shown(channel: Channel) -> dict[str, list[Message]]:
    """The cards on which each hold is, by its id."""
    found: dict[str, list[Message]] = {}
    for message in channel.messages.values():
        for hold_id in set(_HOLD.findall(json.dumps(message.blocks))):
            found.setdefault(hold_id, []).append(message)
    return found


def cards_of(channel: Channel, hold: Hold) -> list[Message]:
    return shown(channel).get(hold.id, [])


async def all_shown(channel: Channel, holds: list[Hold], *, seconds: float = 15) -> None:
    ids = {hold.id for hold in holds}
    await wait_until(lambda: ids <= shown(channel).keys(), "every hold is on a card", seconds=seconds, every=0.1)
    found = shown(channel)
    assert {len(found[hold.id]) for hold in holds} == {1}, "a hold is on two cards"


def waiting(message: Message) -> bool:
    return message.button(names.APPROVE) is not None or message.button(names.BULK_APPROVE) is not None


async def decide_all(world: World, channel: Channel) -> None:
    """Press Approve on whatever card waits, until none does."""
    for _ in range(200):
        message = next((m for m in channel.messages.values() if waiting(m)), None)
        if message is None:
            return
        bulk, edits = message.button(names.BULK_APPROVE) is not None, message.edits
        assert (await world.slack.click(world.sam, message, names.BULK_APPROVE if bulk else names.APPROVE)).acked
        # A click has so much time; what it did not come to is pressed again, as its sum says.
        await wait_until(
            lambda m=message, e=edits: m.edits > e or not waiting(m),  # type: ignore[misc]
            "the pressed card is redrawn",
            seconds=15,
        )
    raise AssertionError("cards keep waiting")


async def ended(world: World, holds: list[Hold], state: State) -> None:
    stored = await world.store.holds.get_many([hold.id for hold in holds])
    assert [hold.state for hold in stored] == [state] * len(holds)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the bot waits for is ten times as short, too; but not the time that it has after a click."""
    monkeypatch.setattr("bot.notify.SECOND_S", 1 / FASTER)
    monkeypatch.setattr("tests.fakes.slack.workspace.TRIGGER_MS", TRIGGER_MS * FASTER)


@pytest.mark.promise(4)
@pytest.mark.usefixtures("hurry")
async def test_300_requests_in_a_minute_on_a_slack_that_answers_429(make_world: MakeWorld) -> None:
    world = await make_world("http", clock=fast_clock)
    world.slack.enforce_rates()
    started = time.monotonic()
    holds: list[Hold] = []
    while len(holds) < 300:
        holds.append(await ask(world))
        due = started + len(holds) * 60 / FASTER / 300
        await asyncio.sleep(max(due - time.monotonic(), 0))
    for channel in (world.security, world.second):
        await all_shown(channel, holds)
        digests = [message for message in channel.messages.values() if message.button(names.BULK_APPROVE)]
        assert digests
        assert all(len(message.blocks) <= 50 for message in channel.messages.values())
    assert any(call.answer == "ratelimited" for call in world.slack.calls)
    await decide_all(world, world.security)
    await ended(world, holds, State.APPROVED)
    for channel in (world.security, world.second):
        await wait_until(
            lambda c=channel: not any(waiting(m) for m in c.messages.values()),  # type: ignore[misc]
            "the other copies are redrawn",
            seconds=15,
        )
        found = shown(channel)
        for hold in holds:
            (card,) = found[hold.id]
            assert "Approved by sam" in card.seen.text


async def test_identical_requests_are_one_card_and_a_click_covers_those_that_it_listed(make_world: MakeWorld) -> None:
    world = await make_world("http")
    holds = [await ask(world, "the same password") for _ in range(12)]
    await all_shown(world.security, holds)
    (card,) = cards_of(world.security, holds[0])
    await world.shows(card, "× 12")
    button = card.button(names.BULK_APPROVE)
    assert button is not None
    late = await ask(world, "the same password")
    await world.shows(card, "× 13")
    await world.slack.click(world.sam, card, names.BULK_APPROVE, value=button[1]["value"])
    await ended(world, holds, State.APPROVED)
    assert (await world.store.holds.get(late.id)).state is State.PENDING
    await world.shows(card, "1 waits")
    await world.slack.click(world.sam, card, names.BULK_APPROVE)
    await ended(world, [late], State.APPROVED)
    await world.shows(card, "Approved by sam")
    assert not waiting(card)


async def test_equals_that_came_to_different_ends_are_listed(make_world: MakeWorld) -> None:
    world = await make_world("http")
    first, second = [await ask(world, "the same password") for _ in range(2)]
    await all_shown(world.security, [first, second])
    await world.store.holds.decide(first, make_decision(first), state=State.APPROVED, body=None)
    await world.store.holds.expire(second, reason="nobody decided in time")
    (card,) = cards_of(world.security, first)
    await wait_until(lambda: not waiting(card), "nothing waits")
    await world.shows(card, "Approved by sam")
    await world.shows(card, "Expired")
    assert cards_of(world.security, second) == [card]


@pytest.mark.usefixtures("hurry")
async def test_after_the_flood_the_channel_goes_back_to_single_cards(make_world: MakeWorld) -> None:
    world = await make_world("http", clock=fast_clock)
    world.slack.enforce_rates("chat.postMessage")
    holds = [await ask(world) for _ in range(40)]
    await all_shown(world.security, holds)
    (digest, *_) = [m for m in world.security.messages.values() if m.button(names.BULK_APPROVE)]
    pressure = world.app.drawer.pressure
    await wait_until(lambda: not pressure.is_on(f"slack:{world.security.id}"), "holds come slowly again")
    late = await ask(world)
    await all_shown(world.security, [late])
    (card,) = cards_of(world.security, late)
    assert card.button(names.APPROVE) is not None
    await world.slack.click(world.sam, digest, names.BULK_REJECT)
    (modal,) = world.slack.workspace.modals(world.sam)
    await world.slack.submit(world.sam, modal, {"reason": "not today"})
    await wait_until(lambda: not waiting(digest), "the digest is redrawn")
    assert "Rejected by sam" in digest.seen.text


@pytest.mark.usefixtures("hurry")
async def test_one_digest_card_takes_as_many_as_it_can_list_and_another_follows(make_world: MakeWorld) -> None:
    world = await make_world("http", clock=fast_clock)
    world.slack.rates = {"chat.postMessage": (1, 4.0)}
    holds = [await ask(world) for _ in range(70)]
    await all_shown(world.security, holds)
    digests = [m for m in world.security.messages.values() if m.button(names.BULK_APPROVE)]
    assert 4 <= len(digests) <= 5
    assert all(sum(hold.id in str(m.blocks) for hold in holds) <= MOST_LINES for m in digests)


async def test_a_click_on_a_shared_card_makes_no_copy_of_its_own(make_world: MakeWorld) -> None:
    """A message is known under each of the holds that it shows."""
    world = await make_world("http")
    holds = [await ask(world, "the same password") for _ in range(2)]
    for channel in (world.second, world.security):
        await all_shown(channel, holds)
        (card,) = cards_of(channel, holds[0])
        await world.shows(card, "× 2")
    await world.slack.click(world.ola, card, names.BULK_APPROVE)  # who may not
    await world.slack.click(world.sam, card, names.BULK_APPROVE)
    await world.shows(card, "Approved by sam")
    for hold in holds:
        places = await world.store.cards.all(hold.id)
        assert set(places) == {"slack:C0SECURITY", "slack:C0SECOND"}
        assert all(place.bundle and not place.message for place in places.values())
