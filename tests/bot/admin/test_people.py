from __future__ import annotations

import pytest

from holdpoint.store.quiet import Quiet
from tests.bot.admin.conftest import CARA, EVE, SAM, Run
from tests.bot.world import World


async def test_whoami(run: Run) -> None:
    answer = await run("whoami", SAM)
    assert answer.table is not None
    assert answer.table.rows == (
        ("principal", SAM), ("groups", "security"), ("roles", "reviewer"),
        ("known by", "a sign-in or a Holdpoint key (api)"), ("also known as", "nobody else"),
    )  # fmt: skip


async def test_groups_with_members_roles_and_channels(run: Run) -> None:
    await run("route add contractors slack:C0SECURITY")
    answer = await run("groups", CARA)
    assert answer.table is not None
    rows = {row[0]: row[1:] for row in answer.table.rows}
    assert rows["contractors"] == ("dana@example.com", "", "slack:C0SECURITY, web")
    assert rows["platform"] == ("ada@example.com", "admin, reviewer", "web")
    assert rows["security"] == ("kim@example.com, sam@example.com", "reviewer", "web")


async def test_reviewers(run: Run) -> None:
    answer = await run("reviewers", CARA)
    assert answer.table is not None
    assert {row[0] for row in answer.table.rows} >= {"security", "legal"}


@pytest.mark.parametrize("quiet", list(Quiet))
async def test_quiet_is_everybodys_own(world: World, run: Run, quiet: Quiet) -> None:
    answer = await run(f"quiet {quiet.value}", EVE)
    assert answer.ok
    assert await world.store.quiet.get(EVE) is quiet
    assert await world.store.quiet.get(SAM) is Quiet.ALL
    assert answer.text == ("" if quiet is Quiet.ALL else f"- all\n+ {quiet.value}")
