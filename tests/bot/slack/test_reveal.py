"""What the policy masks is shown to one reviewer who asks for it, after that was recorded."""

from __future__ import annotations

import pytest

from bot import slack as names
from holdpoint.model import EventKind, State
from tests.bot.slack.conftest import World
from tests.bot.slack.hands import modal_of, press, stored
from tests.support.builders import make_decision

PROMPT = "the password of tkt-47114711, please"
LONG = "\n".join(f"line {number} with tkt-{number} and the password {'x' * 60}" for number in range(300))


async def revealed_to(world: World) -> list[str]:
    events = await world.store.outbox.follow("events", after="0-0", block_ms=1)
    return [event.data["by"] for event in events if event.kind is EventKind.CARD_REVEALED]


@pytest.mark.promise(8)
async def test_masked_everywhere_but_in_the_modal_of_who_asked(world: World) -> None:
    hold = await world.hold(PROMPT)
    card, dm = await world.card(hold), await world.dm(hold)
    assert "47114711" not in card.seen.text + card.text + dm.seen.text + dm.text
    assert (await world.slack.click(world.sam, card, names.REVEAL)).acked
    modal = modal_of(world, world.sam)
    assert "the password of tkt-47114711, please" in modal.seen.text
    assert await revealed_to(world) == ["sam@example.com"]
    assert world.slack.workspace.modals(world.kim) == []
    assert "47114711" not in card.seen.text


@pytest.mark.promise(8)
@pytest.mark.parametrize(("who", "words"), [("ola", "security"), ("dana", "own request")])
async def test_who_may_not_decide_sees_no_more_than_before(world: World, who: str, words: str) -> None:
    hold = await world.hold(PROMPT)
    user = getattr(world, who)
    await press(world, user, await world.card(hold), names.REVEAL, value=f"{hold.id} {hold.digest}")
    await world.told(user, words)
    assert world.slack.workspace.modals(user) == []
    assert await revealed_to(world) == []


async def test_every_page_is_unmasked_and_recorded(world: World) -> None:
    hold = await world.hold(LONG)
    await press(world, world.sam, await world.card(hold), names.REVEAL, value=f"{hold.id} {hold.digest}")
    modal = modal_of(world, world.sam)
    assert "tkt-0 " in modal.seen.text
    seen, turns = modal.seen.text, 1
    while names.PAGES[1] in modal.buttons:
        await world.slack.click_in_view(world.sam, modal, names.PAGES[1])
        seen, turns = seen + modal.seen.text, turns + 1
    assert "tkt-299 " in seen
    assert len(await revealed_to(world)) == turns > 1


async def test_a_page_of_a_hold_that_was_decided_meanwhile_is_not_unmasked(world: World) -> None:
    hold = await world.hold(LONG)
    await press(world, world.sam, await world.card(hold), names.REVEAL, value=f"{hold.id} {hold.digest}")
    modal = modal_of(world, world.sam)
    before = modal.seen.text
    await world.store.holds.decide(hold, make_decision(hold, by="kim@example.com"), state=State.APPROVED, body=None)
    await world.slack.click_in_view(world.sam, modal, names.PAGES[1])
    assert modal.seen.text == before
    assert "Already approved by kim@example.com" in world.slack.workspace.modals(world.sam)[-1].seen.text
    assert (await stored(world, hold)).state is State.APPROVED


async def test_a_reveal_of_another_text_shows_nothing(world: World) -> None:
    hold = await world.hold(PROMPT)
    await press(world, world.sam, await world.card(hold), names.REVEAL, value=f"{hold.id} {'0' * 64}")
    await world.told(world.sam, "edited since")
    assert await revealed_to(world) == []
