"""The words of Holdpoint, as closed enums. See `holdpoint.model`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Verdict(StrEnum):
    """What the policy says of a query."""

    ALLOW = "allow"
    MODIFY = "modify"
    REVIEW = "review"
    BLOCK = "block"

    @property
    def strictness(self) -> int:
        """0 for allow to 3 for block; of several verdicts the strictest wins."""
        return _STRICTNESS[self]


_STRICTNESS = {Verdict.ALLOW: 0, Verdict.MODIFY: 1, Verdict.REVIEW: 2, Verdict.BLOCK: 3}


class Risk(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def height(self) -> int:
        return _HEIGHT[self]


_HEIGHT = {Risk.LOW: 0, Risk.MEDIUM: 1, Risk.HIGH: 2}


class State(StrEnum):
    """The state of a hold; ``TRANSITIONS`` says what may follow."""

    PENDING = "pending"
    APPROVED = "approved"
    RELEASED = "released"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return not TRANSITIONS[self]


# The same table stands in store/lua/_transition.lua, which enforces it; a test compares the two.


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.APPROVED, State.REJECTED, State.EXPIRED, State.CANCELLED}),
    State.APPROVED: frozenset({State.RELEASED, State.EXPIRED}),
    State.RELEASED: frozenset({State.COMPLETED, State.FAILED}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.REJECTED: frozenset(),
    State.EXPIRED: frozenset(),
    State.CANCELLED: frozenset(),
}


class DecisionKind(StrEnum):
    """What a reviewer says. An approval may carry edits."""

    APPROVE = "approve"
    REJECT = "reject"


class OnTimeout(StrEnum):
    """What becomes of a hold that nobody decided in time. ``allow`` exists only where a rule says so itself."""

    REJECT = "reject"
    ESCALATE = "escalate"
    ALLOW = "allow"


class Mention(StrEnum):
    """On which occasions a card calls the people who may decide, each at most once for one hold."""

    HELD = "held"
    REMINDER = "reminder"
    ESCALATION = "escalation"


class GrantScope(StrEnum):
    """For whom a grant may stand."""

    REQUESTER = "requester"
    GROUP = "group"


class Role(StrEnum):
    """What a key or a principal may do beyond sending requests."""

    REVIEWER = "reviewer"
    ADMIN = "admin"
    AUDITOR = "auditor"


class RefusalCode(StrEnum):
    """The ``code`` of a refusal, in every provider's error shape."""

    BLOCKED = "blocked"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNINSPECTABLE = "uninspectable"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INVALID_API_KEY = "invalid_api_key"  # the provider's own word for an unknown caller
    NOT_FOUND = "not_found"  # a hold that is not there, or not the caller's
    CONFLICT = "conflict"  # contradicts what is stored: an Idempotency-Key used twice, a withdrawal that comes too late


class Place(StrEnum):
    """Where in a query a text stands. ``PROMPT`` is everything that is not ``TOOLS``."""

    PROMPT = "prompt"
    TOOLS = "tools"


class PartRole(StrEnum):
    """Who speaks in a part of the query."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"  # a tool's result
    DEFINITION = "definition"  # a tool's name, description or schema
    PARAMETER = "parameter"  # any other string of the body: inspected, because the model may see it

    @property
    def place(self) -> Place:
        return Place.TOOLS if self is PartRole.DEFINITION else Place.PROMPT


class Factor(StrEnum):
    """How a reviewer has shown once more that it is them, for one decision."""

    SIGN_IN = "sign_in"  # a fresh sign-in at the identity provider
    PASSKEY = "passkey"
