"""Approve similar, and end it: who may, within what, and that approval and grant never come apart."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bot.decide import Decider
from bot.grants import Grants
from bot.timer import Timer
from holdpoint.clock import now_ms
from holdpoint.errors import BadEdit, DecisionError, MayNotDecide, NotFound, StoreUnavailable, TooLate, WrongDigest
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import (
    DecisionKind,
    Edit,
    EventKind,
    GrantLimits,
    GrantScope,
    Hold,
    PartRole,
    Requester,
    Requirement,
    ReviewTerms,
    State,
)
from holdpoint.standing import Grant
from holdpoint.store import Store
from tests.bot.world import POLICY, World, conversation
from tests.conftest import MovingClock
from tests.support.builders import DANA
from tests.support.redis_server import RedisServer

SAM, KIM, LENA, ADA, EVE, ROBOT = (
    *(f"{name}@example.com" for name in ("sam", "kim", "lena", "ada", "eve")),
    "robot",
)
REQUESTER, GROUP = GrantScope.REQUESTER, GrantScope.GROUP
HOUR = 3_600_000
LIMITS = GrantLimits(20, 8 * HOUR, frozenset({REQUESTER, GROUP}))
SECURITY = "    reviewers: [{group: security, approvals: 1}]\n"
TERMS = "    grants: {uses: 20, for: 8h, to: [requester, group]}\n"
GRANTABLE = POLICY.replace(SECURITY, SECURITY + TERMS)


@pytest.fixture
async def world(world: World) -> World:
    """The usual world, with a policy that allows grants by the rule ``secrets``."""
    await push(world, GRANTABLE)
    return world


async def push(world: World, text: str) -> None:
    head = await world.store.config.policy()
    assert head is not None
    await world.store.config.push_policy(text, expect=head.version, by="test")
    await world.live.look()


def grants_of(world: World) -> Grants:
    return Grants(world.store, world.live, world.decider, clock=world.clock)


async def held(world: World, *, requester: Requester = DANA, **changes: Any) -> Hold:
    """A hold whose rule allows grants, unless ``changes`` to the evaluation say otherwise."""
    changes = {"terms": ReviewTerms(grant=LIMITS), **changes}
    return await world.hold_draft(conversation((PartRole.USER, "the password"), requester=requester, **changes))


async def approve(world: World, hold: Hold, by: str = SAM, **changes: Any) -> tuple[Hold, Grant]:
    asked = {"digest": hold.digest, "scope": REQUESTER, "uses": 10, "age_ms": HOUR, **changes}
    return await grants_of(world).approve_similar(hold.id, await world.who(by), **asked)


async def nothing_happened(world: World, hold: Hold) -> None:
    assert await world.store.holds.get(hold.id) == hold
    assert await world.store.grants.all() == []


@pytest.mark.promise(4)
async def test_one_click_approves_and_grants(world: World, clock: MovingClock) -> None:
    hold = await held(world)
    approved, grant = await approve(world, hold, reason="the same question all day")
    assert (approved.state, approved.decisions[0].by) == (State.APPROVED, SAM)
    assert grant == Grant(
        id=grant.id, by=SAM, name="Sam", scope=REQUESTER, subject="dana@example.com", connection="demo",
        rules=("secrets",), uses=10, created_ms=clock(), expires_ms=clock() + HOUR, hold=hold.id,
        reason="the same question all day",
    )  # fmt: skip
    assert [each.grant for each in await world.store.grants.all()] == [grant]
    kinds = [event.kind for event in await world.store.outbox.follow("events", after="0", block_ms=1)]
    assert kinds[-2:] == [EventKind.HOLD_APPROVED, EventKind.GRANT_MADE]


async def test_for_a_group_of_the_requester(world: World) -> None:
    hold = await held(world, requester=Requester("dana@example.com", frozenset({"staff"})))
    assert grants_of(world).groups_of(hold) == ("contractors", "staff")
    for wrong in ("", "security", "dana@example.com"):
        with pytest.raises(MayNotDecide, match="one of the requester's groups"):
            await approve(world, hold, scope=GROUP, subject=wrong)
    await nothing_happened(world, hold)
    _, grant = await approve(world, hold, scope=GROUP, subject="contractors")
    assert (grant.scope, grant.subject, grant.owner) == (GROUP, "contractors", "")


async def test_for_an_agent_of_one_owner(world: World) -> None:
    hold = await held(world, requester=Requester("helper", frozenset(), owner=EVE))
    _, grant = await approve(world, hold)
    assert (grant.subject, grant.owner) == ("helper", EVE)


REFUSED: list[tuple[str, str, dict[str, Any], dict[str, Any], str]] = [
    ("nobody of the group", LENA, {}, {}, "Only security may decide"),
    ("an admin outside the group", ADA, {}, {}, "Only security may decide"),
    ("an agent's key", ROBOT, {}, {}, "An agent's key may not decide"),
    ("one's own request", SAM, {"requester": Requester(SAM, frozenset())}, {}, "your own request"),
    ("one's own agent's", SAM, {"requester": Requester("x", frozenset(), owner=SAM)}, {}, "an agent of yours"),
    ("more uses than allowed", SAM, {}, {"uses": 21}, "allows 1 to 20 uses"),
    ("no uses", SAM, {}, {"uses": 0}, "allows 1 to 20 uses"),
    ("negative uses", SAM, {}, {"uses": -1}, "allows 1 to 20 uses"),
    ("longer than allowed", SAM, {}, {"age_ms": 8 * HOUR + 1}, "at most 8 h"),
    ("no time", SAM, {}, {"age_ms": 0}, "at most 8 h"),
    ("another requester", SAM, {}, {"subject": EVE}, "the one of this request"),
    ("a rule without grants", SAM, {"terms": ReviewTerms()}, {}, "allows no standing approval"),
    ("a scope that is not allowed", SAM, {"terms": ReviewTerms(grant=GrantLimits(9, HOUR, frozenset({REQUESTER})))},
     {"scope": GROUP, "subject": "contractors"}, "for a group here"),
    ("narrower when it was held", SAM, {"terms": ReviewTerms(grant=GrantLimits(9, HOUR, frozenset({REQUESTER})))},
     {"uses": 10}, "allows 1 to 9 uses"),
    ("a quorum", SAM, {"requirements": (Requirement("security", 2),)}, {}, "allows no standing approval"),
    ("two groups", SAM, {"requirements": (Requirement("security", 1), Requirement("legal", 1))}, {},
     "allows no standing approval"),
]  # fmt: skip


@pytest.mark.promise(5)
@pytest.mark.parametrize(("by", "draft", "asked", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_what_may_not_be_granted_changes_nothing(
    by: str, draft: dict[str, Any], asked: dict[str, Any], why: str, world: World
) -> None:
    hold = await held(world, **draft)
    with pytest.raises(MayNotDecide, match=why):
        await approve(world, hold, by, **asked)
    await nothing_happened(world, hold)


async def test_what_could_not_be_inspected_makes_no_grant(world: World) -> None:
    draft = conversation((PartRole.USER, "the password"), terms=ReviewTerms(grant=LIMITS))
    hold = await world.hold_draft(replace(draft, query=replace(draft.query, uninspectable=("an image",))))
    with pytest.raises(MayNotDecide, match="allows no standing approval"):
        await approve(world, hold)
    await nothing_happened(world, hold)


NOW_STRICTER: list[tuple[str, str, str]] = [
    (POLICY, "allows no standing approval", "no grants any more"),
    (GRANTABLE.replace("uses: 20", "uses: 9"), "allows 1 to 9 uses", "fewer uses"),
    (GRANTABLE.replace("for: 8h", "for: 1m"), "at most 1 min", "a shorter time"),
    (GRANTABLE.replace("to: [requester, group]", "to: [group]"), "for a requester here", "another scope"),
    (GRANTABLE.replace("approvals: 1}]\n    grants", "approvals: 2}]\n    grants"), "allows no standing", "a quorum"),
    (GRANTABLE.replace("(?i)\\bpassword\\b", "passphrase"), "allows no standing", "it would pass anyway"),
    (GRANTABLE.replace("BEGIN PRIVATE KEY", "password"), "allows no standing", "it is blocked"),
]


@pytest.mark.parametrize(("text", "why"), [row[:2] for row in NOW_STRICTER], ids=[row[2] for row in NOW_STRICTER])
async def test_the_policy_in_force_counts_as_well(text: str, why: str, world: World) -> None:
    hold = await held(world)
    await push(world, text)
    with pytest.raises(MayNotDecide, match=why):
        await approve(world, hold)
    await nothing_happened(world, hold)


async def test_an_edited_request_is_no_model_for_others(world: World) -> None:
    hold = await held(world, terms=ReviewTerms(grant=LIMITS, confirm_edits=True))
    sam = await world.who(SAM)
    edits = [Edit("messages/0/content", "the password, please")]
    edited = await world.decider.decide(hold.id, sam, DecisionKind.APPROVE, digest=hold.digest, edits=edits)
    assert edited.state is State.PENDING
    with pytest.raises(MayNotDecide, match="it was edited"):
        await approve(world, edited, KIM)
    await nothing_happened(world, edited)


async def test_what_refuses_the_approval_refuses_the_grant(world: World, clock: MovingClock) -> None:
    hold = await held(world)
    with pytest.raises(WrongDigest):
        await approve(world, hold, digest="0" * 64)
    with pytest.raises(BadEdit, match="the reason is longer"):
        await approve(world, hold, reason="x" * 5_000)
    with pytest.raises(MayNotDecide, match="View full"):
        await approve(world, hold, seen_whole=False)
    await nothing_happened(world, hold)
    clock.forward(seconds=601)
    with pytest.raises(TooLate):
        await approve(world, hold)
    with pytest.raises(NotFound):
        await grants_of(world).approve_similar(
            "h0", await world.who(SAM), digest="", scope=REQUESTER, uses=1, age_ms=HOUR
        )
    await nothing_happened(world, hold)


@pytest.mark.parametrize("end", ["rejected", "cancelled", "approved by somebody else"])
async def test_after_the_fact_there_is_nothing_to_grant(end: str, world: World) -> None:
    hold = await held(world)
    if end == "cancelled":
        hold = await world.store.holds.cancel(hold, by="dana@example.com", reason="withdrawn")
    else:
        kind = DecisionKind.REJECT if end == "rejected" else DecisionKind.APPROVE
        hold = await world.decider.decide(hold.id, await world.who(KIM), kind, digest=hold.digest)
    with pytest.raises(TooLate):
        await approve(world, hold)
    await nothing_happened(world, hold)


@pytest.mark.promise(3)
async def test_a_repeat_makes_no_second_approval_and_no_second_grant(world: World, clock: MovingClock) -> None:
    hold = await held(world)
    answers = await asyncio.gather(*(approve(world, hold) for _ in range(8)))
    clock.forward(seconds=60)
    answers.append(await approve(world, hold, uses=20))  # it is the same grant, as it was made
    assert len({grant for _, grant in answers}) == 1
    assert len(await world.store.grants.all()) == 1
    assert len((await world.store.holds.get(hold.id)).decisions) == 1


@pytest.mark.promise(4)
async def test_a_crash_between_approval_and_grant_is_made_up_for(world: World, clock: MovingClock) -> None:
    hold = await held(world)
    sam = await world.who(SAM)
    await world.decider.decide(hold.id, sam, DecisionKind.APPROVE, digest=hold.digest)  # and here the process dies
    approved_ms = clock()
    clock.forward(seconds=60)
    again, grant = await approve(world, hold)
    assert (len(again.decisions), grant.created_ms, grant.expires_ms) == (1, approved_ms, approved_ms + HOUR)


async def test_what_would_be_over_is_not_made(world: World, clock: MovingClock) -> None:
    hold = await held(world)
    _, grant = await approve(world, hold)
    await world.store.grants.revoke(grant.id, by=SAM)
    clock.forward(seconds=3_600)
    with pytest.raises(MayNotDecide, match="would be over"):
        await approve(world, hold)
    assert [each.grant.revoked_by for each in await world.store.grants.all()] == [SAM]


@pytest.mark.promise(5)
async def test_who_has_left_the_group_cannot_grant_by_an_earlier_approval(world: World) -> None:
    hold = await held(world)
    sam = await world.who(SAM)
    await world.decider.decide(hold.id, sam, DecisionKind.APPROVE, digest=hold.digest)
    await push(world, GRANTABLE.replace("[sam@example.com, kim@example.com]", "[kim@example.com]"))
    with pytest.raises(MayNotDecide, match="Only security may decide"):
        await approve(world, hold)
    assert await world.store.grants.all() == []


@pytest.mark.promise(6)
async def test_a_lost_redis_is_said_and_the_same_call_completes_it(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    await store.config.push_policy(GRANTABLE, expect=0, by="test")
    live = Live(store, clock=now_ms)
    await live.look()
    world = World(store, live, now_ms, Metrics())
    await world.add_key(SAM)
    hold, sam = await held(world), await world.who(SAM)
    grants = Grants(store, live, Decider(store, live, clock=now_ms, metrics=Metrics(), link_base=""), clock=now_ms)
    asked: dict[str, Any] = {"digest": hold.digest, "scope": REQUESTER, "uses": 1, "age_ms": HOUR}
    redis_server.kill()
    with pytest.raises(StoreUnavailable):
        await grants.approve_similar(hold.id, sam, **asked)
    redis_server.start()
    approved, grant = await grants.approve_similar(hold.id, sam, **asked)
    assert approved.state is State.APPROVED
    assert [each.grant for each in await store.grants.all()] == [grant]
    await store.aclose()


async def test_the_timer_takes_what_is_long_over_off_the_list(world: World, clock: MovingClock) -> None:
    await approve(world, await held(world))
    timer = Timer(world.store, clock=clock, metrics=Metrics(), abandon_grace_ms=60_000)
    clock.forward(seconds=7 * 86_400)
    await timer._prune()
    assert len(await world.store.grants.all()) == 1
    clock.forward(seconds=3_601)
    await timer._prune()
    assert await world.store.grants.all() == []


# Revoking


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("by", "refusal"),
    [(SAM, None), (ADA, None), (KIM, "Only Sam, who made it, or an admin"), ("dana@example.com", "Only Sam"),
     (ROBOT, "An agent's key")],
)  # fmt: skip
async def test_who_may_revoke(by: str, refusal: str | None, world: World) -> None:
    _, grant = await approve(world, await held(world))
    person = await world.who(by)
    if refusal is None:
        for _ in range(2):
            revoked = await grants_of(world).revoke(grant.id, person)
            assert (revoked.revoked_by, revoked.revoked_ms) == (by, world.clock())
        return
    with pytest.raises(DecisionError, match=refusal):
        await grants_of(world).revoke(grant.id, person)
    assert [each.grant for each in await world.store.grants.all()] == [grant]


async def test_there_is_nothing_to_revoke(world: World) -> None:
    with pytest.raises(NotFound):
        await grants_of(world).revoke("g0", await world.who(ADA))
