"""A rule's ``when`` as it was written: a tree of tests; and which patterns stand in it, where. Pure.

`when` reads it, `conditions` compiles it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from holdpoint.model import PartRole
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


def needs_text(condition: Condition) -> bool:
    """Whether the condition can only hold when one of its patterns matched."""
    return any(_test_needs_text(test) for test in condition.tests)


def _test_needs_text(test: Test) -> bool:
    match test:
        case TextTest(_, patterns):
            return bool(patterns)
        case AnyOf(conditions):
            return all(needs_text(condition) for condition in conditions)
        case AllOf(conditions):
            return any(needs_text(condition) for condition in conditions)
        case _:
            return False


def replaced_patterns(condition: Condition) -> Iterator[TextPattern]:
    """The patterns whose matches `modify` replaces: all but those below `not` and `unless`."""
    return _patterns(condition, excepted=False)


def every_pattern(condition: Condition) -> Iterator[TextPattern]:
    """All patterns of a condition, those below `not` and `unless` included."""
    return _patterns(condition, excepted=True)


def _patterns(condition: Condition, *, excepted: bool) -> Iterator[TextPattern]:
    for test in condition.tests:
        match test:
            case TextTest(_, patterns):
                yield from patterns
            case AnyOf(conditions) | AllOf(conditions):
                for inner in conditions:
                    yield from _patterns(inner, excepted=excepted)
            case Not(inner) if excepted:
                yield from _patterns(inner, excepted=excepted)
            case _:
                pass
    if excepted and condition.unless is not None:
        yield from _patterns(condition.unless, excepted=excepted)
