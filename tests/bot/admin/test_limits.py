"""``limits``: what is limited, and who is near."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from bot.answers import Answer, Table
from holdpoint.policy.limits import Budget, Measure, Per
from holdpoint.store.limits import Allowance, Wish
from tests.bot.admin.conftest import CARA, SAM, Run
from tests.bot.world import POLICY, World
from tests.support.builders import make_draft

LIMITS = """limits:
  - {id: contractors, for: {groups: [contractors], connections: [demo]}, requests_per_minute: 60, holds_at_once: 2}
  - {id: teams, for: {groups: [contractors, legal]}, per: group, prompt_tokens_per_minute: 100000}
  - {id: demo, per: connection, holds_per_hour: 10}
rules:
"""
Spend = Callable[[str, Measure, Per, tuple[str, ...], int], Awaitable[None]]
DANA, EVE = ("dana@example.com",), ("robot", "eve@example.com")


@pytest.fixture
async def spend(world: World) -> Spend:
    await world.store.config.push_policy(POLICY.replace("rules:\n", LIMITS, 1), expect=1, by="test")
    await world.live.catch_up()

    async def spent(limit: str, measure: Measure, per: Per, subject: tuple[str, ...], amount: int) -> None:
        budget = Budget(limit, measure, per, subject, 1_000_000)
        await world.store.limits.take([Wish(budget)], [[(0, amount)]])

    return spent


async def test_who_is_nearest_comes_first(world: World, spend: Spend, run: Run) -> None:
    await spend("contractors", Measure.REQUESTS, Per.REQUESTER, DANA, 50)
    await spend("contractors", Measure.REQUESTS, Per.REQUESTER, EVE, 60)
    await spend("teams", Measure.PROMPT_TOKENS, Per.GROUP, ("legal",), 1_234)
    at_once = Budget("contractors", Measure.HOLDS_AT_ONCE, Per.REQUESTER, DANA, 2)
    draft = make_draft()
    held = await world.store.holds.hold(draft, gateway="g#1", idempotency_key=None, allowance=Allowance((at_once,)))
    gone = await world.store.holds.hold(draft, gateway="g#1", idempotency_key=None, allowance=Allowance((at_once,)))
    await world.store.holds.cancel(gone, by="dana@example.com", reason="withdrawn")
    answer = await run("limits", CARA)
    assert held.state.value == "pending"
    assert answer.lines == (
        "contractors: 60 requests per minute, 2 holds at once; for each requester in contractors; to demo.",
        "teams: 100,000 prompt tokens per minute; for each of the groups contractors or legal.",
        "demo: 10 holds per hour; for each connection.",
        "At their limit now: 1; near it: 1.",
    )
    assert answer.table is not None
    assert answer.table.rows == (
        ("contractors", "robot of eve@example.com", "requests per minute", "60", "60"),
        ("contractors", "dana@example.com", "requests per minute", "50", "60"),
        ("contractors", "dana@example.com", "holds at once", "1", "2"),
        ("teams", "legal", "prompt tokens per minute", "1,234", "100,000"),
    )
    assert [row[0] for row in (await table(run, "limits teams")).rows] == ["teams"]


async def table(run: Run, text: str) -> Table:
    answer: Answer = await run(text)
    assert answer.table is not None
    return answer.table


async def test_what_the_policy_no_longer_limits_is_not_shown(world: World, spend: Spend, run: Run) -> None:
    await spend("former", Measure.REQUESTS, Per.REQUESTER, DANA, 5)
    await spend("demo", Measure.REQUESTS, Per.CONNECTION, ("demo",), 5)
    await spend("contractors", Measure.REQUESTS, Per.CONNECTION, ("demo",), 5)
    answer = await run("limits")
    assert answer.table is None
    assert answer.lines[-1] == "At their limit now: 0; near it: 0."


async def test_who_has_a_name_that_is_markup_is_only_text(spend: Spend, run: Run) -> None:
    await spend("contractors", Measure.REQUESTS, Per.REQUESTER, ("<!channel>\u202e*x*",), 5)
    answer = await run("limits")
    assert answer.table is not None
    assert "\u202e" not in str(answer.table.rows)


async def test_many_are_shortened(spend: Spend, run: Run) -> None:
    for number in range(23):
        await spend("contractors", Measure.REQUESTS, Per.REQUESTER, (f"p{number}",), number + 1)
    answer = await run("limits")
    assert answer.table is not None
    assert (len(answer.table.rows), answer.table.rows[0][1]) == (20, "p22")
    assert answer.lines[-1] == "3 who use less of theirs are left out here."


@pytest.mark.usefixtures("spend")
@pytest.mark.parametrize(
    ("text", "said"), [("limits contractor", 'Did you mean "contractors"?'), ("limits x", "no such")]
)
async def test_an_unknown_limit_is_said_to_be(text: str, said: str, run: Run) -> None:
    answer = await run(text)
    assert not answer.ok
    assert said in answer.lines[0]


async def test_without_limits_that_is_the_answer(run: Run) -> None:
    assert (await run("limits")).lines == ("The policy has no limits.",)


@pytest.mark.usefixtures("spend")
async def test_who_only_reviews_does_not_see_who_uses_how_much(run: Run) -> None:
    assert not (await run("limits", SAM)).ok
