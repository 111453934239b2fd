"""A ledger of an older version → this one, in one transaction: all of it or nothing.

What the chain covers is not touched; only columns that are derived from it are added and filled (see columns.py). The
guard against changes is away inside this transaction only, which nobody else sees. Reads every record once: some
minutes for millions of them, in which nothing can be recorded (the events stay in Redis).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from holdpoint.ledger import columns, schema
from holdpoint.ledger.chain import Form, read_object

_log = logging.getLogger(__name__)

_PAGE = 500
# Whatever fills one of the new columns is in a member of this name. Looking for the words is faster than reading JSON.
_MEMBERS = ('"evaluation"', '"decision"')


def prepare(connection: Connection, *, create: bool, upgrade: bool) -> None:
    """``create`` makes the tables where there are none, ``upgrade`` brings older ones to this version. In the caller's
    transaction, alone.
    """
    schema.lock(connection)
    found = schema.found_version(connection)
    if found is None and create:
        schema.create(connection)
    elif found == 1 and upgrade:
        _from_1_to_2(connection)


def _from_1_to_2(connection: Connection) -> None:
    _log.warning("the ledger is being brought from version 1 to 2; nothing is recorded meanwhile")
    schema.add(connection)
    name, on = ("update", "") if connection.dialect.name == "sqlite" else ("change", " ON holdpoint_ledger")
    connection.exec_driver_sql(f"DROP TRIGGER holdpoint_ledger_no_{name}{on}")
    table = schema.records
    fill = update(table).where(table.c.seq == bindparam("at_seq"))
    for page in _pages(connection):
        filled = [row for row in map(_derived, page) if row is not None]
        if filled:
            connection.execute(fill, filled)
    connection.exec_driver_sql(schema.GUARD_OF_CHANGES[connection.dialect.name])
    connection.execute(update(schema.version).values(version=2))


def _pages(connection: Connection) -> Iterator[list[Any]]:
    seq = schema.records.c.seq
    ordered = select(seq, schema.records.c.form, schema.records.c.data).order_by(seq).limit(_PAGE)
    page = list(connection.execute(ordered))
    while page:
        yield page
        page = list(connection.execute(ordered.where(seq > page[-1].seq)))


def _derived(row: Any) -> dict[str, Any] | None:
    """The new columns of one record; None when all of them are empty."""
    text = str(row.data)  # whoever tampered with it may have left anything; verify says so
    if row.form != Form.JSON or not any(member in text for member in _MEMBERS):
        return None
    derived = columns.derive(read_object(text))
    values = {name: getattr(derived, name) for name in schema.ADDED}
    return {"at_seq": row.seq, **values} if any(values.values()) else None
