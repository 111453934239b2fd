"""Approve similar: one approval, and a standing one beside it, as wide as the policy allows and no wider."""

from __future__ import annotations

import pytest

from bot import teams as names
from holdpoint.model import GrantLimits, GrantScope, Requester, Requirement, ReviewTerms, State
from holdpoint.standing import Grant
from tests.bot.teams.hands import call, dialog, press, stored, value_of
from tests.bot.teams.world import World
from tests.support.builders import make_decision

HOUR_MS = 3_600_000
TERMS = ReviewTerms(grant=GrantLimits(10, 4 * HOUR_MS, frozenset(GrantScope)))
ALONE = ReviewTerms(grant=GrantLimits(1, HOUR_MS, frozenset({GrantScope.REQUESTER})))


async def grants(world: World) -> list[Grant]:
    return [use.grant for use in await world.store.grants.all()]


async def test_the_dialog_offers_what_the_policy_allows(world: World) -> None:
    hold = await world.hold(terms=TERMS)
    opened = await world.user("sam").click(await world.card(hold), names.GRANT)
    offered = {name: [each["value"] for each in opened.inputs[name]["choices"]] for name in ("scope", "uses", "age")}
    assert offered == {
        "scope": ["requester", "group contractors"],
        "uses": ["1", "5", "10"],
        "age": [str(ms) for ms in (HOUR_MS // 4, HOUR_MS, 4 * HOUR_MS)],
    }


async def test_where_there_is_no_group_for_it_who_clicks_is_told_so(world: World) -> None:
    card = await world.card(await world.hold(terms=TERMS))
    only = ReviewTerms(grant=GrantLimits(1, HOUR_MS, frozenset({GrantScope.GROUP})))
    hold = await world.hold(terms=only, requester=Requester("eve@example.com", frozenset()))
    assert "for a group only" in (await call(world, "sam", card, "task/fetch", names.GRANT, value_of(hold))).said


async def test_a_grant_for_a_group_comes_with_the_approval_once(world: World) -> None:
    hold = await world.hold(terms=TERMS)
    card = await world.card(hold)
    sam = world.user("sam")
    await sam.click(card, names.GRANT)
    given = {"scope": "group contractors", "uses": "5", "age": str(HOUR_MS), "reason": "The migration of today"}
    await world.teams.set(copies=2)
    sent = await sam.submit("Approve", given)
    await world.teams.set(copies=1)
    assert sent.kind == "closed"
    after = await stored(world, hold)
    assert (after.state, len(after.decisions)) == (State.APPROVED, 1)
    (grant,) = await grants(world)
    assert (grant.by, grant.scope, grant.subject, grant.uses) == ("sam@example.com", GrantScope.GROUP, "contractors", 5)
    assert (grant.expires_ms - grant.created_ms, grant.reason) == (HOUR_MS, "The migration of today")
    await world.shows(card, "pproved by Sam")


async def test_without_a_choice_it_is_as_narrow_as_can_be(world: World) -> None:
    hold = await world.hold(terms=TERMS)
    await world.user("sam").click(await world.card(hold), names.GRANT)
    await world.user("sam").submit("Approve")
    (grant,) = await grants(world)
    assert (grant.scope, grant.subject, grant.uses) == (GrantScope.REQUESTER, "dana@example.com", 1)


async def test_a_policy_without_grants_refuses_a_forged_button(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    assert names.GRANT not in card.verbs
    assert "no standing approval" in (await call(world, "sam", card, "task/fetch", names.GRANT, value_of(hold))).said
    given = {"scope": "requester", "uses": "1", "age": "60000"}
    assert "no standing approval" in (await press(world, "sam", card, names.GRANT, value_of(hold), **given)).said
    assert (await stored(world, hold)).rev == hold.rev


@pytest.mark.promise(5)
async def test_a_forged_choice_beyond_the_limits_comes_back_with_what_is_wrong(world: World) -> None:
    hold = await world.hold(terms=ALONE)
    card = await world.card(hold)
    right = {"scope": "requester", "uses": "1", "age": str(HOUR_MS), "reason": "A reason that is kept"}
    for name, value in (
        ("uses", "2"), ("uses", "0"), ("uses", "-1"), ("uses", "x"), ("age", str(HOUR_MS + 1)), ("age", "9" * 99),
        ("scope", "group contractors"), ("scope", "group"), ("scope", "everybody"),
    ):  # fmt: skip
        sent = await call(world, "sam", card, "task/submit", names.GRANT, value_of(hold), **{**right, name: value})
        assert sent.kind == "dialog", (name, value, sent.value)
        assert sent.inputs["reason"]["value"] == "A reason that is kept"
        assert "equester  " not in sent.texts[0]  # what is wrong stands on top
    assert (await stored(world, hold)).rev == hold.rev
    assert await grants(world) == []


async def test_one_of_two_approvals_is_no_model_for_others(world: World) -> None:
    hold = await world.hold(terms=TERMS, requirements=(Requirement("security", 2),))
    card = await world.card(hold)
    given = {"scope": "requester", "uses": "1", "age": "60000"}
    sent = await call(world, "sam", card, "task/submit", names.GRANT, value_of(hold), **given)
    assert "no standing approval" in (sent.said or sent.seen)
    assert (await stored(world, hold)).rev == hold.rev


async def test_a_grant_from_a_decided_hold_says_who_won(world: World) -> None:
    hold = await world.hold(terms=TERMS)
    card = await world.card(hold)
    await world.user("sam").click(card, names.GRANT)
    assert "Approve" in (await dialog(world, "sam")).titles
    await world.store.holds.decide(hold, make_decision(hold, by="kim@example.com"), state=State.APPROVED, body=None)
    sent = await world.user("sam").submit("Approve")
    assert "Already approved by kim" in sent.said
    assert await grants(world) == []
