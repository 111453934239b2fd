"""Questions about many holds: what became of similar ones, and the numbers of some days. Blocking, ended in time.

Both find holds by an index and the events that ended them by another one (schema.py), and read no record's content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from sqlalchemy import RowMapping, Select, Subquery, and_, select, text

from holdpoint.ledger.columns import likeness, searchable
from holdpoint.ledger.schema import ENDED, HELD, records
from holdpoint.ledger.sql import Ledger
from holdpoint.model import EventKind, GrantScope, Hold, Similar, Tally
from holdpoint.stats import DAY_MS, Accounts, Ending, Stats, deciders, final, first_ms

SIMILAR_DAYS: Final = 30
MOST_SIMILAR: Final = 1000
_MOST_REVIEWERS: Final = 3


def similar_to(ledger: Ledger, hold: Hold, *, within_s: float) -> Similar:
    """What became of requests like ``hold``: its requester's own, else, when none of them has ended, its groups'.

    Raises:
        LedgerError: the ledger cannot be read, or not in time.
    """
    rules = [searchable(hit.rule) for hit in hold.evaluation.hits if hit.verdict == "review"]
    requester = hold.requester
    own = likeness(searchable(hold.connection), rules, [searchable(requester.principal)])
    similar = _similar(ledger, hold, "similar_own", own, GrantScope.REQUESTER, within_s)
    if similar.last_ms is None and requester.groups:
        groups = likeness(searchable(hold.connection), rules, [searchable(group) for group in requester.groups])
        of_groups = _similar(ledger, hold, "similar_group", groups, GrantScope.GROUP, within_s)
        return similar if of_groups.last_ms is None else of_groups
    return similar


def statistics(ledger: Ledger, days: int, *, now_ms: int, within_s: float) -> Stats:
    """The last ``days`` days, today among them.

    Raises:
        ValueError: fewer than 1, or more than `MOST_DAYS`.
        LedgerError: the ledger cannot be read, or not in time.
    """
    accounts = Accounts(since_ms=first_ms(days, now_ms), until_ms=now_ms + 1)
    for held, endings in _holds(ledger.rows(held_between(first_ms(days, now_ms), now_ms + 1), within_s=within_s)):
        accounts.add(held["held_ms"], held["groups"].strip("\n").split("\n") if held["groups"] else (), endings)
    return accounts.result()


def held_between(since_ms: int, until_ms: int) -> Select[Any]:
    """Holds of this time with what ended them, by time."""
    held = (
        select(records.c.subject, records.c.at_ms, records.c.requester_groups)
        .where(text(HELD), records.c.at_ms >= since_ms, records.c.at_ms < until_ms)
        .subquery("held")
    )
    return (
        _with_endings(held).add_columns(held.c.requester_groups.label("groups")).order_by(held.c.at_ms, held.c.subject)
    )


def similar_before(column: str, key: str, hold: Hold) -> Select[Any]:
    """The newest holds with the same key in the days before ``hold``, with what ended them; one more than are counted."""
    since_ms = hold.created_ms - SIMILAR_DAYS * DAY_MS
    alike = (
        select(records.c.subject, records.c.at_ms)
        .where(text(HELD), records.c[column] == key, records.c.at_ms.between(since_ms, hold.created_ms))
        .where(records.c.subject != hold.id)
        .order_by(records.c.at_ms.desc())
        .limit(MOST_SIMILAR + 1)
        .subquery("alike")
    )
    return _with_endings(alike).order_by(alike.c.at_ms.desc(), alike.c.subject)


def _with_endings(holds: Subquery) -> Select[Any]:
    ended = records.alias("ended")
    endings = holds.outerjoin(ended, and_(ended.c.subject == holds.c.subject, text(f"ended.{ENDED}")))
    return select(
        holds.c.subject,
        holds.c.at_ms.label("held_ms"),
        ended.c.kind,
        ended.c.at_ms,
        ended.c.reviewer,
        ended.c.reviewer_name,
    ).select_from(endings)


def _similar(ledger: Ledger, hold: Hold, column: str, key: str, scope: GrantScope, within_s: float) -> Similar:
    ends: Counter[EventKind] = Counter()
    people: dict[EventKind, Counter[str]] = {EventKind.HOLD_APPROVED: Counter(), EventKind.HOLD_REJECTED: Counter()}
    names: dict[str, str] = {}
    last_ms: int | None = None
    more = False
    for number, (_, endings) in enumerate(_holds(ledger.rows(similar_before(column, key, hold), within_s=within_s))):
        if number == MOST_SIMILAR:
            more = True
            break
        end = final(endings)
        if end is None:
            continue
        ends[end.kind] += 1
        last_ms = max(last_ms or 0, end.at_ms)
        for who, ending in deciders(endings).items():
            people[end.kind][who] += 1
            names.setdefault(who, ending.name)  # the newest comes first
    return Similar(
        scope,
        ends[EventKind.HOLD_APPROVED],
        ends[EventKind.HOLD_REJECTED],
        ends[EventKind.HOLD_EXPIRED],
        ends[EventKind.HOLD_CANCELLED],
        _most(people[EventKind.HOLD_APPROVED], names),
        _most(people[EventKind.HOLD_REJECTED], names),
        last_ms,
        more,
    )


def _most(people: Counter[str], names: Mapping[str, str]) -> tuple[Tally, ...]:
    ordered = sorted(people.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Tally(who, names[who], count) for who, count in ordered[:_MOST_REVIEWERS])


def _holds(rows: Iterable[RowMapping]) -> Iterator[tuple[RowMapping, list[Ending]]]:
    """Rows of `_with_endings`, those of one hold beside each other → the first row of each hold, and its endings.

    What somebody put into a column that holds numbers is passed over here; verify says so.
    """
    for _, found in groupby(rows, key=lambda row: row["subject"]):
        of_one = list(found)
        endings = [
            Ending(EventKind(row["kind"]), row["at_ms"], row["reviewer"], row["reviewer_name"] or "")
            for row in of_one
            if row["kind"] is not None and isinstance(row["at_ms"], int)
        ]
        yield of_one[0], endings
