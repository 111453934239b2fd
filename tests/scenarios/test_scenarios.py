"""What must happen the same way wherever people review; and what happens in one place is seen in all the others."""

from __future__ import annotations

import asyncio

import pytest

from holdpoint.model import DecisionKind, Hold, Requester, Requirement, State
from tests.scenarios.conftest import World
from tests.scenarios.surface import Surface, principal
from tests.support.builders import OUTCOME
from tests.support.waiting import wait_until

LONG = "\n".join(f"line {number} about the password, {'x' * 60}" for number in range(150))


async def everywhere(world: World, hold: Hold, words: str) -> None:
    """Every surface shows ``words``."""
    for surface in world.surfaces.values():

        async def shows(surface: Surface = surface) -> bool:
            return words in await surface.text(hold)

        await wait_until(shows, f"{surface.name} shows {words!r}")


async def test_a_card_says_who_asks_what_and_why(world: World, surface: Surface) -> None:
    hold = await world.hold()
    text = await surface.text(hold)
    for words in ("dana@example.com", "contractors", "production", "secrets", "High risk", "admin password", hold.id):
        assert words.casefold() in text.casefold()
    assert {"approve", "reject", "edit", "ask", "claim"} <= await surface.offers(hold, "sam")


@pytest.mark.promise(6)
async def test_an_approval_is_recorded_and_seen_everywhere(world: World, surface: Surface) -> None:
    hold = await world.hold()
    assert await surface.approve(hold, "sam") == ""
    stored = await world.stored(hold)
    (decision,) = stored.decisions
    assert (stored.state, decision.by, decision.channel) == (State.APPROVED, principal("sam"), surface.channel)
    assert decision.digest == hold.digest
    await everywhere(world, hold, "Approved by")
    released = await world.store.holds.release(hold.id, gateway="g1")
    await world.store.holds.close(released, state=State.COMPLETED, outcome=OUTCOME, response=None)
    await everywhere(world, hold, "the model has answered")
    for each in world.surfaces.values():
        assert not await each.offers(hold, "kim")


async def test_a_rejection_carries_its_reason_everywhere(world: World, surface: Surface) -> None:
    hold = await world.hold()
    reason = "Not <!channel> **today** & never <b>again</b>"
    assert await surface.reject(hold, "sam", reason) == ""
    stored = await world.stored(hold)
    assert (stored.state, stored.decisions[0].reason) == (State.REJECTED, reason)
    await everywhere(world, hold, reason)


async def test_a_rejection_needs_a_reason(world: World, surface: Surface) -> None:
    hold = await world.hold()
    assert await surface.reject(hold, "sam", "  ") != ""
    assert (await world.stored(hold)).state is State.PENDING


@pytest.mark.promise(2)
async def test_an_edit_is_what_goes_on(world: World, surface: Surface) -> None:
    hold = await world.hold()
    assert await surface.edit(hold, "sam", "what is the guest password") == ""
    stored = await world.stored(hold)
    assert (stored.state, stored.query.parts[0].text) == (State.APPROVED, "what is the guest password")
    assert b"guest" in stored.query.body
    assert stored.digest != hold.digest
    await everywhere(world, hold, "guest")


@pytest.mark.promise(5)
async def test_an_edit_that_the_policy_blocks_changes_nothing(world: World, surface: Surface) -> None:
    hold = await world.hold()
    assert "never" in await surface.edit(hold, "sam", "what are the launch codes")
    assert (await world.stored(hold)).rev == hold.rev


@pytest.mark.promise(5)
@pytest.mark.parametrize("person", ["dana", "ola"])
async def test_who_may_not_decide_is_told_and_nothing_changes(world: World, surface: Surface, person: str) -> None:
    hold = await world.hold()
    screen = await surface.remember(hold, "sam")  # where there are buttons
    told = await surface.approve(hold, person, screen=await _of(surface, hold, person, screen))
    assert told != ""
    stored = await world.stored(hold)
    assert (stored.state, stored.decisions) == (State.PENDING, ())


@pytest.mark.promise(5)
async def test_nobody_decides_for_an_agent_that_they_own(world: World, surface: Surface) -> None:
    agent = Requester("build-bot", frozenset({"contractors"}), owner=principal("sam"))
    hold = await world.hold(requester=agent)
    screen = await surface.remember(hold, "kim")
    assert await surface.approve(hold, "sam", screen=await _of(surface, hold, "sam", screen)) != ""
    assert (await world.stored(hold)).state is State.PENDING


@pytest.mark.promise(3)
async def test_the_second_reviewer_is_told_who_won(world: World, surface: Surface) -> None:
    hold = await world.hold()
    first, second = await surface.remember(hold, "sam"), await surface.remember(hold, "kim")
    told = await asyncio.gather(surface.approve(hold, "sam", screen=first), surface.approve(hold, "kim", screen=second))
    (decision,) = (await world.stored(hold)).decisions
    assert sum("Already approved by" in each for each in told) == 1
    assert decision.kind is DecisionKind.APPROVE


@pytest.mark.promise(3)
async def test_a_click_that_comes_twice_is_one_decision(world: World, surface: Surface) -> None:
    hold = await world.hold(requirements=(Requirement("security", 2),))
    screen = await surface.remember(hold, "sam")
    told = await asyncio.gather(*(surface.approve(hold, "sam", screen=screen) for _ in range(3)))
    assert told == ["", "", ""]
    stored = await world.stored(hold)
    assert (stored.state, len(stored.decisions)) == (State.PENDING, 1)
    await everywhere(world, hold, "1 of 2 from security")
    assert await surface.approve(hold, "kim") == ""
    assert (await world.stored(hold)).state is State.APPROVED


@pytest.mark.promise(2)
async def test_a_screen_that_shows_another_text_decides_nothing(world: World, surface: Surface) -> None:
    hold = await world.hold(requirements=(Requirement("security", 2),))
    old = await surface.remember(hold, "kim")
    assert await surface.edit(hold, "sam", "what is the guest password") == ""
    assert "edited" in await surface.approve(hold, "kim", screen=old)
    stored = await world.stored(hold)
    assert (stored.state, len(stored.decisions)) == (State.PENDING, 1)
    await everywhere(world, hold, "guest")
    assert await surface.approve(hold, "kim") == ""
    assert (await world.stored(hold)).state is State.APPROVED


@pytest.mark.promise(2)
async def test_a_text_of_high_risk_is_read_before_it_is_approved(world: World, surface: Surface) -> None:
    hold = await world.hold(LONG)
    await surface.text(hold)
    if surface.name != "web":  # the inbox shows all of it
        await surface.approve(hold, "sam")
        assert (await world.stored(hold)).state is State.PENDING
        assert await surface.read(hold, "sam") == ""
    assert await surface.approve(hold, "sam") == ""
    assert (await world.stored(hold)).decisions[0].by == principal("sam")


async def test_a_claim_is_seen_everywhere(world: World, surface: Surface) -> None:
    hold = await world.hold()
    assert await surface.claim(hold, "sam") == ""
    claim = (await world.stored(hold)).claim
    assert claim is not None
    assert claim.by == principal("sam")
    await everywhere(world, hold, "until")


async def test_a_question_is_seen_everywhere(world: World, surface: Surface) -> None:
    hold = await world.hold()
    assert await surface.ask(hold, "sam", "Which server? <!here>") == ""
    (question,) = (await world.stored(hold)).questions
    assert (question.by, question.text) == (principal("sam"), "Which server? <!here>")
    await everywhere(world, hold, "Which server? <!here>")


async def test_an_expiry_is_no_rejection(world: World, surface: Surface) -> None:
    hold = await world.hold()
    screen = await surface.remember(hold, "sam")
    await world.store.holds.expire(hold, reason="nobody decided in time")
    await everywhere(world, hold, "Expired")
    assert "Rejected" not in await surface.text(hold)
    assert "xpired" in await surface.approve(hold, "sam", screen=screen)


@pytest.mark.promise(5)
async def test_who_left_the_group_decides_nothing_more(world: World, surface: Surface) -> None:
    hold = await world.hold()
    screen = await surface.remember(hold, "kim")
    stored = await world.store.config.policy()
    assert stored is not None
    without = stored.text.replace("[sam@example.com, kim@example.com]", "[sam@example.com]")
    await world.store.config.push_policy(without, expect=stored.version, by="test")
    await wait_until(world.policy_in_force(stored.version + 1), "the policy is in force")
    assert await surface.approve(hold, "kim", screen=screen) != ""
    assert (await world.stored(hold)).decisions == ()


async def _of(surface: Surface, hold: Hold, person: str, screen: object) -> object:
    """The buttons of somebody else's screen, pressed by ``person``: in chat everybody sees the same message."""
    return None if surface.name == "web" else await surface.remember(hold, person)


async def test_a_card_survives_a_restart_of_the_bot(world: World, surface: Surface) -> None:
    hold = await world.hold()
    await everywhere(world, hold, hold.id)
    screen = await surface.remember(hold, "sam")
    await world.restart()
    assert await surface.approve(hold, "sam", screen=screen if surface.name != "web" else None) == ""
    assert (await world.stored(hold)).state is State.APPROVED
    await everywhere(world, hold, "Approved by")
