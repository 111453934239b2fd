from __future__ import annotations

from holdpoint.model import EventKind, GrantScope
from holdpoint.standing import Grant
from tests.bot.admin.conftest import ADA, SAM, Run
from tests.bot.world import World
from tests.conftest import MovingClock

KIM = "kim@example.com"


def a_grant(clock: MovingClock, grant_id: str = "g1", *, lasts_ms: int = 60_000) -> Grant:
    return Grant(
        grant_id, SAM, "Sam", GrantScope.REQUESTER, "dana@example.com", "demo", ("secrets",), 5,
        clock(), clock() + lasts_ms, "h1", reason="all week",
    )  # fmt: skip


async def test_grants_are_listed_and_revoked(world: World, run: Run, clock: MovingClock) -> None:
    assert (await run("grants list", SAM)).lines == ("No standing approval is in force.",)
    await world.store.grants.make(a_grant(clock))
    await world.store.grants.make(a_grant(clock, "g2", lasts_ms=1))
    clock.forward(seconds=1)
    listed = await run("grants list", SAM)
    assert listed.table is not None
    (row,) = listed.table.rows
    assert (row[0], row[1], row[2], row[3], row[4], row[7]) == (
        "g1", "requester dana@example.com", "demo", "secrets", "0 of 5", "all week",
    )  # fmt: skip
    refused = await run("grants revoke g1", KIM)
    assert not refused.ok
    assert "or an admin" in refused.lines[0]
    done = await run("grants revoke g1", ADA)
    assert done.lines == ("Grant g1 for requester dana@example.com on demo is revoked, after 0 uses.",)
    assert done.text == "- requester dana@example.com → demo (secrets)"
    assert (await run("grants list")).lines == ("No standing approval is in force.",)
    assert world.live.snapshot.grants == ()
    events = await world.store.outbox.follow("events", after="0", block_ms=1)
    assert (events[-1].kind, events[-1].data["by"]) == (EventKind.GRANT_REVOKED, ADA)
    assert not (await run("grants revoke nothing")).ok


async def test_who_made_a_grant_may_end_it(world: World, run: Run, clock: MovingClock) -> None:
    await world.store.grants.make(a_grant(clock))
    assert (await run("grants revoke g1", SAM)).ok
