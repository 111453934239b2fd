"""The section `authority`, the order of reviewers, and what of both an evaluation carries."""

from __future__ import annotations

import pytest

from holdpoint.errors import PolicyError
from holdpoint.model import Requirement, Risk, Verdict
from holdpoint.policy import Policy, parse_policy, pauses
from holdpoint.policy.authority_terms import USUAL_AUTHORITY, AuthorityTerms
from holdpoint.standing import Pause, PauseMode
from tests.holdpoint.policy.builders import HEAD, document, evaluate, policy, query

MINUTE = 60_000
FULL = "authority: {self_approval: low, separation: 24h, step_up: {risk: medium, within: 5m}}\n"
RULES = "\n".join(
    f"- {{id: {risk}, when: {{prompt: {{matches: [{risk}]}}}}, verdict: review, risk: {risk}, reviewers: [{{group: security}}]}}"
    for risk in Risk
)


def strict(text: str = FULL) -> Policy:
    return policy(RULES, HEAD + text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", USUAL_AUTHORITY),
        ("authority: {}\n", USUAL_AUTHORITY),
        ("authority: {self_approval: never}\n", USUAL_AUTHORITY),
        ("authority: {self_approval: low}\n", AuthorityTerms(self_approval=True)),
        ("authority: {separation: 24h}\n", AuthorityTerms(separation_ms=24 * 60 * MINUTE)),
        (
            "authority: {step_up: {risk: high, within: 5m}}\n",
            AuthorityTerms(step_up=(Risk.HIGH, 5 * MINUTE)),
        ),
    ],
)
def test_the_section_as_it_is_read(text: str, expected: AuthorityTerms) -> None:
    assert parse_policy(document(RULES, HEAD + text)).authority == expected


WRONG = {
    "authority: low": "authority must be a mapping",
    "authority: {self_approval: true}": "authority.self_approval must be text, not true or false",
    "authority: {self_approval: high}": "authority.self_approval cannot be 'high': it is one of low, never",
    "authority: {seperation: 1h}": "authority has no field 'seperation': did you mean 'separation'?",
    "authority: {separation: 24}": "name the unit",
    "authority: {step_up: high}": "authority.step_up must be a mapping",
    "authority: {step_up: {risk: high}}": "authority.step_up lacks 'within'",
    "authority: {step_up: {risk: severe, within: 5m}}": "authority.step_up.risk cannot be 'severe'",
    "authority: {step_up: {risk: high, within: 13h}}": "authority.step_up.within must be at most 12h",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_with_it(text: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse_policy(document(RULES, f"{HEAD}{text}\n"))
    assert WRONG[text] in str(raised.value)


@pytest.mark.parametrize(
    ("prompt", "self_approval", "step_up_ms"),
    [
        ("low", True, None),
        ("medium", False, 5 * MINUTE),
        ("high", False, 5 * MINUTE),
        ("low and high", False, 5 * MINUTE),
    ],
)
def test_the_terms_follow_from_the_highest_risk(prompt: str, self_approval: bool, step_up_ms: int | None) -> None:
    terms = evaluate(strict(), prompt).terms
    assert (terms.self_approval, terms.step_up_ms, terms.separation_ms) == (self_approval, step_up_ms, 24 * 60 * MINUTE)


def test_what_needs_no_review_has_no_terms() -> None:
    evaluation = evaluate(strict(), "nothing")
    assert evaluation.verdict is Verdict.ALLOW
    assert not evaluation.terms.separation_ms


def test_nobody_approves_themselves_what_was_not_inspected() -> None:
    compiled = policy(RULES, HEAD.replace("verdict: allow", "verdict: allow, risk: low, uninspectable: review") + FULL)
    evaluation = evaluate(compiled, query("low", uninspectable=("an image",)))
    assert (evaluation.risk, evaluation.terms.self_approval) == (Risk.LOW, False)
    assert evaluate(compiled, "low").terms.self_approval


@pytest.mark.parametrize("prompt", ["low", "nothing"])
def test_while_traffic_is_held_nobody_approves_themselves_and_the_rest_stands(prompt: str) -> None:
    compiled = strict()
    pause = Pause("demo", PauseMode.HOLD, "ada@example.com", 0)
    terms = pauses.held(evaluate(compiled, prompt), pause, compiled).terms
    assert (terms.self_approval, terms.step_up_ms, terms.separation_ms) == (False, 5 * MINUTE, 24 * 60 * MINUTE)


def test_one_group_after_another() -> None:
    compiled = policy(
        """
        - {id: a, when: {prompt: {matches: [a]}}, verdict: review, reviewers: [{group: leads}, {group: security, after: leads}]}
        - {id: b, when: {prompt: {matches: [b]}}, verdict: review, reviewers: [{group: legal}, {group: security, after: [legal], approvals: 2}]}
        """
    )
    assert evaluate(compiled, "a").requirements == (
        Requirement("leads", 1),
        Requirement("security", 1, after=("leads",)),
    )
    assert evaluate(compiled, "ab").requirements == (
        Requirement("leads", 1),
        Requirement("security", 2, after=("leads", "legal")),
        Requirement("legal", 1),
    )


WRONG_ORDERS = {
    "[{group: security, after: leads}, {group: leads}]": "after names 'leads': name a group that stands further up",
    "[{group: security, after: security}]": "after names 'security': name a group that stands further up",
    "[{group: leads}, {group: security, after: 3}]": "after must be",
    "[{group: leads}, {group: security, after: []}]": "after is an empty list",
}


@pytest.mark.parametrize("reviewers", WRONG_ORDERS)
def test_orders_that_cannot_be(reviewers: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse_policy(document(f"- {{id: r, when: {{}}, verdict: review, reviewers: {reviewers}}}"))
    assert WRONG_ORDERS[reviewers] in str(raised.value)


@pytest.mark.parametrize(
    "other",
    [
        "[{group: security}, {group: leads, after: security}]",
        "[{group: security}, {group: legal, after: security}, {group: leads, after: legal}]",
    ],
)
def test_two_rules_do_not_wait_for_each_other(other: str) -> None:
    text = document(
        f"""
        - {{id: a, when: {{}}, verdict: review, reviewers: [{{group: leads}}, {{group: security, after: leads}}]}}
        - {{id: b, when: {{}}, verdict: review, reviewers: {other}}}
        """
    )
    with pytest.raises(PolicyError, match=r"comes after .* here, and before elsewhere"):
        parse_policy(text)
