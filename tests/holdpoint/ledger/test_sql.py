"""Appending once and only once, in real databases."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from holdpoint.errors import ConfigurationError, LedgerError
from holdpoint.ledger.chain import GENESIS, Entry, Head
from holdpoint.ledger.search import Filter, statement
from holdpoint.ledger.sql import Ledger
from holdpoint.ledger.verify import Verifier
from tests.holdpoint.ledger.samples import event, story
from tests.support.postgres_server import PostgresServer

# What would otherwise delete a record without asking the trigger for deletions.
REPLACE = (
    "INSERT OR REPLACE INTO holdpoint_ledger SELECT SEQ, source, kind, subject, at_ms, form, 'forged', previous, hash, "
    "requester, requester_groups, connection, verdict, state, reviewer, digest, rules, reviewer_name, similar_own, "
    "similar_group FROM holdpoint_ledger WHERE seq = 3"
)


def sources(ledger: Ledger) -> list[str]:
    return [row.record.source for row in reversed(ledger.select(statement(Filter(), limit=100_000)))]


def is_whole(ledger: Ledger) -> bool:
    with ledger.snapshot() as snapshot:
        return list(Verifier().check(snapshot)) == []


@pytest.mark.promise(4)
def test_each_source_is_recorded_once_however_often_it_comes(ledger: Ledger) -> None:
    events = list(story())
    assert ledger.append(events[:3]) == 3
    assert ledger.append(events[:3]) == 0
    assert ledger.append([*events, *events]) == 4
    assert sources(ledger) == [e.source for e in events]
    assert is_whole(ledger)


@pytest.mark.promise(4)
def test_an_event_that_was_left_behind_is_recorded_when_it_comes(ledger: Ledger) -> None:
    events = list(story())
    ledger.append([events[0], events[2]])
    assert ledger.append(events) == 5
    assert sorted(sources(ledger)) == sorted(e.source for e in events)
    assert is_whole(ledger)


def test_a_snapshot_is_of_one_moment_while_others_append(ledger: Ledger, ledger_url: str) -> None:
    ledger.append(story())
    other = Ledger.open(ledger_url)
    with ledger.snapshot() as snapshot:
        other.append(story("h2", 100))
        verifier = Verifier()
        assert list(verifier.check(snapshot)) == []
        assert verifier.checked == 7
    other.close()
    assert ledger.head().seq == 14


def test_an_empty_ledger_and_an_empty_batch(ledger: Ledger) -> None:
    assert ledger.append([]) == 0
    assert ledger.head() == Head(0, GENESIS)
    assert is_whole(ledger)


def test_the_chain_goes_on_after_a_restart(ledger_url: str) -> None:
    events = list(story())
    for start in (0, 4):
        opened = Ledger.open(ledger_url)
        opened.append(events[start : start + 4])
        opened.close()
    again = Ledger.open(ledger_url, create=False)
    assert again.head().seq == 7
    assert is_whole(again)
    again.close()


def _append(ledger: Ledger, events: Sequence[Entry]) -> int:
    """As the recorder does it: again, when others did not let go of the database for too long."""
    while True:
        try:
            return ledger.append(events)
        except LedgerError as error:
            if "locked" not in str(error):
                raise


@pytest.mark.promise(4)
def test_recorders_that_overlap_record_everything_once(ledger_url: str) -> None:
    events = [e for n in range(40) for e in story(f"h{n}", 10 * n + 1)]
    ledgers = [Ledger.open(ledger_url) for _ in range(3)]

    def record(which: int) -> int:
        mine = events[which * 7 :]
        return sum(_append(ledgers[which], mine[n : n + 20]) for n in range(0, len(mine), 20))

    with ThreadPoolExecutor(3) as threads:
        added = list(threads.map(record, range(3)))
    assert sum(added) == len(events)
    assert sorted(sources(ledgers[0])) == sorted(e.source for e in events)
    assert is_whole(ledgers[0])
    for opened in ledgers:
        opened.close()


def test_two_bots_may_make_the_tables_at_once(ledger_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        ledgers = list(threads.map(lambda _: Ledger.open(ledger_url), range(4)))
    assert ledgers[3].append(story()) == 7
    for opened in ledgers:
        opened.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE holdpoint_ledger SET state = 'approved' WHERE seq = 1",
        "DELETE FROM holdpoint_ledger WHERE seq = 2",
        "DELETE FROM holdpoint_ledger",
    ],
)
def test_the_database_refuses_to_change_a_record(ledger: Ledger, ledger_url: str, sql: str) -> None:
    ledger.append(story())
    with pytest.raises(Exception, match="append-only"):
        run(ledger_url, sql)
    assert len(sources(ledger)) == 7
    assert is_whole(ledger)


@pytest.mark.parametrize("seq", ["3", "8"])
def test_sqlite_refuses_to_replace_a_record(sqlite_file: Path, seq: str) -> None:
    ledger = Ledger.open(f"sqlite:///{sqlite_file}")
    ledger.append(story())
    with pytest.raises(Exception, match="append-only"):
        run(f"sqlite:///{sqlite_file}", REPLACE.replace("SEQ", seq))
    assert is_whole(ledger)
    ledger.close()


def test_postgresql_refuses_to_truncate(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    Ledger.open(url).close()
    with pytest.raises(Exception, match="append-only"):
        run(url, "TRUNCATE holdpoint_ledger")


def test_a_sqlite_ledger_is_private_and_survives_a_power_cut(sqlite_file: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{sqlite_file.parent / 'new' / 'l.sqlite3'}")
    ledger.append(story())
    made = sorted((sqlite_file.parent / "new").iterdir())
    assert [path.name for path in made] == ["l.sqlite3", "l.sqlite3-shm", "l.sqlite3-wal"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    with ledger._engine.connect() as connection:
        pragma = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert pragma == ["wal", 2]
    ledger.close()


def test_postgresql_commits_are_durable_whatever_the_server_says(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    run(url, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$")
    ledger = Ledger.open(url)
    with ledger._engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    ledger.close()


def test_postgresql_must_store_any_text(postgres: PostgresServer) -> None:
    run(postgres.fresh(), "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0", autocommit=True)
    with pytest.raises(ConfigurationError, match="UTF8"):
        Ledger.open(f"postgresql://postgres@/latin?host={postgres.folder}")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "not a database URL"),
        ("mysql://x/y", "sqlite:/// or postgresql://"),
        ("postgresql://u:pass@word:with@h/x", "not a database URL"),
        ("sqlite://", "plain file"),
        ("sqlite:///:memory:", "plain file"),
        ("sqlite:///x.db?mode=ro", "plain file"),
        ("postgresql+nodriver://x/y", "driver"),
    ],
)
def test_a_wrong_url_is_one_line_that_names_the_setting(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=f"HOLDPOINT_LEDGER_URL: .*{says}"):
        Ledger.open(url)


def test_reading_makes_no_ledger(ledger_url: str, sqlite_file: Path) -> None:
    with pytest.raises(ConfigurationError, match="no ledger"):
        Ledger.open(ledger_url, create=False)
    assert not sqlite_file.exists()


def test_a_ledger_of_another_version_is_left_alone(ledger: Ledger, ledger_url: str) -> None:
    run(ledger_url, "UPDATE holdpoint_ledger_version SET version = 99")
    with pytest.raises(ConfigurationError, match="version 99"):
        Ledger.open(ledger_url)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be made"):
        Ledger.open(f"sqlite:///{tmp_path / 'file' / 'ledger.sqlite3'}")


@pytest.mark.promise(8)
def test_an_error_of_the_database_quotes_no_content(ledger: Ledger, ledger_url: str) -> None:
    run(ledger_url, "ALTER TABLE holdpoint_ledger RENAME TO gone")
    with pytest.raises(LedgerError) as caught:
        ledger.append([event("k", "s", 1, {"secret": "hunter2"})])
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in str(caught.value.__cause__)


def test_a_server_that_is_away_is_an_error_and_nothing_more(postgres: PostgresServer) -> None:
    ledger = Ledger.open(postgres.fresh())
    ledger.append(story()[:3])
    postgres.stop()
    try:
        with pytest.raises(LedgerError):
            ledger.append(story())
    finally:
        postgres.start()
    assert ledger.append(story()) == 4
    assert is_whole(ledger)
    ledger.close()


def test_a_locked_file_is_an_error_and_nothing_more(sqlite_file: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{sqlite_file}")
    with sqlite3.connect(sqlite_file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked"):
            ledger.append(story())
        other.execute("ROLLBACK")
    other.close()
    assert ledger.append(story()) == 7
    ledger.close()


def run(url: str, sql: str, *, autocommit: bool = False) -> None:
    """What somebody with access to the database could do."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT") if autocommit else create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text(sql))
    finally:
        engine.dispose()


def test_bots_that_start_at_the_same_moment_open_a_new_ledger_together(tmp_path: Path) -> None:
    """SQLite waits for nobody when a file changes to write-ahead logging."""
    for number in range(20):
        url = f"sqlite:///{tmp_path / str(number)}.sqlite3"
        with ThreadPoolExecutor(6) as threads:
            ledgers = list(threads.map(lambda _, url=url: Ledger.open(url), range(6)))  # type: ignore[misc]
        for ledger in ledgers:
            ledger.close()
