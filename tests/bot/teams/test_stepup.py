"""Approvals in Teams that have to be confirmed: kept, the link for who clicked alone, and everybody sees that it is confirmed."""

from __future__ import annotations

from typing import Any

import pytest

from bot import teams as names
from bot.accounts import UnknownPerson
from bot.confirmation import Confirmations
from bot.grants import Grants
from holdpoint.model import Factor, GrantLimits, GrantScope, Reviewer, ReviewTerms, Risk, Role, State
from holdpoint.store.bundles import BundleKind, Covered
from tests.bot.teams.hands import call, press, stored, value_of
from tests.bot.teams.world import World
from tests.support.waiting import wait_until

STEP_UP = ReviewTerms(step_up_ms=300_000, grant=GrantLimits(10, 3_600_000, frozenset(GrantScope)))
BASE = "https://holdpoint.test/confirm/"
NOT_YET = "Your approval does not count yet: confirm that it is you."
SAM = Reviewer("sam@example.com", frozenset(), frozenset({Role.REVIEWER}), "web", name="Sam")


def links(content: Any) -> list[str]:
    """The links to confirm that stand anywhere in a card."""
    if isinstance(content, dict):
        own = [content["url"]] if str(content.get("url", "")).startswith(BASE) else []
        return own + [found for each in content.values() for found in links(each)]
    return [found for each in content for found in links(each)] if isinstance(content, list) else []


async def confirm(world: World, link: str) -> list[str]:
    """What the page does with a passkey, at the bot that was started last."""
    decider = world.commands[-1].office.decider
    grants = Grants(world.store, world.live, decider, clock=world.clock)
    page = Confirmations(world.store, decider, grants, verifiers={"teams": world.app.verify})
    step_up = await page.opened(link.removeprefix(BASE), SAM)
    reviewer = await page.reviewer_of(step_up, SAM)
    return [each.why for each in await page.confirm(step_up, reviewer, factor=Factor.PASSKEY)]


async def test_a_click_is_kept_and_counts_once_it_is_confirmed(world: World) -> None:
    hold = await world.hold(terms=STEP_UP)
    card, other = await world.card(hold), await world.card(hold, "second")
    seen = await world.user("sam").click(card, names.APPROVE)
    assert seen.kind == "card"
    assert NOT_YET in seen.seen
    assert names.REJECT in seen.verbs  # their card is still there, below
    (link,) = links(seen.value)
    assert (await stored(world, hold)).decisions == ()
    for copy in (card, other):
        shown = await world.shows(copy, "is confirming their approval")
        assert links(shown.card) == []
    assert await confirm(world, link) == [""]
    after = await stored(world, hold)
    assert (after.state, after.decisions[0].channel, after.decisions[0].factor) == (
        State.APPROVED,
        "teams",
        Factor.PASSKEY,
    )
    await world.shows(card, "pproved by Sam")


async def test_the_same_click_again_gets_the_same_link(world: World) -> None:
    hold = await world.hold(terms=STEP_UP)
    card = await world.card(hold)
    found = {
        link for _ in range(2) for link in links((await press(world, "sam", card, names.APPROVE, value_of(hold))).value)
    }
    assert len(found) == 1


async def test_a_rejection_counts_at_once(world: World) -> None:
    hold = await world.hold(terms=STEP_UP)
    card = await world.card(hold)
    await world.user("sam").click(card, names.REJECT, {"reason.reject": "No."})
    assert (await stored(world, hold)).state is State.REJECTED


@pytest.mark.parametrize(
    ("verb", "inputs"),
    [
        (names.EDIT, {"part-0": "a harmless question", "reason": "softer"}),
        (names.GRANT, {"scope": "requester", "uses": "2", "age": "60000", "reason": "today"}),
    ],
    ids=["an edit", "a grant"],
)
async def test_a_dialog_leads_on(world: World, verb: str, inputs: dict[str, str]) -> None:
    hold = await world.hold(terms=STEP_UP)
    card = await world.card(hold)
    seen = await call(world, "sam", card, "task/submit", verb, value_of(hold, "whole"), **inputs)
    assert seen.kind == "dialog"
    (link,) = links(seen.value["card"])
    assert (await stored(world, hold)).decisions == ()
    assert await confirm(world, link) == [""]
    after = await stored(world, hold)
    assert (after.state, after.decisions[0].reason) == (State.APPROVED, inputs["reason"])
    if verb == names.EDIT:
        assert after.query.parts[0].text == "a harmless question"
    else:
        assert [use.grant.uses for use in await world.store.grants.all()] == [2]


async def test_a_bulk_card_needs_one_confirmation_for_all(world: World) -> None:
    holds = [await world.hold(f"password {number}", terms=STEP_UP, risk=Risk.MEDIUM) for number in range(3)]
    message = await world.card(holds[0], "second")
    bundle = await world.store.bundles.make(BundleKind.DIGEST, "elsewhere:C0", hold=holds[0].id, seen=None)
    value = f"{bundle} {'ab' * 32}"
    await world.store.bundles.offer(
        value, [Covered(each.id, each.digest) for each in holds], until_ms=holds[0].deadline_ms
    )
    seen = await press(world, "sam", message, names.BULK_APPROVE, value)
    assert "3 count once you have confirmed that it is you." in str(seen.value)
    (link,) = links(seen.value)
    assert await confirm(world, link) == ["", "", ""]
    assert {(await stored(world, hold)).state for hold in holds} == {State.APPROVED}


async def test_another_bot_finds_the_person_by_itself(world: World) -> None:
    hold = await world.hold(terms=STEP_UP)
    (link,) = links((await world.user("sam").click(await world.card(hold), names.APPROVE)).value)
    await world.start_app()  # which nobody has clicked at
    assert await confirm(world, link) == [""]
    assert (await stored(world, hold)).state is State.APPROVED


async def test_who_has_left_confirms_nothing(world: World) -> None:
    hold = await world.hold(terms=STEP_UP)
    card = await world.card(hold)
    (link,) = links((await world.user("sam").click(card, names.APPROVE)).value)
    await world.shows(card, "confirming")
    await world.teams.leave("security", "sam", tell=False)
    with pytest.raises(UnknownPerson):
        await confirm(world, link)
    assert (await stored(world, hold)).decisions == ()


async def test_a_typed_approval_is_kept_and_answered_in_private(world: World) -> None:
    hold = await world.hold(terms=STEP_UP)
    await world.card(hold)
    await world.user("sam").say(f"approve {hold.id}")

    async def answered() -> str:
        found = [link for each in await world.teams.cards(world.user("sam").chat) for link in links(each.card)]
        return found[0] if found else ""

    link: str = await wait_until(answered, "sam has the link", every=0.02)
    assert await confirm(world, link) == [""]
