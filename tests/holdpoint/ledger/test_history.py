"""Similar requests and numbers, asked of real databases."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select, create_engine, select, text
from sqlalchemy.dialects import sqlite

from holdpoint.errors import LedgerError
from holdpoint.ledger.chain import Entry, entry
from holdpoint.ledger.history import MOST_SIMILAR, held_between, similar_before, similar_to, statistics
from holdpoint.ledger.sql import Ledger
from holdpoint.model import GrantScope, Hold, Requester, Risk, RuleHit, Similar, State, Tally, Verdict
from holdpoint.stats import DAY_MS, Counts
from holdpoint.store.as_json import to_json
from tests.support.builders import DANA, make_evaluation, make_query
from tests.support.postgres_server import PostgresServer

NOW = 1_790_000_000_000
SAM = {"by": "sam@example.com", "name": "Sam"}
KIM = {"by": "kim@example.com", "name": "Kim"}
POLICY = {"by": "policy", "name": ""}
WITHIN_S = 30.0


class Past:
    """Writes holds of the past into a ledger, as the store's scripts say them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.entries: list[Entry] = []
        self._number = 0

    def event(self, kind: str, subject: str, at_ms: int, **data: Any) -> None:
        self._number += 1
        source = f"events/{1_700_000_000_000 + self._number}-0"
        self.entries.append(entry(source=source, kind=kind, subject=subject, at_ms=at_ms, raw=to_json(data)))

    def hold(
        self,
        *ends: str | tuple[str, dict[str, str]],
        days_ago: float = 1,
        requester: Requester = DANA,
        rules: Sequence[str] = ("secrets",),
        connection: str = "demo",
        wait_ms: int = 60_000,
    ) -> str:
        hold, at_ms = f"h{self._number + 1}", NOW - int(days_ago * DAY_MS)
        hits = tuple(RuleHit(rule, "", Verdict.REVIEW, Risk.HIGH) for rule in rules)
        hits += (RuleHit("noted", "", Verdict.ALLOW, Risk.LOW),)
        head = {"hold": hold, "requester": requester, "connection": connection}
        self.event("hold.created", hold, at_ms, **head, evaluation=make_evaluation(hits=hits), body={"x": "y" * 5000})
        self.event("card.shown", hold, at_ms, hold=hold, view="x" * 5000)
        for number, end in enumerate(ends, 1):
            kind, decision = end if isinstance(end, tuple) else (end, None)
            more = {"decision": decision} if decision else {}
            self.event(f"hold.{kind}", hold, at_ms + number * wait_ms, **head, **more)
        return hold

    def write(self) -> None:
        self.ledger.append(self.entries)
        self.entries = []


@pytest.fixture
def past(ledger: Ledger) -> Past:
    return Past(ledger)


def now_held(
    requester: Requester = DANA, rules: Sequence[str] = ("secrets",), connection: str = "demo", hold_id: str = "hnew"
) -> Hold:
    hits = tuple(RuleHit(rule, "", Verdict.REVIEW, Risk.HIGH) for rule in rules)
    hits += (RuleHit("also noted", "", Verdict.MODIFY, Risk.LOW),)
    return Hold(
        id=hold_id, rev=1, state=State.PENDING, digest="d", original_digest="d", connection=connection, environment="p",
        method="POST", target="/", query=make_query(), requester=requester, address="", evaluation=make_evaluation(hits=hits),
        created_ms=NOW, deadline_ms=NOW + 600_000, due_ms=NOW,
    )  # fmt: skip


def similar(past: Past, hold: Hold | None = None) -> Similar:
    past.write()
    return similar_to(past.ledger, hold or now_held(), within_s=WITHIN_S)


def test_each_counts_once_by_how_its_waiting_ended(past: Past) -> None:
    past.hold(("approved", SAM), "released", "completed")
    past.hold(("approved", SAM), "expired")  # nobody collected it: it was approved
    past.hold(("approved", KIM), "released", "failed")
    past.hold(("rejected", KIM), days_ago=0.5)
    past.hold("expired")
    past.hold("cancelled")
    past.hold("cancelled")
    past.hold()
    assert similar(past) == Similar(
        GrantScope.REQUESTER,
        approved=3,
        rejected=1,
        expired=1,
        cancelled=2,
        approved_by=(Tally("sam@example.com", "Sam", 2), Tally("kim@example.com", "Kim", 1)),
        rejected_by=(Tally("kim@example.com", "Kim", 1),),
        last_ms=NOW - DAY_MS // 2 + 60_000,
    )


def test_everybody_of_a_quorum_counts_and_no_timer_does(past: Past) -> None:
    past.hold(("decided", SAM), ("approved", KIM))
    past.hold(("decided", SAM), ("decided", SAM), ("approved", KIM))
    past.hold(("decided", SAM), ("rejected", KIM))  # who approved in vain decided nothing
    past.hold(("approved", POLICY))
    found = similar(past)
    assert (found.approved, found.rejected) == (3, 1)
    assert found.approved_by == (Tally("kim@example.com", "Kim", 2), Tally("sam@example.com", "Sam", 2))
    assert found.rejected_by == (Tally("kim@example.com", "Kim", 1),)


def test_three_reviewers_at_most_with_the_name_they_last_had(past: Past) -> None:
    for number, times in enumerate((4, 3, 2, 1)):
        for turn in range(times):
            past.hold(("approved", {"by": f"r{number}@x", "name": f"R{turn}"}), days_ago=5 - turn)
    assert similar(past).approved_by == (Tally("r0@x", "R3", 4), Tally("r1@x", "R2", 3), Tally("r2@x", "R1", 2))


@pytest.mark.parametrize(
    "other",
    [
        {"rules": ["secrets", "contracts"]},
        {"rules": ["contracts"]},
        {"rules": []},
        {"connection": "other"},
        {"requester": Requester("eve@example.com", frozenset({"finance"}))},
        {"requester": Requester("eve@example.com", frozenset({"contractors", "finance"}))},
        {"days_ago": 30.01},
        {"days_ago": -0.01},
    ],
)
def test_what_is_not_similar(past: Past, other: dict[str, Any]) -> None:
    past.hold(("approved", SAM), **other)
    assert similar(past) == Similar(GrantScope.REQUESTER)


def test_the_order_of_rules_and_the_other_matches_say_nothing(past: Past) -> None:
    past.hold(("approved", SAM), rules=["b", "a"], days_ago=29.9)
    assert similar(past, now_held(rules=["a", "b"])).approved == 1


def test_the_groups_tell_where_the_requester_has_no_past(past: Past) -> None:
    eve = Requester("eve@example.com", DANA.groups)
    past.hold(("approved", SAM), requester=eve)
    past.hold()  # hers, and still waiting: it tells nothing
    assert similar(past) == Similar(
        GrantScope.GROUP, approved=1, approved_by=(Tally("sam@example.com", "Sam", 1),), last_ms=NOW - DAY_MS + 60_000
    )
    past.hold(("rejected", KIM))
    own = similar(past)
    assert (own.scope, own.approved, own.rejected) == (GrantScope.REQUESTER, 0, 1)


def test_who_is_in_no_group_is_like_nobody_else(past: Past) -> None:
    past.hold(("approved", SAM), requester=Requester("eve@example.com", frozenset()))
    assert similar(past, now_held(Requester("tom@example.com", frozenset()))) == Similar(GrantScope.REQUESTER)


def test_the_hold_itself_is_not_similar_to_itself(past: Past) -> None:
    hold = past.hold(("approved", SAM), days_ago=0)
    assert similar(past, now_held(hold_id=hold)) == Similar(GrantScope.REQUESTER)


def test_hidden_and_very_long_names_are_found_again(past: Past) -> None:
    odd = Requester("d\u202e\n" + "x" * 500, frozenset({"g\u200b" + "y" * 500}))
    past.hold(("approved", SAM), requester=odd, rules=["r\t"], connection="c" * 300)
    assert similar(past, now_held(odd, ["r\t"], "c" * 300)).approved == 1


def test_of_very_many_the_newest_are_counted(past: Past) -> None:
    for number in range(MOST_SIMILAR + 1):
        past.hold(("approved", SAM) if number else ("rejected", KIM), days_ago=20 - number / 100)
    found = similar(past)
    assert (found.approved, found.rejected, found.more) == (MOST_SIMILAR, 0, True)


def test_statistics(past: Past) -> None:
    staff = Requester("eve@example.com", frozenset({"staff", "finance"}))
    alone = Requester("tom@example.com", frozenset())
    past.hold(("approved", SAM), "released", "failed", days_ago=0.1, wait_ms=10_000)
    past.hold(("decided", SAM), ("approved", KIM), days_ago=0.1, requester=staff, wait_ms=20_000)
    past.hold(("rejected", KIM), days_ago=1.1, wait_ms=30_000)
    past.hold(("approved", POLICY), days_ago=1.1, requester=alone)
    past.hold("expired", days_ago=1.1)
    past.hold("cancelled", days_ago=1.1)
    past.hold(days_ago=0)
    past.hold(("approved", SAM), days_ago=40)
    past.write()
    stats = statistics(past.ledger, 3, now_ms=NOW, within_s=WITHIN_S)
    assert stats.counts == Counts(held=7, approved=3, rejected=1, expired=1, cancelled=1, failed=1)
    assert stats.counts.waiting == 1
    assert (stats.median_ms, stats.p95_ms) == (30_000, 40_000)
    assert [(each.group, each.counts.held, each.median_ms) for each in stats.groups] == [
        ("contractors", 5, 10_000),
        ("(no group)", 1, None),
        ("finance", 1, 40_000),
        ("staff", 1, 40_000),
    ]
    assert [(each.reviewer, each.name, each.approved, each.rejected, each.median_ms) for each in stats.reviewers] == [
        ("kim@example.com", "Kim", 1, 1, 30_000),
        ("sam@example.com", "Sam", 2, 0, 10_000),
    ]
    assert [day.counts.held for day in stats.by_day] == [0, 4, 3]
    assert stats.since_ms == NOW // DAY_MS * DAY_MS - 2 * DAY_MS
    assert statistics(past.ledger, 60, now_ms=NOW, within_s=WITHIN_S).counts.held == 8


@pytest.mark.parametrize("days", [0, -1, 367])
def test_a_number_of_days_that_makes_no_sense(ledger: Ledger, days: int) -> None:
    with pytest.raises(ValueError, match="1 to 366"):
        statistics(ledger, days, now_ms=NOW, within_s=WITHIN_S)


def test_an_empty_ledger_knows_nothing(past: Past) -> None:
    assert similar(past) == Similar(GrantScope.REQUESTER)
    stats = statistics(past.ledger, 2, now_ms=NOW, within_s=WITHIN_S)
    assert (stats.counts, stats.median_ms, stats.groups, len(stats.by_day)) == (Counts(), None, (), 2)


@pytest.mark.parametrize(
    ("statement", "indexes"),
    [
        (similar_before("similar_own", "k" * 64, now_held()), ["own", "ended"]),
        (similar_before("similar_group", "k" * 64, now_held()), ["group", "ended"]),
        (held_between(0, NOW), ["held", "ended"]),
    ],
)
def test_no_record_is_read_only_indexes(sqlite_file: Path, statement: Select[Any], indexes: list[str]) -> None:
    """With a million records, anything else takes seconds: a body stands between a row's start and these columns."""
    Ledger.open(f"sqlite:///{sqlite_file}").close()
    sql = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    engine = create_engine(f"sqlite:///{sqlite_file}")
    with engine.connect() as connection:
        plan = [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]
    engine.dispose()
    reads = [step for step in plan if step.startswith(("SCAN holdpoint", "SEARCH"))]
    assert [f"COVERING INDEX holdpoint_ledger_{name}" in step for name, step in zip(indexes, reads, strict=True)] == [
        True,
        True,
    ], plan


def test_the_database_itself_ends_what_takes_too_long(ledger: Ledger, ledger_url: str) -> None:
    endless = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000000) SELECT count(*) AS c FROM n"
        if ledger_url.startswith("sqlite")
        else "SELECT pg_sleep(20) AS c"
    )
    began = time.monotonic()
    with pytest.raises(LedgerError, match=r"did not answer within 0\.2 s"):
        list(ledger.rows(endless, within_s=0.2))  # type: ignore[arg-type]  # any statement will do
    assert time.monotonic() - began < 8  # it would take ten seconds and more
    assert ledger.head().seq == 0  # the connection is as before


def test_an_error_that_has_nothing_to_do_with_time_is_said_as_it_is(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="the ledger's database"):
        list(ledger.rows(select(text("nonsense")), within_s=30))


def test_a_number_that_somebody_overwrote_is_passed_over(sqlite_file: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{sqlite_file}")
    past = Past(ledger)
    past.hold(("approved", SAM))
    past.hold(("approved", SAM))
    past.write()
    engine = create_engine(f"sqlite:///{sqlite_file}")
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER holdpoint_ledger_no_update"))
        connection.execute(text("UPDATE holdpoint_ledger SET at_ms = 'soon' WHERE seq = 3"))
    engine.dispose()
    assert similar(past).approved == 1
    ledger.close()


def test_a_reader_waits_for_no_writer(postgres: PostgresServer, sqlite_file: Path) -> None:
    for url in (postgres.fresh(), f"sqlite:///{sqlite_file}"):
        ledger = Ledger.open(url)
        past = Past(ledger)
        past.hold(("approved", SAM))
        past.write()
        other = create_engine(url)
        with other.connect() as connection, connection.begin():
            connection.execute(text("UPDATE holdpoint_ledger_head SET hash = hash"))
            assert similar_to(ledger, replace(now_held(), created_ms=NOW), within_s=5).approved == 1
        other.dispose()
        ledger.close()
