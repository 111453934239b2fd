"""Records as files: JSON Lines that can be verified anywhere, and CSV for a spreadsheet. Pure.

A line of JSON Lines is the content of one record, exactly as the hash covers it, and its ``hash``: take ``hash`` out,
and what remains has that SHA-256 in canonical form (see chain.py). CSV has the search columns instead of the content.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from holdpoint.clock import iso
from holdpoint.ledger.chain import Record
from holdpoint.ledger.columns import KEYS, NAMES, Row
from holdpoint.ledger.verify import Finding, What
from holdpoint.visible import visible

_TOLD = tuple(name for name in NAMES if name not in KEYS)
CSV_HEADINGS = ("seq", "time", "kind", "subject", *_TOLD, "form", "source", "hash")
# What a spreadsheet takes for a formula, or skips before one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_TYPES = {
    "at_ms": int,
    "data": str,
    "form": str,
    "hash": str,
    "kind": str,
    "previous": str,
    "seq": int,
    "source": str,
    "subject": str,
}


def to_jsonl(rows: Iterable[Row]) -> Iterator[str]:
    """One line each, with its line break; ASCII only, so that no terminal or editor changes it."""
    for row in rows:
        line = row.record.content | {"hash": row.record.hash}
        yield json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n"


def from_jsonl(lines: Iterable[bytes]) -> Iterator[Record | Finding]:
    """The records of an exported file; a `Finding` for each line that is none."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            record = _record(line)
            yield record or Finding(0, "", What.UNREADABLE, f"line {number} is no record", "a record", "something else")


def to_csv(rows: Iterable[Row]) -> Iterator[str]:
    """A heading and one line each. Cells that a spreadsheet would run as a formula begin with an apostrophe."""
    yield _csv_line(CSV_HEADINGS)
    for row in rows:
        record = row.record
        values = [record.seq, iso(record.at_ms), record.kind, record.subject]
        values += [getattr(row.columns, name).strip("\n").replace("\n", " ") for name in _TOLD]
        yield _csv_line([*values, record.form, record.source, record.hash])


def _csv_line(values: Iterable[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow([_cell(value) for value in values])
    return buffer.getvalue()


def _cell(value: object) -> str:
    text = visible(str(value))
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA) else text


def _record(line: bytes) -> Record | None:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or set(value) != set(_TYPES):
        return None
    if any(type(value[name]) is not kind for name, kind in _TYPES.items()):
        return None
    return Record(**value)
