"""Two admins for a change: what waits, who confirms, what goes stale, and what never waits."""

from __future__ import annotations

import re

import pytest

from bot.commands import Answer
from holdpoint.model import EventKind, Role
from tests.bot.admin.conftest import ADA, BEA, CARA, SAM, Run
from tests.bot.world import POLICY, World

CAREFUL = POLICY + "changes: {second_admin: true}\n"


@pytest.fixture
async def careful(world: World) -> World:
    """A policy that wants two admins, and a second one, Bea."""
    await world.store.config.push_policy(CAREFUL, expect=1, by="test")
    await world.add_key(BEA, roles=frozenset({Role.ADMIN}))
    return world


def change_of(answer: Answer) -> str:
    found = re.search(r"Change (c[0-9a-f]{8}) waits for another admin", " ".join(answer.lines))
    assert found is not None, answer.lines
    return found[1]


@pytest.mark.promise(5)
async def test_a_route_waits_for_another_admin(careful: World, run: Run) -> None:
    change = change_of(await run("route add contractors slack:C0SECURITY"))
    assert await careful.store.config.routes() == []
    listed = await run("changes list", CARA)
    assert listed.table is not None
    assert listed.table.rows[0][:3] == (change, "route add contractors slack:C0SECURITY", ADA)
    assert "another admin has to confirm it" in (await run(f"changes confirm {change}")).lines[0]
    assert await careful.store.config.routes() == []
    asked = await run(f"changes confirm {change}", BEA)
    assert asked.text == "+ contractors → slack:C0SECURITY"
    assert (await run(asked.confirm, BEA)).ok
    assert careful.live.snapshot.channels_for({"contractors"}) == ("slack:C0SECURITY", "web")
    assert (await run("changes list")).lines == ("No change waits for a second admin.",)


@pytest.mark.promise(5)
async def test_a_policy_of_this_very_moment_counts(world: World, run: Run) -> None:
    await run("whoami")
    await world.store.config.push_policy(CAREFUL, expect=1, by="test")
    change_of(await run("route add contractors slack:C0SECURITY"))
    assert await world.store.config.routes() == []


async def test_the_policy_waits_for_another_admin(careful: World, run: Run) -> None:
    for text, expected in (("policy mode secrets shadow", "+    mode: shadow"), ("policy rollback 1", "-changes:")):
        answer = await run(text)
        assert not answer.confirm
        assert expected in answer.text
        assert careful.live.snapshot.policy.version == 2
        change = change_of(answer)
        assert expected in (await run(f"changes show {change}", CARA)).text
    done = await run(f"changes confirm {change}", BEA, confirm=True)
    assert "Version 3 is in force." in done.lines[0]
    assert not careful.live.snapshot.policy.second_admin
    first, *_ = await careful.store.changes.all()
    stale = await run(f"changes confirm {first.id}", BEA)
    assert not stale.ok
    assert "gone stale: it was made from version 2 of the policy, and version 3 is in force" in stale.lines[0]
    listed = await run("changes list")
    assert listed.table is not None
    assert listed.table.rows[0][4] == "stale"
    assert "gone stale" in (await run(f"changes show {first.id}")).lines[-1]


async def test_a_change_is_dropped(careful: World, run: Run) -> None:
    change = change_of(await run("route add contractors web"))
    assert (await run(f"changes drop {change}", SAM)).lines == ("Only admins may do this.",)
    assert (await run(f"changes drop {change}", BEA)).ok
    for verb in ("show", "confirm", "drop"):
        assert "waits (any more)" in (await run(f"changes {verb} {change}", BEA)).lines[0]
    events = await careful.store.outbox.follow("events", after="0", block_ms=1)
    assert events[-1].kind is EventKind.CHANGE_DROPPED


async def test_the_kill_switch_never_waits(careful: World, run: Run) -> None:
    assert (await run("pause all")).ok
    assert "*" in careful.live.snapshot.pauses
    assert (await run("resume all", confirm=True)).ok
    assert careful.live.snapshot.pauses == {}
    assert await careful.store.changes.all() == []
