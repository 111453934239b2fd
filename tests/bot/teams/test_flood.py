"""More holds than Teams takes messages: every one on exactly one card of each channel, and true in the end.

Time runs ten times as fast: for Teams' limits, for deadlines, and for what the bot waits for. What everything costs is
real, so that the bot has ten times less of it than it would have.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from bot import teams as names
from holdpoint.clock import now_ms
from holdpoint.model import Hold, Requester, Risk
from tests.bot.teams.chain import Chain, chain
from tests.fakes.teams import FakeTeams, Seen
from tests.support.waiting import wait_until

FASTER = 10
_HOLD = re.compile(r"\bh[0-9a-v]{24}\b")
CLIENT = Requester("load-test", frozenset({"contractors"}))  # no person: nobody is told in a chat of theirs
CHANNELS = ("security", "second")
_BASE, _START = now_ms(), time.monotonic_ns() // 1_000_000


def fast_clock() -> int:
    return _BASE + (time.monotonic_ns() // 1_000_000 - _START) * FASTER


@pytest.fixture
async def fast(teams: FakeTeams, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Chain]:
    """A chain with one bot, on the fast clock."""
    monkeypatch.setattr("bot.notify.SECOND_S", 1 / FASTER)
    monkeypatch.setattr("bot.teams.courier.SECOND_S", 1 / FASTER)
    await teams.set(speed=FASTER)
    async with chain(teams, redis_url, clock=fast_clock) as built:
        yield built


async def ask(world: Chain) -> Hold:
    """Its deadline is ten minutes of this machine away: whatever it does meanwhile, none passes."""
    return await world.hold(requester=CLIENT, risk=Risk.MEDIUM, timeout_ms=FASTER * 600_000)


async def shown(world: Chain, place: str) -> dict[str, list[Seen]]:
    """The cards on which each hold is, by its id."""
    found: dict[str, list[Seen]] = {}
    for card in await world.teams.cards(place):
        if not card.is_reply:
            for hold_id in set(_HOLD.findall(json.dumps(card.card))):
                found.setdefault(hold_id, []).append(card)
    return found


async def all_shown(world: Chain, place: str, holds: list[Hold], *, seconds: float = 30) -> dict[str, list[Seen]]:
    ids = {hold.id for hold in holds}

    async def are_there() -> bool:
        return ids <= (await shown(world, place)).keys()

    await wait_until(are_there, f"every hold is on a card in {place}", seconds=seconds, every=0.2)
    found = await shown(world, place)
    assert {len(found[hold.id]) for hold in holds} == {1}, "a hold is on two cards"
    return found


async def answers(teams: FakeTeams) -> Counter[int]:
    return Counter(call.status for call in await teams.calls())


@pytest.mark.promise(4)
async def test_300_requests_in_a_minute_at_the_rates_of_teams(fast: Chain) -> None:
    started = time.monotonic()
    holds: list[Hold] = []
    while len(holds) < 300:
        holds.append(await ask(fast))
        due = started + len(holds) * 60 / FASTER / 300
        await asyncio.sleep(max(due - time.monotonic(), 0))
    for place in CHANNELS:
        found = await all_shown(fast, place, holds)
        digests = [card for card in await fast.teams.cards(place) if names.BULK_APPROVE in card.verbs]
        assert digests
        assert len(found) == 300
        assert len(await fast.teams.cards(place)) < len(holds) * 0.8, "many share a card"
    for hold in holds:
        await fast.approve(hold)
    for place in CHANNELS:

        async def none_waits(place: str = place) -> bool:
            cards = await fast.teams.cards(place)
            return not any({names.APPROVE, names.BULK_APPROVE} & set(card.verbs) for card in cards)

        await wait_until(none_waits, "every card shows the end", seconds=40, every=0.2)
        found = await shown(fast, place)
        for hold in holds:
            (card,) = found[hold.id]
            assert "Approved" in card.seen
    counted = await answers(fast.teams)
    assert counted[412] == 0
    assert await fast.teams.count("overlaps") == 0
    assert counted[429] <= 3, "Teams hardly ever has to complain"
    assert counted.keys() <= {200, 201, 429}


async def test_a_burst_that_teams_takes_is_single_cards(fast: Chain) -> None:
    holds = [await ask(fast) for _ in range(5)]
    for place in CHANNELS:
        await all_shown(fast, place, holds)
        assert len(await fast.teams.cards(place)) == 5
    assert (await answers(fast.teams))[429] == 0


async def test_after_the_flood_the_channel_goes_back_to_single_cards(fast: Chain) -> None:
    holds = [await ask(fast) for _ in range(60)]
    for place in CHANNELS:
        await all_shown(fast, place, holds)
    pressure = fast.bots[0].drawer.pressure
    targets = [f"teams:{fast.teams.conversation(place)}" for place in CHANNELS]
    await fast.until(lambda: not any(map(pressure.is_on, targets)), "holds come slowly again", seconds=20)
    late = await ask(fast)
    for place in CHANNELS:
        card = await fast.card(late, place)
        assert names.APPROVE in card.verbs


async def test_a_decision_in_a_flood_is_on_its_card(fast: Chain) -> None:
    """It does not queue behind new cards: these leave it some of every limit of Teams (test_pace.py)."""
    first = await ask(fast)
    await fast.card(first)
    holds = [await ask(fast) for _ in range(100)]
    await fast.approve(first)
    await fast.card(first, shows="Approved", seconds=40)
    await all_shown(fast, "security", holds)
    assert (await answers(fast.teams))[412] == 0


async def test_two_bots_take_turns_and_teams_does_not_complain(fast: Chain) -> None:
    """The lease lets one of them draw; whoever takes over begins with what is left."""
    await fast.start_bot()
    holds = [await ask(fast) for _ in range(40)]
    await fast.until(lambda: any(bot.notifier and bot.notifier.leading for bot in fast.bots), "one of them leads")
    leading = next(bot for bot in fast.bots if bot.notifier and bot.notifier.leading)
    await leading.stop()
    ids = {hold.id for hold in holds}

    async def are_there() -> bool:
        return ids <= (await shown(fast, "security")).keys()

    await wait_until(are_there, "every hold is on a card", seconds=40, every=0.2)
    assert (await answers(fast.teams))[412] == 0
