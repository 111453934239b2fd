from __future__ import annotations

import pytest
import redis

from holdpoint.model import Verdict
from tests.bot.admin.conftest import ADA, CARA, Run
from tests.bot.world import POLICY, World
from tests.support.builders import DANA, make_query

COMMENTED = POLICY.replace("  - id: secrets\n", "  # what we fear most\n  - id: secrets  # the first\n")


async def push(world: World, text: str, expect: int) -> None:
    await world.store.config.push_policy(text, expect=expect, by="test", note=f"push {expect + 1}")
    await world.live.look()


async def test_show_history_and_diff(world: World, run: Run) -> None:
    await push(world, COMMENTED, 1)
    shown = await run("policy show", CARA)
    assert shown.text == COMMENTED.rstrip("\n")
    assert shown.lines[0].startswith("Version 2, by test, ")
    assert (await run("policy show 1")).text == POLICY.rstrip("\n")
    history = await run("policy history")
    assert history.table is not None
    assert [(row[0], row[3]) for row in history.table.rows] == [("2", "push 2"), ("1", "")]
    for text in ("policy diff", "policy diff 1", "policy diff 1 2"):
        assert "+  # what we fear most" in (await run(text)).text
    assert "-  # what we fear most" in (await run("policy diff 2 1")).text
    assert (await run("policy diff 2 2")).lines == ("Versions 2 and 2 say the same.",)
    assert "-version: 1" in (await run("policy diff 1 0")).text


@pytest.mark.parametrize(
    "text", ["policy show 9", "policy show x", "policy show -1", "policy diff 9", "policy diff 1 x", "policy rollback 7",
             "policy rollback 0", "policy rollback x", "policy show ١", "policy show 99999999999999999999"],
)  # fmt: skip
async def test_what_is_no_version_is_said(world: World, run: Run, text: str) -> None:
    answer = await run(text)
    assert not answer.ok
    assert "version" in answer.lines[0]
    assert world.live.snapshot.policy.version == 1


async def test_a_rollback_shows_the_diff_and_asks(world: World, run: Run) -> None:
    await push(world, COMMENTED, 1)
    asked = await run("policy rollback 1")
    assert "-  # what we fear most" in asked.text
    assert world.live.snapshot.policy.version == 2
    done = await run(asked.confirm)
    assert done.lines == ("Version 3 is in force.",)
    head = await world.store.config.policy()
    assert head is not None
    assert (head.version, head.text, head.by, head.note) == (3, POLICY, ADA, "back to version 1")
    assert "says the same" in (await run("policy rollback 1")).lines[0]


async def test_who_confirms_after_somebody_elses_push_is_asked_again(world: World, run: Run) -> None:
    await push(world, COMMENTED, 1)
    asked = await run("policy rollback 1")
    await push(world, COMMENTED.replace("fear", "dread"), 2)
    again = await run(asked.confirm)
    assert again.confirm
    assert "changed meanwhile" in again.lines[0]
    assert world.live.snapshot.policy.version == 3


async def test_a_version_that_is_not_valid_any_more_is_not_put_back(world: World, run: Run) -> None:
    await push(world, "version: 1\nrules: [", 1)
    await push(world, POLICY, 2)
    answer = await run("policy rollback 2")
    assert not answer.ok
    assert "not valid YAML" in answer.lines[0]
    assert world.live.snapshot.policy.version == 3


async def test_a_rule_goes_into_shadow_and_back_with_its_comments(world: World, run: Run) -> None:
    await push(world, COMMENTED, 1)
    query = make_query("what is the admin password")
    asked = await run("policy mode secrets shadow")
    assert "+    mode: shadow" in asked.text
    assert sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for line in asked.text.splitlines()) == 1
    assert (await run(asked.confirm)).lines == ("Version 3 is in force.",)
    found = world.live.snapshot.policy.evaluate(query, DANA, 0)
    assert (found.verdict, found.hits, [hit.rule for hit in found.shadows]) == (Verdict.ALLOW, (), ["secrets"])
    assert "already" in (await run("policy mode secrets shadow")).lines[0]
    back = await run("policy mode secrets enforce")
    assert (back.ok, back.confirm) == (True, "")
    assert world.live.snapshot.policy.evaluate(query, DANA, 0).verdict is Verdict.REVIEW
    head = await world.store.config.policy()
    assert head is not None
    assert head.text == COMMENTED.replace("# the first\n", "# the first\n    mode: enforce\n")


async def test_a_rule_that_is_not_there_gets_a_hint(run: Run) -> None:
    answer = await run("policy mode secret shadow")
    assert answer.lines == ('The policy has no rule of this name in force. Did you mean "secrets"?',)


async def test_without_a_policy_there_is_nothing_to_see(world: World, run: Run, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.delete("hp:{p00}:policy:head")
    for text in ("policy show", "policy history", "policy diff", "policy rollback 1", "policy mode secrets shadow"):
        assert (await run(text)).lines == ("There is no policy yet: every request is refused.",)
