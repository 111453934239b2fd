"""Approve similar: one approval, and a standing one beside it, as wide as the policy allows and no wider."""

from __future__ import annotations

import pytest

from bot import slack as names
from holdpoint.model import GrantLimits, GrantScope, Hold, Requester, Requirement, ReviewTerms, State
from holdpoint.standing import Grant
from tests.bot.slack.conftest import World
from tests.bot.slack.hands import modal_of, press, stored

HOUR_MS = 3_600_000
TERMS = ReviewTerms(grant=GrantLimits(10, 4 * HOUR_MS, frozenset(GrantScope)))
ALONE = ReviewTerms(grant=GrantLimits(1, HOUR_MS, frozenset({GrantScope.REQUESTER})))


async def open_grant(world: World, hold: Hold) -> None:
    card = await world.card(hold)
    assert (await press(world, world.sam, card, names.GRANT, value=f"{hold.id} {hold.digest}")).acked


async def grants(world: World) -> list[Grant]:
    return [use.grant for use in await world.store.grants.all()]


async def test_the_modal_offers_what_the_policy_allows(world: World) -> None:
    hold = await world.hold(terms=TERMS)
    await open_grant(world, hold)
    blocks = {block.get("block_id"): block for block in modal_of(world, world.sam).content["blocks"]}
    offered = {
        name: [option["value"] for option in blocks[name]["element"]["options"]] for name in ("scope", "uses", "age")
    }
    assert offered == {
        "scope": ["requester", "group contractors"],
        "uses": ["1", "5", "10"],
        "age": [str(ms) for ms in (HOUR_MS // 4, HOUR_MS, 4 * HOUR_MS)],
    }


async def test_a_group_with_a_name_that_is_too_long_for_a_menu_is_not_offered(world: World) -> None:
    path = f"CN=contractors,OU={'x' * 150},DC=example,DC=com"
    hold = await world.hold(terms=TERMS, requester=Requester("dana@example.com", frozenset({"contractors", path})))
    await open_grant(world, hold)
    blocks = {block.get("block_id"): block for block in modal_of(world, world.sam).content["blocks"]}
    offered = [option["value"] for option in blocks["scope"]["element"]["options"]]
    assert offered == ["requester", "group contractors"]


async def test_where_there_is_no_group_for_it_who_clicks_is_told_so(world: World) -> None:
    card = await world.card(await world.hold(terms=TERMS))
    only = ReviewTerms(grant=GrantLimits(1, HOUR_MS, frozenset({GrantScope.GROUP})))
    hold = await world.hold(terms=only, requester=Requester("eve@example.com", frozenset()))
    assert (await press(world, world.sam, card, names.GRANT, value=f"{hold.id} {hold.digest}")).acked
    await world.told(world.sam, "for a group only")


async def test_a_grant_for_a_group_comes_with_the_approval(world: World) -> None:
    hold = await world.hold(terms=TERMS)
    card = await world.card(hold)
    assert (await world.slack.click(world.sam, card, names.GRANT)).acked
    given = {"scope": "group contractors", "uses": "5", "age": str(HOUR_MS), "reason": "The migration of today"}
    assert (await world.slack.submit(world.sam, modal_of(world, world.sam), given, copies=2)).acked
    after = await stored(world, hold)
    assert after.state is State.APPROVED
    assert len(after.decisions) == 1
    (grant,) = await grants(world)
    assert (grant.by, grant.scope, grant.subject, grant.uses) == ("sam@example.com", GrantScope.GROUP, "contractors", 5)
    assert (grant.expires_ms - grant.created_ms, grant.reason) == (HOUR_MS, "The migration of today")
    await world.shows(card, "Approved by sam")


async def test_without_a_choice_it_is_as_narrow_as_can_be(world: World) -> None:
    hold = await world.hold(terms=TERMS)
    await open_grant(world, hold)
    await world.slack.submit(world.sam, modal_of(world, world.sam))
    (grant,) = await grants(world)
    assert (grant.scope, grant.subject, grant.uses) == (GrantScope.REQUESTER, "dana@example.com", 1)


async def test_a_policy_without_grants_refuses_a_forged_button(world: World) -> None:
    hold = await world.hold()
    assert names.GRANT not in (await world.card(hold)).buttons
    await open_grant(world, hold)
    await world.told(world.sam, "no standing approval")
    assert world.slack.workspace.modals(world.sam) == []


@pytest.mark.promise(5)
async def test_who_may_not_decide_may_not_grant(world: World) -> None:
    hold = await world.hold(terms=TERMS)
    card = await world.card(hold)
    for user, words in ((world.ola, "security"), (world.dana, "own request")):
        await world.slack.click(user, card, names.GRANT)
        await world.told(user, words)
        assert world.slack.workspace.modals(user) == []


@pytest.mark.promise(5)
async def test_a_forged_choice_beyond_the_limits_changes_nothing(world: World) -> None:
    hold = await world.hold(terms=ALONE)
    await open_grant(world, hold)
    modal = modal_of(world, world.sam)
    for block, value in (
        ("uses", "2"), ("uses", "0"), ("uses", "-1"), ("uses", "x"), ("age", str(HOUR_MS + 1)), ("age", "9" * 99),
        ("scope", "group contractors"), ("scope", "group"), ("scope", "everybody"),
    ):  # fmt: skip
        element = next(b for b in modal.content["blocks"] if b.get("block_id") == block)["element"]
        known, element["options"] = element["options"], [{"text": element["options"][0]["text"], "value": value}]
        await world.slack.submit(world.sam, modal, {block: value})
        assert modal.errors, (block, value)
        element["options"], modal.errors = known, {}
    assert (await stored(world, hold)).rev == hold.rev
    assert await grants(world) == []


async def test_one_of_two_approvals_is_no_model_for_others(world: World) -> None:
    hold = await world.hold(terms=TERMS, requirements=(Requirement("security", 2),))
    await open_grant(world, hold)
    await world.told(world.sam, "no standing approval")


async def test_a_grant_from_a_decided_hold_says_who_won(world: World) -> None:
    hold = await world.hold(terms=TERMS)
    card = await world.card(hold)
    await world.slack.click(world.sam, card, names.GRANT)
    await world.slack.click(world.kim, card, names.APPROVE)
    modal = modal_of(world, world.sam)
    await world.slack.submit(world.sam, modal)
    assert "Already approved by kim" in str(modal.errors)
    assert await grants(world) == []
