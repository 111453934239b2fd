"""The tables of the ledger, their guards, and their versions.

``holdpoint_ledger`` holds the records, ``holdpoint_ledger_head`` one row with the last seq and hash, locked by whoever
appends, ``holdpoint_ledger_streams`` the last source of each stream, ``holdpoint_ledger_version`` the schema's version.
Triggers refuse to change or delete a record, so that an accident does nothing; the chain shows what an attacker did who
dropped them first.

Versions: 1, the first. 2 adds the columns of `ADDED` and what is needed to find similar requests (see migrate.py).
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

VERSION = 2
"""The schema that this code reads and writes. A change of the tables raises it and adds a step to migrate.py."""

ADDED = ("reviewer_name", "similar_own", "similar_group")
"""The columns that version 2 added."""

HELD = "kind = 'hold.created'"
ENDED = "kind IN ('hold.decided', 'hold.approved', 'hold.rejected', 'hold.expired', 'hold.cancelled', 'hold.failed')"
"""Conditions as text: a database uses a partial index only for a statement that repeats its condition word for word."""

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
    # NULL, which means empty, where a record from before version 2 has nothing to say: not all of them are written anew.
    *(Column(name, Text) for name in ADDED),
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

GUARD_OF_CHANGES = {
    "sqlite": """CREATE TRIGGER holdpoint_ledger_no_update BEFORE UPDATE ON holdpoint_ledger
       BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    "postgresql": """CREATE TRIGGER holdpoint_ledger_no_change BEFORE UPDATE OR DELETE ON holdpoint_ledger
       FOR EACH ROW EXECUTE FUNCTION holdpoint_ledger_refuse()""",
}
"""The one that a migration takes away for the time of its transaction."""

_GUARDS = {
    "sqlite": (
        GUARD_OF_CHANGES["sqlite"],
        """CREATE TRIGGER holdpoint_ledger_no_delete BEFORE DELETE ON holdpoint_ledger
           BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
        # REPLACE deletes without asking the trigger above.
        """CREATE TRIGGER holdpoint_ledger_no_replace BEFORE INSERT ON holdpoint_ledger
           WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM holdpoint_ledger)
             OR EXISTS (SELECT 1 FROM holdpoint_ledger WHERE source = NEW.source)
           BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    ),
    "postgresql": (
        """CREATE OR REPLACE FUNCTION holdpoint_ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$""",
        GUARD_OF_CHANGES["postgresql"],
        """CREATE TRIGGER holdpoint_ledger_no_truncate BEFORE TRUNCATE ON holdpoint_ledger
           FOR EACH STATEMENT EXECUTE FUNCTION holdpoint_ledger_refuse()""",
    ),
}

# Indexes hold every column that history.py asks for, also the one in their own condition: in a row of SQLite, what stands behind ``data`` is reached by
# reading all of it. Only groups have no bound, and PostgreSQL has one for indexes; its ``data`` stands elsewhere anyway.
# The last one refuses records of a bot that still runs the older version and leaves the new columns out.
_INDEX = "CREATE INDEX holdpoint_ledger_"
_ADDITIONS = {
    dialect: (
        f"{_INDEX}own ON holdpoint_ledger (similar_own, at_ms, subject, kind) WHERE {HELD}",
        f"{_INDEX}group ON holdpoint_ledger (similar_group, at_ms, subject, kind) WHERE {HELD}",
        f"{_INDEX}held ON holdpoint_ledger (at_ms, subject, kind{groups}) WHERE {HELD}",
        f"{_INDEX}ended ON holdpoint_ledger (subject, kind, at_ms, reviewer, reviewer_name) WHERE {ENDED}",
        complete,
    )
    for dialect, groups, complete in (
        (
            "sqlite",
            ", requester_groups",
            f"""CREATE TRIGGER holdpoint_ledger_complete BEFORE INSERT ON holdpoint_ledger
                WHEN {" OR ".join(f"NEW.{name} IS NULL" for name in ADDED)}
                BEGIN SELECT RAISE(ABORT, 'the ledger is of a newer version than this bot'); END""",
        ),
        (
            "postgresql",
            "",
            f"""ALTER TABLE holdpoint_ledger ADD CONSTRAINT holdpoint_ledger_is_of_a_newer_version_than_this_bot
                CHECK ({" AND ".join(f"{name} IS NOT NULL" for name in ADDED)}) NOT VALID""",
        ),
    )
}


def create(connection: Connection) -> None:
    """Make the tables where there are none. Runs inside the caller's transaction, alone."""
    _METADATA.create_all(connection)
    dialect = connection.dialect.name
    for statement in (*_GUARDS[dialect], *_ADDITIONS[dialect]):
        connection.exec_driver_sql(statement)
    connection.execute(insert(head).values(id=1, seq=0, hash=GENESIS))
    connection.execute(insert(version).values(version=VERSION))


def add(connection: Connection) -> None:
    """What version 2 has and version 1 has not, but for the values of the new columns."""
    for name in ADDED:
        connection.exec_driver_sql(f"ALTER TABLE holdpoint_ledger ADD COLUMN {name} TEXT")
    for statement in _ADDITIONS[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def found_version(connection: Connection) -> int | None:
    """The version of the tables that are there, None where there are none."""
    if not inspect(connection).has_table(version.name):
        return None
    found: int | None = connection.execute(select(version.c.version)).scalar()
    return found


def lock(connection: Connection) -> None:
    """Let nobody else make or change the tables before this transaction ends (SQLite locks the whole file)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def require(connection: Connection) -> None:
    """Do nothing when the tables are there, and as this Holdpoint knows them.

    Raises:
        ConfigurationError: there are none, or they are of another version.
    """
    found = found_version(connection)
    if found is None:
        raise ConfigurationError("HOLDPOINT_LEDGER_URL: the database holds no ledger yet; the bot makes it")
    if found != VERSION:
        how = "; a start of the bot, or `holdpoint audit upgrade`, brings it there" if found < VERSION else ""
        raise ConfigurationError(
            f"HOLDPOINT_LEDGER_URL: the ledger has version {found}, this Holdpoint knows version {VERSION}{how}"
        )
