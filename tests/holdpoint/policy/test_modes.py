"""Rules in shadow: what they do to a verdict (nothing), what is recorded of them, and how a mode is written into the text."""

from __future__ import annotations

import difflib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.errors import PolicyError
from holdpoint.ledger.columns import derive
from holdpoint.model import Risk, Span, Verdict
from holdpoint.policy import check_policy, parse_policy
from holdpoint.policy.modes import with_mode
from holdpoint.policy.rules import RuleMode
from holdpoint.store.as_json import to_json
from tests.holdpoint.policy.builders import HEAD, document, evaluate, policy, rules_hit

RULES = """
- {id: look, when: {prompt: {matches: [secret]}}, verdict: VERDICT, risk: high, mode: MODE}
- {id: count, when: {prompt: {matches: [count]}}, verdict: review, risk: low}
"""


def rules(verdict: str, mode: str = "shadow") -> str:
    text = RULES.replace("VERDICT", verdict).replace("MODE", mode)
    return text.replace("mode: shadow}", "mode: shadow, modify: {redact: true}}") if verdict == "modify" else text


@pytest.mark.parametrize("verdict", ["review", "block", "modify"])
def test_a_shadow_changes_nothing_and_is_recorded(verdict: str) -> None:
    compiled = policy(rules(verdict))
    found = evaluate(compiled, "a secret")
    assert (found.verdict, found.hits, found.risk, found.edits, found.reason) == (Verdict.ALLOW, (), Risk.LOW, {}, "")
    (shadow,) = found.shadows
    assert (shadow.rule, shadow.verdict, shadow.risk) == ("look", Verdict(verdict), Risk.HIGH)
    assert shadow.spans == (Span("messages/0/content", 2, 8),)
    assert evaluate(compiled, "nothing").shadows == ()


def test_beside_a_rule_that_counts_it_changes_nothing_either() -> None:
    compiled = policy(rules("block"))
    both, alone = evaluate(compiled, "count a secret"), evaluate(compiled, "count a thing")
    assert (both.verdict, rules_hit(both), both.risk) == (Verdict.REVIEW, {"count"}, Risk.LOW)
    assert [hit.rule for hit in both.shadows] == ["look"]
    for field in ("verdict", "requirements", "timeout_ms", "escalations", "on_timeout", "terms", "risk", "reason"):
        assert getattr(both, field) == getattr(alone, field)


def test_a_shadow_sees_what_a_modify_rule_leaves() -> None:
    compiled = policy(
        """
        - {id: tidy, when: {prompt: {matches: [secret]}}, verdict: modify, modify: {replace: harmless}}
        - {id: look, when: {prompt: {matches: [harmless]}}, verdict: block, mode: shadow}
        """
    )
    found = evaluate(compiled, "a secret")
    assert (found.verdict, found.edits) == (Verdict.MODIFY, {"messages/0/content": "a harmless"})
    assert [hit.rule for hit in found.shadows] == ["look"]


def test_enforce_is_what_a_rule_does_anyway() -> None:
    assert evaluate(policy(rules("block", "enforce")), "a secret").verdict is Verdict.BLOCK
    assert (
        parse_policy(document(RULES.replace("VERDICT", "block").replace(", mode: MODE", ""))).rules[0].mode
        is RuleMode.ENFORCE
    )


def test_the_record_can_be_searched_for_shadows() -> None:
    found = evaluate(policy(rules("block")), "count a secret")
    assert derive({"evaluation": orjson.loads(to_json(found))}).rules == "\ncount\nshadow:look\n"


@pytest.mark.parametrize("mode", ["off", "Shadow", "true", "[shadow]", ""])
def test_a_wrong_mode_is_a_problem(mode: str) -> None:
    with pytest.raises(PolicyError, match="mode"):
        parse_policy(document(f"- {{id: r, when: {{models: [a]}}, verdict: block, mode: {mode or '~'}}}"))


def test_a_shadow_is_a_warning() -> None:
    _, warnings = check_policy(document(rules("block")))
    assert any("shadow" in problem.message and problem.rule == "look" for problem in warnings)


TESTED = document(rules("block")) + "tests:\n  - {name: t, request: {prompt: a secret}, expect: {verdict: EXPECTED}}\n"


@pytest.mark.parametrize("expected", ["block", "allow"])
def test_an_own_test_may_expect_what_is_or_what_would_be(expected: str) -> None:
    check_policy(TESTED.replace("EXPECTED", expected))


def test_an_own_test_that_holds_neither_way_fails() -> None:
    with pytest.raises(PolicyError, match="expected verdict modify"):
        check_policy(TESTED.replace("EXPECTED", "modify"))
    with pytest.raises(PolicyError, match="expected verdict allow"):
        check_policy(TESTED.replace("EXPECTED", "allow").replace("mode: shadow", "mode: enforce"))


BLOCK_STYLE = """\
# ä: not ASCII, so that positions in bytes would be wrong
- description: "id: trap"
  id: look  # why
  when: {prompt: {matches: [secret]}}
  verdict: block
- id: other
  when: {models: [x]}
  verdict: block
"""


@pytest.mark.parametrize(
    ("before", "changed"),
    [
        (BLOCK_STYLE, ["+    mode: shadow"]),
        ("- {id: look, when: {models: [a]}, verdict: block}  # why", ["-", "+"]),
        ("- {id: 'look', when: {models: [a]}, verdict: block, mode: enforce}", ["-", "+"]),
        ("- id: look\n  mode: enforce  # for now\n  when: {models: [a]}\n  verdict: block", ["-", "+"]),
        ("-   verdict: block\n    when: {models: [a]}\n    id: look", ["+      mode: shadow"]),
    ],
)
def test_one_place_is_changed_and_back(before: str, changed: list[str]) -> None:
    text = document(before)
    after = with_mode(text, "look", RuleMode.SHADOW)
    lines = [
        line for line in difflib.unified_diff(text.splitlines(), after.splitlines(), lineterm="", n=0)
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]  # fmt: skip
    assert len(lines) == len(changed)
    assert all(line.startswith(start) for line, start in zip(lines, changed, strict=True))
    assert text.count("#") == after.count("#")
    assert next(rule for rule in parse_policy(after).rules if rule.id == "look").mode is RuleMode.SHADOW
    assert with_mode(after, "look", RuleMode.SHADOW) == after
    back = with_mode(after, "look", RuleMode.ENFORCE)
    assert back == after.replace("mode: shadow", "mode: enforce")


def test_line_ends_stay_as_they_are() -> None:
    text = document(BLOCK_STYLE).replace("\n", "\r\n")
    assert with_mode(text, "look", RuleMode.SHADOW).replace("    mode: shadow\r\n", "") == text


def test_a_document_without_a_last_line_end() -> None:
    text = document("- verdict: block\n  when: {models: [a]}\n  id: look").rstrip("\n")
    assert with_mode(text, "look", RuleMode.SHADOW) == f"{text}\n    mode: shadow\n"


@pytest.mark.parametrize("rule", ["nothing", "", "default", "idle"])
def test_a_rule_that_is_not_in_force_has_no_mode(rule: str) -> None:
    text = document("- {id: idle, when: {models: [a]}, verdict: block, enabled: false}")
    with pytest.raises(PolicyError, match="no rule"):
        with_mode(text, rule, RuleMode.SHADOW)


@pytest.mark.parametrize(
    "before",
    [
        "- id: &name look\n  when: {models: [a]}\n  verdict: block\n  description: *name",
        "- {\n  id: look\n  , when: {models: [a]}, verdict: block}",
        "- id: >-\n    look\n  when: {models: [a]}\n  verdict: block",
        "- ? id\n  : look\n  when: {models: [a]}\n  verdict: block",
        '- "id": look\n  "when": {models: [a]}\n  "verdict": block',
        "- id: &m look\n  when: {models: [*m]}\n  mode: &e enforce\n  verdict: block\n  description: *e",
    ],
)
def test_odd_writing_is_changed_well_or_not_at_all(before: str) -> None:
    text = document(before)
    try:
        after = with_mode(text, "look", RuleMode.SHADOW)
    except PolicyError:
        return
    (rule,) = parse_policy(after).rules
    assert rule.mode is RuleMode.SHADOW


@given(st.lists(st.sampled_from(["a", "b", "look", "look-2"]), unique=True, min_size=1), st.booleans(), st.booleans())
def test_only_the_named_rule_changes(ids: list[str], flow: bool, comment: bool) -> None:
    note = "  # note: {id: x}" if comment else ""
    if flow:
        body = "\n".join(f"- {{id: {each}, when: {{models: [a]}}, verdict: block}}{note}" for each in ids)
    else:
        body = "\n".join(f"- id: {each}{note}\n  when: {{models: [a]}}\n  verdict: block" for each in ids)
    text = document(body, HEAD)
    after = with_mode(text, ids[0], RuleMode.SHADOW)
    modes = {rule.id: rule.mode for rule in parse_policy(after).rules}
    assert modes == {each: RuleMode.SHADOW if each == ids[0] else RuleMode.ENFORCE for each in ids}
