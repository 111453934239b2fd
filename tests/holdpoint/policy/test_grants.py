"""Which grant covers a request: as a property over policies, requests and grants, and as a table of narrowings."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdpoint import canonical
from holdpoint.model import (
    GrantLimits,
    GrantScope,
    Part,
    PartRole,
    Query,
    Requester,
    ReviewTerms,
    Risk,
    RuleHit,
    Verdict,
)
from holdpoint.policy import Policy, compile_policy, parse_policy
from holdpoint.policy.grants import covering, limits_of, narrower
from holdpoint.policy.rules import RESERVED_IDS
from holdpoint.standing import Grant
from tests.support.builders import make_evaluation

T = TypeVar("T")

NOW = 1_700_000_000_000
HOUR = 3_600_000
WORDS = ("alpha", "beta", "gamma", "delta")  # each is what one rule looks for
PEOPLE = ("dana", "eve", "sam", "bot")
GROUPS = ("contractors", "staff")
REQUESTER, GROUP = GrantScope.REQUESTER, GrantScope.GROUP


def policy_of(rules: list[tuple[str, str, str]], default: str) -> Policy:
    """Each rule is (word, verdict, what it says of grants)."""
    lines = [
        "version: 1",
        f"defaults: {{verdict: {default}, uninspectable: allow, reviewers: [{{group: leads}}]}}",
        'connections: {one: {upstream: "http://127.0.0.1:9", protocol: openai}}',
        "groups: {contractors: {members: [dana]}, leads: {members: [sam]}}",
        "rules:",
    ]
    for word, verdict, grants in rules:
        more = f", reviewers: [{{group: leads}}], grants: {grants}" if grants else ", reviewers: [{group: leads}]"
        modify = ', modify: {replace: "gone"}' if verdict == "modify" else ""
        lines.append(
            f"  - {{id: {word}, when: {{prompt: {{keywords: [{word}]}}}}, verdict: {verdict}"
            f"{more if verdict == 'review' else modify}}}"
        )
    return compile_policy(parse_policy("\n".join(lines)), 1)


def query_of(words: frozenset[str], connection: str = "one", *, unread: bool = False) -> Query:
    text = " ".join(sorted(words)) or "nothing"
    body = canonical.serialise({"messages": [{"role": "user", "content": text}]})
    parts = (Part("messages/0/content", PartRole.USER, text),)
    uninspectable = ("an image",) if unread else ()
    return Query(connection, "chat/completions", "m", parts, (), False, 1, None, uninspectable, body)


def often(value: T) -> list[T]:
    """What makes most examples cases in which a grant nearly covers the request."""
    return [value] * 8


@st.composite
def rules(draw: st.DrawFn) -> list[tuple[str, str, str]]:
    wide = "{uses: 9, for: 2h, to: [requester, group]}"
    grants = (*often(wide), "", "{uses: 9, for: 2h}", "{uses: 9, for: 2h, to: [group]}")
    found = []
    for word in WORDS:
        verdict = draw(st.sampled_from([*often("review"), "allow", "modify", "block"]))
        found.append((word, verdict, draw(st.sampled_from(grants))))
    return found


GRANTS = st.builds(
    Grant,
    id=st.just("g1"),
    by=st.sampled_from([*often("kim"), *PEOPLE]),
    name=st.just(""),
    scope=st.sampled_from(GrantScope),
    subject=st.sampled_from([*often("dana"), *often("contractors"), *PEOPLE, *GROUPS]),
    connection=st.sampled_from([*often("one"), "two"]),
    rules=st.one_of(
        st.just((*WORDS, "default", "uninspectable", "pause")), st.lists(st.sampled_from(WORDS), unique=True).map(tuple)
    ),
    uses=st.just(9),
    created_ms=st.sampled_from([*often(NOW), NOW - 2 * HOUR + 1, NOW - 2 * HOUR]),
    expires_ms=st.sampled_from([*often(NOW + HOUR), NOW + 1, NOW]),
    hold=st.just("h1"),
    owner=st.sampled_from([*often(""), "eve"]),
    reason=st.just(""),
    revoked_ms=st.sampled_from([*often(None), NOW - 1]),
)
REQUESTERS = st.builds(
    Requester,
    principal=st.sampled_from([*often("dana"), *PEOPLE]),
    groups=st.frozensets(st.sampled_from(GROUPS)),
    owner=st.sampled_from([*often(None), "eve", "sam"]),
)


@pytest.mark.promise(1)
@settings(max_examples=600, deadline=None)
@given(
    rules=rules(),
    default=st.sampled_from([*often("allow"), "review", "block"]),
    words=st.sampled_from(
        [*(frozenset({word}) for word in WORDS), frozenset(), frozenset(WORDS[:2]), frozenset(WORDS)]
    ),
    unread=st.sampled_from([*often(False), True]),
    requester=REQUESTERS,
    grants=st.lists(GRANTS, max_size=6),
)
def test_no_grant_lets_pass_more_than_it_names(
    rules: list[tuple[str, str, str]], default: str, words: frozenset[str], unread: bool, requester: Requester, grants: list[Grant]
) -> None:  # fmt: skip
    policy, query = policy_of(rules, default), query_of(words, unread=unread)
    evaluation = policy.evaluate(query, requester, NOW)
    groups = requester.groups | policy.groups_of(requester.principal)
    for grant in covering(grants, query, requester, groups, evaluation, NOW):
        verdicts = {word: (verdict, terms) for word, verdict, terms in rules}
        matched = {word: verdicts[word] for word in words}
        assert not any(verdict == "block" for verdict, _ in matched.values()), "what is blocked stays blocked"
        assert default == "allow", "what the defaults hold is held"
        assert not unread, "what nobody has read is held"
        holding = {word for word, (verdict, _) in matched.items() if verdict == "review"}
        assert holding, "there is something to let pass"
        assert holding <= set(grant.rules), "a rule outside the grant holds"
        for word in holding:
            terms = verdicts[word][1]
            assert terms, "a rule that allows no grants holds"
            assert (grant.scope is GROUP and "group" in terms) or (
                grant.scope is REQUESTER and ("requester" in terms or "to:" not in terms)
            ), "the rule allows another scope"
        assert grant.connection == "one"
        assert grant.revoked_ms is None
        assert grant.expires_ms > NOW
        assert NOW - grant.created_ms < 2 * HOUR
        assert grant.by not in (requester.principal, requester.owner), "nobody gains by a grant of their own"
        if grant.scope is GROUP:
            assert grant.subject in groups
        else:
            assert (grant.subject, grant.owner) == (requester.principal, requester.owner or "")


def test_a_grant_covers_what_it_names_until_its_last_moment() -> None:
    policy = policy_of([(word, "review", "{uses: 9, for: 2h}") for word in WORDS], "allow")
    requester = Requester("dana", frozenset())
    query = query_of(frozenset({"alpha"}))
    grant = Grant("g1", "sam", "", REQUESTER, "dana", "one", ("alpha",), 9, NOW, NOW + 1, "h1")
    evaluation = policy.evaluate(query, requester, NOW)
    assert covering([grant], query, requester, (), evaluation, NOW) == (grant,)
    assert covering([grant], query, requester, (), evaluation, NOW + 1) == ()


def test_a_rule_that_asks_two_people_makes_no_grants() -> None:
    text = """
version: 1
defaults: {verdict: allow}
rules:
  - {id: two, when: {prompt: {keywords: [alpha]}}, verdict: review, reviewers: [{group: a, approvals: 2}], grants: {uses: 1, for: 1h}}
  - {id: one, when: {prompt: {keywords: [beta]}}, verdict: review, reviewers: [{group: a}], grants: {uses: 1, for: 1h}}
  - {id: other, when: {prompt: {keywords: [gamma]}}, verdict: review, reviewers: [{group: b}], grants: {uses: 1, for: 1h}}
"""
    policy, requester = compile_policy(parse_policy(text), 1), Requester("dana", frozenset())
    allowed = {}
    for words in ({"alpha"}, {"beta"}, {"gamma"}, {"beta", "gamma"}):
        query = query_of(frozenset(words))
        evaluation = policy.evaluate(query, requester, NOW)
        assert evaluation.verdict is Verdict.REVIEW
        allowed["+".join(sorted(words))] = limits_of(evaluation, query) is not None
    assert allowed == {"alpha": False, "beta": True, "gamma": True, "beta+gamma": False}


@pytest.mark.parametrize("rule", RESERVED_IDS)
def test_what_no_rule_of_a_document_holds_is_never_covered(rule: str) -> None:
    named = make_evaluation(terms=ReviewTerms(grant=WIDE))
    assert limits_of(named, query_of(frozenset())) == WIDE
    hit = RuleHit(rule, "", Verdict.REVIEW, Risk.LOW)
    assert limits_of(replace(named, hits=(*named.hits, hit)), query_of(frozenset())) is None


WIDE = GrantLimits(10, 1_000, frozenset({REQUESTER, GROUP}))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (WIDE, WIDE, WIDE),
        (WIDE, None, None),
        (None, WIDE, None),
        (WIDE, GrantLimits(3, 5_000, frozenset({GROUP})), GrantLimits(3, 1_000, frozenset({GROUP}))),
        (GrantLimits(3, 5_000, frozenset({REQUESTER})), GrantLimits(3, 5_000, frozenset({GROUP})), None),
    ],
)
def test_the_narrower_of_two(one: GrantLimits | None, other: GrantLimits | None, both: GrantLimits | None) -> None:
    assert narrower(one, other) == narrower(other, one) == both
