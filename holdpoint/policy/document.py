"""The policy document as it was written: frozen types, and the way from YAML to them. No meaning yet: see `engine`.

::

    text ─ yaml_nodes (bounded tree with lines) ─ reading (typed values, every problem kept) ─ sections, rules ─▶ Document
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from holdpoint.errors import Problem
from holdpoint.model import (
    USUAL_TERMS,
    Connection,
    Escalation,
    OnTimeout,
    PartRole,
    Requirement,
    ReviewTerms,
    Risk,
    Role,
    Route,
    Verdict,
)
from holdpoint.policy.authority_terms import USUAL_AUTHORITY, AuthorityTerms
from holdpoint.policy.hours import Hours
from holdpoint.policy.patterns import TextPattern
from holdpoint.policy.schedule import Window


class Subject(StrEnum):
    """What a condition looks at, under the name that the document uses."""

    MODELS = "models"
    GROUPS = "groups"
    REQUESTERS = "requesters"
    CONNECTIONS = "connections"
    ENVIRONMENTS = "environments"
    ENDPOINTS = "endpoints"
    TOOLS = "tools"


class Quantity(StrEnum):
    PROMPT_TOKENS = "prompt_tokens"
    MAX_TOKENS = "max_tokens"
    SIZE = "size"


class Flag(StrEnum):
    STREAM = "stream"
    UNINSPECTABLE = "uninspectable"


class RuleMode(StrEnum):
    """Whether a rule counts. In shadow it is evaluated and recorded, and changes nothing."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class TextTest:
    """A text of ``roles`` matches one of ``patterns``; without patterns: there is such a text."""

    roles: tuple[PartRole, ...]
    patterns: tuple[TextPattern, ...]


@dataclass(frozen=True, slots=True)
class NameTest:
    """One of the subject's names is one of ``names`` (globs, but for groups, connections and environments)."""

    subject: Subject
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RangeTest:
    """More than ``over`` and less than ``under``. ``missing``: whether it holds when the request names no value."""

    quantity: Quantity
    over: int | None
    under: int | None
    missing: bool


@dataclass(frozen=True, slots=True)
class FlagTest:
    flag: Flag
    value: bool


@dataclass(frozen=True, slots=True)
class TimeTest:
    window: Window


@dataclass(frozen=True, slots=True)
class AnyOf:
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    condition: Condition


Test = TextTest | NameTest | RangeTest | FlagTest | TimeTest | AnyOf | AllOf | Not


@dataclass(frozen=True, slots=True)
class Condition:
    """One mapping of the document: all ``tests`` hold, and ``unless`` does not."""

    tests: tuple[Test, ...]
    unless: Condition | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``replacement`` is what `modify` puts in place. ``requirements`` are resolved (never empty for `review`)."""

    id: str
    description: str
    when: Condition
    verdict: Verdict
    risk: Risk
    line: int
    requirements: tuple[Requirement, ...] = ()
    timeout_ms: int = 0
    escalations: tuple[Escalation, ...] = ()
    on_timeout: OnTimeout = OnTimeout.REJECT
    replacement: str | None = None
    terms: ReviewTerms = USUAL_TERMS
    mode: RuleMode = RuleMode.ENFORCE


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where a rule says nothing. ``requirements`` are the reviewers of last resort; empty when nobody is."""

    verdict: Verdict = Verdict.BLOCK
    uninspectable: Verdict = Verdict.REVIEW
    timeout_ms: int = 600_000
    on_timeout: OnTimeout = OnTimeout.REJECT
    risk: Risk = Risk.MEDIUM
    requirements: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Who is in a group by the policy's own word. ``members`` are lower-case principals.

    ``slack_usergroup``, ``teams_team`` (the id of its General channel) and ``entra_group`` (an object id) name a list of
    people that a platform keeps, whose members belong to the group for as long as they are on it. ``hours`` are when they
    work; None: always.
    """

    name: str
    members: frozenset[str] = frozenset()
    slack_usergroup: str | None = None
    claims: Mapping[str, tuple[str, ...]] | None = None
    teams_team: str | None = None
    entra_group: str | None = None
    hours: Hours | None = None


@dataclass(frozen=True, slots=True)
class TeamsTerms:
    """Who else counts in Microsoft Teams: guests of the tenant, and people of these other tenants (lower-case ids)."""

    guests: bool = False
    tenants: frozenset[str] = frozenset()


class Algorithm(StrEnum):
    """How a token may be signed (RFC 7518, RFC 8037): asymmetric all of them, so that who verifies cannot sign."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


USUAL_ALGORITHMS = frozenset({Algorithm.RS256, Algorithm.ES256, Algorithm.PS256, Algorithm.EDDSA})


@dataclass(frozen=True, slots=True)
class AgentTerms:
    """Which tokens of an issuer are programs' (``when``: claim → one of the values; empty: all), and who answers for them.

    ``requester`` is the claim that names the agent, ``owner`` the one that names its owner; ``owners`` pairs a glob over
    the agent's name with a principal, and the first that fits counts where there is no such claim.
    """

    requester: str
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    owner: str | None = None
    owners: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SignIn:
    """As whom the web inbox lets people sign in at an issuer. ``client_secret`` is ``env:NAME``; None for a public client."""

    client_id: str
    client_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who may issue tokens, for which audiences (none: for signing in only), and where their claims say what.

    Paths of claims lead into nested objects by dots. ``groups`` is None where no claim names groups. ``jwks`` is where the
    keys are when the issuer has no discovery.
    """

    issuer: str
    audiences: frozenset[str]
    requester: str = "email"
    name: str = "name"
    groups: str | None = None
    require: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    algorithms: frozenset[Algorithm] = USUAL_ALGORITHMS
    jwks: str | None = None
    agents: AgentTerms | None = None
    sign_in: SignIn | None = None


@dataclass(frozen=True, slots=True)
class SamlProvider:
    """Where people sign in by SAML 2.0, and whose word is taken: signed by the key of one of ``certificates`` (PEM).

    ``requester``, ``name`` and ``groups`` are names of attributes. Without ``requester`` the NameID is the e-mail address.
    """

    entity_id: str
    sso_url: str
    certificates: tuple[str, ...]
    requester: str | None = None
    name: str | None = None
    groups: str | None = None


@dataclass(frozen=True, slots=True)
class Mask:
    """What is a secret of one kind (``card number``), wherever text is shown."""

    name: str
    patterns: tuple[TextPattern, ...]


class Measure(StrEnum):
    """What a limit counts, under the name that the document uses."""

    REQUESTS = "requests_per_minute"
    PROMPT_TOKENS = "prompt_tokens_per_minute"
    HOLDS_AT_ONCE = "holds_at_once"
    HOLDS = "holds_per_hour"


class Per(StrEnum):
    """Who has an amount of their own under a limit."""

    REQUESTER = "requester"
    GROUP = "group"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Limit:
    """So much of each measure in ``most``, for each ``per``. Without ``groups``: for everybody; ``connections``: to all."""

    id: str
    per: Per
    groups: frozenset[str]
    connections: frozenset[str]
    most: Mapping[Measure, int]
    line: int


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """One of the policy's own tests: a request as it would come in, and what is expected of it."""

    name: str
    line: int
    principal: str
    owner: str | None
    groups: frozenset[str]
    connection: str | None
    endpoint: str
    model: str
    messages: tuple[tuple[PartRole, str], ...]
    tools: tuple[tuple[str, str], ...]  # name, description
    stream: bool
    max_tokens: int | None
    uninspectable: tuple[str, ...]
    at_ms: int
    verdict: Verdict | None
    rules: frozenset[str] | None
    risk: Risk | None
    reviewers: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Document:
    """One whole policy document. ``warnings`` are what its author should look at, though it is valid.

    ``second_admin``: changes of policy and routes wait until another admin has confirmed them.
    """

    file: str
    defaults: Defaults
    connections: Mapping[str, Connection]
    groups: Mapping[str, Group]
    issuers: tuple[Issuer, ...]
    roles: Mapping[Role, frozenset[str]]
    masks: tuple[Mask, ...]
    rules: tuple[Rule, ...]
    routes: tuple[Route, ...]
    tests: tuple[PolicyTest, ...]
    warnings: tuple[Problem, ...] = ()
    second_admin: bool = False
    teams: TeamsTerms = TeamsTerms()
    limits: tuple[Limit, ...] = ()
    authority: AuthorityTerms = USUAL_AUTHORITY
    saml: tuple[SamlProvider, ...] = ()
