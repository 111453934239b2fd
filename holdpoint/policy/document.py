"""The policy document as it was written: frozen types, and the way from YAML to them. No meaning yet: see `engine`.

::

    text ─ yaml_nodes (bounded tree with lines) ─ reading (typed values, every problem kept) ─ sections, rules ─▶ Document
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    people that a platform keeps, whose members belong to the group for as long as they are on it.
    """

    name: str
    members: frozenset[str] = frozenset()
    slack_usergroup: str | None = None
    claims: Mapping[str, tuple[str, ...]] | None = None
    teams_team: str | None = None
    entra_group: str | None = None


@dataclass(frozen=True, slots=True)
class TeamsTerms:
    """Who else counts in Microsoft Teams: guests of the tenant, and people of these other tenants (lower-case ids)."""

    guests: bool = False
    tenants: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who may issue tokens; the names of the claims that hold the requester and the groups."""

    issuer: str
    audience: str
    requester: str
    groups: str | None


@dataclass(frozen=True, slots=True)
class Mask:
    """What is a secret of one kind (``card number``), wherever text is shown."""

    name: str
    patterns: tuple[TextPattern, ...]


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
