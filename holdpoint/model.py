"""The things that Holdpoint talks about, as closed enums and frozen types. No I/O, no clock.

What is made for every request (`Part`, `Query`) is frozen for the type checker alone: a frozen dataclass takes four
times as long to make.

Times are whole milliseconds since 1970 (``…_ms``), so that Python, Lua and SQL agree to the last digit. A *path* names
a string inside a canonical body, as the keys and indexes that lead to it joined by ``/`` (``messages/0/content``;
``~1`` stands for a slash inside a key and ``~0`` for a tilde, as in RFC 6901; ``~2`` for an empty key).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final


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


@dataclass(slots=True, unsafe_hash=True)
class Part:
    """One string of the query that a model may see. ``editable`` parts may be changed by a reviewer."""

    path: Final[str]
    role: Final[PartRole]
    text: Final[str]

    @property
    def editable(self) -> bool:
        return self.role not in (PartRole.DEFINITION, PartRole.PARAMETER)


@dataclass(slots=True, unsafe_hash=True)
class Query:
    """What the gateway understood of one request.

    ``endpoint`` is the path behind the connection without the version prefix (``chat/completions``). ``parts`` are in
    the order of the body. ``uninspectable`` lists what the gateway could not read, one phrase each ("an image in
    messages/0"); empty when everything was read. ``body`` is the canonical serialisation, the only bytes that are ever
    forwarded. ``prompt_tokens`` is an estimate (UTF-8 bytes of the prompt, or ids, see protocols).
    """

    connection: Final[str]
    endpoint: Final[str]
    model: Final[str]
    parts: Final[tuple[Part, ...]]
    tools: Final[tuple[str, ...]]
    stream: Final[bool]
    prompt_tokens: Final[int]
    max_tokens: Final[int | None]
    uninspectable: Final[tuple[str, ...]]
    body: Final[bytes]


@dataclass(frozen=True, slots=True)
class Requester:
    """Who sent the request. ``principal`` is a lower-case e-mail for a person, a name for an agent.

    ``owner`` is the principal that answers for an agent; None for a person. ``key_id`` names the Holdpoint key used,
    ``issuer`` who issued the token that was. ``aliases`` are other principals that are the same person (a token's
    other addresses): they forbid, and give no right.
    """

    principal: str
    groups: frozenset[str]
    owner: str | None = None
    name: str = ""
    key_id: str | None = None
    issuer: str | None = None
    aliases: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StandIn:
    """Somebody who is away until ``until_ms`` and has asked another person to decide in their place, in ``groups``."""

    principal: str
    groups: frozenset[str]
    until_ms: int
    aliases: frozenset[str] = frozenset()


class Factor(StrEnum):
    """How a reviewer has shown once more that it is them, for one decision."""

    SIGN_IN = "sign_in"  # a fresh sign-in at the identity provider
    PASSKEY = "passkey"


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody's account on a chat platform ("slack"), as the platform describes it at this moment.

    ``place`` is the id of the workspace or tenant that it belongs to, ``email`` its address as a principal.
    """

    platform: str
    place: str
    user_id: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who decides, as verified by a channel. ``groups`` and ``roles`` are those at the moment of the decision."""

    principal: str
    groups: frozenset[str]
    roles: frozenset[Role]
    channel: str  # "slack", "web", "api": where the decision was made
    name: str = ""
    address: str = ""  # the platform's own id or the network address, for the record
    owner: str | None = None  # who answers for it, when the identity is an agent's key: agents do not decide
    aliases: frozenset[str] = frozenset()  # other principals that are this person; they forbid, and give no right
    stands_in_for: tuple[StandIn, ...] = ()  # at the moment of the decision
    auth_ms: int | None = None  # when they last showed an identity provider that it is them; None: not in this session
    account: Account | None = None  # by which they act, where that is a chat platform
    zone: str = ""  # IANA name of their time zone, where the platform tells it


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One Holdpoint key, as stored. ``digest`` is the SHA-256 of the whole key, in hex; the key itself is never stored.

    ``connections`` are those that it may be used for; empty: all. ``networks`` are those that it may be used from, in
    CIDR notation; empty: everywhere. ``replaces`` is the key that it was made from by a rotation, ``replaced_by`` the
    one that was made from it.
    """

    id: str
    digest: str
    principal: str
    groups: frozenset[str]
    roles: frozenset[Role]
    created_ms: int
    expires_ms: int | None
    owner: str | None = None
    name: str = ""
    revoked_ms: int | None = None
    connections: frozenset[str] = frozenset()
    networks: tuple[str, ...] = ()
    replaces: str | None = None
    replaced_by: str | None = None


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


class EventKind(StrEnum):
    """What an event of the outbox says. ``hold.*`` change a hold; ``request.*`` are requests that were never held."""

    HOLD_CREATED = "hold.created"
    HOLD_ATTACHED = "hold.attached"
    HOLD_LEFT = "hold.left"
    HOLD_DECIDED = "hold.decided"  # an approval that does not complete the quorum
    HOLD_APPROVED = "hold.approved"
    HOLD_REJECTED = "hold.rejected"
    HOLD_EXPIRED = "hold.expired"
    HOLD_CANCELLED = "hold.cancelled"
    HOLD_ESCALATED = "hold.escalated"
    HOLD_REMINDED = "hold.reminded"
    HOLD_CLAIMED = "hold.claimed"
    HOLD_UNCLAIMED = "hold.unclaimed"  # given back, or lapsed
    HOLD_ASKED = "hold.asked"
    HOLD_ANSWERED = "hold.answered"
    HOLD_RESUMED = "hold.resumed"  # nobody answered for too long: the clock runs again
    HOLD_JUSTIFIED = "hold.justified"
    HOLD_CONFIRMING = "hold.confirming"  # somebody approved, and has yet to confirm that it is them
    HOLD_UNCONFIRMED = "hold.unconfirmed"  # they did not, in time
    HOLD_TOLD = "hold.told"  # the requester could not be told in a usual place, or was told in another one
    HOLD_RELEASED = "hold.released"
    HOLD_COMPLETED = "hold.completed"
    HOLD_FAILED = "hold.failed"
    REQUEST_ALLOWED = "request.allowed"
    REQUEST_BLOCKED = "request.blocked"
    REQUEST_REFUSED = "request.refused"  # identified, but unreadable or unknown
    REQUEST_COMPLETED = "request.completed"
    CARD_SHOWN = "card.shown"
    CARD_READ = "card.read"  # somebody has paged through everything that is held
    CARD_REVEALED = "card.revealed"  # somebody saw what the policy masks
    GRANT_MADE = "grant.made"
    GRANT_USED = "grant.used"
    GRANT_REVOKED = "grant.revoked"
    TRAFFIC_PAUSED = "traffic.paused"
    TRAFFIC_RESUMED = "traffic.resumed"
    ABSENCE_BEGAN = "absence.began"  # somebody is away; with who decides in their place
    ABSENCE_ENDED = "absence.ended"  # they are back, or the time is over
    GLASS_BROKEN = "glass.broken"
    GLASS_REVIEWED = "glass.reviewed"
    CHANGE_PROPOSED = "change.proposed"
    CHANGE_CONFIRMED = "change.confirmed"
    CHANGE_DROPPED = "change.dropped"
    POLICY_PUSHED = "policy.pushed"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    KEY_ROTATED = "key.rotated"  # another one takes its place, and it ends once both have overlapped
    ROUTE_ADDED = "route.added"
    ROUTE_REMOVED = "route.removed"
    LINK_MADE = "link.made"
    LINK_REMOVED = "link.removed"
    LINK_VOIDED = "link.voided"  # its account is not the one any more that was linked
    APP_INSTALLED = "app.installed"
    APP_REMOVED = "app.removed"
    SESSION_OPENED = "session.opened"  # somebody signed in to the web inbox
    SESSION_ENDED = "session.ended"  # before its time; one that ran out ends with ``ends_ms`` of its opening
    PASSKEY_INVITED = "passkey.invited"
    PASSKEY_ADDED = "passkey.added"
    PASSKEY_REMOVED = "passkey.removed"
    PASSKEY_REFUSED = "passkey.refused"  # its counter stood still: it may have been copied


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the outbox.

    ``source`` is unique for ever and ordered within its stream: ``<stream>/<redis stream id>``. ``subject`` is the
    hold's or request's id (or the policy version, key id …). ``data`` is JSON and depends on the kind (``store/events.py``).
    """

    source: str
    kind: EventKind
    subject: str
    at_ms: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """Cards for requesters of ``group`` (``*``: everybody else) appear in ``channels`` ("slack:C0123", "web")."""

    group: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Connection:
    """A registered upstream model. ``credential`` is a reference (``env:NAME``), never the secret itself."""

    name: str
    upstream: str
    protocol: str
    environment: str
    credential: str | None = None
