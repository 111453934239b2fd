"""What the auditor asks for, as a statement. Pure: every value is a parameter, none becomes SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, func, select

from holdpoint.ledger.chain import Form
from holdpoint.ledger.columns import item, searchable
from holdpoint.ledger.schema import records

_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(\d{1,9})([smhdw])")


@dataclass(frozen=True, slots=True)
class Filter:
    """All that is given must hold. ``since_ms`` is included, ``until_ms`` is not. ``text`` ignores ASCII case."""

    requester: str | None = None
    group: str | None = None
    reviewer: str | None = None
    connection: str | None = None
    kind: str | None = None
    verdict: str | None = None
    state: str | None = None
    rule: str | None = None
    subject: str | None = None
    digest: str | None = None
    text: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    unreadable: bool = False


def statement(wanted: Filter, *, limit: int) -> Select[Any]:
    """The newest ``limit`` records that match, newest first."""
    return select(records).where(*_conditions(wanted)).order_by(records.c.seq.desc()).limit(limit)


def of_subject(subject: str) -> Select[Any]:
    """Everything on one hold, request, policy version or key."""
    return select(records).where(records.c.subject == searchable(subject))


def stretch(since_ms: int | None, until_ms: int | None) -> Select[Any]:
    """The records from the first one at or after ``since_ms`` to the last one before ``until_ms``, without a gap.

    Events are recorded in the order in which they reached Redis, and their times are those of several clocks. So a few
    records inside may be a little older or younger; left out, they would break the chain.
    """
    chosen = select(records)
    if since_ms is not None:
        first = select(func.min(records.c.seq)).where(records.c.at_ms >= since_ms).scalar_subquery()
        chosen = chosen.where(records.c.seq >= first)
    if until_ms is not None:
        last = select(func.max(records.c.seq)).where(records.c.at_ms < until_ms).scalar_subquery()
        chosen = chosen.where(records.c.seq <= last)
    return chosen


def parse_moment(text: str, *, now_ms: int) -> int:
    """``2h``, ``7d`` (so long ago), ``2026-01-31`` or ``2026-01-31T12:00[:00][+01:00]`` (UTC when not said) → ms.

    Raises:
        ValueError: it is neither.
    """
    if duration := _DURATION.fullmatch(text):
        return now_ms - int(duration[1]) * _UNITS_MS[duration[2]]
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    exact = {
        records.c.requester: wanted.requester,
        records.c.reviewer: wanted.reviewer,
        records.c.connection: wanted.connection,
        records.c.kind: wanted.kind,
        records.c.verdict: wanted.verdict,
        records.c.state: wanted.state,
        records.c.subject: wanted.subject,
        records.c.digest: wanted.digest,
    }
    found = [column == searchable(value) for column, value in exact.items() if value is not None]
    for column, value in ((records.c.requester_groups, wanted.group), (records.c.rules, wanted.rule)):
        if value is not None:
            found.append(column.contains(item(value), autoescape=True))
    if wanted.text is not None:
        # The content is JSON, in which quotes, backslashes and line breaks are written with a backslash.
        written = orjson.dumps(wanted.text.encode(errors="replace").decode())[1:-1].decode()
        found.append(records.c.data.icontains(written, autoescape=True))
    if wanted.since_ms is not None:
        found.append(records.c.at_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        found.append(records.c.at_ms < wanted.until_ms)
    if wanted.unreadable:
        found.append(records.c.form != Form.JSON.value)
    return found
