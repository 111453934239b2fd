"""What can be searched: columns derived from a record's content, so that the chain covers them too. Pure.

The hash of a record does not cover these columns themselves. `verify` derives them again from the content that the
hash does cover, and reports a column that says anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from holdpoint.ledger.chain import Head, Record
from holdpoint.visible import visible_line

# Indexed columns: see chain. What is longer is cut here; the content has all of it.
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Columns:
    """Empty where the event does not say. Lists have a line break before, between and after their items."""

    requester: str = ""
    requester_groups: str = ""
    connection: str = ""
    verdict: str = ""
    state: str = ""
    reviewer: str = ""
    digest: str = ""
    rules: str = ""


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


def derive(data: Mapping[str, Any]) -> Columns:
    """The columns of an event's data. Tolerant: a member that is missing or of another type is an empty column."""
    requester = data.get("requester")
    who = requester if isinstance(requester, Mapping) else {"principal": requester}
    evaluation = _mapping(data, "evaluation")
    hits = evaluation.get("hits")
    return Columns(
        requester=_text(who.get("principal")),
        requester_groups=_list(_items(who.get("groups"))),
        connection=_text(data.get("connection")),
        verdict=_text(evaluation.get("verdict")),
        state=_text(data.get("state")),
        reviewer=_text(_mapping(data, "decision").get("by")),
        digest=_text(data.get("digest")),
        rules=_list(hit.get("rule") for hit in _items(hits) if isinstance(hit, Mapping)),
    )


def searchable(text: str) -> str:
    """``text`` in the form in which a column holds it."""
    return visible_line(text)[:_LONGEST]


def item(text: str) -> str:
    """``text`` in the form in which a list column holds one of its items."""
    return f"\n{searchable(text)}\n"


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return searchable(value) if isinstance(value, str) else ""


def _list(values: Iterable[Any]) -> str:
    items = [searchable(value) for value in values if isinstance(value, str)]
    return "\n" + "".join(f"{text}\n" for text in items) if items else ""
