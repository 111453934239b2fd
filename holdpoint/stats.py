"""What became of the requests that were held in some days, counted. Pure.

A hold counts on the day (UTC) on which it was held, once, by how its waiting ended. *Time to decision* runs from then to
the approval that completed the quorum, or to the rejection, by a person: what a timer decides takes nobody's time.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from holdpoint.model import EventKind

DAY_MS = 86_400_000
MOST_DAYS = 366
NO_GROUP = "(no group)"
BY_POLICY = "policy"  # who decides when a deadline does


@dataclass(frozen=True, slots=True)
class Counts:
    """How the waiting of ``held`` holds ended. ``failed`` are those of the approved whose model did not answer."""

    held: int = 0
    approved: int = 0
    rejected: int = 0
    expired: int = 0
    cancelled: int = 0
    failed: int = 0

    @property
    def waiting(self) -> int:
        """Those that nobody has decided yet, as far as the record goes."""
        return self.held - self.approved - self.rejected - self.expired - self.cancelled


@dataclass(frozen=True, slots=True)
class Day:
    """One day, ``2026-01-31`` in UTC. ``median_ms``: of the times to decision; None when nothing was decided."""

    date: str
    counts: Counts
    median_ms: int | None


@dataclass(frozen=True, slots=True)
class GroupStats:
    """The holds of requesters in one group. Who is in several groups counts in each."""

    group: str
    counts: Counts
    median_ms: int | None
    p95_ms: int | None


@dataclass(frozen=True, slots=True)
class ReviewerStats:
    """Decisions of one person, each that completed a quorum or was one of several."""

    reviewer: str
    name: str
    approved: int
    rejected: int
    median_ms: int | None  # from the hold's start to this person's decision


@dataclass(frozen=True, slots=True)
class Stats:
    """Everything held from ``since_ms`` (included) to ``until_ms`` (not included), in whole days but for the last.

    ``groups`` by holds and ``reviewers`` by decisions, most first; ``by_day`` has every day, oldest first.
    """

    since_ms: int
    until_ms: int
    counts: Counts
    median_ms: int | None
    p95_ms: int | None
    groups: tuple[GroupStats, ...]
    reviewers: tuple[ReviewerStats, ...]
    by_day: tuple[Day, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """One event that ended a hold, or was one approval of several. ``reviewer`` is empty where nobody decided."""

    kind: EventKind
    at_ms: int
    reviewer: str
    name: str


@dataclass(slots=True)
class _Account:
    held: int = 0
    ended: dict[EventKind, int] = field(default_factory=dict)
    waits: array[int] = field(default_factory=lambda: array("q"))  # eight bytes each: there may be millions

    def add(self, end: Ending | None, *, failed: bool, wait_ms: int | None) -> None:
        self.held += 1
        kinds = ([end.kind] if end else []) + ([EventKind.HOLD_FAILED] if failed else [])
        for kind in kinds:
            self.ended[kind] = self.ended.get(kind, 0) + 1
        if wait_ms is not None:
            self.waits.append(wait_ms)

    @property
    def counts(self) -> Counts:
        return Counts(self.held, *(self.ended.get(kind, 0) for kind in (*_ENDS, EventKind.HOLD_FAILED)))


@dataclass(slots=True)
class _Reviewer:
    name: str = ""
    approved: int = 0
    rejected: int = 0
    waits: array[int] = field(default_factory=lambda: array("q"))


# In the order of `Counts`, and of what counts: an approval that nobody collected expires, but was decided.
_ENDS = (EventKind.HOLD_APPROVED, EventKind.HOLD_REJECTED, EventKind.HOLD_EXPIRED, EventKind.HOLD_CANCELLED)
_APPROVALS = (EventKind.HOLD_APPROVED, EventKind.HOLD_DECIDED)


def final(endings: Sequence[Ending]) -> Ending | None:
    """The event by which the waiting of one hold ended; None while it waits."""
    return next((each for kind in _ENDS for each in endings if each.kind is kind), None)


def deciders(endings: Sequence[Ending]) -> dict[str, Ending]:
    """Who brought the end of one hold about, with the event of each: all of a quorum, nobody where a timer decided."""
    end = final(endings)
    kinds = _APPROVALS if end and end.kind is EventKind.HOLD_APPROVED else (EventKind.HOLD_REJECTED,)
    return {each.reviewer: each for each in endings if each.kind in kinds and each.reviewer not in ("", BY_POLICY)}


class Accounts:
    """Counts holds one by one, in memory that does not grow with their texts."""

    def __init__(self, *, since_ms: int, until_ms: int) -> None:
        self._since_ms, self._until_ms = since_ms, until_ms
        self._all = _Account()
        self._days: dict[int, _Account] = {}
        self._groups: dict[str, _Account] = {}
        self._reviewers: dict[str, _Reviewer] = {}

    def add(self, at_ms: int, groups: Sequence[str], endings: Sequence[Ending]) -> None:
        """One hold, held at ``at_ms``."""
        end, by = final(endings), deciders(endings)
        failed = any(each.kind is EventKind.HOLD_FAILED for each in endings)
        wait_ms = max(end.at_ms - at_ms, 0) if end and end.reviewer in by else None
        accounts = [self._all, self._days.setdefault(at_ms // DAY_MS, _Account())]
        accounts += (self._groups.setdefault(group, _Account()) for group in groups or (NO_GROUP,))
        for account in accounts:
            account.add(end, failed=failed, wait_ms=wait_ms)
        for reviewer, ending in by.items():
            theirs = self._reviewers.setdefault(reviewer, _Reviewer())
            theirs.name = ending.name or theirs.name
            theirs.approved += ending.kind in _APPROVALS
            theirs.rejected += ending.kind is EventKind.HOLD_REJECTED
            theirs.waits.append(max(ending.at_ms - at_ms, 0))

    def result(self) -> Stats:
        """What has been counted."""
        groups = sorted(self._groups.items(), key=lambda item: (-item[1].held, item[0]))
        reviewers = sorted(self._reviewers.items(), key=lambda item: (-len(item[1].waits), item[0]))
        days = range(self._since_ms // DAY_MS, (self._until_ms - 1) // DAY_MS + 1)
        return Stats(
            since_ms=self._since_ms,
            until_ms=self._until_ms,
            counts=self._all.counts,
            median_ms=_quantile(self._all.waits, 50),
            p95_ms=_quantile(self._all.waits, 95),
            groups=tuple(
                GroupStats(name, account.counts, _quantile(account.waits, 50), _quantile(account.waits, 95))
                for name, account in groups
            ),
            reviewers=tuple(
                ReviewerStats(who, each.name, each.approved, each.rejected, _quantile(each.waits, 50))
                for who, each in reviewers
            ),
            by_day=tuple(_day(number, self._days.get(number, _Account())) for number in days),
        )


def first_ms(days: int, now_ms: int) -> int:
    """Midnight (UTC) with which the last ``days`` days begin, today among them.

    Raises:
        ValueError: fewer than 1, or more than `MOST_DAYS`.
    """
    if not 1 <= days <= MOST_DAYS:
        raise ValueError(f"days: a number from 1 to {MOST_DAYS}")
    return (now_ms // DAY_MS - days + 1) * DAY_MS


def _day(number: int, account: _Account) -> Day:
    date = datetime.fromtimestamp(number * DAY_MS / 1000, UTC).date().isoformat()
    return Day(date, account.counts, _quantile(account.waits, 50))


def _quantile(values: array[int], percent: int) -> int | None:
    """By nearest rank: one of the values, below or at which so many percent of them are."""
    return sorted(values)[max(-(-len(values) * percent // 100), 1) - 1] if values else None
