# ruff: noqa: S608 - the statements are an attacker's, put together from this file's own tables
"""Somebody with full access to the database changes it: verify names what was changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdpoint.ledger import columns
from holdpoint.ledger.chain import EMPTY, Head, Record, entry, extend
from holdpoint.ledger.columns import Row, Snapshot, derive
from holdpoint.ledger.sql import Ledger
from holdpoint.ledger.verify import Expected, Finding, Verifier, What
from tests.holdpoint.ledger.samples import event, story

TRIGGERS = ("holdpoint_ledger_no_update", "holdpoint_ledger_no_delete", "holdpoint_ledger_no_replace")
CONTENT = ("source", "kind", "subject", "at_ms", "form", "data")
_FILES = count()


def ten(path: Path) -> str:
    """A ledger with records 1 to 10."""
    ledger = Ledger.open(f"sqlite:///{path}")
    ledger.append(
        [*story(), event("policy.pushed", "4", 50, {"version": 4}), event("k", "s", 51, b"\xff"), *story("h2", 100)[:1]]
    )
    ledger.close()
    return f"sqlite:///{path}"


def tamper(path: Path, *statements: str, values: tuple[object, ...] = ()) -> None:
    """Change the file behind the ledger's back, guards removed first."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for trigger in TRIGGERS:
            connection.execute(f"DROP TRIGGER {trigger}")
        for sql in statements:
            connection.execute(sql, values)


def verify(url: str, expected: Expected | None = None) -> list[Finding]:
    ledger = Ledger.open(url, create=False)
    with ledger.snapshot() as snapshot:
        findings = list(Verifier(expected or Expected()).check(snapshot))
    ledger.close()
    return findings


def said(findings: list[Finding]) -> list[tuple[int, What]]:
    return [(found.seq, found.what) for found in findings]


@pytest.mark.parametrize("seq", [1, 5, 10])
@pytest.mark.parametrize("column", CONTENT)
def test_a_changed_content_is_named(sqlite_file: Path, column: str, seq: int) -> None:
    url = ten(sqlite_file)
    tamper(sqlite_file, f"UPDATE holdpoint_ledger SET {column} = {column} || '1' WHERE seq = {seq}")
    (found,) = verify(url)
    assert (found.seq, found.what) == (seq, What.CHANGED)
    assert found.expected != found.actual


@pytest.mark.parametrize("value", [b"bytes", b"\xff", None, 1.5, "\x00"])
@pytest.mark.parametrize("column", ["data", "subject", "at_ms"])
def test_a_value_of_another_type_is_a_change_and_no_crash(sqlite_file: Path, column: str, value: object) -> None:
    url = ten(sqlite_file)
    loosen = "UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = 'holdpoint_ledger'"
    tamper(sqlite_file, "PRAGMA writable_schema = ON", loosen)
    with closing(sqlite3.connect(sqlite_file, isolation_level=None)) as connection:
        connection.execute(f"UPDATE holdpoint_ledger SET {column} = ? WHERE seq = 5", (value,))
    assert said(verify(url)) == [(5, What.CHANGED)]


def test_text_that_only_looks_the_same_is_a_change(sqlite_file: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{sqlite_file}")
    ledger.append([event("k", "s", 1, {"text": "\ufffd"})])
    ledger.close()
    tamper(sqlite_file, "UPDATE holdpoint_ledger SET data = CAST(X'7B2274657874223A22FF227D' AS TEXT)")
    assert said(verify(f"sqlite:///{sqlite_file}")) == [(1, What.CHANGED)]


@pytest.mark.parametrize("seq", [1, 5, 10])
@pytest.mark.parametrize(("column", "what"), [("hash", What.HASH), ("previous", What.PREVIOUS)])
def test_a_changed_hash_is_named(sqlite_file: Path, column: str, what: What, seq: int) -> None:
    url = ten(sqlite_file)
    tamper(sqlite_file, f"UPDATE holdpoint_ledger SET {column} = '{'a' * 64}' WHERE seq = {seq}")
    (found,) = verify(url)
    assert (found.seq, found.what, found.actual) == (seq, what, "a" * 64)


@pytest.mark.parametrize("column", columns.NAMES)
def test_a_changed_search_column_is_named(sqlite_file: Path, column: str) -> None:
    url = ten(sqlite_file)
    tamper(sqlite_file, f"UPDATE holdpoint_ledger SET {column} = 'somebody' WHERE seq = 3")
    (found,) = verify(url)
    assert (found.seq, found.subject, found.what, found.detail) == (3, "h1", What.COLUMN, f"column {column}")
    assert (found.expected, found.actual) == (
        getattr(derive(list(extend(EMPTY, story()))[2].value), column),
        "somebody",
    )


@pytest.mark.parametrize(
    ("gone", "finding"),
    [
        ("seq = 1", (1, What.MISSING)),
        ("seq = 5", (5, What.MISSING)),
        ("seq IN (4, 5, 6)", (4, What.MISSING)),
        ("seq = 10", (10, What.MISSING)),
        ("seq > 2", (3, What.MISSING)),
        ("seq > 0", (1, What.MISSING)),
    ],
)
def test_a_removed_record_is_named(sqlite_file: Path, gone: str, finding: tuple[int, What]) -> None:
    url = ten(sqlite_file)
    tamper(sqlite_file, f"DELETE FROM holdpoint_ledger WHERE {gone}")
    assert said(verify(url)) == [finding]


def test_two_records_that_changed_places_are_named(sqlite_file: Path) -> None:
    url = ten(sqlite_file)
    tamper(
        sqlite_file,
        *(f"UPDATE holdpoint_ledger SET seq = {new} WHERE seq = {old}" for old, new in ((4, 99), (5, 4), (99, 5))),
    )
    findings = verify(url)
    assert {(4, What.MOVED), (5, What.MOVED)} <= set(said(findings))
    assert {found.seq for found in findings} <= {4, 5, 6}


def test_a_record_that_was_moved_to_the_end_is_named(sqlite_file: Path) -> None:
    url = ten(sqlite_file)
    tamper(sqlite_file, "UPDATE holdpoint_ledger SET seq = 11 WHERE seq = 4")
    findings = verify(url)
    assert {(4, What.MISSING), (11, What.MOVED), (11, What.HEAD)} <= set(said(findings))
    assert [f.expected for f in findings if f.what is What.MOVED] == ["4"]


def test_a_removed_record_is_found_when_the_rest_is_numbered_anew(sqlite_file: Path) -> None:
    url = ten(sqlite_file)
    renumber = [f"UPDATE holdpoint_ledger SET seq = {seq - 1} WHERE seq = {seq}" for seq in range(6, 11)]
    head = "UPDATE holdpoint_ledger_head SET seq = 9"
    tamper(sqlite_file, "DELETE FROM holdpoint_ledger WHERE seq = 5", *renumber, head)
    findings = said(verify(url))
    assert (5, What.PREVIOUS) in findings
    assert [seq for seq, what in findings if what is What.MOVED] == [5, 6, 7, 8, 9]


def test_a_forged_record_in_the_middle_is_named(sqlite_file: Path) -> None:
    url = ten(sqlite_file)
    shift = [f"UPDATE holdpoint_ledger SET seq = {seq + 1} WHERE seq = {seq}" for seq in range(10, 4, -1)]
    forge = (
        "INSERT INTO holdpoint_ledger SELECT 5, source || '1', kind, subject, at_ms, form, data, previous, hash, "
        "requester, requester_groups, connection, verdict, state, reviewer, digest, rules, reviewer_name, similar_own, "
        "similar_group FROM holdpoint_ledger WHERE seq = 4"
    )
    tamper(sqlite_file, *shift, forge, "UPDATE holdpoint_ledger_head SET seq = 11")
    assert (5, What.CHANGED) in said(verify(url))


def test_a_forged_record_at_the_end_is_named_even_with_a_right_hash(sqlite_file: Path) -> None:
    url = ten(sqlite_file)
    ledger = Ledger.open(url)
    forged = next(extend(ledger.head(), [event("hold.approved", "h1", 99, {"state": "approved"})]))
    ledger.close()
    names = [*forged.content, "hash", *columns.NAMES]
    derived = derive(forged.value)
    values = (*forged.content.values(), forged.hash, *(getattr(derived, name) for name in columns.NAMES))
    marks = ", ".join("?" * len(names))
    tamper(sqlite_file, f"INSERT INTO holdpoint_ledger ({', '.join(names)}) VALUES ({marks})", values=values)
    assert said(verify(url)) == [(11, What.HEAD)]


@pytest.mark.parametrize(
    ("sql", "finding"),
    [
        ("UPDATE holdpoint_ledger_head SET seq = 12", (11, What.MISSING)),
        ("UPDATE holdpoint_ledger_head SET hash = 'x'", (10, What.HEAD)),
        ("DELETE FROM holdpoint_ledger_head", (0, What.HEAD)),
        (
            "UPDATE holdpoint_ledger_streams SET source = 'events/9999999999999-0' WHERE stream = 'events'",
            (0, What.STREAM),
        ),
        ("DELETE FROM holdpoint_ledger_streams WHERE stream = 'traffic'", (0, What.STREAM)),
        ("INSERT INTO holdpoint_ledger_streams VALUES ('other', 'other/1-0')", (0, What.STREAM)),
    ],
)
def test_what_stands_beside_the_records_is_checked_too(sqlite_file: Path, sql: str, finding: tuple[int, What]) -> None:
    url = ten(sqlite_file)
    tamper(sqlite_file, sql)
    assert said(verify(url)) == [finding]


def test_a_chain_that_was_written_anew_does_not_contain_the_head_that_was_kept(sqlite_file: Path) -> None:
    url = ten(sqlite_file)
    ledger = Ledger.open(url)
    kept = ledger.head()
    ledger.append(story("h3", 200))
    ledger.close()
    assert verify(url, Expected(kept.hash.upper(), kept.seq)) == []
    assert verify(url, Expected(kept.hash)) == []
    assert verify(url, Expected(seq=17)) == []
    assert said(verify(url, Expected(kept.hash, 9))) == [(9, What.EXPECTED)]
    assert said(verify(url, Expected(seq=18))) == [(18, What.EXPECTED)]
    sqlite_file.unlink()
    forged = Ledger.open(url)
    forged.append([event("k", str(n), n, {}) for n in range(20)])
    forged.close()
    assert verify(url) == []
    assert said(verify(url, Expected(kept.hash, kept.seq))) == [(10, What.EXPECTED)]


@pytest.mark.promise(4)
@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(data=st.data())
def test_no_change_of_any_kind_stays_unseen(data: st.DataObject) -> None:
    records = list(extend(EMPTY, [*story(), *story("h2", 100)]))
    rows = [Row(record, derive(record.value)) for record in records]
    head = Head(records[-1].seq, records[-1].hash)
    assert list(Verifier().check(snapshot(rows, head))) == []
    # The table is read in the order of its numbers: a row that was taken out and put in again is no change.
    ordered = sorted(data.draw(tampered(rows)), key=lambda row: row.record.seq)
    if [(row.record, row.columns) for row in ordered] != [(row.record, row.columns) for row in rows]:
        assert list(Verifier().check(snapshot(ordered, head))) != []


@st.composite
def tampered(draw: st.DrawFn, rows: list[Row]) -> list[Row]:
    """One to three changes: a value, a removal, a repetition under another number, an exchange of numbers."""

    changed = list(rows)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(changed) - 1))
        row = changed[place]
        match draw(st.sampled_from(["value", "column", "remove", "repeat", "exchange", "cut"])):
            case "value":
                name = draw(st.sampled_from([*CONTENT, "previous", "hash", "seq"]))
                value = draw(st.integers(1, 20) if name in ("seq", "at_ms") else st.text())
                changed[place] = Row(replace(row.record, **{name: value}), row.columns)
            case "column":
                name = draw(st.sampled_from(columns.NAMES))
                changed[place] = Row(row.record, replace(row.columns, **{name: draw(st.text())}))
            case "remove" if len(changed) > 1:
                del changed[place]
            case "repeat":
                changed.append(Row(replace(row.record, seq=draw(st.integers(1, 20))), row.columns))
            case "cut" if place:
                del changed[place:]
            case _:
                other = draw(st.integers(0, len(changed) - 1))
                seqs = (changed[other].record.seq, row.record.seq)
                changed[place] = Row(replace(row.record, seq=seqs[0]), row.columns)
                changed[other] = Row(replace(changed[other].record, seq=seqs[1]), changed[other].columns)
    return changed


def snapshot(rows: list[Row], head: Head) -> Snapshot:
    streams = {"events": "events/1700000000104-0", "traffic": "traffic/1700000000101-0"}
    return Snapshot(head, streams, iter(rows))


def test_a_part_may_begin_and_end_anywhere_but_has_no_holes() -> None:
    records = list(extend(EMPTY, story()))
    assert part(records[2:6]) == []
    assert part([]) == []
    assert part([*records[2:4], *records[5:]]) == [(5, What.MISSING)]
    assert part([records[1], records[0]])[0] == (1, What.ORDER)
    assert part([records[1], records[1]])[0] == (2, What.ORDER)
    other = list(extend(EMPTY, [entry(source="x/1-0", kind="k", subject="s", at_ms=1, raw=b"{}")] * 7))
    assert part([*records[:3], *other[3:]]) == [(4, What.PREVIOUS)]


def part(records: list[Record]) -> list[tuple[int, What]]:
    verifier = Verifier()
    return said(list(verifier.check_part(iter_all(records))))


def iter_all(records: list[Record]) -> Iterator[Record | Finding]:
    yield from records
