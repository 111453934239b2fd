"""The ledger in SQL: append a batch once, read it again. Synchronous; callers on an event loop use a thread.

Exactly once, by construction: a batch is appended in one transaction that first locks the head row, so that of two
recorders one waits; then leaves out every source that is recorded already; then extends the chain. Should that ever
fail, ``source`` is unique and the transaction fails as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import Connection, Engine, RowMapping, Select, insert, select, update

from holdpoint.errors import LedgerError
from holdpoint.ledger import columns, migrate, schema
from holdpoint.ledger.chain import Entry, Head, Record, advance, extend, position
from holdpoint.ledger.columns import Columns, Row, Snapshot
from holdpoint.ledger.engine import check_encoding, ended_in_time, open_engine, transaction

# SQLite takes 32,766 parameters in a statement, and a batch is about a thousand entries.
_MOST_SOURCES = 5_000
_PAGE = 200
_STREAMED = {"yield_per": 1000}  # rows without content


class Ledger:
    """Open with `Ledger.open`, close with `close`. Every method raises `LedgerError` when the database cannot do it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str, *, create: bool = True, upgrade: bool | None = None) -> Self:
        """The ledger at the SQLAlchemy ``url``. ``create`` makes file and tables where there are none; ``upgrade`` (None: as
        ``create``) brings older tables to this version.

        Raises:
            ConfigurationError: the URL is wrong, there is no ledger, or one of another version.
            LedgerError: the database cannot be reached or written.
        """
        upgrade = create if upgrade is None else upgrade
        engine = open_engine(url, create=create)
        try:
            with transaction(engine, writing=create or upgrade) as connection:
                check_encoding(connection)
                if create or upgrade:
                    migrate.prepare(connection, create=create, upgrade=upgrade)
                schema.require(connection)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def append(self, entries: Sequence[Entry]) -> int:
        """Record those entries whose source is not recorded yet, in their order; returns how many. All or none."""
        with transaction(self._engine, writing=True) as connection:
            head = _locked_head(connection)
            new = _not_recorded(connection, entries)
            added = list(extend(head, new))
            if added:
                connection.execute(insert(schema.records), [_as_row(record) for record in added])
                connection.execute(update(schema.head).values(seq=added[-1].seq, hash=added[-1].hash))
                _advance_streams(connection, added)
        return len(added)

    def head(self) -> Head:
        """The last record's number and hash."""
        with transaction(self._engine, writing=False) as connection:
            return _head(connection)

    def select(self, statement: Select[Any]) -> list[Row]:
        """The rows of a statement over `schema.records` (see search.py)."""
        with transaction(self._engine, writing=False) as connection:
            return [_row(found) for found in connection.execute(statement).mappings()]

    def pages(self, statement: Select[Any]) -> Iterator[Row]:
        """The rows of a statement over `schema.records` by rising seq, in bounded memory, all from one moment."""
        with transaction(self._engine, writing=False) as connection:
            yield from _pages(connection, statement)

    def rows(self, statement: Select[Any], *, within_s: float) -> Iterator[RowMapping]:
        """The rows of any statement, in bounded memory. The database itself ends one that takes too long.

        Raises:
            LedgerError: it did, or it cannot be read.
        """
        late_at = time.monotonic() + within_s
        too_late = f"the ledger did not answer within {within_s:g} s"
        try:
            with transaction(self._engine, writing=False) as connection, ended_in_time(connection, within_s):
                for page in connection.execute(statement, execution_options=_STREAMED).mappings().partitions():
                    yield from page
                    _check_time(late_at)
        except LedgerError as error:
            if time.monotonic() < late_at:
                raise
            raise LedgerError(too_late) from error

    def bounded(self, statement: Select[Any], *, within_s: float) -> Iterator[Row]:
        """As `select`, ended in time as `rows`.

        Raises:
            LedgerError: as `rows`.
        """
        return map(_row, self.rows(statement, within_s=within_s))

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The whole ledger as it is now; its rows can be read inside the ``with`` only."""
        with transaction(self._engine, writing=False) as connection:
            found = connection.execute(select(schema.head)).mappings().first()
            yield Snapshot(
                head=Head(found["seq"], found["hash"]) if found else None,
                streams={row.stream: row.source for row in connection.execute(select(schema.streams))},
                rows=_pages(connection, select(schema.records)),
            )


def _check_time(late_at: float) -> None:
    """PostgreSQL bounds each page of a statement, not all of them."""
    if time.monotonic() >= late_at:
        raise LedgerError("too late")


def _locked_head(connection: Connection) -> Head:
    """The head, which nobody else appends to before this transaction ends (SQLite locks the whole file instead)."""
    found = connection.execute(select(schema.head).with_for_update()).one()
    return Head(found.seq, found.hash)


def _head(connection: Connection) -> Head:
    found = connection.execute(select(schema.head)).one()
    return Head(found.seq, found.hash)


def _not_recorded(connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
    """The entries that are new, in their order.

    Whatever comes after the last recorded source of its stream is new, and needs no look. Of the rest, most are
    recorded: they were committed and not acknowledged. But one may have been handed to a recorder that died while its
    successor went on, so the table decides, not the order; else it would be lost.
    """
    unique = {entry.source: entry for entry in entries}
    latest = {row.stream: position(row.source)[1] for row in connection.execute(select(schema.streams))}
    doubtful = [source for source in unique if not _is_after(source, latest)]
    for start in range(0, len(doubtful), _MOST_SOURCES):
        chunk = doubtful[start : start + _MOST_SOURCES]
        known = select(schema.records.c.source).where(schema.records.c.source.in_(chunk))
        for source in connection.execute(known).scalars():
            del unique[source]
    return list(unique.values())


def _is_after(source: str, latest: Mapping[str, tuple[int, ...]]) -> bool:
    stream, place = position(source)
    return bool(place) and place > latest.get(stream, ())


def _advance_streams(connection: Connection, added: Sequence[Record]) -> None:
    latest = {row.stream: row.source for row in connection.execute(select(schema.streams))}
    changed = advance(latest, (record.source for record in added))
    for stream, source in changed.items():
        if stream in latest:
            connection.execute(update(schema.streams).where(schema.streams.c.stream == stream).values(source=source))
        else:
            connection.execute(insert(schema.streams).values(stream=stream, source=source))


def _as_row(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = dict(record.content)
    derived = columns.derive(record.value)
    return row | {"hash": record.hash} | {name: getattr(derived, name) for name in columns.NAMES}


def _pages(connection: Connection, statement: Select[Any]) -> Iterator[Row]:
    seq = schema.records.c.seq
    ordered = statement.order_by(seq).limit(_PAGE)
    page = connection.execute(ordered).mappings().all()
    while page:
        yield from map(_row, page)
        page = connection.execute(ordered.where(seq > page[-1]["seq"])).mappings().all()


def _row(found: RowMapping) -> Row:
    record = Record(
        seq=found["seq"],
        source=found["source"],
        kind=found["kind"],
        subject=found["subject"],
        at_ms=found["at_ms"],
        form=found["form"],
        data=found["data"],
        previous=found["previous"],
        hash=found["hash"],
    )
    # Those that a newer version added are NULL in records from before, where they would be empty.
    return Row(record, Columns(**{name: found[name] or "" for name in columns.NAMES}))
