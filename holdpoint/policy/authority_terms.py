"""``authority``: what is asked of everybody who decides, whatever the rule. YAML node → `AuthorityTerms`. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from yaml.nodes import Node

from holdpoint.model import Evaluation, ReviewTerms, Risk, Verdict
from holdpoint.policy.reading import Reader

LONGEST_STEP_UP_MS = 12 * 3_600_000


class _SelfApproval(StrEnum):
    LOW = "low"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class AuthorityTerms:
    """The section as it was written.

    ``step_up`` is the lowest risk at which reviewers show once more that it is them, and how long ago they may have done
    so, in milliseconds. ``separation_ms`` is 0 where who changed a rule may decide under it at once.
    """

    self_approval: bool = False
    separation_ms: int = 0
    step_up: tuple[Risk, int] | None = None

    def step_up_ms(self, risk: Risk) -> int | None:
        """How fresh the proof must be for a decision at ``risk``; None where none is asked for."""
        if self.step_up is None or risk.height < self.step_up[0].height:
            return None
        return self.step_up[1]

    def added(self, risk: Risk) -> ReviewTerms:
        """The terms of a review at ``risk`` that no rule of the document makes; nobody approves that themselves."""
        return ReviewTerms(step_up_ms=self.step_up_ms(risk), separation_ms=self.separation_ms)

    def applied(self, evaluation: Evaluation, *, inspected: bool) -> Evaluation:
        """``evaluation`` with these terms, when it is a review. What was not ``inspected`` is of no low risk."""
        if evaluation.verdict is not Verdict.REVIEW or self == USUAL_AUTHORITY:
            return evaluation
        terms = replace(
            evaluation.terms,
            self_approval=self.self_approval and inspected and evaluation.risk is Risk.LOW,
            separation_ms=self.separation_ms,
            step_up_ms=self.step_up_ms(evaluation.risk),
        )
        return replace(evaluation, terms=terms)


USUAL_AUTHORITY = AuthorityTerms()


def read_authority(reader: Reader, node: Node | None) -> AuthorityTerms:
    """``authority: {self_approval: low, separation: 24h, step_up: {risk: high, within: 5m}}``."""
    fields = reader.fields(node, "authority", ("self_approval", "separation", "step_up")) or {}
    self_approval = reader.word(fields.get("self_approval"), "authority.self_approval", _SelfApproval)
    return AuthorityTerms(
        self_approval is _SelfApproval.LOW,
        reader.duration(fields.get("separation"), "authority.separation") or 0,
        _read_step_up(reader, fields.get("step_up")),
    )


def _read_step_up(reader: Reader, node: Node | None) -> tuple[Risk, int] | None:
    fields = reader.fields(node, "authority.step_up", ("risk", "within"), required=("risk", "within"))
    if fields is None:
        return None
    risk = reader.word(fields.get("risk"), "authority.step_up.risk", Risk)
    within_ms = reader.duration(fields.get("within"), "authority.step_up.within")
    if within_ms is not None and within_ms > LONGEST_STEP_UP_MS:
        reader.problem(fields["within"], "authority.step_up.within must be at most 12h")
    return None if risk is None or within_ms is None else (risk, within_ms)
