"""A database for the ledger: SQLite or PostgreSQL, set up so that what was committed is still there after a power cut.

Errors of drivers become `LedgerError` here, without the statement and its parameters, which are content.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from holdpoint.errors import ConfigurationError, LedgerError

_SETTING = "HOLDPOINT_LEDGER_URL"
_BUSY_TIMEOUT_S = 2
_BETWEEN_TRIES_S = 0.01
_CONNECT_TIMEOUT_S = 5
_SILENCE_TIMEOUT_MS = 15_000  # a PostgreSQL that does not acknowledge what it is sent is gone
_LOCK_TIMEOUT_MS = 10_000
_STEPS = 20_000  # of SQLite's machine, about a millisecond, between two looks at the clock
# Marks a transaction that writes: SQLite then takes its one write lock at the start, so that what was read still holds.
_WRITING = "holdpoint_writing"


def open_engine(url: str, *, create: bool) -> Engine:
    """An engine on ``url``. ``create``: make the SQLite file (mode 0600) and its folder when they are not there.

    Raises:
        ConfigurationError: no URL of SQLite or PostgreSQL, or no driver for it, or there is no such file.
        LedgerError: the file cannot be made.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        _find_file(parsed, create=create)
        engine = _create(parsed, {"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = _create(parsed, {"connect_timeout": _CONNECT_TIMEOUT_S, "tcp_user_timeout": _SILENCE_TIMEOUT_MS})
        event.listen(engine, "connect", _set_up_postgresql)
    return engine


@contextmanager
def transaction(engine: Engine, *, writing: bool) -> Iterator[Connection]:
    """One transaction; readers see one state of the ledger from its first to its last statement.

    Raises:
        LedgerError: the database cannot do it; nothing was changed.
    """
    options: dict[str, Any] = {_WRITING: writing}
    if engine.dialect.name == "postgresql" and not writing:
        options["isolation_level"] = "REPEATABLE READ"
    with translated(), engine.connect() as connection:
        connection.execution_options(**options)
        with connection.begin():
            yield connection


@contextmanager
def ended_in_time(connection: Connection, within_s: float) -> Iterator[None]:
    """Inside, the database gives up a statement that takes longer, with an error: no thread reads on for nobody."""
    if connection.dialect.name == "postgresql":
        # Does not outlast the transaction. Of a statement read in pages, it bounds each page.
        connection.execute(text(f"SET LOCAL statement_timeout = {max(int(within_s * 1000), 1)}"))
        yield
        return
    driver: Any = connection.connection.dbapi_connection
    late_at = time.monotonic() + within_s
    driver.set_progress_handler(lambda: time.monotonic() >= late_at, _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


@contextmanager
def translated() -> Iterator[None]:
    """Turns a driver's error into `LedgerError`."""
    try:
        yield
    except DBAPIError as error:
        # The first line says what is wrong; the ones after it may quote values.
        lines = str(error.orig).splitlines()
        raise LedgerError(f"the ledger's database: {lines[0] if lines else type(error).__name__}") from error
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger's database: {type(error).__name__}") from error


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # of a port that is no number; it quotes what may be the end of a password
        raise ConfigurationError(f"{_SETTING}: not a database URL") from None
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise ConfigurationError(f"{_SETTING}: must begin with sqlite:/// or postgresql://")
    if backend == "sqlite" and (parsed.database in (None, "", ":memory:") or parsed.query):
        raise ConfigurationError(f"{_SETTING}: a ledger in SQLite must be a plain file (sqlite:///path)")
    return parsed


def _create(url: URL, connect_args: dict[str, Any]) -> Engine:
    try:
        return create_engine(url, connect_args=connect_args, hide_parameters=True, pool_pre_ping=True)
    except (ImportError, ArgumentError):
        raise ConfigurationError(f"{_SETTING}: the driver is missing; install holdpoint[postgres]") from None


def _find_file(url: URL, *, create: bool) -> None:
    path = Path(url.database or "")
    if path.is_file():
        return
    if not create:
        raise ConfigurationError(f"{_SETTING}: there is no ledger at {path}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite gives the files beside it (-wal, -shm) the mode of this one.
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise LedgerError(f"the ledger cannot be made at {path}: {error.strerror}") from error


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says
    # Text that was tampered with may be no UTF-8. Kept apart from what looks like it, so that verify can tell.
    connection.text_factory = lambda raw: raw.decode(errors="surrogateescape")
    _keep_a_log(connection)
    connection.execute("PRAGMA synchronous = FULL")


def _keep_a_log(connection: Any) -> None:
    """Change to write-ahead logging. SQLite waits for every lock of somebody else, but not for the one that this takes."""
    late_at = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= late_at:
                raise
            time.sleep(_BETWEEN_TRIES_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITING) else "BEGIN")


def _set_up_postgresql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute(f"SET lock_timeout = {_LOCK_TIMEOUT_MS}")
    connection.commit()


def check_encoding(connection: Connection) -> None:
    """PostgreSQL must be able to store any text.

    Raises:
        ConfigurationError: the database has another encoding than UTF-8.
    """
    if connection.dialect.name == "postgresql" and connection.execute(text("SHOW server_encoding")).scalar() != "UTF8":
        raise ConfigurationError(f"{_SETTING}: the database must have the encoding UTF8")
