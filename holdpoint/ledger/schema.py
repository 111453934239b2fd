"""The tables of the ledger, their guards, and their versions.

``holdpoint_ledger`` holds the records, ``holdpoint_ledger_head`` one row with the last seq and hash, locked by whoever
appends, ``holdpoint_ledger_streams`` the last source of each stream, ``holdpoint_ledger_version`` the schema's version.
Triggers refuse to change or delete a record, so that an accident does nothing; the chain shows what an attacker did who
dropped them first.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    insert,
    inspect,
    select,
    text,
)

from holdpoint.errors import ConfigurationError
from holdpoint.ledger.chain import GENESIS

VERSION = 1
"""The schema that this code reads and writes. A change of the tables raises it and adds a step to `prepare`."""

_METADATA = MetaData()
# INTEGER PRIMARY KEY is what makes seq the row's own number in SQLite; BIGINT is the same range in PostgreSQL.
_SEQ = BigInteger().with_variant(Integer, "sqlite")
_ADVISORY_LOCK = 0x686F6C64  # any number that only Holdpoint uses: two bots may start at once

records = Table(
    "holdpoint_ledger",
    _METADATA,
    Column("seq", _SEQ, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("form", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    # Derived from data, for searching: see columns.py.
    Column("requester", Text, nullable=False),
    Column("requester_groups", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Index("holdpoint_ledger_subject", "subject", "seq"),
    Index("holdpoint_ledger_requester", "requester", "seq"),
    Index("holdpoint_ledger_reviewer", "reviewer", "seq"),
    Index("holdpoint_ledger_at", "at_ms"),
)

head = Table(
    "holdpoint_ledger_head",
    _METADATA,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

streams = Table(
    "holdpoint_ledger_streams",
    _METADATA,
    Column("stream", Text, primary_key=True),
    Column("source", Text, nullable=False),
)

version = Table(
    "holdpoint_ledger_version", _METADATA, Column("version", Integer, primary_key=True, autoincrement=False)
)

_SQLITE_GUARDS = (
    """CREATE TRIGGER holdpoint_ledger_no_update BEFORE UPDATE ON holdpoint_ledger
       BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER holdpoint_ledger_no_delete BEFORE DELETE ON holdpoint_ledger
       BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    # REPLACE deletes without asking the trigger above.
    """CREATE TRIGGER holdpoint_ledger_no_replace BEFORE INSERT ON holdpoint_ledger
       WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM holdpoint_ledger)
         OR EXISTS (SELECT 1 FROM holdpoint_ledger WHERE source = NEW.source)
       BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
)

_POSTGRESQL_GUARDS = (
    """CREATE OR REPLACE FUNCTION holdpoint_ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$""",
    """CREATE TRIGGER holdpoint_ledger_no_change BEFORE UPDATE OR DELETE ON holdpoint_ledger
       FOR EACH ROW EXECUTE FUNCTION holdpoint_ledger_refuse()""",
    """CREATE TRIGGER holdpoint_ledger_no_truncate BEFORE TRUNCATE ON holdpoint_ledger
       FOR EACH STATEMENT EXECUTE FUNCTION holdpoint_ledger_refuse()""",
)


def prepare(connection: Connection) -> None:
    """Make the tables where there are none. Runs inside the caller's transaction, alone.

    Raises:
        ConfigurationError: the tables are of another version.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    if _is_there(connection):
        return
    _METADATA.create_all(connection)
    for guard in _SQLITE_GUARDS if connection.dialect.name == "sqlite" else _POSTGRESQL_GUARDS:
        connection.exec_driver_sql(guard)
    connection.execute(insert(head).values(id=1, seq=0, hash=GENESIS))
    connection.execute(insert(version).values(version=VERSION))


def require(connection: Connection) -> None:
    """Do nothing when the tables are there.

    Raises:
        ConfigurationError: there are none, or they are of another version.
    """
    if not _is_there(connection):
        raise ConfigurationError("HOLDPOINT_LEDGER_URL: the database holds no ledger yet; the bot makes it")


def _is_there(connection: Connection) -> bool:
    if not inspect(connection).has_table(version.name):
        return False
    found = connection.execute(select(version.c.version)).scalar()
    if found != VERSION:
        raise ConfigurationError(
            f"HOLDPOINT_LEDGER_URL: the ledger has version {found}, this Holdpoint knows version {VERSION}"
        )
    return True
