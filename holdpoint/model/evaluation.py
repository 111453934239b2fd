"""What the policy says of one query. See `holdpoint.model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdpoint.model.words import GrantScope, Mention, OnTimeout, Risk, Verdict


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``start`` to ``end`` (code points) of the text at ``path`` that made a rule match."""

    path: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RuleHit:
    """One rule that matched a query."""

    rule: str
    description: str
    verdict: Verdict
    risk: Risk
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Requirement:
    """So many distinct people of ``group``, or of a group in ``alternates`` (other admins, or who joined by escalation).

    Their turn comes once what is asked of the groups ``after`` is met.
    """

    group: str
    approvals: int
    alternates: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Escalation:
    """``after_ms`` from the start of the hold, ``group`` joins those who may decide."""

    after_ms: int
    group: str


@dataclass(frozen=True, slots=True)
class GrantLimits:
    """The widest grant that may be made from a card: so many uses, for so long, for whom."""

    uses: int
    age_ms: int
    scopes: frozenset[GrantScope]


@dataclass(frozen=True, slots=True)
class ReviewTerms:
    """How a review is held, beyond who decides and by when.

    ``reasons`` are prepared ones for a rejection. ``question_pauses``: the clock stands while a question to the
    requester is open. ``confirm_edits``: an edited text needs an approval by somebody else than who edited it.
    ``remind``: once, at half of the time. ``grant`` is None where no standing approval may be made. ``step_up_ms``: a
    decision counts once the reviewer has shown again, at most so long ago, that it is them. ``self_approval``: the
    requester may approve, too. ``separation_ms``: who changed a rule less than so long ago does not decide under it.
    """

    reasons: tuple[str, ...] = ()
    question_pauses: bool = False
    confirm_edits: bool = False
    remind: bool = True
    mentions: frozenset[Mention] = frozenset({Mention.REMINDER, Mention.ESCALATION})
    grant: GrantLimits | None = None
    step_up_ms: int | None = None
    self_approval: bool = False
    separation_ms: int = 0


USUAL_TERMS = ReviewTerms()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the policy says of one query, complete enough to act on and to record.

    ``hits`` are in the order of the document. ``requirements``, ``timeout_ms``, ``escalations`` and ``on_timeout`` are
    set for ``review`` (of several rules: all requirements, the shortest time, the strictest outcome). ``edits`` are the
    texts that ``modify`` puts in place, path to new text; they also apply when the verdict is ``review``. ``shadows`` are
    the rules in shadow mode that matched: recorded, and apart from ``hits``, so that nothing can act on them.
    """

    verdict: Verdict
    hits: tuple[RuleHit, ...]
    risk: Risk
    policy_version: int
    requirements: tuple[Requirement, ...] = ()
    timeout_ms: int = 0
    escalations: tuple[Escalation, ...] = ()
    on_timeout: OnTimeout = OnTimeout.REJECT
    edits: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""  # one sentence for the requester: the first strictest rule's description
    terms: ReviewTerms = USUAL_TERMS
    shadows: tuple[RuleHit, ...] = ()
