"""The things that Holdpoint talks about, as closed enums and frozen types. No I/O, no clock.

Reading order: ``words`` (the enums) - ``query`` and ``people`` (what is asked, and by whom) - ``evaluation`` (what the
policy says of it) - ``hold`` (what becomes of it) - ``event`` (what is told of it) - ``places``. Import from here.

What is made for every request (`Part`, `Query`) is frozen for the type checker alone: a frozen dataclass takes four
times as long to make.

Times are whole milliseconds since 1970 (``…_ms``), so that Python, Lua and SQL agree to the last digit. A *path* names
a string inside a canonical body, as the keys and indexes that lead to it joined by ``/`` (``messages/0/content``;
``~1`` stands for a slash inside a key and ``~0`` for a tilde, as in RFC 6901; ``~2`` for an empty key).
"""

from __future__ import annotations

from holdpoint.model.evaluation import (
    USUAL_TERMS,
    Escalation,
    Evaluation,
    GrantLimits,
    Requirement,
    ReviewTerms,
    RuleHit,
    Span,
)
from holdpoint.model.event import Event, EventKind
from holdpoint.model.hold import Claim, Confirming, Decision, Edit, Hold, Outcome, Question, Similar, Tally
from holdpoint.model.people import Account, KeyRecord, Requester, Reviewer, StandIn
from holdpoint.model.places import Connection, Route
from holdpoint.model.query import Part, Query
from holdpoint.model.words import (
    TRANSITIONS,
    DecisionKind,
    Factor,
    GrantScope,
    Mention,
    OnTimeout,
    PartRole,
    Place,
    RefusalCode,
    Risk,
    Role,
    State,
    Verdict,
)

__all__ = [
    "TRANSITIONS",
    "USUAL_TERMS",
    "Account",
    "Claim",
    "Confirming",
    "Connection",
    "Decision",
    "DecisionKind",
    "Edit",
    "Escalation",
    "Evaluation",
    "Event",
    "EventKind",
    "Factor",
    "GrantLimits",
    "GrantScope",
    "Hold",
    "KeyRecord",
    "Mention",
    "OnTimeout",
    "Outcome",
    "Part",
    "PartRole",
    "Place",
    "Query",
    "Question",
    "RefusalCode",
    "Requester",
    "Requirement",
    "ReviewTerms",
    "Reviewer",
    "Risk",
    "Role",
    "Route",
    "RuleHit",
    "Similar",
    "Span",
    "StandIn",
    "State",
    "Tally",
    "Verdict",
]
