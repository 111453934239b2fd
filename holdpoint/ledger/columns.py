"""What can be searched: columns derived from a record's content, so that the chain covers them too. Pure.

The hash of a record does not cover these columns themselves. `verify` derives them again from the content that the
hash does cover, and reports a column that says anything else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from holdpoint.ledger.chain import Head, Record
from holdpoint.visible import visible_line

# Indexed columns: see chain. What is longer is cut here; the content has all of it.
_LONGEST = 200
SHADOW = "shadow:"  # in front of a rule that matched in shadow mode, and changed nothing


@dataclass(frozen=True, slots=True)
class Columns:
    """Empty where the event does not say. Lists have a line break before, between and after their items.

    ``similar_own`` and ``similar_group`` are keys (see `likeness`): requests to one connection that the same rules held
    have the same one, of one requester or of requesters in the same groups.
    """

    requester: str = ""
    requester_groups: str = ""
    connection: str = ""
    verdict: str = ""
    state: str = ""
    reviewer: str = ""
    digest: str = ""
    rules: str = ""
    reviewer_name: str = ""
    similar_own: str = ""
    similar_group: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A record with the search columns that stand beside it."""

    record: Record
    columns: Columns


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole ledger at one moment: its head row, the last source of each stream, and all rows by rising seq."""

    head: Head | None
    streams: Mapping[str, str]
    rows: Iterator[Row]


NAMES = tuple(field.name for field in fields(Columns))
KEYS = ("similar_own", "similar_group")
"""Those that mean nothing to a person."""


def derive(data: Mapping[str, Any]) -> Columns:
    """The columns of an event's data. Tolerant: a member that is missing or of another type is an empty column."""
    requester = data.get("requester")
    who = requester if isinstance(requester, Mapping) else {"principal": requester}
    evaluation = _mapping(data, "evaluation")
    hits, decision = _hits(evaluation, "hits"), _mapping(data, "decision")
    rules = [*_rules(hits), *(searchable(SHADOW + rule) for rule in _rules(_hits(evaluation, "shadows")))]
    principal, connection = _text(who.get("principal")), _text(data.get("connection"))
    groups = _strings(_items(who.get("groups")))
    is_held = isinstance(data.get("hold"), str) and bool(evaluation)
    held_by = _rules([hit for hit in hits if hit.get("verdict") == "review"])
    return Columns(
        requester=principal,
        requester_groups=_list(groups),
        connection=connection,
        verdict=_text(evaluation.get("verdict")),
        state=_text(data.get("state")),
        reviewer=_text(decision.get("by")),
        digest=_text(data.get("digest")),
        rules=_list(rules),
        reviewer_name=_text(decision.get("name")),
        similar_own=likeness(connection, held_by, [principal]) if is_held else "",
        similar_group=likeness(connection, held_by, groups) if is_held else "",
    )


def likeness(connection: str, rules: Iterable[str], who: Iterable[str]) -> str:
    """The key of requests of ``who`` (a requester, or all its groups) to ``connection`` that exactly ``rules`` held.

    SHA-256 (hex) of all of them, each set in order; empty where nobody is named.
    """
    people = sorted({*who} - {""})
    lines = [connection, "", *sorted({*rules}), "", *people]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest() if people else ""


def searchable(text: str) -> str:
    """``text`` in the form in which a column holds it."""
    return visible_line(text)[:_LONGEST]


def item(text: str) -> str:
    """``text`` in the form in which a list column holds one of its items."""
    return f"\n{searchable(text)}\n"


def _hits(evaluation: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """One of the evaluation's lists of rules that matched."""
    return [hit for hit in _items(evaluation.get(key)) if isinstance(hit, Mapping)]


def _rules(hits: Iterable[Mapping[str, Any]]) -> list[str]:
    return _strings(hit.get("rule") for hit in hits)


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return searchable(value) if isinstance(value, str) else ""


def _strings(values: Iterable[Any]) -> list[str]:
    return [searchable(value) for value in values if isinstance(value, str)]


def _list(items: list[str]) -> str:
    return "\n" + "".join(f"{text}\n" for text in items) if items else ""
