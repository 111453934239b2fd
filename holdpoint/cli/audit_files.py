"""What the `holdpoint audit` commands share: the ledger of the settings, and files that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from holdpoint.cli.common import settings_with_logs
from holdpoint.errors import LedgerError
from holdpoint.ledger.sql import Ledger


@contextmanager
def opened_ledger() -> Iterator[Ledger]:
    """For reading.

    Raises:
        ConfigurationError, LedgerError: see `Ledger.open`.
    """
    ledger = Ledger.open(settings_with_logs().ledger, create=False)
    try:
        yield ledger
    finally:
        ledger.close()


def write_parts(stream: IO[bytes], parts: Iterable[bytes]) -> None:
    """All of them, not kept back."""
    for part in parts:
        stream.write(part)
    stream.flush()


def write_file(path: Path, parts: Iterable[bytes]) -> None:
    """With mode 0600; all of it or nothing: a file that is cut off would look like a ledger that was.

    What is there and no file, such as a pipe or ``/dev/null``, is written into.

    Raises:
        LedgerError: it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                write_parts(stream, parts)
            return
        file = path.resolve()  # a link to it stays
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as stream:
                write_parts(stream, parts)
                os.fsync(stream.fileno())
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}") from error
