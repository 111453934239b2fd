"""What must hold of any policy and any text."""

from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.model import Part, PartRole, Query, Verdict
from holdpoint.policy import Policy
from tests.holdpoint.policy.builders import evaluate, policy, query

WHENS = [
    "{prompt: {matches: [a]}}",
    "{prompt: {matches: ['b+'], roles: [user]}}",
    "{prompt: {keywords: [ab]}}",
    "{tool_text: {matches: [c]}}",
    "{stream: true}",
    "{not: {prompt: {matches: [c]}}}",
    "{any: [{prompt: {matches: ['[ab]c']}}, {uninspectable: true}]}",
    "{prompt: {matches: [a]}, unless: {prompt: {matches: [d]}}}",
    "{max_tokens: {over: 5}}",
    "{groups: [g]}",
]
VERDICTS = [
    "verdict: allow",
    "verdict: review, reviewers: [{group: one, approvals: 1}]",
    "verdict: review, reviewers: [{group: two, approvals: 2}], timeout: 1m, on_timeout: allow",
    "verdict: block",
]
MODIFIES = [
    "{when: {prompt: {matches: [a, d]}}, verdict: modify, modify: {replace: '#'}",
    "{when: {prompt: {matches: ['b|c']}}, verdict: modify, modify: {replace: 'x'}",
    "{when: {prompt: {keywords: [ab]}}, verdict: modify, modify: {replace: ''}",
]
RULES = [f"{{when: {when}, {verdict}" for when in WHENS for verdict in VERDICTS] + MODIFIES

TEXTS = st.text(st.one_of(st.sampled_from("abcd аé\u200b\nа"), st.characters()), max_size=30)
PARTS = st.lists(st.tuples(st.sampled_from(PartRole), TEXTS), max_size=4).map(
    lambda found: tuple(Part(f"p/{i}", role, text) for i, (role, text) in enumerate(found))
)
QUERIES = st.builds(
    lambda parts, stream, tokens, unread: query(parts=parts, stream=stream, max_tokens=tokens, uninspectable=unread),
    PARTS,
    st.booleans(),
    st.one_of(st.none(), st.integers(-1, 10)),
    st.sampled_from([(), ("an image",)]),
)

CHOSEN = st.lists(st.integers(0, len(RULES) - 1), max_size=4)


@lru_cache(maxsize=5_000)
def compiled(*rules: int) -> Policy:
    return policy("\n".join(f"- {RULES[rule]}, id: r{n}}}" for n, rule in enumerate(rules)) or "[]")


@pytest.mark.promise(1)
@given(rules=CHOSEN, more=st.integers(0, len(RULES) - 1), asked=QUERIES, member=st.booleans())
def test_adding_a_rule_never_makes_anything_less_safe(
    rules: list[int], more: int, asked: Query, *, member: bool
) -> None:
    groups = ("g",) if member else ()
    before = evaluate(compiled(*rules), asked, *groups)
    after = evaluate(compiled(*rules, more), asked, *groups)
    assert after.verdict.strictness >= before.verdict.strictness
    if before.verdict is after.verdict is Verdict.REVIEW:
        asked_for = {r.group: r.approvals for r in after.requirements}
        assert all(asked_for.get(r.group, 0) >= r.approvals for r in before.requirements)
        assert after.timeout_ms <= before.timeout_ms


@given(CHOSEN, QUERIES)
def test_any_text_gets_a_verdict_with_spans_inside_the_text_that_is_shown(rules: list[int], asked: Query) -> None:
    found = evaluate(compiled(*rules), asked)
    shown = {part.path: found.edits.get(part.path, part.text) for part in asked.parts}
    if found.verdict in (Verdict.ALLOW, Verdict.REVIEW, Verdict.MODIFY):
        for hit in found.hits:
            for span in hit.spans:
                assert 0 <= span.start < span.end <= len(shown[span.path])


@pytest.mark.promise(2)
@given(CHOSEN, QUERIES)
def test_what_is_forwarded_after_a_modification_matches_no_modify_rule_any_more(rules: list[int], asked: Query) -> None:
    found = evaluate(compiled(*rules), asked)
    if found.verdict is Verdict.BLOCK:
        return
    parts = tuple(Part(p.path, p.role, found.edits.get(p.path, p.text)) for p in asked.parts)
    again = evaluate(compiled(*rules), query(parts=parts, stream=asked.stream, max_tokens=asked.max_tokens))
    assert not again.edits
    assert again.verdict is not Verdict.MODIFY


@given(TEXTS, TEXTS)
def test_a_planted_secret_is_found_and_marked(before: str, after: str) -> None:
    asked = query(f"{before}\nSECRET-42\n{after}")
    found = evaluate(compiled_secret(), asked)
    assert found.verdict is Verdict.BLOCK
    assert "SECRET-42" in [asked.parts[0].text[s.start : s.end] for s in found.hits[0].spans]


@lru_cache
def compiled_secret() -> Policy:
    return policy("- {id: r, when: {prompt: {matches: ['SECRET-\\d\\d']}}, verdict: block}")
