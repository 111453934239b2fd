"""One hold, told in few lines for a chat: who did what and when, without the texts; and whether its records are whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson
from sqlalchemy import select

from holdpoint.errors import NotFound
from holdpoint.ledger import columns
from holdpoint.ledger.chain import Form, Record
from holdpoint.ledger.columns import Row, searchable
from holdpoint.ledger.schema import records
from holdpoint.ledger.sql import Ledger
from holdpoint.ledger.timeline import render
from holdpoint.ledger.verify import Verifier

MOST_RECORDS: Final = 200
_MOST_FINDINGS: Final = 3

Clean = Callable[[str], str]


def story(ledger: Ledger, subject: str, *, clean: Clean, within_s: float) -> tuple[str, ...]:
    """The lines; the last one begins with ``Whole`` or ``NOT WHOLE``. ``clean`` masks every text in the records.

    Raises:
        NotFound: the ledger has nothing on ``subject``.
        LedgerError: it cannot be read, or not in time.
    """
    found = ledger.rows(
        select(records.c.seq)
        .where(records.c.subject == searchable(subject))
        .order_by(records.c.seq)
        .limit(MOST_RECORDS + 1),
        within_s=within_s,
    )
    seqs = [int(row["seq"]) for row in found]
    if not seqs:
        raise NotFound(f"the ledger has nothing on {subject!r}")
    mine = seqs[:MOST_RECORDS]
    around = {near for seq in mine for near in (seq - 1, seq, seq + 1) if near > 0}
    read = ledger.bounded(select(records).where(records.c.seq.in_(around)).order_by(records.c.seq), within_s=within_s)
    rows = {row.record.seq: row for row in read}
    lines = render([_cleaned(rows[seq].record, clean) for seq in mine if seq in rows], contents=False).splitlines()
    if len(seqs) > MOST_RECORDS:
        lines.append(f"… and more: `holdpoint audit show {searchable(subject)}` tells all of it")
    return (*lines, _verdict(list(_findings(mine, rows)), len(mine)))


def _verdict(findings: Sequence[str], count: int) -> str:
    if not findings:
        return f"Whole: {count} records, each as it was written, each in its place in the chain"
    more = f", and {len(findings) - _MOST_FINDINGS} more" if len(findings) > _MOST_FINDINGS else ""
    return f"NOT WHOLE: {'; '.join(findings[:_MOST_FINDINGS])}{more}. Run `holdpoint audit verify`"


def _findings(mine: Sequence[int], rows: Mapping[int, Row]) -> Iterator[str]:
    """What is wrong with these records, and with the links to those before and behind them."""
    for run in _runs(sorted(rows)):
        for finding in Verifier().check_part(rows[seq].record for seq in run):
            yield f"record {finding.seq}: {finding.detail}"
    for seq in mine:
        if seq > 1 and seq - 1 not in rows:
            yield f"record {seq - 1}: it is missing"
        if seq in rows and columns.derive(rows[seq].record.value) != rows[seq].columns:
            yield f"record {seq}: a search column says something else than the content"


def _runs(seqs: Sequence[int]) -> Iterator[list[int]]:
    """Numbers in order → those that follow each other without a gap."""
    run: list[int] = []
    for seq in seqs:
        if run and seq != run[-1] + 1:
            yield run
            run = []
        run.append(seq)
    if run:
        yield run


def _cleaned(record: Record, clean: Clean) -> Record:
    """The record to be shown: every text in its data masked before it is cut into lines."""
    if record.form != Form.JSON:
        return record
    return replace(record, data=orjson.dumps(_clean(record.value, clean)).decode())


def _clean(value: Any, clean: Clean) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_clean(item, clean) for item in value]
    if isinstance(value, dict):
        # Not the contents, which are not shown: a body may be megabytes.
        return {key: _clean(item, clean) for key, item in value.items() if key not in ("body", "view", "text")}
    return value
