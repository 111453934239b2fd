"""``check_policy``: everything that can be said of a policy before it is pushed. Slow on purpose; never on the data path.

Parse, compile, run the document's own tests, and time the patterns on hostile texts: a pattern like ``(?s)a.{40}b`` is
never wrong, but it can make the engine a thousand times slower on a text that is written for it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from holdpoint.errors import PolicyError, Problem
from holdpoint.model import Requester
from holdpoint.policy.condition_tree import every_pattern
from holdpoint.policy.document import Document
from holdpoint.policy.engine import Policy, compile_policy
from holdpoint.policy.matchers import NotInspected, PatternSet
from holdpoint.policy.own_tests import PolicyTest, query_of
from holdpoint.policy.parse import parse_policy
from holdpoint.policy.patterns import TextPattern
from holdpoint.policy.rules import Rule, RuleMode

_TEXT_CHARACTERS: Final = 16 * 1024
_SLOW_SECONDS: Final = 0.005  # an ordinary rule needs 0.0001 for such a text, building its automaton included
_SLOW_TOGETHER_SECONDS: Final = 0.05
_ORDINARY_SIZE: Final = 150
_ALPHABETS: Final = ("ab", "0123456789", "abcdefghijklmnopqrstuvwxyz ", "aA0 ._-@/:\n", "äöüéж中\u200b ")


def check_policy(text: str, file: str = "policy") -> tuple[Policy, list[Problem]]:
    """The compiled policy (as version 0) and the warnings.

    Raises:
        PolicyError: it does not parse or compile, or its own tests fail; with every problem.
    """
    document = parse_policy(text, file)
    policy = compile_policy(document, 0)
    failures = _failures(document, policy)
    if failures:
        raise PolicyError(failures, file)
    return policy, [*document.warnings, *_untested(document), *_slow_rules(document)]


def _failures(document: Document, policy: Policy) -> list[Problem]:
    """What the own tests say. While a rule is in shadow, a test may expect what happens now, or what it would do.

    Else no rule that is tested could be put in shadow, nor a new one be tried there.
    """
    failures = _run_tests(policy, document.tests)
    if not failures or all(rule.mode is RuleMode.ENFORCE for rule in document.rules):
        return failures
    rules = tuple(replace(rule, mode=RuleMode.ENFORCE) for rule in document.rules)
    enforced = compile_policy(replace(document, rules=rules), 0)
    still = {problem.line for problem in _run_tests(enforced, document.tests)}
    return [problem for problem in failures if problem.line in still]


def _run_tests(policy: Policy, tests: Sequence[PolicyTest]) -> list[Problem]:
    """A problem for every expectation that fails, at the line of its ``expect``."""
    return [
        Problem(f"test {test.name!r}: {failure}", test.line) for test in tests for failure in _differences(policy, test)
    ]


def _differences(policy: Policy, test: PolicyTest) -> Iterator[str]:
    got = policy.evaluate(query_of(test), Requester(test.principal, test.groups, owner=test.owner), test.at_ms)
    rules = frozenset(hit.rule for hit in got.hits)
    reviewers = frozenset(requirement.group for requirement in got.requirements)
    if test.verdict is not None and got.verdict is not test.verdict:
        yield f"expected verdict {test.verdict}, got {got.verdict} (rules {_listed(rules)})"
    if test.rules is not None and rules != test.rules:
        yield f"expected rules {_listed(test.rules)}, got {_listed(rules)}"
    if test.risk is not None and got.risk is not test.risk:
        yield f"expected risk {test.risk}, got {got.risk}"
    if test.reviewers is not None and reviewers != test.reviewers:
        yield f"expected reviewers {_listed(test.reviewers)}, got {_listed(reviewers)}"


def _listed(names: frozenset[str]) -> str:
    return f"[{', '.join(sorted(names))}]"


def _untested(document: Document) -> Iterator[Problem]:
    if document.rules and not document.tests:
        yield Problem("there are no tests: write one per rule, so that a change cannot break it unseen", warning=True)


def _slow_rules(document: Document) -> Iterator[Problem]:
    """A warning for every rule whose patterns are slow on some text, and for all of them together."""
    patterns_of = {rule.id: {p.regex: p for p in every_pattern(rule.when)} for rule in document.rules}
    seconds_of: dict[tuple[str, ...], float] = {}
    alone = [rule for rule in document.rules if any(map(_is_suspicious, patterns_of[rule.id].values()))]
    for rule in alone:
        key = tuple(patterns_of[rule.id])
        if key not in seconds_of:  # rules often share a set
            seconds_of[key] = _slowest(patterns_of[rule.id])
        if seconds_of[key] > _SLOW_SECONDS:
            yield _slow(rule, seconds_of[key])
    every = {regex: p for patterns in patterns_of.values() for regex, p in patterns.items()}
    together = _slowest(every)
    if together > _SLOW_TOGETHER_SECONDS:
        said = f"all patterns together take {together * 1000:.0f} ms for a hostile text of {_size()}"
        yield Problem(said, warning=True)


def _is_suspicious(pattern: TextPattern) -> bool:
    """Worth timing by itself. Only repeats that are counted, or written out, need many states."""
    return "{" in pattern.regex or pattern.size > _ORDINARY_SIZE


def _slow(rule: Rule, seconds: float) -> Problem:
    said = (
        f"is slow: {seconds * 1000:.0f} ms for a hostile text of {_size()}; bounded repeats of wide classes "
        "(.{40}, [a-z]{1,50}) are the usual cause"
    )
    return Problem(said, rule.line, rule.id, warning=True)


def _size() -> str:
    return f"{_TEXT_CHARACTERS // 1024} KiB"


def _slowest(patterns: Mapping[str, TextPattern]) -> float:
    """Seconds for the worst text, a first look included."""
    chosen = list(patterns.values())
    if not chosen:
        return 0.0
    texts = [_text(alphabet) for alphabet in (*_ALPHABETS, _literals(patterns))]
    return max(_seconds(chosen, text) for text in texts)


def _seconds(patterns: Sequence[TextPattern], text: str) -> float:
    """The better of two when the first was slow: the machine may have been busy."""
    seconds = _once(patterns, text)
    return min(seconds, _once(patterns, text)) if seconds > _SLOW_SECONDS else seconds


def _once(patterns: Sequence[TextPattern], text: str) -> float:
    fresh = PatternSet(patterns)  # the automaton is built while matching: a used one would hide its cost
    start = time.thread_time()  # and not the time in which others had the processor
    try:
        fresh.inspect(text)
    except NotInspected:
        return float("inf")
    return time.thread_time() - start


@lru_cache(maxsize=64)
def _text(alphabet: str) -> str:
    """A text that repeats itself as little as possible, the same in every run."""
    return "".join(random.Random(1).choices(alphabet, k=_TEXT_CHARACTERS))


def _literals(patterns: Iterable[str]) -> str:
    """The characters that the patterns are written with: the worst text for a pattern is made of them."""
    return "".join(sorted({c for regex in patterns for c in regex if c.isalnum() or c == " "})[:40]) or "ab"
