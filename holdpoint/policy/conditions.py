"""One condition → one predicate, and which patterns can make it true. Pure.

::

    Condition ─ compile_condition ─▶ Compiled(holds(context), needs: pattern numbers | None, patterns: for spans)

A condition with ``needs`` can only hold when one of these patterns hit, so that a rule whose patterns are silent costs
nothing. Pattern numbers count over all views of the text (see `views`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from holdpoint.model import PartRole, Query
from holdpoint.policy.condition_tree import (
    AllOf,
    AnyOf,
    Condition,
    Flag,
    FlagTest,
    NameTest,
    Not,
    Quantity,
    RangeTest,
    Subject,
    Test,
    TextTest,
    TimeTest,
)
from holdpoint.policy.patterns import TextPattern, glob


class Context:
    """One request while it is evaluated. ``hits`` are the numbers of the patterns that matched."""

    __slots__ = ("at_ms", "environment", "groups", "hits", "principal", "query")

    def __init__(
        self, query: Query, principal: str, groups: frozenset[str], environment: str, at_ms: int, hits: frozenset[int]
    ) -> None:
        self.query = query
        self.principal = principal
        self.groups = groups
        self.environment = environment
        self.at_ms = at_ms
        self.hits = hits


Predicate = Callable[[Context], bool]


class Numbering(Protocol):
    """Gives every pattern in every view its number."""

    def number(self, roles: tuple[PartRole, ...], pattern: TextPattern) -> int: ...


@dataclass(frozen=True, slots=True)
class Compiled:
    """``needs`` None: it can hold without any pattern. ``patterns``: those whose spans explain a match."""

    holds: Predicate
    needs: frozenset[int] | None
    patterns: frozenset[int]


def compile_condition(condition: Condition, numbering: Numbering) -> Compiled:
    """The predicate of one mapping: all its tests, and not its exception."""
    tests = [_compile_test(test, numbering) for test in sorted(condition.tests, key=_cost)]
    # Any one test that needs a pattern is enough; the one with the fewest wakes the rule least often.
    needs = min((t.needs for t in tests if t.needs is not None), key=len, default=None)
    patterns = frozenset[int]().union(*(t.patterns for t in tests))
    predicates = [t.holds for t in tests]
    if condition.unless is not None:
        predicates.append(_negated(compile_condition(condition.unless, numbering).holds))
    return Compiled(_all_of(predicates), needs, patterns)


def _cost(test: Test) -> int:
    """Their order changes nothing but the time it takes: first what is a comparison, last what asks the calendar."""
    match test:
        case FlagTest() | RangeTest():
            return 0
        case NameTest() | TextTest():
            return 1
        case AnyOf() | AllOf() | Not():
            return 2
        case TimeTest():
            return 3
        case _:
            assert_never(test)


def _compile_test(test: Test, numbering: Numbering) -> Compiled:
    match test:
        case TextTest():
            return _text(test, numbering)
        case NameTest():
            return _plain(_names(test))
        case RangeTest():
            return _plain(_range(test))
        case FlagTest():
            return _plain(_flag(test))
        case TimeTest(window):
            return _plain(lambda context: window.contains(context.at_ms))
        case AnyOf(conditions):
            parts = [compile_condition(c, numbering) for c in conditions]
            needs = [part.needs for part in parts if part.needs is not None]
            return Compiled(
                _any_of([part.holds for part in parts]),
                frozenset[int]().union(*needs) if len(needs) == len(parts) else None,
                frozenset[int]().union(*(part.patterns for part in parts)),
            )
        case AllOf(conditions):
            return compile_condition(Condition(tuple(AnyOf((c,)) for c in conditions)), numbering)
        case Not(condition):
            # What must not match explains nothing and is never replaced.
            return _plain(_negated(compile_condition(condition, numbering).holds))
        case _:
            assert_never(test)


def _plain(holds: Predicate) -> Compiled:
    return Compiled(holds, None, frozenset())


def _text(test: TextTest, numbering: Numbering) -> Compiled:
    if not test.patterns:
        roles = test.roles
        return _plain(lambda context: any(part.role in roles and part.text for part in context.query.parts))
    numbers = frozenset(numbering.number(test.roles, pattern) for pattern in test.patterns)
    if len(numbers) == 1:
        (number,) = numbers
        return Compiled(lambda context: number in context.hits, numbers, numbers)
    return Compiled(lambda context: not numbers.isdisjoint(context.hits), numbers, numbers)


def _names(test: NameTest) -> Predicate:
    exact = frozenset(test.names)
    match test.subject:
        case Subject.GROUPS:
            return lambda context: not exact.isdisjoint(context.groups)
        case Subject.CONNECTIONS:
            return lambda context: context.query.connection in exact
        case Subject.ENVIRONMENTS:
            return lambda context: context.environment in exact
        case Subject.MODELS:
            matches = _globs(test.names)
            return lambda context: matches(context.query.model)
        case Subject.REQUESTERS:
            matches = _globs(test.names)
            return lambda context: matches(context.principal)
        case Subject.ENDPOINTS:
            matches = _globs(test.names)
            return lambda context: matches(context.query.endpoint)
        case Subject.TOOLS:
            matches = _globs(test.names)
            return lambda context: any(matches(tool) for tool in context.query.tools)
        case _:
            assert_never(test.subject)


def _globs(names: Sequence[str]) -> Callable[[str], bool]:
    """Any case. Never Python's `re`: the names come out of requests."""
    lowered = tuple(name.lower() for name in names)
    if all(_is_plain(name) for name in lowered):
        exact = frozenset(lowered)
        return lambda name: name.lower() in exact
    if all(name.endswith("*") and _is_plain(name[:-1]) for name in lowered):
        prefixes = tuple(name[:-1] for name in lowered)
        return lambda name: name.lower().startswith(prefixes)
    regex = glob(names)
    return lambda name: regex.search(name.encode("utf-8", "replace")) is not None


def _is_plain(name: str) -> bool:
    return "*" not in name and "?" not in name


def _range(test: RangeTest) -> Predicate:
    over = -1 if test.over is None else test.over
    under = float("inf") if test.under is None else test.under
    missing = test.missing
    match test.quantity:
        case Quantity.PROMPT_TOKENS:
            return lambda context: over < context.query.prompt_tokens < under
        case Quantity.SIZE:
            return lambda context: over < len(context.query.body) < under
        case Quantity.MAX_TOKENS:
            if test.over is None and test.under is None:
                return lambda context: (context.query.max_tokens is None) is missing

            def limited(context: Context) -> bool:
                asked = context.query.max_tokens
                # Several engines take a negative limit for "no limit".
                return missing if asked is None or asked < 0 else over < asked < under

            return limited
        case _:
            assert_never(test.quantity)


def _flag(test: FlagTest) -> Predicate:
    value = test.value
    match test.flag:
        case Flag.STREAM:
            return lambda context: context.query.stream is value
        case Flag.UNINSPECTABLE:
            return lambda context: bool(context.query.uninspectable) is value
        case _:
            assert_never(test.flag)


def _negated(holds: Predicate) -> Predicate:
    return lambda context: not holds(context)


def _all_of(predicates: list[Predicate]) -> Predicate:
    if not predicates:
        return lambda _: True
    if len(predicates) == 1:
        return predicates[0]
    if len(predicates) == 2:
        first, second = predicates
        return lambda context: first(context) and second(context)
    return lambda context: all(holds(context) for holds in predicates)


def _any_of(predicates: list[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    return lambda context: any(holds(context) for holds in predicates)
