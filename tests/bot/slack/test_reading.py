"""A text of high risk that the card cuts counts as seen once somebody has paged to its end."""

from __future__ import annotations

import pytest

from bot import slack as names
from holdpoint.model import EventKind, GrantLimits, GrantScope, Hold, ReviewTerms, Risk, State
from tests.bot.slack.conftest import World
from tests.bot.slack.hands import modal_of, press, stored
from tests.fakes.slack import User

LONG = "\n".join(f"line {number} about the password, {'x' * 60}" for number in range(400))
NEXT = names.PAGES[1]
TERMS = ReviewTerms(grant=GrantLimits(10, 3_600_000, frozenset(GrantScope)))


async def read_events(world: World) -> list[str]:
    events = await world.store.outbox.follow("events", after="0-0", block_ms=1)
    return [event.data["by"] for event in events if event.kind is EventKind.CARD_READ]


async def read_to_the_end(world: World, user: User) -> int:
    """Turn pages until there is no next one; returns how many there were."""
    modal, pages = modal_of(world, user), 1
    while NEXT in modal.buttons:
        assert (await world.slack.click_in_view(user, modal, NEXT)).acked
        pages += 1
    return pages


async def long_hold(world: World, **evaluation: object) -> Hold:
    return await world.hold(LONG, **evaluation)


@pytest.mark.promise(2)
async def test_approve_needs_the_whole_text_and_opens_it(world: World) -> None:
    hold = await long_hold(world)
    card = await world.card(hold)
    assert (await world.slack.click(world.sam, card, names.APPROVE)).acked
    modal = modal_of(world, world.sam)
    assert "to its last page" in modal.seen.text
    assert (await stored(world, hold)).state is State.PENDING
    assert await read_events(world) == []
    assert await read_to_the_end(world, world.sam) > 2
    assert await read_events(world) == ["sam@example.com"]
    await world.slack.click(world.kim, card, names.APPROVE)  # somebody else's reading does not help
    assert (await stored(world, hold)).state is State.PENDING
    assert (await world.slack.click(world.sam, card, names.APPROVE)).acked
    assert (await stored(world, hold)).decisions[0].by == "sam@example.com"


async def test_reading_twice_is_recorded_once(world: World) -> None:
    hold = await long_hold(world)
    card = await world.card(hold)
    for _ in range(2):
        await world.slack.click(world.sam, card, names.VIEW)
        await read_to_the_end(world, world.sam)
        await world.slack.close_view(world.sam, modal_of(world, world.sam))
    assert await read_events(world) == ["sam@example.com"]


async def test_no_button_leads_past_pages_that_were_not_shown(world: World) -> None:
    hold = await long_hold(world)
    await world.slack.click(world.sam, await world.card(hold), names.VIEW)
    modal = modal_of(world, world.sam)
    await world.slack.click_in_view(world.sam, modal, NEXT, value=f"{hold.id} {hold.digest} 999")
    assert "page 2 of" in modal.seen.text
    assert await read_events(world) == []


async def test_lower_risk_needs_no_reading(world: World) -> None:
    hold = await long_hold(world, risk=Risk.MEDIUM)
    await world.slack.click(world.sam, await world.card(hold), names.APPROVE)
    assert (await stored(world, hold)).state is State.APPROVED


async def test_a_short_text_was_seen_on_the_card(world: World) -> None:
    hold = await world.hold()
    await world.slack.click(world.sam, await world.card(hold), names.APPROVE)
    assert (await stored(world, hold)).state is State.APPROVED
    assert world.slack.workspace.modals(world.sam) == []


async def test_rejecting_needs_no_reading(world: World) -> None:
    hold = await long_hold(world)
    await world.slack.click(world.sam, await world.card(hold), names.REJECT)
    await world.slack.submit(world.sam, modal_of(world, world.sam), {"reason": "too long"})
    assert (await stored(world, hold)).state is State.REJECTED


async def test_a_note_in_the_edit_modal_is_no_way_around(world: World) -> None:
    """The long part is not in the modal: approving there would approve what was not shown."""
    hold = await long_hold(world)
    draft = await world.card(hold)
    await world.slack.click(world.sam, draft, names.EDIT)
    modal = modal_of(world, world.sam)
    assert "submit" not in modal.content  # nothing to edit here, nothing to approve


async def test_approve_similar_needs_the_whole_text_too(world: World) -> None:
    hold = await long_hold(world, terms=TERMS)
    card = await world.card(hold)
    await press(world, world.sam, card, names.GRANT, value=f"{hold.id} {hold.digest}")
    modal = modal_of(world, world.sam)
    assert modal.content["callback_id"] == names.VIEW_MODAL
    await read_to_the_end(world, world.sam)
    await world.slack.close_view(world.sam, modal)
    await press(world, world.sam, card, names.GRANT, value=f"{hold.id} {hold.digest}")
    await world.slack.submit(world.sam, modal_of(world, world.sam))
    assert (await stored(world, hold)).state is State.APPROVED


async def test_a_text_that_was_edited_meanwhile_starts_from_its_first_page(world: World) -> None:
    hold = await long_hold(world)
    await world.slack.click(world.sam, await world.card(hold), names.VIEW)
    modal = modal_of(world, world.sam)
    await world.slack.click_in_view(world.sam, modal, NEXT)
    assert "page 2 of" in modal.seen.text
    modal.content = {**modal.content, "private_metadata": f"{hold.id} {'0' * 64} 2"}
    await world.slack.click_in_view(world.sam, modal, NEXT)
    assert "page 1 of" in modal.seen.text
