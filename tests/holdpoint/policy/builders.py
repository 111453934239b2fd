"""Short ways to a policy and a query, for the tests beside this file."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import Any

import re2

from holdpoint.model import Evaluation, Part, PartRole, Query, Requester
from holdpoint.policy import Policy, compile_policy, parse_policy
from holdpoint.policy.matchers import PatternSet

MONDAY_NOON_MS = 1_767_614_400_000  # 2026-01-05T12:00:00Z

HEAD = """\
version: 1
defaults: {verdict: allow}
connections:
  demo: {upstream: "http://127.0.0.1:9000", protocol: openai, environment: production}
  lab: {upstream: "http://127.0.0.1:9001", protocol: openai, environment: staging}
roles: {admins: [platform]}
"""


def document(rules: str, head: str = HEAD) -> str:
    """A whole document around the text of some rules."""
    return f"{head}rules:\n{indent(dedent(rules).strip(), '  ')}\n"


def policy(rules: str, head: str = HEAD) -> Policy:
    return compile_policy(parse_policy(document(rules, head)), 7)


def policy_when(when: str, verdict: str = "block") -> Policy:
    """One rule, ``r``, with this condition."""
    return policy(f"- {{id: r, when: {when}, verdict: {verdict}}}")


def query(prompt: str | None = None, **values: Any) -> Query:
    """A query; ``messages`` are (role, text) pairs, ``parts`` whole parts."""
    messages = values.pop("messages", [] if prompt is None else [(PartRole.USER, prompt)])
    parts = values.pop(
        "parts", tuple(Part(f"messages/{i}/content", role, text) for i, (role, text) in enumerate(messages))
    )
    standard: dict[str, Any] = {
        "connection": "demo", "endpoint": "chat/completions", "model": "m", "tools": (), "stream": False,
        "prompt_tokens": 10, "max_tokens": None, "uninspectable": (), "body": b"{}",
    }  # fmt: skip  # what most tests do not care about
    return Query(parts=parts, **(standard | values))


def requester(*groups: str, principal: str = "dana@example.com") -> Requester:
    return Requester(principal, frozenset(groups))


def evaluate(compiled: Policy, asked: Query | str, *groups: str, at_ms: int = MONDAY_NOON_MS) -> Evaluation:
    return compiled.evaluate(query(asked) if isinstance(asked, str) else asked, requester(*groups), at_ms)


def rules_hit(evaluation: Evaluation) -> set[str]:
    return {hit.rule for hit in evaluation.hits}


def marked(evaluation: Evaluation, asked: Query, rule: str) -> list[str]:
    """The texts that the spans of a rule cover."""
    texts = {part.path: part.text for part in asked.parts}
    return [texts[s.path][s.start : s.end] for hit in evaluation.hits if hit.rule == rule for s in hit.spans]


def starved(patterns: PatternSet) -> PatternSet:
    """The set as it behaves when RE2 gives up for want of memory: nothing matches, not even the sentinel."""
    patterns._set = re2.Set.SearchSet()
    patterns._set.Add("never matches")
    patterns._set.Compile()
    return patterns


def starve(compiled: Policy) -> Policy:
    for view in compiled._views._views:
        starved(view.patterns)
    return compiled
