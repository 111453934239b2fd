from __future__ import annotations

import pytest

from bot.visibility import may_read, may_see
from holdpoint.model import DecisionKind, PartRole, Requirement
from tests.bot.world import World, conversation


@pytest.mark.parametrize(
    ("who", "sees"),
    [
        ("sam@example.com", True), ("lena@example.com", False), ("pat@example.com", False), ("eve@example.com", False),
        ("ada@example.com", True), ("cara@example.com", True), ("dana@example.com", True),
    ],
)  # fmt: skip
async def test_who_sees_a_hold_for_security(world: World, who: str, sees: bool) -> None:
    assert may_see(await world.hold(), await world.who(who)) is sees


async def test_escalation_lets_others_see(world: World) -> None:
    hold = await world.store.holds.escalate(await world.hold())
    assert may_see(hold, await world.who("pat@example.com"))


async def test_who_decided_still_sees(world: World) -> None:
    requirements = (Requirement("security", 1), Requirement("legal", 1))
    hold = await world.hold_draft(conversation((PartRole.USER, "x"), requirements=requirements))
    lena = await world.who("lena@example.com")
    decided = await world.decider.decide(hold.id, lena, DecisionKind.REJECT, digest=hold.digest)
    policy = await world.store.config.policy()
    assert policy is not None
    await world.store.config.push_policy(policy.text.replace("[lena@example.com]", "[]"), expect=1, by="test")
    await world.live.look()
    lena = await world.who("lena@example.com")
    assert "legal" not in lena.groups
    assert may_see(decided, lena)


async def test_who_may_read_at_all(world: World) -> None:
    assert may_read(await world.who("sam@example.com"))
    assert may_read(await world.who("cara@example.com"))
    await world.add_key("nobody@example.com", roles=frozenset())
    assert not may_read(await world.who("nobody@example.com"))
