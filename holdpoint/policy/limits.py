"""``limits``: how much each requester, group or connection may use, and which of these a request is counted under. Pure.

A `Budget` is one amount of one limit for one of those who have it: "60 requests a minute for dana@example.com". All
budgets that a request falls under must have room for it. How they are counted: `holdpoint.store.limits`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from yaml.nodes import Node

from holdpoint.model import Requester
from holdpoint.policy.names import Names, read_group
from holdpoint.policy.people import canonical
from holdpoint.policy.reading import Reader, line_of, suggestion

MOST = 1_000_000_000
MOST_HOLDS_AT_ONCE = 1_000
MOST_LIMITS = 100
_LONGEST_ID = 64


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


_MEASURES = tuple(measure.value for measure in Measure)
_FIELDS = ("id", "for", "per", *_MEASURES)


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
class Budget:
    """``most`` of ``measure`` by the limit ``limit``, for ``subject``: (principal), (agent, owner), (group) or (connection)."""

    limit: str
    measure: Measure
    per: Per
    subject: tuple[str, ...]
    most: int

    @property
    def whose(self) -> str:
        """The subject in words."""
        return " of ".join(self.subject)


def read_limits(reader: Reader, node: Node | None, names: Names) -> tuple[Limit, ...]:
    """``limits: [{id: contractors, for: {groups: [contractors]}, per: requester, requests_per_minute: 60}]``."""
    found: dict[str, Limit] = {}
    items = reader.items(node, "limits") or []
    if node is not None and len(items) > MOST_LIMITS:
        reader.problem(node, f"limits has more than {MOST_LIMITS} entries")
    for item in items:
        before = len(reader.problems)
        fields = reader.fields(item, "a limit", _FIELDS, required=("id",))
        if fields is None:
            continue
        id_ = reader.parsed(fields.get("id"), "a limit's id", _parse_id) or ""
        if id_ in found and id_:
            reader.problem(item, f"there are two limits named {id_!r} (first in line {found[id_].line})")
        if len(reader.problems) == before and fields.keys().isdisjoint(_MEASURES):
            reader.problem(item, f"limit {id_!r} limits nothing: name one of {', '.join(_MEASURES)}")
        found[id_] = _read_limit(reader, item, fields, names, id_)
    return tuple(found.values())


def _read_limit(reader: Reader, item: Node, fields: dict[str, Node], names: Names, id_: str) -> Limit:
    what = f"limit {id_!r}"
    groups, connections = _read_for(reader, fields.get("for"), names, what)
    per = reader.word(fields.get("per"), f"{what}: per", Per) or Per.REQUESTER
    if per is Per.GROUP and not groups:
        reader.problem(fields["per"], f"{what}: per group needs to know which: name them in for: {{groups: […]}}")
    most = {}
    for measure in Measure:
        if measure.value not in fields:
            continue
        amount = reader.number(fields[measure.value], f"{what}: {measure.value}", least=1)
        greatest = MOST_HOLDS_AT_ONCE if measure is Measure.HOLDS_AT_ONCE else MOST
        if amount is not None and amount > greatest:
            reader.problem(fields[measure.value], f"{what}: {measure.value} must be at most {greatest}")
        most[measure] = amount or 1
    return Limit(id_, per, groups, connections, most, line_of(item))


def _read_for(
    reader: Reader, node: Node | None, names: Names, what: str
) -> tuple[frozenset[str], frozenset[str]]:  # fmt: skip
    before = len(reader.problems)
    fields = reader.fields(node, f"{what}: for", ("groups", "connections")) or {}
    if node is not None and not fields and len(reader.problems) == before:
        reader.problem(node, f"{what}: for names nobody: leave it out for everybody")
    groups = {
        read_group(reader, each, names) or "" for each in reader.items(fields.get("groups"), f"{what}: groups") or ()
    }
    connections = set()
    for each in reader.items(fields.get("connections"), f"{what}: connections") or ():
        name = reader.text(each, f"{what}: a connection")
        if name is not None and name not in names.connections:
            reader.problem(each, f"{what}: there is no connection {name!r}{suggestion(name, names.connections)}")
        connections.add(name or "")
    return frozenset(groups), frozenset(connections)


def _parse_id(text: str) -> str:
    bare = text.replace("-", "").replace("_", "").replace(".", "")
    if not (0 < len(text) <= _LONGEST_ID and bare.isascii() and bare.isalnum()):
        raise ValueError(f"is no id: use letters, digits, '-', '_' and '.' (at most {_LONGEST_ID})")
    return text


def budgets_of(
    limits: Iterable[Limit], requester: Requester, groups: frozenset[str], connection: str
) -> tuple[Budget, ...]:
    """Every budget that a request of ``requester``, who is in ``groups``, to ``connection`` is counted under."""
    return tuple(
        Budget(limit.id, measure, limit.per, subject, most)
        for limit in limits
        if (not limit.connections or connection in limit.connections)
        and (not limit.groups or not limit.groups.isdisjoint(groups))
        for subject in _subjects(limit, requester, groups, connection)
        for measure, most in limit.most.items()
    )


def _subjects(limit: Limit, requester: Requester, groups: frozenset[str], connection: str) -> Iterator[tuple[str, ...]]:
    match limit.per:
        case Per.REQUESTER:
            # An agent is not the person of the same name, nor somebody else's agent of that name.
            who = (requester.principal,) if requester.owner is None else (requester.principal, requester.owner)
            yield tuple(canonical(each) for each in who)
        case Per.GROUP:
            yield from ((group,) for group in sorted(limit.groups & groups))
        case Per.CONNECTION:
            yield (connection,)
        case _:
            assert_never(limit.per)
