from __future__ import annotations

import pytest

from holdpoint.errors import PolicyError
from holdpoint.model import PartRole
from holdpoint.policy import check_policy, parse_policy
from holdpoint.policy.own_tests import query_of
from tests.holdpoint.policy.builders import document

RULES = """
- {id: word, when: {prompt: {keywords: [secret]}, groups: [staff]}, verdict: review, risk: high, reviewers: [{group: security}]}
- {id: night, when: {time: {between: ['22:00', '06:00']}}, verdict: block}
- {id: tool, when: {tools: [delete_*], tool_text: {keywords: [forever]}}, verdict: block}
- {id: long, when: {max_tokens: {over: 100, missing: false}}, verdict: block}
- {id: image, when: {uninspectable: true, stream: true, models: [vision], connections: [lab], endpoints: [responses]}, verdict: block}
- {id: agent, when: {requesters: [robot]}, verdict: block}
- {id: system, when: {prompt: {roles: [system], matches: [x]}}, verdict: block}
"""


def with_test(request: str, expect: str) -> str:
    return document(RULES) + f"tests:\n- name: t\n  request: {request}\n  expect: {expect}\n"


PASSING = [
    ("{prompt: hello}", "{verdict: allow, rules: []}"),
    ("{prompt: a secret, group: staff}", "{verdict: review, rules: [word], risk: high, reviewers: [security]}"),
    ("{prompt: a secret, groups: [x, staff]}", "{rules: [word]}"),
    ("{prompt: a secret}", "{verdict: allow}"),
    ("{prompt: x, at: 2026-01-05T23:00:00Z}", "{rules: [night]}"),
    ("{prompt: x, at: '2026-01-05T23:00:00+02:00'}", "{rules: []}"),
    ("{prompt: x, tools: [{name: delete_all, description: gone forever}]}", "{rules: [tool]}"),
    ("{prompt: x, tools: [delete_all]}", "{rules: []}"),
    ("{prompt: x, max_tokens: 101}", "{rules: [long]}"),
    ("{prompt: x, model: vision, stream: true, connection: lab, endpoint: responses, uninspectable: [an image]}",
     "{rules: [image, uninspectable]}"),
    ("{prompt: x, requester: Robot, owner: dana@example.com}", "{rules: [agent]}"),
    ("{messages: [{role: system, content: x}, {role: user, content: y}]}", "{rules: [system]}"),
]  # fmt: skip  # one request a line


@pytest.mark.parametrize(("request_", "expect"), PASSING)
def test_a_request_is_evaluated_as_it_is_written(request_: str, expect: str) -> None:
    check_policy(with_test(request_, expect), "p.yaml")


FAILING = [
    ("{verdict: block}", "expected verdict block, got allow (rules [])"),
    ("{rules: [word]}", "expected rules [word], got []"),
    ("{risk: high}", "expected risk high, got low"),
    ("{reviewers: [security]}", "expected reviewers [security], got []"),
]


@pytest.mark.parametrize(("expect", "said"), FAILING)
def test_an_expectation_that_fails_says_what_came_instead_and_where_it_stands(expect: str, said: str) -> None:
    text = with_test("{prompt: hello}", expect)
    with pytest.raises(PolicyError) as raised:
        check_policy(text, "p.yaml")
    line = text.splitlines().index(f"  expect: {expect}") + 1
    assert str(raised.value) == f"p.yaml:{line}: test 't': {said}"


def test_every_failing_expectation_is_reported() -> None:
    with pytest.raises(PolicyError) as raised:
        check_policy(with_test("{prompt: hello}", "{verdict: block, rules: [word]}"), "p.yaml")
    assert len(raised.value.problems) == 2


def test_an_unknown_connection_in_a_test_is_a_problem() -> None:
    with pytest.raises(PolicyError, match="no connection 'labb': did you mean 'lab'"):
        parse_policy(with_test("{prompt: x, connection: labb}", "{verdict: allow}"))


def test_the_query_of_a_test_is_shaped_like_a_gateways() -> None:
    (found,) = parse_policy(with_test("{prompt: ä, tools: [{name: f, description: d}]}", "{verdict: allow}")).tests
    asked = query_of(found)
    assert [(p.path, p.role) for p in asked.parts] == [
        ("messages/0/content", PartRole.USER),
        ("tools/0/function/name", PartRole.DEFINITION),
        ("tools/0/function/description", PartRole.DEFINITION),
    ]
    assert asked.prompt_tokens == 2
    assert asked.body.startswith(b'{"model":"model","messages":[{"role":"user"')
