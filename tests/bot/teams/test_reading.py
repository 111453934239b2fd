"""A text of high risk that the card cuts counts as seen once somebody has paged to its end; masks, revealed to one."""

from __future__ import annotations

import pytest

from bot import teams as names
from holdpoint.model import EventKind, GrantLimits, GrantScope, Hold, ReviewTerms, Risk, State
from tests.bot.teams.hands import call, dialog, press, stored, value_of
from tests.bot.teams.world import World
from tests.fakes.teams.seen import Seen
from tests.support.builders import make_decision

LONG = "\n".join(f"line {number} about the password, {'x' * 60}" for number in range(400))
MASKED = "\n".join(f"line {number} with tkt-{number} and the password {'x' * 60}" for number in range(300))
NEXT = "Next page"
TERMS = ReviewTerms(grant=GrantLimits(10, 3_600_000, frozenset(GrantScope)))


async def events(world: World, kind: EventKind) -> list[str]:
    found = await world.store.outbox.follow("events", after="0-0", block_ms=1)
    return [event.data["by"] for event in found if event.kind is kind]


async def read_events(world: World) -> list[str]:
    return await events(world, EventKind.CARD_READ)


async def read_to_the_end(world: World, key: str) -> list[str]:
    """Turn pages until there is no next one; what they said."""
    pages = [(await dialog(world, key)).seen]
    while NEXT in (await dialog(world, key)).titles:
        assert await read_events(world) == []
        await world.user(key).submit(NEXT)
        pages.append((await dialog(world, key)).seen)
    return pages


async def read(world: World, key: str, card: Seen) -> None:
    await world.user(key).click(card, names.VIEW)
    await read_to_the_end(world, key)
    await world.user(key).close_dialog()


@pytest.mark.promise(2)
async def test_approve_needs_the_whole_text_and_says_where_it_is(world: World) -> None:
    hold = await world.hold(LONG)
    card = await world.card(hold)
    seen = await world.user("sam").click(card, names.APPROVE)
    assert seen.kind == "card"
    assert "to its last page" in seen.texts[0]
    assert {names.VIEW, names.APPROVE} <= set(seen.verbs)
    assert (await stored(world, hold)).state is State.PENDING
    await world.user("sam").click(card, names.VIEW)
    pages = await read_to_the_end(world, "sam")
    assert len(pages) > 2
    assert "line 0 " in pages[0]
    assert "line 399 " in pages[-1]
    assert await read_events(world) == ["sam@example.com"]
    await press(world, "kim", card, names.APPROVE, value_of(hold))  # somebody else's reading does not help
    assert (await stored(world, hold)).state is State.PENDING
    await world.user("sam").close_dialog()
    assert "pproved by Sam" in (await world.user("sam").click(card, names.APPROVE)).seen
    assert (await stored(world, hold)).decisions[0].by == "sam@example.com"


async def test_reading_twice_is_recorded_once(world: World) -> None:
    hold = await world.hold(LONG)
    card = await world.card(hold)
    await read(world, "sam", card)
    await world.teams.set(copies=2)
    opened = await world.user("sam").click(card, names.VIEW)
    while NEXT in opened.titles:
        opened = await world.user("sam").submit(NEXT)
    await world.teams.set(copies=1)
    assert await read_events(world) == ["sam@example.com"]


async def test_no_button_leads_past_pages_that_were_not_shown(world: World) -> None:
    hold = await world.hold(LONG)
    await world.user("sam").click(await world.card(hold), names.VIEW)
    seen = await world.user("sam").submit(NEXT, forged={"hold": value_of(hold, "999")})
    assert "page 2 of" in seen.seen
    assert await read_events(world) == []


async def test_a_forged_place_in_the_dialog_is_no_place(world: World) -> None:
    hold = await world.hold(LONG)
    card = await world.card(hold)
    for here in (None, "", "x", 7, ["a"], {"a": 1}):
        seen = await call(world, "sam", card, "task/submit", names.VIEW, value_of(hold, "2"), here=here)
        assert (seen.kind, "no such hold" in seen.said) == ("message", True), seen.value
    seen = await call(world, "sam", card, "task/submit", names.VIEW, value_of(hold, "9"), here="no such 9")
    assert "page 1 of" in seen.seen
    for word, page in (("x", 1), ("-1", 1), ("", 1), ("0", 1), ("٣", 2), ("1e3", 1), ("9" * 50, 2)):
        seen = await call(world, "sam", card, "task/submit", names.VIEW, value_of(hold, word), here=value_of(hold, "1"))
        assert f"page {page} of" in seen.seen, word
    assert await read_events(world) == []


@pytest.mark.parametrize("risk", [Risk.LOW, Risk.MEDIUM])
async def test_lower_risk_needs_no_reading(world: World, risk: Risk) -> None:
    hold = await world.hold(LONG, risk=risk)
    await world.user("sam").click(await world.card(hold), names.APPROVE)
    assert (await stored(world, hold)).state is State.APPROVED


async def test_rejecting_needs_no_reading(world: World) -> None:
    hold = await world.hold(LONG)
    await world.user("sam").click(await world.card(hold), names.REJECT, {"reason.reject": "too long"})
    assert (await stored(world, hold)).state is State.REJECTED


@pytest.mark.promise(2)
async def test_a_word_of_the_client_is_no_way_around(world: World) -> None:
    """An edit of nothing would approve what was not shown; that the button says "whole" proves nothing."""
    hold = await world.hold(LONG)
    card = await world.card(hold)
    for verb, inputs in ((names.EDIT, {}), (names.EDIT, {"reason": "fine"}), (names.EDIT, {"part-00": LONG})):
        seen = await press(world, "sam", card, verb, value_of(hold, "whole"), **inputs)
        assert "Read all of it" in seen.said
        sent = await call(world, "sam", card, "task/submit", verb, value_of(hold, "whole"), **inputs)
        assert "Read all of it" in (sent.said or sent.seen)
    assert (await stored(world, hold)).rev == hold.rev


@pytest.mark.promise(2)
async def test_approve_similar_needs_the_whole_text_too(world: World) -> None:
    hold = await world.hold(LONG, terms=TERMS)
    card = await world.card(hold)
    given = {"scope": "requester", "uses": "1", "age": "60000"}
    opened = await world.user("sam").click(card, names.GRANT)
    assert "to its last page" in opened.seen
    assert NEXT in opened.titles
    sent = await call(world, "sam", card, "task/submit", names.GRANT, value_of(hold, "whole"), **given)
    assert (await stored(world, hold)).state is State.PENDING, sent.value
    await read_to_the_end(world, "sam")
    await world.user("sam").close_dialog()
    await world.user("sam").click(card, names.GRANT)
    await world.user("sam").submit("Approve")
    assert (await stored(world, hold)).state is State.APPROVED


async def test_a_text_that_was_edited_meanwhile_starts_from_its_first_page(world: World) -> None:
    hold = await world.hold(LONG)
    await world.user("sam").click(await world.card(hold), names.VIEW)
    await world.user("sam").submit(NEXT)
    seen = await world.user("sam").submit(NEXT, forged={"here": f"{hold.id} {'0' * 64} 2"})
    assert "page 1 of" in seen.seen


async def test_what_is_too_long_for_dialogs_is_read_in_the_inbox(world: World) -> None:
    hold = await world.hold("the password " * 20_000)
    card = await world.card(hold)
    said = (await world.user("sam").click(card, names.VIEW)).said
    assert f"https://holdpoint.test/review/{hold.id}" in said
    assert "review" in (await world.user("sam").click(card, names.APPROVE)).said
    assert (await stored(world, hold)).state is State.PENDING


async def test_an_old_client_is_told_where_to_read(world: World) -> None:
    hold = await world.hold(LONG)
    card = await world.card(hold)
    assert "inbox" in (await press(world, "sam", card, names.VIEW, value_of(hold))).said
    assert "inbox" in (await press(world, "sam", card, names.REVEAL, value_of(hold))).said
    assert await events(world, EventKind.CARD_REVEALED) == []


@pytest.mark.promise(8)
async def test_masked_everywhere_but_in_the_dialog_of_who_asked(world: World) -> None:
    hold = await world.hold("the password of tkt-47114711, please")
    card = await world.card(hold)
    opened = await world.user("sam").click(card, names.REVEAL)
    assert "the password of tkt-47114711, please" in opened.seen
    assert await events(world, EventKind.CARD_REVEALED) == ["sam@example.com"]
    for key in ("kim", "dana"):
        assert "47114711" not in (await world.user(key).refresh(card)).seen
    assert "47114711" not in (await world.teams.message(card)).seen + (await world.dm(hold)).seen
    assert "47114711" not in (await call(world, "sam", card, "task/fetch", names.VIEW, value_of(hold))).seen


async def test_every_page_is_unmasked_and_recorded(world: World) -> None:
    hold = await world.hold(MASKED)
    opened = await world.user("sam").click(await world.card(hold), names.REVEAL)
    seen, turns = opened.seen, 1
    while NEXT in opened.titles:
        opened = await world.user("sam").submit(NEXT)
        seen, turns = seen + opened.seen, turns + 1
    assert "tkt-299 " in seen
    assert len(await events(world, EventKind.CARD_REVEALED)) == turns > 1


async def test_a_page_of_a_hold_that_was_decided_meanwhile_is_not_unmasked(world: World) -> None:
    hold = await world.hold(MASKED)
    await world.user("sam").click(await world.card(hold), names.REVEAL)
    await world.store.holds.decide(hold, make_decision(hold, by="kim@example.com"), state=State.APPROVED, body=None)
    seen = await world.user("sam").submit(NEXT)
    assert "Already approved by kim@example.com" in seen.said


async def test_a_reveal_of_another_text_shows_nothing(world: World) -> None:
    hold: Hold = await world.hold("the password of tkt-47114711, please")
    card = await world.card(hold)
    seen = await call(world, "sam", card, "task/fetch", names.REVEAL, f"{hold.id} {'0' * 64}")
    assert "edited since" in seen.said
    assert await events(world, EventKind.CARD_REVEALED) == []
