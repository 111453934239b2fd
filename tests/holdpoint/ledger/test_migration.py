"""A ledger that the first version made, brought to this one: nothing that the chain covers changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

from holdpoint.errors import ConfigurationError, LedgerError
from holdpoint.ledger.chain import EMPTY, Entry, Record, advance, extend
from holdpoint.ledger.columns import derive
from holdpoint.ledger.search import Filter, statement
from holdpoint.ledger.sql import Ledger
from holdpoint.ledger.verify import Verifier
from tests.holdpoint.ledger.samples import event, story

# What version 1 ran, word for word.
TABLES = (
    """CREATE TABLE holdpoint_ledger (seq {seq} NOT NULL, source TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
       at_ms BIGINT NOT NULL, form TEXT NOT NULL, data TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL,
       requester TEXT NOT NULL, requester_groups TEXT NOT NULL, connection TEXT NOT NULL, verdict TEXT NOT NULL,
       state TEXT NOT NULL, reviewer TEXT NOT NULL, digest TEXT NOT NULL, rules TEXT NOT NULL, PRIMARY KEY (seq), UNIQUE (source))""",
    "CREATE INDEX holdpoint_ledger_requester ON holdpoint_ledger (requester, seq)",
    "CREATE INDEX holdpoint_ledger_at ON holdpoint_ledger (at_ms)",
    "CREATE INDEX holdpoint_ledger_subject ON holdpoint_ledger (subject, seq)",
    "CREATE INDEX holdpoint_ledger_reviewer ON holdpoint_ledger (reviewer, seq)",
    """CREATE TABLE holdpoint_ledger_head (id INTEGER NOT NULL CHECK (id = 1), seq BIGINT NOT NULL, hash TEXT NOT NULL,
       PRIMARY KEY (id))""",
    "CREATE TABLE holdpoint_ledger_streams (stream TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (stream))",
    "CREATE TABLE holdpoint_ledger_version (version INTEGER NOT NULL, PRIMARY KEY (version))",
)
GUARDS = {
    "sqlite": (
        """CREATE TRIGGER holdpoint_ledger_no_update BEFORE UPDATE ON holdpoint_ledger
           BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
        """CREATE TRIGGER holdpoint_ledger_no_delete BEFORE DELETE ON holdpoint_ledger
           BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
        """CREATE TRIGGER holdpoint_ledger_no_replace BEFORE INSERT ON holdpoint_ledger
           WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM holdpoint_ledger)
             OR EXISTS (SELECT 1 FROM holdpoint_ledger WHERE source = NEW.source)
           BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    ),
    "postgresql": (
        """CREATE OR REPLACE FUNCTION holdpoint_ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$""",
        """CREATE TRIGGER holdpoint_ledger_no_change BEFORE UPDATE OR DELETE ON holdpoint_ledger
           FOR EACH ROW EXECUTE FUNCTION holdpoint_ledger_refuse()""",
        """CREATE TRIGGER holdpoint_ledger_no_truncate BEFORE TRUNCATE ON holdpoint_ledger
           FOR EACH STATEMENT EXECUTE FUNCTION holdpoint_ledger_refuse()""",
    ),
}
OLD = ("requester", "requester_groups", "connection", "verdict", "state", "reviewer", "digest", "rules")


@pytest.fixture
def database(ledger_url: str) -> Iterator[Engine]:
    """An empty database, as anybody with the right to write reaches it."""
    engine = create_engine(ledger_url)
    yield engine
    engine.dispose()


def made_by_version_1(database: Engine, entries: Sequence[Entry]) -> list[Record]:
    """Tables, guards and records as version 1 made them."""
    dialect = database.dialect.name
    with database.begin() as connection:
        for sql in (*TABLES, *GUARDS[dialect]):
            connection.exec_driver_sql(sql.replace("{seq}", "INTEGER" if dialect == "sqlite" else "BIGINT"))
        connection.execute(text("INSERT INTO holdpoint_ledger_version VALUES (1)"))
        added = list(extend(EMPTY, entries))
        for record in added:
            insert_as_version_1(database, record, connection)
        last = added[-1] if added else EMPTY
        head = {"seq": last.seq, "hash": last.hash}
        connection.execute(text("INSERT INTO holdpoint_ledger_head VALUES (1, :seq, :hash)"), head)
        for stream, source in advance({}, (record.source for record in added)).items():
            row = {"stream": stream, "source": source}
            connection.execute(text("INSERT INTO holdpoint_ledger_streams VALUES (:stream, :source)"), row)
    return added


def insert_as_version_1(database: Engine, record: Record, connection: object = None) -> None:
    """What a bot of version 1 runs for a new record."""
    derived = derive(record.value)
    row = {**record.content, "hash": record.hash, **{name: getattr(derived, name) for name in OLD}}
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    sql = text(f"INSERT INTO holdpoint_ledger ({names}) VALUES ({marks})")  # noqa: S608 - names of columns
    if connection is not None:
        connection.execute(sql, row)  # type: ignore[attr-defined]  # the caller's transaction
        return
    with database.begin() as own:
        own.execute(sql, row)


def records(ledger: Ledger) -> list[Record]:
    return [row.record for row in reversed(ledger.select(statement(Filter(), limit=100_000)))]


def is_whole(ledger: Ledger) -> bool:
    with ledger.snapshot() as snapshot:
        return list(Verifier().check(snapshot)) == []


def shape(database: Engine) -> object:
    """Columns, indexes, guards: all that a schema is."""
    looks = inspect(database)
    columns = [(c["name"], str(c["type"]), c["nullable"]) for c in looks.get_columns("holdpoint_ledger")]
    query = {
        "sqlite": "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'index') ORDER BY name",
        "postgresql": """SELECT 'index', indexname, indexdef FROM pg_indexes WHERE tablename = 'holdpoint_ledger'
            UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL SELECT 'check', conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' ORDER BY 2""",
    }[database.dialect.name]
    with database.connect() as connection:
        rest = [tuple(" ".join(str(part).split()) for part in row) for row in connection.execute(text(query))]
    return columns, rest


def odd() -> list[Entry]:
    """What may stand in a ledger besides what the store writes."""
    return [
        event("hold.created", "odd1", 900, b'{"evaluation": '),
        event("hold.created", "odd2", 901, b"\xff\xfe"),
        event("hold.approved", "odd3", 902, {"decision": {"name": ["x"], "by": 5}}),
        event(
            "k", "odd4", 903, {"decision": {"name": "N"}, "hold": "h", "evaluation": {"hits": "?"}, "requester": "r"}
        ),
    ]


@pytest.mark.promise(4)
def test_a_ledger_of_version_1_becomes_one_of_this_version(database: Engine, ledger_url: str) -> None:
    before = made_by_version_1(database, [*story(), *story("h2", 100), *odd()])
    ledger = Ledger.open(ledger_url)
    assert records(ledger) == before
    assert is_whole(ledger)
    named = [row for row in ledger.select(statement(Filter(), limit=100)) if row.columns.reviewer_name]
    assert {row.columns.reviewer_name for row in named} == {"Sam", "N"}
    created = ledger.select(statement(Filter(kind="hold.created", requester="dana@example.com"), limit=9))
    assert len({(row.columns.similar_own, row.columns.similar_group) for row in created}) == 1
    assert created[0].columns.similar_own == derive(created[0].record.value).similar_own != ""
    assert ledger.append(story("h3", 200)) == 7
    assert is_whole(ledger)
    ledger.close()
    again = Ledger.open(ledger_url, create=False)
    assert records(again)[: len(before)] == before
    again.close()


def test_it_has_the_shape_of_a_new_one(database: Engine, ledger_url: str) -> None:
    Ledger.open(ledger_url).close()
    new = shape(database)
    with database.begin() as connection:
        for table in ("", "_head", "_streams", "_version"):
            connection.exec_driver_sql(f"DROP TABLE holdpoint_ledger{table}")
    made_by_version_1(database, story())
    Ledger.open(ledger_url).close()
    assert shape(database) == new


@pytest.mark.parametrize("sql", ["UPDATE holdpoint_ledger SET state = 'x'", "DELETE FROM holdpoint_ledger"])
def test_the_guards_stand_again_afterwards(database: Engine, ledger_url: str, sql: str) -> None:
    made_by_version_1(database, story())
    Ledger.open(ledger_url).close()
    with pytest.raises(Exception, match="append-only"), database.begin() as connection:
        connection.execute(text(sql))


def test_a_bot_that_still_runs_the_older_version_cannot_write_any_more(database: Engine, ledger_url: str) -> None:
    added = made_by_version_1(database, story())
    ledger = Ledger.open(ledger_url)
    (late,) = extend(ledger.head(), [event("hold.created", "h9", 500, {"hold": "h9", "requester": "dana"})])
    with pytest.raises(Exception, match=r"newer.version.than.this.bot"):
        insert_as_version_1(database, late)
    assert records(ledger) == added
    ledger.close()


def test_what_fails_half_way_leaves_version_1(database: Engine, ledger_url: str) -> None:
    before = made_by_version_1(database, story())
    with database.begin() as connection:  # in the way of one of the last steps
        connection.exec_driver_sql("CREATE INDEX holdpoint_ledger_ended ON holdpoint_ledger (kind)")
    was = shape(database)
    with pytest.raises(LedgerError):
        Ledger.open(ledger_url)
    assert shape(database) == was
    with database.begin() as connection:
        assert connection.execute(text("SELECT version FROM holdpoint_ledger_version")).scalar() == 1
        connection.exec_driver_sql("DROP INDEX holdpoint_ledger_ended")
    ledger = Ledger.open(ledger_url)
    assert records(ledger) == before
    assert is_whole(ledger)
    ledger.close()


def test_who_only_reads_changes_nothing_and_says_what_to_do(database: Engine, ledger_url: str) -> None:
    made_by_version_1(database, story())
    was = shape(database)
    with pytest.raises(ConfigurationError, match=r"version 1, .* knows version 2; .*holdpoint audit upgrade"):
        Ledger.open(ledger_url, create=False)
    assert shape(database) == was
    Ledger.open(ledger_url, create=False, upgrade=True).close()
    Ledger.open(ledger_url, create=False).close()


def test_an_upgrade_makes_no_ledger(ledger_url: str, database: Engine) -> None:
    with pytest.raises(ConfigurationError, match="no ledger"):
        Ledger.open(ledger_url, create=False, upgrade=True)


def test_an_upgrade_hides_no_tampering(database: Engine, ledger_url: str) -> None:
    made_by_version_1(database, story())
    update = "sqlite" if database.dialect.name == "sqlite" else "postgresql"
    with database.begin() as connection:
        name = "no_update" if update == "sqlite" else "no_change ON holdpoint_ledger"
        connection.exec_driver_sql(f"DROP TRIGGER holdpoint_ledger_{name}")
        connection.execute(text("UPDATE holdpoint_ledger SET data = replace(data, 'Sam', 'Tom') WHERE seq = 3"))
        connection.exec_driver_sql(GUARDS[update][0 if update == "sqlite" else 1])
    ledger = Ledger.open(ledger_url)
    with ledger.snapshot() as snapshot:
        assert [(found.seq, found.what.value) for found in Verifier().check(snapshot)] == [(3, "changed")]
    ledger.close()


def test_two_bots_may_upgrade_at_once(database: Engine, ledger_url: str) -> None:
    before = made_by_version_1(database, story())
    with ThreadPoolExecutor(3) as threads:
        ledgers = list(threads.map(lambda _: Ledger.open(ledger_url), range(3)))
    assert [records(ledger) for ledger in ledgers] == [before] * 3
    for ledger in ledgers:
        ledger.close()
