"""What a rule or a default demands, as a `Ruling`, and the spans that explain it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from holdpoint.model import OnTimeout, Query, RuleHit, Span, Verdict
from holdpoint.policy.defaults import Defaults
from holdpoint.policy.rules import Rule, RuleMode
from holdpoint.policy.spans import merge as merge_spans
from holdpoint.policy.verdicts import Ruling
from holdpoint.policy.views import Looked

SHOWN_SPANS_PER_RULE: Final = 200


def ruling_of(position: int, rule: Rule, patterns: frozenset[int]) -> Ruling:
    """What a rule demands where it matches; the spans of ``patterns`` explain it."""
    return Ruling(
        position,
        RuleHit(rule.id, rule.description, rule.verdict, rule.risk),
        rule.requirements,
        rule.timeout_ms,
        rule.escalations,
        rule.on_timeout,
        patterns,
        rule.replacement,
        rule.terms,
        rule.mode is RuleMode.SHADOW,
    )


def default_ruling(position: int, rule: str, reason: str, verdict: Verdict, defaults: Defaults) -> Ruling:
    """What the defaults demand. They name no escalation, so a timeout always rejects."""
    return Ruling(
        position,
        RuleHit(rule, reason, verdict, defaults.risk),
        defaults.requirements,
        defaults.timeout_ms,
        on_timeout=OnTimeout.REJECT,
    )


def shown(rulings: Iterable[Ruling], looked: Looked, query: Query) -> dict[int, tuple[Span, ...]]:
    """The spans that explain each ruling, merged within each part, in the order of the body."""
    found = {}
    for ruling in rulings:
        places: dict[int, list[tuple[int, int]]] = {}
        for number in sorted(ruling.patterns & looked.hits):
            for place, start, end in looked.spans(number):
                places.setdefault(place, []).append((start, end))
        spans = [
            Span(query.parts[place].path, start, end)
            for place in sorted(places)
            for start, end in merge_spans(places[place])
        ]
        if spans:
            found[ruling.position] = tuple(spans[:SHOWN_SPANS_PER_RULE])
    return found
