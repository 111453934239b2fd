"""Redis lost, Teams away or slow, a bot gone in the middle: no click is lost, or its owner reads that it was (promise 6)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from bot import teams as names
from bot.teams.desk import ACT_WITHIN_S
from bot.teams.intake import ACT_WITHIN_S as ANSWER_WITHIN_S
from holdpoint.model import Requirement, State
from tests.bot.teams.conftest import MakeWorld
from tests.bot.teams.hands import call, press, stored, value_of
from tests.bot.teams.test_actions import WORDS, all_drawn
from tests.bot.teams.world import World
from tests.support.builders import make_decision
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

ACTS = [
    names.APPROVE, names.REJECT, names.EDIT, names.ASK, names.CLAIM, names.UNCLAIM, names.GRANT, names.BULK_APPROVE,
    names.BULK_REJECT, names.CANCEL, names.JUSTIFY, names.ANSWER,
]  # fmt: skip
OPENS = [names.REJECT, names.EDIT, names.ASK, names.GRANT, names.VIEW, names.REVEAL, names.JUSTIFY, names.ANSWER]


@pytest.mark.promise(6)
async def test_without_the_store_the_person_reads_that_nothing_was_recorded(
    make_world: MakeWorld, redis_server: RedisServer
) -> None:
    world = await make_world(url=redis_server.url)
    hold = await world.hold()
    card = await world.card(hold)
    await all_drawn(world, hold)
    redis_server.kill()
    for verb in ACTS:
        value = f"b{'0' * 16} {'1' * 64}" if verb.startswith("bulk") else value_of(hold, "q1")
        seen = await press(world, "sam", card, verb, value, **WORDS)
        assert (seen.kind, "Not recorded" in seen.said) == ("message", True), (verb, seen.value)
    assert "Not recorded" in (await press(world, "sam", card, names.QUIET, value_of(hold, "none"))).said
    for verb in OPENS:
        assert "Not recorded" in (await call(world, "sam", card, "task/fetch", verb, value_of(hold))).said
    redis_server.start()
    await wait_until(lambda: world.live.is_fresh, "the store is back")
    assert "pproved by Sam" in (await press(world, "sam", card, names.APPROVE, value_of(hold))).seen
    await world.shows(card, "pproved by Sam")


@pytest.mark.promise(6)
async def test_while_teams_is_away_the_person_reads_so_and_may_press_again(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.teams.fail("member", status=503, times=100)
    for verb in (names.APPROVE, names.CLAIM):
        seen = await press(world, "sam", card, verb, value_of(hold))
        assert (seen.kind, "Teams does not answer" in seen.said or "Not confirmed" in seen.said) == ("message", True)
    sent = await call(world, "sam", card, "task/submit", names.REJECT, value_of(hold), reason="kept")
    assert sent.inputs["reason"]["value"] == "kept"
    assert (await stored(world, hold)).rev == hold.rev
    await world.teams.heal()
    assert (await press(world, "sam", card, names.APPROVE, value_of(hold))).kind == "card"


@pytest.mark.promise(6)
async def test_a_slow_teams_is_no_reason_to_miss_the_deadline(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.teams.fail("member", "gate", name="slow")
    seen = await world.user("sam").click(card, names.APPROVE)
    assert (seen.kind, seen.attempts) == ("message", 1)
    assert "Not confirmed" in seen.said
    assert seen.seconds < 5
    await world.teams.heal()
    assert (await stored(world, hold)).state is State.PENDING


def test_a_handler_ends_before_its_answer_is_due() -> None:
    assert ACT_WITHIN_S < ANSWER_WITHIN_S < 5


async def test_nobody_decides_while_teams_does_not_say_who_they_are_now(world: World) -> None:
    """The person sees at once that their click did not count, and nothing is lost by pressing again."""
    hold, other = await world.hold(), await world.hold()
    await press(world, "sam", await world.card(hold), names.APPROVE, value_of(hold))
    card = await world.card(other)
    await world.teams.fail("*", status=503, times=1_000)
    assert (await press(world, "sam", card, names.APPROVE, value_of(other))).kind == "message"
    assert (await stored(world, other)).state is State.PENDING
    await world.teams.heal()
    assert (await press(world, "sam", card, names.APPROVE, value_of(other))).kind == "card"
    assert (await stored(world, other)).state is State.APPROVED
    await world.shows(card, "pproved by Sam")


@pytest.mark.promise(3)
async def test_what_teams_repeats_because_it_took_long_counts_once(world: World) -> None:
    hold = await world.hold(requirements=(Requirement("security", 3),))
    card = await world.card(hold)
    await world.teams.set(invoke_s=1)
    await world.teams.fail("member", "slow", seconds=2)
    seen = await world.user("sam").click(card, names.APPROVE)
    assert seen.attempts > 1

    async def decided() -> bool:
        return bool((await stored(world, hold)).decisions)

    await wait_until(decided, "it is recorded", every=0.02)
    await world.teams.set(invoke_s=5)
    assert (await press(world, "sam", card, names.APPROVE, value_of(hold))).kind == "card"
    assert [done.by for done in (await stored(world, hold)).decisions] == ["sam@example.com"]


@pytest.mark.promise(3)
async def test_two_bots_and_two_people_at_once_end_with_one_decision(make_world: MakeWorld) -> None:
    world = await make_world(bots=2)
    hold = await world.hold()
    card = await world.card(hold)
    seen = await asyncio.gather(
        press(world, "sam", card, names.APPROVE, value_of(hold)),
        press(world, "kim", card, names.REJECT, value_of(hold), reason="no"),
        press(world, "sam", card, names.APPROVE, value_of(hold)),
    )
    assert {each.kind for each in seen} == {"card"}
    after = await stored(world, hold)
    assert len(after.decisions) == 1
    winner = after.decisions[0].name.split()[0]
    assert all(winner in each.seen for each in seen)


async def test_many_who_press_a_card_that_is_behind_cost_one_update(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await all_drawn(world, hold)
    await world.store.holds.decide(hold, make_decision(hold, by="kim@example.com"), state=State.APPROVED, body=None)
    await world.shows(card, "pproved by kim@example.com")
    await world.settled()
    before = len(await world.teams.calls("update", place="security"))
    for _ in range(8):
        assert (await press(world, "sam", card, names.APPROVE, value_of(hold))).kind == "card"
    await wait_until(lambda: not len(world.app._tasks), "every redraw is over", every=0.02)
    assert len(await world.teams.calls("update", place="security")) - before == 1
    assert "could not redraw" not in caplog.text  # no other one was tried, and refused by the pace


@pytest.mark.promise(8)
async def test_no_content_and_no_secret_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hold = await world.hold("tell me the password of zebra-secret")
    card = await world.card(hold)
    await press(world, "ola", card, names.APPROVE, value_of(hold))
    await press(world, "sam", card, names.APPROVE, "zebra-secret giraffe")
    await press(world, "sam", card, "zebra-secret", value_of(hold))
    await call(world, "sam", card, "task/fetch", names.VIEW, value_of(hold))
    await call(world, "sam", card, "task/submit", names.ASK, value_of(hold), text="giraffe-question")
    await press(world, "sam", card, names.REJECT, value_of(hold), reason="giraffe-reason")
    await world.shows(card, "ejected")
    ours = [record for record in caplog.records if record.name.startswith(("bot", "holdpoint"))]
    logged = "\n".join(str(vars(record)) + record.getMessage() for record in ours)
    for secret in ("zebra-secret", "giraffe", world.teams.app_secret):
        assert secret not in logged


async def test_no_click_is_a_bug(world: World) -> None:
    """Whatever came: nothing was an error of ours."""
    card = await world.card(await world.hold())
    values: list[Any] = ["", None, [], {}, "a b", "b0 c", 1.5]
    for verb in (*ACTS, *OPENS, names.REFRESH, names.QUIET, "x"):
        await asyncio.gather(
            *(press(world, "sam", card, verb, value) for value in values),
            *(
                call(world, "sam", card, f"task/{step}", verb, value)
                for value in values
                for step in ("fetch", "submit")
            ),
        )
    assert world.errors() == [0]
