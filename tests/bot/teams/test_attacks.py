"""What somebody tries who wants more than is theirs: two addresses of one person, buttons that name other messages."""

from __future__ import annotations

import asyncio

import pytest

from bot import teams as names
from holdpoint.model import Requester, State
from tests.bot.teams.conftest import MakeWorld
from tests.bot.teams.hands import all_noted, call, press, stored, value_of
from tests.bot.teams.test_commands import ask
from tests.bot.teams.world import World
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

UPN = "sam.smith@corp.example.com"


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    "requester",
    [Requester(UPN, frozenset({"contractors"})), Requester("build-bot", frozenset({"contractors"}), owner=UPN)],
    ids=["their own request", "their agent's"],
)
async def test_under_another_address_of_theirs_nobody_decides_on_their_own_request(
    world: World, requester: Requester
) -> None:
    """Their key was made for their UPN, and Teams' people are their e-mail addresses."""
    await world.user("sam").change(upn=UPN.upper())
    hold = await world.hold(requester=requester)
    card = await world.card(hold)
    for verb in (names.APPROVE, names.REJECT, names.CLAIM):
        seen = await press(world, "sam", card, verb, value_of(hold), reason="no")
        assert "somebody else has to decide" in seen.seen
    assert (await stored(world, hold)).decisions == ()
    await world.user("kim").change(upn="kim@corp.example.com")
    await press(world, "kim", card, names.APPROVE, value_of(hold))
    await world.becomes(hold, State.APPROVED)


async def test_the_answer_to_a_question_is_drawn_over_no_card(world: World) -> None:
    """The button of a question, pressed on the card of a hold by a client that says so."""
    hold = await world.hold()
    card = await world.card(hold)
    await ask(world, "lee", "pause all it leaks")
    question = await ask(world, "lee", "resume all")
    seen = await press(world, "lee", card, names.CONFIRM, question.action("Confirm")["data"]["hold"])
    assert (seen.kind, await world.store.pauses.all()) == ("card", [])

    def settled() -> bool:
        return "teams answer" not in {task.get_name() for task in asyncio.all_tasks()}

    await wait_until(settled, "the answer has found no place")
    assert hold.id in (await world.teams.message(card)).seen


@pytest.mark.promise(7)
async def test_a_display_name_turns_no_sentence_around(world: World) -> None:
    """Names that people give themselves stand in what others are told in passing."""
    hold = await world.hold()
    card = await world.card(hold)
    await world.user("kim").change(name="Kim \u202egnidaer\u2066\u200b")
    await press(world, "kim", card, names.CLAIM, value_of(hold))
    told = [
        await press(world, "sam", card, names.UNCLAIM, value_of(hold)),
        await call(world, "sam", card, "task/submit", names.ANSWER, value_of(hold, "q1"), text="x"),
    ]
    await press(world, "kim", card, names.APPROVE, value_of(hold))
    told.append(await call(world, "sam", card, "task/fetch", names.REJECT, value_of(hold)))
    told.append(await call(world, "sam", card, "task/submit", names.REJECT, value_of(hold), reason="no"))
    assert "Kim" in told[0].said + told[2].said
    for each in told:
        assert not set("\u202e\u2066\u200b") & set(str(each.value)), each.value


@pytest.mark.promise(6)
async def test_a_card_that_was_posted_as_the_store_was_lost_is_not_posted_again(
    make_world: MakeWorld, redis_server: RedisServer
) -> None:
    """Nobody can search Teams, but the process that posted the card knows where it stands."""
    world = await make_world(url=redis_server.url)
    await world.teams.fail("post", "gate", name="g", conversation="security")
    hold = await world.hold()

    async def at_gate() -> bool:
        places = await world.store.cards.all(hold.id)
        return len(places) == 3 and sum(not each.message for each in places.values()) == 1

    await world.teams.waits_at("g")
    await wait_until(at_gate, "all other cards are noted", every=0.02)
    redis_server.kill()
    await world.teams.open_gate("g")
    await world.card(hold)
    redis_server.start()
    await wait_until(lambda: world.live.is_fresh, "the store is back")
    await wait_until(lambda: all_noted(world, hold), "all cards are noted", seconds=40, every=0.05)
    assert await world.find(hold)  # once
