from __future__ import annotations

import pytest

from holdpoint.errors import PolicyError
from holdpoint.policy import check_policy
from tests.holdpoint.policy.builders import document, evaluate

FINE = "- {id: fine, when: {prompt: {matches: ['(?i)\\b(password|api[ _-]?key)\\b']}}, verdict: block}"
SLOW = "\n".join(
    [
        "- id: slow",
        "  when: {prompt: {matches: [" + ", ".join(f"'(?s)a.{{4{n}}}b'" for n in range(10)) + "]}}",
        "  verdict: block",
    ]
)


def test_a_policy_that_passes_is_compiled_and_works() -> None:
    compiled, _ = check_policy(document(FINE), "p.yaml")
    assert compiled.version == 0
    assert evaluate(compiled, "my password").hits


def test_a_pattern_that_a_hostile_text_makes_slow_is_named_and_others_are_not() -> None:
    _, warnings = check_policy(document(f"{FINE}\n{SLOW}"), "p.yaml")
    slow = [w for w in warnings if "slow" in w.message]
    assert [w.rule for w in slow] == ["slow"]
    assert slow[0].warning
    assert slow[0].line > 0


def test_a_policy_without_tests_is_told_so() -> None:
    _, warnings = check_policy(document(FINE), "p.yaml")
    assert any("there are no tests" in w.message for w in warnings)


def test_what_does_not_parse_is_not_checked_further() -> None:
    with pytest.raises(PolicyError):
        check_policy("version: 1\nrules: [{id: a}]\n", "p.yaml")
