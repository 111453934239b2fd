"""Many matching rules → one evaluation. Pure, and independent of the order but for how things are listed.

The strictest verdict wins. For a review everybody's conditions are met: every group of every matching review rule (the
same group once, with the most approvals that any rule asks for), the shortest time, all escalations in order of time,
the strictest outcome of a timeout. So adding a rule never makes anything less safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from holdpoint.model import (
    USUAL_TERMS,
    Escalation,
    Evaluation,
    GrantLimits,
    OnTimeout,
    Requirement,
    ReviewTerms,
    Risk,
    RuleHit,
    Span,
    Verdict,
)

_OUTCOMES = (OnTimeout.ALLOW, OnTimeout.ESCALATE, OnTimeout.REJECT)  # from the mildest


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one matching rule demands. ``position`` is its place in the document; ``patterns`` explain the match.

    A ``shadow`` demands nothing: its ``verdict`` is allow, and only its ``hit`` says what it would have been.
    """

    position: int
    hit: RuleHit
    requirements: tuple[Requirement, ...] = ()
    timeout_ms: int = 0
    escalations: tuple[Escalation, ...] = ()
    on_timeout: OnTimeout = OnTimeout.REJECT
    patterns: frozenset[int] = frozenset()
    replacement: str | None = None
    terms: ReviewTerms = USUAL_TERMS
    shadow: bool = False

    @property
    def verdict(self) -> Verdict:
        return Verdict.ALLOW if self.shadow else self.hit.verdict


def merge(
    rulings: Sequence[Ruling],
    version: int,
    *,
    spans: Mapping[int, tuple[Span, ...]] | None = None,
    edits: Mapping[str, str] | None = None,
) -> Evaluation:
    """The evaluation that all ``rulings`` make together; ``spans`` are by position."""
    spans = spans or {}
    ordered = sorted(rulings, key=lambda ruling: ruling.position)
    verdict = strictest(ordered)
    hits, shadows = (
        tuple(_with_spans(ruling, spans.get(ruling.position, ())) for ruling in ordered if ruling.shadow is shadow)
        for shadow in (False, True)
    )
    risk = max((r.hit.risk for r in ordered if r.verdict is not Verdict.ALLOW), key=_height, default=Risk.LOW)
    reason = next((_reason(r.hit) for r in ordered if r.verdict is verdict is not Verdict.ALLOW), "")
    if verdict is not Verdict.REVIEW:
        kept = edits if edits and verdict is Verdict.MODIFY else {}
        return Evaluation(verdict, hits, risk, version, edits=kept, reason=reason, shadows=shadows)
    reviews = [ruling for ruling in ordered if ruling.verdict is Verdict.REVIEW]
    return Evaluation(
        verdict,
        hits,
        risk,
        version,
        requirements=_merged_requirements(r for ruling in reviews for r in ruling.requirements),
        timeout_ms=min(ruling.timeout_ms for ruling in reviews),
        escalations=_merged_escalations(step for ruling in reviews for step in ruling.escalations),
        on_timeout=max((ruling.on_timeout for ruling in reviews), key=_OUTCOMES.index),
        edits=edits or {},
        reason=reason,
        terms=_merged_terms([ruling.terms for ruling in reviews]),
        shadows=shadows,
    )


def with_review(evaluation: Evaluation, ruling: Ruling) -> Evaluation:
    """``evaluation`` as if ``ruling``, a review, had matched too. What is blocked stays blocked."""
    if evaluation.verdict is Verdict.BLOCK:
        return evaluation
    if evaluation.verdict is not Verdict.REVIEW:
        evaluation = replace(
            evaluation,
            timeout_ms=ruling.timeout_ms,
            on_timeout=ruling.on_timeout,
            reason=_reason(ruling.hit),
            terms=ruling.terms,
        )
    return replace(
        evaluation,
        verdict=Verdict.REVIEW,
        hits=(*evaluation.hits, ruling.hit),
        risk=max(evaluation.risk, ruling.hit.risk, key=_height),
        requirements=_merged_requirements((*evaluation.requirements, *ruling.requirements)),
        timeout_ms=min(evaluation.timeout_ms, ruling.timeout_ms),
        escalations=_merged_escalations((*evaluation.escalations, *ruling.escalations)),
        on_timeout=max(evaluation.on_timeout, ruling.on_timeout, key=_OUTCOMES.index),
        terms=_merged_terms([evaluation.terms, ruling.terms]),
    )


def strictest(rulings: Iterable[Ruling]) -> Verdict:
    """The strictest verdict; allow when there is none."""
    return max((ruling.verdict for ruling in rulings), key=_strictness, default=Verdict.ALLOW)


def _strictness(verdict: Verdict) -> int:
    return verdict.strictness


def _height(risk: Risk) -> int:
    return risk.height


def _with_spans(ruling: Ruling, spans: tuple[Span, ...]) -> RuleHit:
    hit = ruling.hit
    return RuleHit(hit.rule, hit.description, hit.verdict, hit.risk, spans) if spans else hit


def _reason(hit: RuleHit) -> str:
    return hit.description or f"Rule {hit.rule}"


def _merged_requirements(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """One per group, with the most approvals, after all that any rule names; alternates only where every rule accepts them."""
    merged: dict[str, Requirement] = {}
    for new in requirements:
        old = merged.get(new.group)
        if old is not None:
            alternates = tuple(sorted(set(old.alternates) & set(new.alternates)))
            after = tuple(dict.fromkeys((*old.after, *new.after)))
            new = Requirement(new.group, max(old.approvals, new.approvals), alternates, after)  # noqa: PLW2901  # the merged one takes its place
        merged[new.group] = new
    return tuple(merged.values())


def _merged_escalations(steps: Iterable[Escalation]) -> tuple[Escalation, ...]:
    """In order of time; a group joins once, at its earliest."""
    merged: dict[str, Escalation] = {}
    for step in sorted(steps, key=lambda step: (step.after_ms, step.group)):
        merged.setdefault(step.group, step)
    return tuple(merged.values())


def _merged_terms(terms: Sequence[ReviewTerms]) -> ReviewTerms:
    """What every rule lets happen (pauses, grants, self-approval), and what any rule asks for (everything else)."""
    return ReviewTerms(
        reasons=tuple(dict.fromkeys(reason for each in terms for reason in each.reasons)),
        question_pauses=all(each.question_pauses for each in terms),
        confirm_edits=any(each.confirm_edits for each in terms),
        remind=any(each.remind for each in terms),
        mentions=frozenset(mention for each in terms for mention in each.mentions),
        grant=_merged_grant([each.grant for each in terms]),
        step_up_ms=min((each.step_up_ms for each in terms if each.step_up_ms is not None), default=None),
        self_approval=all(each.self_approval for each in terms),
        separation_ms=max(each.separation_ms for each in terms),
    )


def _merged_grant(limits: Sequence[GrantLimits | None]) -> GrantLimits | None:
    """The narrowest; none where one rule has none, or where no scope is left."""
    known = [each for each in limits if each is not None]
    if len(known) < len(limits):
        return None
    scopes = frozenset.intersection(*(each.scopes for each in known))
    if not scopes:
        return None
    return GrantLimits(min(each.uses for each in known), min(each.age_ms for each in known), scopes)
