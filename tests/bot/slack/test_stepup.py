"""Approvals in Slack that have to be confirmed: the click is kept, its person alone gets the link, everybody sees that it is confirmed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot import slack as names
from bot.accounts import UnknownPerson
from bot.confirmation import Confirmations
from bot.grants import Grants
from holdpoint.model import (
    Factor,
    GrantLimits,
    GrantScope,
    Hold,
    PartRole,
    Reviewer,
    ReviewTerms,
    Risk,
    Role,
    State,
)
from holdpoint.store.bundles import BundleKind, Covered
from holdpoint.store.stepups import StepUp
from tests.bot.slack.conftest import MakeWorld, World
from tests.bot.slack.hands import modal_of, press, stored
from tests.fakes.slack import User
from tests.support.waiting import wait_until

STEP_UP = ReviewTerms(step_up_ms=300_000, grant=GrantLimits(10, 3_600_000, frozenset(GrantScope)))
BASE = "https://holdpoint.test/confirm/"
NOT_YET = "Your approval does not count yet: confirm that it is you."
SAM = Reviewer("sam@example.com", frozenset(), frozenset({Role.REVIEWER}), "web", name="Sam")


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("http")


def links(content: Any) -> list[str]:
    """The links to confirm that stand anywhere in blocks or in a view."""
    if isinstance(content, dict):
        own = [content["url"]] if str(content.get("url", "")).startswith(BASE) else []
        return own + [found for each in content.values() for found in links(each)]
    return [found for each in content for found in links(each)] if isinstance(content, list) else []


def sent_to(world: World, user: User) -> list[str]:
    """The links that only this person was shown, in the order in which they came."""
    return [link for each in world.slack.workspace.ephemerals if each.user == user.id for link in links(each.blocks)]


async def step_up_of(world: World, link: str) -> StepUp:
    return await world.store.stepups.get(link.removeprefix(BASE))


async def confirm(world: World, link: str, *, person: Reviewer = SAM) -> list[str]:
    """What the page does with a passkey; why what was not approved, empty for what was."""
    decider = world.app._desk.decider
    grants = Grants(world.store, world.live, decider, clock=world.clock)
    page = Confirmations(world.store, decider, grants, verifiers={"slack": world.app.verify})
    step_up = await page.opened(link.removeprefix(BASE), person)
    reviewer = await page.reviewer_of(step_up, person)
    return [each.why for each in await page.confirm(step_up, reviewer, factor=Factor.PASSKEY)]


async def test_a_click_is_kept_and_counts_once_it_is_confirmed(world: World) -> None:
    hold = await world.hold(terms=STEP_UP)
    card = await world.card(hold)
    assert (await world.slack.click(world.sam, card, names.APPROVE)).acked
    assert any(NOT_YET in text for text in world.slack.told(world.sam))
    assert (await stored(world, hold)).decisions == ()
    for channel in (world.security, world.second):
        await world.shows(await world.card(hold, channel), "sam is confirming their approval")
    (link,) = sent_to(world, world.sam)
    assert links([card.blocks for card in world.slack.workspace.messages(world.security.id)]) == []
    assert [sent_to(world, each) for each in (world.dana, world.kim, world.lee)] == [[], [], []]
    assert await confirm(world, link) == [""]
    after = await stored(world, hold)
    assert (after.state, after.decisions[0].channel, after.decisions[0].factor) == (
        State.APPROVED,
        "slack",
        Factor.PASSKEY,
    )
    await world.shows(card, "Approved by sam")
    await wait_until(lambda: "confirming" not in card.seen.text, "nobody confirms any more")


async def test_the_same_click_again_gets_the_same_link(world: World) -> None:
    hold = await world.hold(terms=STEP_UP)
    card = await world.card(hold)
    assert (await world.slack.click(world.sam, card, names.APPROVE, copies=2)).acked
    assert (await world.slack.click(world.sam, card, names.APPROVE)).acked
    assert len(set(sent_to(world, world.sam))) == 1


async def test_a_rejection_counts_at_once(world: World) -> None:
    hold = await world.hold(terms=STEP_UP)
    card = await world.card(hold)
    await world.slack.click(world.sam, card, names.REJECT)
    assert (await world.slack.submit(world.sam, modal_of(world, world.sam), {"reason": "No."})).acked
    assert (await stored(world, hold)).state is State.REJECTED


@pytest.mark.parametrize("button", [names.EDIT, names.GRANT])
async def test_what_was_filled_in_is_kept_and_the_modal_leads_on(world: World, button: str) -> None:
    hold = await world.hold(terms=STEP_UP)
    card = await world.card(hold)
    await press(world, world.sam, card, button, value=f"{hold.id} {hold.digest}")
    given = (
        {"part-0": "a harmless question", "reason": "softer"}
        if button == names.EDIT
        else {"scope": "group contractors", "uses": "5", "age": "3600000", "reason": "today"}
    )
    assert (await world.slack.submit(world.sam, modal_of(world, world.sam), given)).acked
    view = modal_of(world, world.sam)
    assert NOT_YET in str(view.content)
    (link,) = links(view.content)
    intent = (await step_up_of(world, link)).intent
    assert intent.reason in ("softer", "today")
    assert await confirm(world, link) == [""]
    after = await stored(world, hold)
    assert after.state is State.APPROVED
    assert after.decisions[0].factor is Factor.PASSKEY
    if button == names.EDIT:
        assert after.query.parts[0].text == "a harmless question"
        assert after.query.parts[0].role is PartRole.USER
    else:
        (use,) = await world.store.grants.all()
        assert (use.grant.subject, use.grant.uses, use.grant.by) == ("contractors", 5, "sam@example.com")


async def test_from_app_home_the_link_is_in_a_modal(world: World) -> None:
    hold = await world.hold(terms=STEP_UP)
    await world.card(hold)
    home = await world.slack.open_home(world.sam)
    assert hold.id in str(home.content)
    await world.slack.click_in_view(world.sam, home, names.APPROVE)
    assert len(links(modal_of(world, world.sam).content)) == 1


async def test_a_bulk_card_needs_one_confirmation_for_all(world: World) -> None:
    holds = [await world.hold(f"password {number}", terms=STEP_UP, risk=Risk.MEDIUM) for number in range(3)]
    plain = await world.hold("password 3", risk=Risk.MEDIUM)
    message = await world.card(holds[0])
    bundle = await world.store.bundles.make(BundleKind.DIGEST, "elsewhere:C0", hold=holds[0].id, seen=None)
    value = f"{bundle} {'ab' * 32}"
    covered = [Covered(hold.id, hold.digest) for hold in (*holds, plain)]
    await world.store.bundles.offer(value, covered, until_ms=plain.deadline_ms)
    assert (await press(world, world.sam, message, names.BULK_APPROVE, value=value)).acked
    assert any(
        "1 approved, 3 count once you have confirmed that it is you." in text for text in world.slack.told(world.sam)
    )
    (link,) = sent_to(world, world.sam)
    assert [each.hold for each in (await step_up_of(world, link)).intent.covered] == [hold.id for hold in holds]
    assert await confirm(world, link) == ["", "", ""]
    assert {(await stored(world, hold)).state for hold in (*holds, plain)} == {State.APPROVED}


async def test_a_typed_approval_is_kept_too(world: World) -> None:
    hold = await world.hold(terms=STEP_UP)
    await world.card(hold)
    await world.slack.command(world.sam, world.security, f"approve {hold.id}")
    assert NOT_YET in world.slack.told(world.sam)[-1]
    (link,) = sent_to(world, world.sam)
    assert await confirm(world, link) == [""]
    assert (await stored(world, hold)).decisions[0].factor is Factor.PASSKEY


def _deactivate(world: World) -> None:
    world.sam.deleted = True


def _move(world: World) -> None:
    world.sam.email = "somebody-else@example.com"


@pytest.mark.parametrize(("change", "why"), [(_deactivate, "deactivated"), (_move, "not yours any more")])
async def test_slack_is_asked_again_when_it_is_confirmed(world: World, change: Any, why: str) -> None:
    hold: Hold = await world.hold(terms=STEP_UP)
    await world.slack.click(world.sam, await world.card(hold), names.APPROVE)
    (link,) = sent_to(world, world.sam)
    change(world)
    with pytest.raises(UnknownPerson, match=why):
        await confirm(world, link)
    assert (await stored(world, hold)).decisions == ()


async def test_groups_are_those_of_the_moment(world: World) -> None:
    hold = await world.hold(terms=STEP_UP)
    await world.slack.click(world.sam, await world.card(hold), names.APPROVE)
    (link,) = sent_to(world, world.sam)
    head = await world.store.config.policy()
    assert head is not None
    await world.store.config.push_policy(head.text.replace("sam@example.com, ", ""), expect=head.version, by="ada")
    await world.live.catch_up()
    (why,) = await confirm(world, link)
    assert "Only security" in why
    assert (await stored(world, hold)).decisions == ()
    with pytest.raises(Exception, match="somebody else"):
        await confirm(world, link, person=replace(SAM, principal="kim@example.com"))
