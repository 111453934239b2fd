"""How a review is held: what a rule may say, what several rules make of it together, and every wrong value."""

from __future__ import annotations

import pytest

from holdpoint.errors import PolicyError
from holdpoint.model import USUAL_TERMS, GrantLimits, GrantScope, Mention, ReviewTerms, Risk, RuleHit, Verdict
from holdpoint.policy import parse_policy
from holdpoint.policy.verdicts import Ruling, merge
from tests.holdpoint.policy.builders import document

HOUR_MS = 3_600_000


def terms(extra: str) -> ReviewTerms:
    head = "- id: r\n  verdict: review"
    return parse_policy(document("\n  ".join([head, *extra.splitlines()]))).rules[0].terms


def test_what_a_rule_does_not_say_is_usual() -> None:
    assert terms("") == USUAL_TERMS
    assert USUAL_TERMS.grant is None
    assert USUAL_TERMS.remind


def test_a_rule_may_say_it_all() -> None:
    said = terms(
        "reasons: [Not your data, Ask in person]\non_question: pause\nconfirm_edits: true\nremind: false\n"
        "mention: [held]\ngrants: {uses: 5, for: 8h, to: [requester, group]}"
    )
    assert said == ReviewTerms(
        reasons=("Not your data", "Ask in person"),
        question_pauses=True,
        confirm_edits=True,
        remind=False,
        mentions=frozenset({Mention.HELD}),
        grant=GrantLimits(5, 8 * HOUR_MS, frozenset(GrantScope)),
    )


def test_never_calls_nobody() -> None:
    assert terms("mention: never").mentions == frozenset()


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ("reasons: [Same, Same]", "twice"),
        ("reasons: [" + "x" * 151 + "]", "150"),
        ("reasons: [" + ", ".join(f"r{n}" for n in range(21)) + "]", "more than 20"),
        ("on_question: stop", "on_question"),
        ("confirm_edits: perhaps", "confirm_edits"),
        ("mention: [always]", "mention"),
        ("mention: []", "empty list"),
        ("mention: always", "must be a list"),
        ("grants: {uses: 5}", "for"),
        ("grants: {uses: 0, for: 1h}", "grants.uses"),
        ("grants: {uses: 1001, for: 1h}", "at most 1000"),
        ("grants: {uses: 1, for: 8d}", "at most 7d"),
        ("grants: {uses: 1, for: 1h, to: []}", "empty list"),
        ("grants: {uses: 1, for: 1h, to: [world]}", "grants.to"),
        ("grants: {uses: 1, for: 1h, ever: true}", "ever"),
    ],
)
def test_a_wrong_value_is_named(extra: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        terms(extra)
    assert problem in str(caught.value)


def test_terms_belong_to_reviews() -> None:
    with pytest.raises(PolicyError, match="belongs to verdict review"):
        parse_policy(
            "version: 1\nrules:\n  - {id: never, verdict: block, when: {prompt: {matches: [x]}}, remind: true}"
        )


def test_a_second_admin_needs_admins() -> None:
    admins = "groups: {leads: {members: [lee@example.com]}}\nroles: {admins: [leads]}\n"
    assert parse_policy(f"version: 1\n{admins}changes: {{second_admin: true}}").second_admin
    assert not parse_policy(f"version: 1\n{admins}changes: {{second_admin: false}}").second_admin
    with pytest.raises(PolicyError, match="nobody could confirm"):
        parse_policy("version: 1\nchanges: {second_admin: true}")


def together(*each: ReviewTerms) -> ReviewTerms:
    hits = [RuleHit(f"r{n}", "", Verdict.REVIEW, Risk.LOW) for n in range(len(each))]
    rulings = [Ruling(n, hits[n], timeout_ms=1_000, terms=its) for n, its in enumerate(each)]
    return merge(rulings, 1).terms


def test_several_rules_let_happen_what_every_one_lets_happen_and_ask_for_what_any_asks() -> None:
    wide = ReviewTerms(
        reasons=("a", "b"), question_pauses=True, remind=False, mentions=frozenset({Mention.HELD}),
        grant=GrantLimits(50, 2 * HOUR_MS, frozenset(GrantScope)),
    )  # fmt: skip
    narrow = ReviewTerms(
        reasons=("b", "c"), confirm_edits=True, mentions=frozenset({Mention.REMINDER}),
        grant=GrantLimits(5, 9 * HOUR_MS, frozenset({GrantScope.GROUP})),
    )  # fmt: skip
    assert together(wide, narrow) == ReviewTerms(
        reasons=("a", "b", "c"),
        question_pauses=False,
        confirm_edits=True,
        remind=True,
        mentions=frozenset({Mention.HELD, Mention.REMINDER}),
        grant=GrantLimits(5, 2 * HOUR_MS, frozenset({GrantScope.GROUP})),
    )


def test_no_grant_where_one_rule_allows_none_or_no_scope_is_common() -> None:
    person = ReviewTerms(grant=GrantLimits(1, 1, frozenset({GrantScope.REQUESTER})))
    group = ReviewTerms(grant=GrantLimits(1, 1, frozenset({GrantScope.GROUP})))
    assert together(person, USUAL_TERMS).grant is None
    assert together(person, group).grant is None
    assert together(person).grant == person.grant
