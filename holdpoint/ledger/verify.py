"""Finds any record that was changed, removed, inserted or moved, and says which. Pure: rows in, findings out.

Walks the records by rising number once, in bounded memory. Each must follow its predecessor, name its hash, and have
the hash of its own content; its search columns must be those of its content; the last one must be the head. Whoever can
rewrite the whole database can write a new chain with a new head: against that, keep a head (number and hash) elsewhere
and verify with it (`Expected`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from holdpoint.ledger import columns
from holdpoint.ledger.chain import EMPTY, GENESIS, Head, Record, advance, digest
from holdpoint.ledger.columns import Row, Snapshot

_MOST_MISSING = 50  # numbers that a moved record is tried with


class What(StrEnum):
    """What is wrong."""

    MISSING = "missing"  # there is no record with this number
    ORDER = "order"  # the number is not the one that follows
    CHANGED = "changed"  # the content (source, kind, subject, at_ms, form or data) is not what was hashed
    MOVED = "moved"  # the content is whole, but stands under another number
    HASH = "hash"  # the hash was changed, the content is whole
    PREVIOUS = "previous"  # it does not name the hash of the record before
    COLUMN = "column"  # a search column says something else than the content
    HEAD = "head"  # the head row is missing, or is not the last record
    STREAM = "stream"  # the note of a stream's last source is wrong
    EXPECTED = "expected"  # the ledger does not contain the head that the operator kept
    UNREADABLE = "unreadable"  # a line of an exported file is no record


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the record ``seq`` (0: with the ledger as a whole)."""

    seq: int
    subject: str
    what: What
    detail: str
    expected: str
    actual: str


@dataclass(frozen=True, slots=True)
class Expected:
    """A head that the operator kept: the record with this hash, or that number, or both must be there."""

    hash: str | None = None
    seq: int | None = None


@dataclass
class _Before:
    """The record before, and the hashes that the next one may name. ``broken``: its content has another hash."""

    record: Record
    computed: str | None
    broken: bool


@dataclass
class Verifier:
    """Use once: ``findings = verifier.check(snapshot)``; afterwards ``checked`` and ``last`` say what was read."""

    expected: Expected = field(default_factory=Expected)
    checked: int = 0
    last: Head = EMPTY
    first: int = 0

    _before: _Before | None = None
    _missing: list[int] = field(default_factory=list)
    _latest: dict[str, str] = field(default_factory=dict)
    _seen_expected: bool = False
    _wrong: int = 0

    def check(self, snapshot: Snapshot) -> Iterator[Finding]:
        """Every finding in a whole ledger."""
        for found in self._check(snapshot):
            self._wrong += 1
            yield found

    def check_part(self, rows: Iterable[Record | Finding]) -> Iterator[Finding]:
        """Every finding in records that may begin and end anywhere (an exported file)."""
        for row in rows:
            if isinstance(row, Finding):
                yield row
            else:
                yield from self._record(row, from_start=False)
        yield from self._settle(None)
        yield from self._check_expected()

    def _check(self, snapshot: Snapshot) -> Iterator[Finding]:
        for row in snapshot.rows:
            before = self._wrong
            yield from self._record(row.record, from_start=True)
            if self._before is not None and not self._before.broken and before == self._wrong:
                yield from _columns(row)
        yield from self._head(snapshot.head)
        if not self._wrong:
            # Otherwise it follows from what was reported already.
            yield from self._streams(snapshot.streams)
        yield from self._check_expected()

    def _record(self, record: Record, *, from_start: bool) -> Iterator[Finding]:
        follows = self._expected_seq(record, from_start=from_start)
        if record.seq != follows:
            yield from self._settle(None)
            yield from self._numbering(record, follows)
        else:
            yield from self._settle(record.previous)
        self.checked += 1
        self.first = self.first or record.seq
        yield from self._content(record, adjacent=record.seq == follows)
        self.last = Head(record.seq, record.hash)

    def _expected_seq(self, record: Record, *, from_start: bool) -> int:
        if self._before is not None:
            return self.last.seq + 1
        return 1 if from_start else record.seq

    def _numbering(self, record: Record, follows: int) -> Iterator[Finding]:
        if record.seq < follows:
            yield _finding(record, What.ORDER, "the number does not follow", str(follows), str(record.seq))
            return
        upto = record.seq - 1
        span = str(follows) if upto == follows else f"{follows} to {upto}"
        self._missing += range(follows, min(upto, follows + _MOST_MISSING - len(self._missing)) + 1)
        yield Finding(follows, "", What.MISSING, f"no record {span}", span, "none")

    def _content(self, record: Record, *, adjacent: bool) -> Iterator[Finding]:
        computed = _digest(record)
        named = self._before.record.hash if self._before else GENESIS
        known = adjacent and (self._before is not None or record.seq == 1)
        whole = computed == record.hash
        if not whole and known and record.previous != named and _digest(record, previous=named) == record.hash:
            yield _finding(record, What.PREVIOUS, "the hash of the record before was changed", named, record.previous)
            whole = True
        elif known and record.previous not in self._acceptable(named):
            yield _finding(record, What.PREVIOUS, "does not name the record before", named, record.previous)
        if not whole and (seq := self._true_seq(record)) is not None:
            yield _finding(record, What.MOVED, f"this is record {seq}", str(seq), str(record.seq))
            whole = True
        if whole:
            self._latest |= advance(self._latest, [record.source])
            self._note_expected(record)
        self._before = _Before(record, computed, broken=not whole)

    def _acceptable(self, named: str) -> set[str | None]:
        """What the next record may name: the hash as it stands, or as it is computed (then the hash was changed)."""
        return {named, self._before.computed} if self._before and self._before.broken else {named}

    def _true_seq(self, record: Record) -> int | None:
        """The number under which the content has its hash: one that is missing, or a neighbour's."""
        candidates = (*self._missing, record.seq - 1, record.seq + 1)
        return next((seq for seq in candidates if _digest(record, seq=seq) == record.hash), None)

    def _settle(self, named: str | None) -> Iterator[Finding]:
        """Report a record whose content has another hash, now that it is known which of the two its successor names."""
        before = self._before
        if before is None or not before.broken:
            return
        record, computed = before.record, before.computed or "no record can hold this content"
        if named == before.computed and named is not None:
            yield _finding(record, What.HASH, "the hash was changed", computed, record.hash)
        else:
            yield _finding(record, What.CHANGED, "the content is not what was hashed", record.hash, computed)

    def _head(self, head: Head | None) -> Iterator[Finding]:
        yield from self._settle(head.hash if head and head.seq == self.last.seq else None)
        if head is None:
            yield Finding(0, "", What.HEAD, "the head row is missing", f"{self.last.seq} {self.last.hash}", "none")
        elif head.seq > self.last.seq:
            span = f"{self.last.seq + 1} to {head.seq}"
            yield Finding(self.last.seq + 1, "", What.MISSING, f"the end is cut off: no record {span}", span, "none")
        elif head.seq < self.last.seq:
            detail = "records stand after the head"
            yield Finding(head.seq + 1, "", What.HEAD, detail, str(head.seq), str(self.last.seq))
        elif head.hash not in self._acceptable(self.last.hash):
            detail = "the head is not the last record"
            yield Finding(head.seq, "", What.HEAD, detail, self.last.hash, head.hash)

    def _streams(self, streams: Mapping[str, str]) -> Iterator[Finding]:
        for stream in sorted({*streams, *self._latest}):
            expected, actual = self._latest.get(stream, "none"), streams.get(stream, "none")
            if expected != actual:
                detail = f"the note of the last source of {stream!r} is wrong"
                yield Finding(0, "", What.STREAM, detail, expected, actual)

    def _note_expected(self, record: Record) -> None:
        wanted = self.expected
        if wanted.hash is not None:
            same_seq = wanted.seq is None or wanted.seq == record.seq
            self._seen_expected |= same_seq and record.hash == wanted.hash.lower()
        else:
            self._seen_expected |= wanted.seq is not None and record.seq >= wanted.seq

    def _check_expected(self) -> Iterator[Finding]:
        wanted = self.expected
        if (wanted.hash is None and wanted.seq is None) or self._seen_expected:
            return
        name = " ".join(filter(None, (None if wanted.seq is None else str(wanted.seq), wanted.hash)))
        actual = f"{self.last.seq} {self.last.hash}"
        yield Finding(wanted.seq or 0, "", What.EXPECTED, "the head that you expect is not in this chain", name, actual)


def _columns(row: Row) -> Iterator[Finding]:
    derived = columns.derive(row.record.value)
    for name in columns.NAMES:
        expected, actual = getattr(derived, name), getattr(row.columns, name)
        if expected != actual:
            yield _finding(row.record, What.COLUMN, f"column {name}", str(expected), str(actual))


def _digest(record: Record, **changed: str | int) -> str | None:
    try:
        return digest(record.content | changed)
    except ValueError:
        return None


def _finding(record: Record, what: What, detail: str, expected: str, actual: object) -> Finding:
    return Finding(record.seq, str(record.subject), what, detail, expected, str(actual))
