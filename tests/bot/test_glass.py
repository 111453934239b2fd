"""Break-glass: who may, when, why; once; loud; and looked at by somebody else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bot.glass import BreakGlass
from bot.timer import Timer
from holdpoint.errors import BadText, DecisionError, MayNotDecide, NotFound, TooLate, WrongDigest
from holdpoint.metrics import Metrics
from holdpoint.model import DecisionKind, EventKind, Hold, PartRole, Requester, Requirement, Risk, Role, State
from tests.bot.world import POLICY, World, conversation
from tests.conftest import MovingClock
from tests.support.builders import DANA

SAM, ADA, PAT, CARA, DANA_ = (f"{name}@example.com" for name in ("sam", "ada", "pat", "cara", "dana"))
WHY = "production is down, and nobody answers"


@pytest.fixture
async def world(world: World) -> World:
    """The usual world with a second admin, and agents and requesters who would be admins."""
    await world.add_key("abe@example.com", roles=frozenset({Role.ADMIN}))
    await world.add_key("admin-bot", roles=frozenset({Role.ADMIN}), owner="abe@example.com")
    return world


def glass_of(world: World) -> BreakGlass:
    return BreakGlass(world.store, world.live, clock=world.clock, metrics=world.metrics)


async def held(world: World, *, requester: Requester = DANA, text: str = "the password") -> Hold:
    """High risk and a quorum of three: neither stops an admin who breaks the glass."""
    needs = (Requirement("security", 2), Requirement("legal", 1))
    draft = conversation((PartRole.USER, text), requester=requester, requirements=needs, risk=Risk.HIGH)
    return await world.hold_draft(draft)


async def break_glass(world: World, hold: Hold, by: str = ADA, reason: str = WHY, **more: Any) -> Hold:
    return await glass_of(world).break_glass(hold.id, await world.who(by), reason, **more)


async def nothing_happened(world: World, hold: Hold) -> None:
    assert await world.store.holds.get(hold.id) == hold
    assert await world.store.glass.all() == []


async def test_an_admin_lets_it_through_alone(world: World) -> None:
    hold = await held(world)
    broken = await break_glass(world, hold)
    assert broken.state is State.APPROVED
    (decision,) = broken.decisions
    assert (decision.by, decision.glass, decision.reason, decision.result_digest) == (ADA, True, WHY, hold.digest)
    (listed,) = await world.store.glass.all()
    assert (listed.hold, listed.by, listed.reason, listed.at_ms) == (hold.id, ADA, WHY, decision.at_ms)
    kinds = [event.kind for event in await world.store.outbox.follow("events", after="0", block_ms=1)]
    assert kinds[-2:] == [EventKind.HOLD_APPROVED, EventKind.GLASS_BROKEN]
    assert world.metrics.decisions["api", DecisionKind.APPROVE.value] == 1


REFUSED = [
    (SAM, DANA, "Only an admin"),
    (CARA, DANA, "Only an admin"),
    (DANA_, DANA, "Only an admin"),
    ("admin-bot", DANA, "An agent's key"),
    (ADA, Requester(ADA, frozenset()), "your own request"),
    (ADA, Requester("helper", frozenset(), owner=ADA), "an agent of yours"),
]


@pytest.mark.promise(5)
@pytest.mark.parametrize(("by", "requester", "why"), REFUSED)
async def test_nobody_else_and_never_on_ones_own(by: str, requester: Requester, why: str, world: World) -> None:
    hold = await held(world, requester=requester)
    with pytest.raises(MayNotDecide, match=why):
        await break_glass(world, hold, by)
    await nothing_happened(world, hold)


@pytest.mark.parametrize("reason", ["", "urgent", "         x          ", "x" * 9, "x" * 4_001])
async def test_a_reason_that_can_be_judged(reason: str, world: World) -> None:
    hold = await held(world)
    with pytest.raises(BadText, match=r"Say why|longer than"):
        await break_glass(world, hold, reason=reason)
    await nothing_happened(world, hold)


@pytest.mark.promise(1)
async def test_a_block_is_not_broken(world: World) -> None:
    hold = await held(world)
    head = await world.store.config.policy()
    assert head is not None
    text = POLICY.replace("BEGIN PRIVATE KEY", "(?i)password")
    await world.store.config.push_policy(text, expect=head.version, by="test")
    await world.live.look()
    with pytest.raises(MayNotDecide, match="The policy in force blocks"):
        await break_glass(world, hold)
    await nothing_happened(world, hold)


@pytest.mark.promise(2)
async def test_a_text_that_was_seen_is_the_one_that_is_held(world: World) -> None:
    hold = await held(world)
    with pytest.raises(WrongDigest):
        await break_glass(world, hold, digest="0" * 64)
    await nothing_happened(world, hold)
    assert (await break_glass(world, hold, digest=hold.digest)).state is State.APPROVED


@pytest.mark.parametrize("end", ["rejected", "cancelled", "expired", "late", "approved"])
async def test_what_is_over_stays_over(end: str, world: World, clock: MovingClock) -> None:
    hold = await world.hold()
    if end == "late":
        clock.forward(seconds=600)
    elif end == "cancelled":
        hold = await world.store.holds.cancel(hold, by=DANA_, reason="withdrawn")
    elif end == "expired":
        hold = await world.store.holds.expire(hold, reason="nobody decided in time")
    else:
        kind = DecisionKind.REJECT if end == "rejected" else DecisionKind.APPROVE
        hold = await world.decider.decide(hold.id, await world.who(SAM), kind, digest=hold.digest)
    with pytest.raises(TooLate):
        await break_glass(world, hold)
    await nothing_happened(world, hold)


@pytest.mark.promise(3)
async def test_once_for_each_hold(world: World) -> None:
    hold = await held(world)
    answers = await asyncio.gather(
        *(break_glass(world, hold, by) for by in [ADA, "abe@example.com"] * 4), return_exceptions=True
    )
    won = [each for each in answers if isinstance(each, Hold)]
    assert len(won) == 4  # one person, and the repeats of that person's click
    assert all(isinstance(each, TooLate) for each in answers if not isinstance(each, Hold))
    assert len((await world.store.holds.get(hold.id)).decisions) == len(await world.store.glass.all()) == 1


async def test_it_has_to_be_collected_within_five_minutes(world: World, clock: MovingClock) -> None:
    hold = await held(world)
    await break_glass(world, hold)
    timer = Timer(world.store, clock=clock, metrics=Metrics(), abandon_grace_ms=60_000)
    clock.forward(seconds=299)
    await timer.look()
    assert (await world.store.holds.get(hold.id)).state is State.APPROVED
    clock.forward(seconds=1)
    await timer.look()
    assert (await world.store.holds.get(hold.id)).state is State.EXPIRED
    assert len(await world.store.glass.all()) == 1  # it was broken all the same


async def test_a_review_by_another_admin(world: World) -> None:
    hold = await held(world)
    await break_glass(world, hold)
    abe = await world.who("abe@example.com")
    for _ in range(2):
        reviewed = await glass_of(world).review(hold.id, abe)
        assert (reviewed.reviewed_by, reviewed.reviewed_ms) == ("abe@example.com", world.clock())
    assert await world.store.glass.all() == []


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("by", "why"),
    [(ADA, "You broke the glass yourself"), (SAM, "Only an admin"), ("admin-bot", "An agent's key"),
     ("abe@example.com", "your own request")],
)  # fmt: skip
async def test_who_may_not_review(by: str, why: str, world: World) -> None:
    requester = Requester("abe@example.com", frozenset()) if "own request" in why else DANA
    hold = await held(world, requester=requester)
    await break_glass(world, hold)
    with pytest.raises(DecisionError, match=why):
        await glass_of(world).review(hold.id, await world.who(by))
    assert len(await world.store.glass.all()) == 1


async def test_a_review_is_due_even_when_the_hold_has_gone(world: World) -> None:
    hold = await held(world)
    await break_glass(world, hold)
    await world.store._client.command("DEL", f"hp:{{p00}}:hold:{hold.id}")
    reviewed = await glass_of(world).review(hold.id, await world.who("abe@example.com"))
    assert reviewed.reviewed_by == "abe@example.com"


async def test_there_is_nothing_to_break_or_review(world: World) -> None:
    ada = await world.who(ADA)
    with pytest.raises(NotFound):
        await glass_of(world).break_glass("h0", ada, WHY)
    with pytest.raises(NotFound):
        await glass_of(world).review((await held(world)).id, ada)


async def test_groups_and_roles_count_as_they_are_at_that_moment(world: World) -> None:
    hold = await held(world)
    was_admin = replace(await world.who(ADA), roles=frozenset({Role.REVIEWER}))
    with pytest.raises(MayNotDecide, match="Only an admin"):
        await glass_of(world).break_glass(hold.id, was_admin, WHY)
    await nothing_happened(world, hold)
