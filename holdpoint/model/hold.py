"""The record of one request that waits, and what is said and decided of it. See `holdpoint.model`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from holdpoint.model.evaluation import Evaluation, Requirement
from holdpoint.model.people import Requester
from holdpoint.model.query import Query
from holdpoint.model.words import DecisionKind, Factor, GrantScope, State


@dataclass(frozen=True, slots=True)
class Edit:
    """One part with its new text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision as recorded. ``digest`` is the one that was shown; ``result_digest`` differs when there are edits.

    ``before`` holds the former texts of the edited paths, so that the diff can be drawn for ever. ``aliases`` are other
    principals that are the same person. ``behalf`` are the absent people in whose place they decided, ``behalf_aliases``
    other principals of these.
    """

    kind: DecisionKind
    by: str  # the reviewer's principal, or "policy" where a timer decided
    name: str
    groups: tuple[str, ...]
    channel: str
    at_ms: int
    digest: str
    result_digest: str
    reason: str = ""
    edits: tuple[Edit, ...] = ()
    before: tuple[Edit, ...] = ()
    glass: bool = False  # an admin broke the glass: no quorum was asked for
    aliases: tuple[str, ...] = ()
    behalf: tuple[str, ...] = ()
    behalf_aliases: tuple[str, ...] = ()
    behalf_until_ms: int | None = None  # until when they were away
    factor: Factor | None = None  # how they have shown once more that it is them, where that was asked for


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody says "I am on it" until ``until_ms``. It keeps nobody else from deciding."""

    by: str
    name: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Confirming:
    """Somebody has approved, and has until ``until_ms`` to confirm that it is them. Until then it does not count."""

    by: str
    name: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Question:
    """What a reviewer asked the requester, and the answer once there is one (``answered_ms``)."""

    id: str  # unique within its hold: "q1", "q2"
    by: str
    name: str
    text: str
    at_ms: int
    answer: str = ""
    answered_by: str = ""
    answered_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a released request, or of an allowed one. ``text`` is bounded; ``digest`` covers every byte."""

    status: int
    digest: str
    text: str
    prompt_tokens: int | None
    completion_tokens: int | None
    duration_ms: int
    size_bytes: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """How often one reviewer did something. ``name`` is the display name that they last had, or empty."""

    by: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Similar:
    """What became of requests like one hold in the 30 days before it: to the same connection, held by the same rules.

    ``scope`` says whose: the requester's own, or, where those tell nothing, those of requesters in the same groups. Each
    counts once, by how its waiting ended; nothing ended when ``last_ms`` is None. ``approved_by`` and ``rejected_by``
    are the three who did so most. ``more``: there are further, older ones than were looked at.
    """

    scope: GrantScope
    approved: int = 0
    rejected: int = 0
    expired: int = 0
    cancelled: int = 0
    approved_by: tuple[Tally, ...] = ()
    rejected_by: tuple[Tally, ...] = ()
    last_ms: int | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """The stored record of one request that waits, waited or was decided, as it was when it was read.

    ``rev`` grows with every change: who acts on a hold names the ``rev`` that they saw. ``digest`` binds the body that
    would be forwarded now; ``original_digest`` the one that the requester sent (after the policy's own modifications).
    ``waiter`` is the gateway process that holds the client's socket, empty when the client is gone. ``asynchronous``
    means that nobody waits and the response is collected later. ``due_ms`` is when the timer looks next.
    """

    id: str
    rev: int
    state: State
    digest: str
    original_digest: str
    connection: str
    environment: str
    method: str
    target: str  # path and query behind the connection, as forwarded: "/v1/chat/completions"
    query: Query  # as it would be forwarded now
    requester: Requester
    address: str
    evaluation: Evaluation
    created_ms: int
    deadline_ms: int
    due_ms: int
    asynchronous: bool = False
    waiter: str = ""
    left_ms: int | None = None  # when the client left while it waited
    return_by_ms: int | None = None  # when the hold is cancelled unless the client has returned
    releaser: str = ""  # the gateway process that spent the approval
    escalated: int = 0  # how many of evaluation.escalations have happened
    decisions: tuple[Decision, ...] = ()
    closed_ms: int | None = None
    close_reason: str = ""
    outcome: Outcome | None = None
    justification: str = ""
    claim: Claim | None = None
    questions: tuple[Question, ...] = ()
    paused_ms: int | None = None  # since when the clock stands, while a question is open
    paused_for_ms: int = 0  # how long the clock has stood in all, up to paused_ms
    reminded_ms: int | None = None
    similar: Similar | None = None  # noted before the first card; None: not known
    told: tuple[
        tuple[str, bool], ...
    ] = ()  # channels ("teams") by which the requester could be told or not; see Talk.told
    confirming: tuple[Confirming, ...] = ()  # in the order in which they approved

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The requirements with the groups that have joined by escalation so far."""
        joined = tuple(step.group for step in self.evaluation.escalations[: self.escalated])
        return tuple(
            replace(r, alternates=r.alternates + tuple(g for g in joined if g not in (r.group, *r.alternates)))
            for r in self.evaluation.requirements
        )
