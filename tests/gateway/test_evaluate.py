"""Large bodies: the same verdict as small ones, off the loop, and a refusal or a hold when it takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gateway.evaluate import Evaluator
from holdpoint.model import State, Verdict
from holdpoint.policy import Policy, compile_policy, parse_policy
from tests.gateway.model import Model
from tests.gateway.world import CLEAN, RISKY, World
from tests.support.builders import DANA, make_query

LARGE = "lorem ipsum " * 40_000
POLICY = """
version: 1
defaults: {{verdict: allow, uninspectable: {uninspectable}, timeout: 10m, reviewers: [{{group: security, approvals: 1}}]}}
groups:
  security: {{members: [sam@example.com]}}
rules:
  - id: secrets
    description: Credentials in a prompt
    when: {{prompt: {{matches: ['password']}}}}
    verdict: review
    reviewers: [{{group: security, approvals: 1}}]
"""


def policy(uninspectable: str = "block") -> Policy:
    return compile_policy(parse_policy(POLICY.format(uninspectable=uninspectable)), 1)


@pytest.fixture
def evaluator() -> Iterator[Evaluator]:
    found = Evaluator()
    yield found
    found.close()


@pytest.mark.parametrize(("end", "verdict"), [("", Verdict.ALLOW), ("the password", Verdict.REVIEW)])
async def test_the_verdict_is_the_same(end: str, verdict: Verdict, evaluator: Evaluator) -> None:
    compiled, query = policy(), make_query(LARGE + end)
    assert compiled.is_large(query)
    found = await evaluator.evaluate_large(compiled, query, DANA, 0)
    assert found == compiled.evaluate(query, DANA, 0)
    assert found.verdict is verdict


async def test_the_loop_goes_on_meanwhile(evaluator: Evaluator) -> None:
    evaluating = asyncio.ensure_future(evaluator.evaluate_large(policy(), make_query(LARGE), DANA, 0))
    await asyncio.sleep(0)
    assert not evaluating.done()
    assert (await evaluating).verdict is Verdict.ALLOW


@pytest.mark.promise(1)
@pytest.mark.parametrize(("uninspectable", "verdict"), [("block", Verdict.BLOCK), ("review", Verdict.REVIEW)])
async def test_what_takes_too_long_counts_as_not_inspected(uninspectable: str, verdict: Verdict) -> None:
    evaluator = Evaluator(longest_s=0)
    try:
        found = await evaluator.evaluate_large(policy(uninspectable), make_query(LARGE), DANA, 0)
    finally:
        evaluator.close()
    assert found.verdict is verdict
    assert [hit.rule for hit in found.hits] == ["uninspectable"]


async def test_large_requests_take_the_same_route(world: World, model: Model) -> None:
    async with world.chat(LARGE + CLEAN) as answer:
        assert answer.status == 200
    asking = asyncio.ensure_future(world.chat(LARGE + RISKY).__aenter__())
    (hold,) = await world.held()
    assert [hit.rule for hit in hold.evaluation.hits] == ["secrets"]
    await world.approve(hold)
    async with await asking as answer:
        assert answer.status == 200
    await world.state(hold.id, State.COMPLETED)
    assert len(model.received) == 2
