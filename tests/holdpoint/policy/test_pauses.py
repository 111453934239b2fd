"""What a pause makes of a verdict: never less than the policy asks, and always an admin."""

from __future__ import annotations

import pytest

from holdpoint.errors import PolicyError
from holdpoint.model import Evaluation, OnTimeout, Requester, Requirement, Risk, Verdict
from holdpoint.policy import Policy, compile_policy, parse_policy
from holdpoint.policy.authority import tally
from holdpoint.policy.pauses import held, refuses, sentence
from holdpoint.standing import EVERYTHING, Pause, PauseMode
from tests.support.builders import make_query

TEXT = """
version: 1
defaults: {verdict: allow, timeout: 5m, risk: medium}
connections: {demo: {upstream: "http://127.0.0.1:9", protocol: openai}}
roles: {admins: [platform, on-call]}
rules:
  - id: secrets
    when: {prompt: {keywords: [password]}}
    verdict: review
    risk: low
    reviewers: [{group: security, approvals: 2}]
    timeout: 1m
    escalate: [{after: 30s, group: leads}]
    on_timeout: allow
    grants: {uses: 5, for: 1h}
  - {id: keys, when: {prompt: {keywords: [private]}}, verdict: block}
  - {id: cards, when: {prompt: {keywords: [visa]}}, verdict: modify, modify: {replace: "[card]"}}
"""
PAUSE = Pause("demo", PauseMode.HOLD, "ada@example.com", 1, "an incident")


def policy(text: str = TEXT) -> Policy:
    return compile_policy(parse_policy(text), 1)


def evaluated(prompt: str) -> Evaluation:
    return policy().evaluate(make_query(prompt), Requester("dana@example.com", frozenset()), 0)


def paused(prompt: str) -> Evaluation:
    return held(evaluated(prompt), PAUSE, policy())


def test_what_is_allowed_waits_for_any_one_admin() -> None:
    evaluation = paused("hello")
    assert (evaluation.verdict, evaluation.risk, evaluation.timeout_ms) == (Verdict.REVIEW, Risk.MEDIUM, 300_000)
    assert evaluation.requirements == (Requirement("on-call", 1, ("platform",)),)
    assert evaluation.on_timeout is OnTimeout.REJECT
    assert evaluation.reason == "Traffic to demo was paused by ada@example.com: an incident"


def test_what_is_held_keeps_its_demands_and_gets_one_more() -> None:
    before, after = evaluated("the password"), paused("the password")
    assert [hit.rule for hit in after.hits] == ["secrets", "pause"]
    assert after.requirements == (*before.requirements, Requirement("on-call", 1, ("platform",)))
    assert (after.timeout_ms, after.reason) == (60_000, before.reason)  # the shorter time, the policy's own reason
    assert after.on_timeout is OnTimeout.REJECT  # silence is no admin
    assert after.escalations == ()  # nor is who joins later
    assert after.terms.grant is None
    assert not tally(after.requirements, (), "d").complete


def test_what_is_modified_is_held_as_modified() -> None:
    assert paused("my visa").edits == {"messages/0/content": "my [card]"}


def test_what_is_blocked_stays_as_it_is() -> None:
    assert paused("private password") == evaluated("private password")


def test_without_admins_holding_is_refusing() -> None:
    headless = policy(TEXT.replace("roles: {admins: [platform, on-call]}\n", ""))
    assert refuses(PAUSE, headless)
    assert not tally(held(evaluated("hello"), PAUSE, headless).requirements, (), "d").complete
    assert not refuses(PAUSE, policy())
    assert refuses(Pause("demo", PauseMode.REFUSE, "ada@example.com", 1), policy())


def test_the_sentence() -> None:
    assert sentence(Pause(EVERYTHING, PauseMode.REFUSE, "ada", 1)) == "All traffic was paused by ada."
    assert sentence(Pause("demo", PauseMode.REFUSE, "ada", 1, "why")) == "Traffic to demo was paused by ada: why"


def test_no_rule_may_take_the_name() -> None:
    with pytest.raises(PolicyError, match="'pause' is reserved"):
        parse_policy(TEXT.replace("id: keys", "id: pause"))
