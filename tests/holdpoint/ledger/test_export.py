"""Files that can be checked without Holdpoint, and that no spreadsheet runs."""

from __future__ import annotations

import csv
import hashlib
import io
import json

import pytest

from holdpoint.clock import iso
from holdpoint.ledger.chain import EMPTY, extend
from holdpoint.ledger.columns import Row, derive
from holdpoint.ledger.export import from_jsonl, to_csv, to_jsonl
from holdpoint.ledger.verify import Finding, Verifier, What
from tests.holdpoint.ledger.samples import event, story


def rows() -> list[Row]:
    events = [*story(), event("k", "s", 50, b"\xff\xfe"), event("k", "\u202es", 51, {"a": "ü\u2028\x1b"})]
    return [Row(record, derive(record.value)) for record in extend(EMPTY, events)]


def test_what_is_written_can_be_read_and_verified() -> None:
    lines = [line.encode() for line in to_jsonl(rows())]
    assert list(from_jsonl(lines)) == [row.record for row in rows()]
    verifier = Verifier()
    assert list(verifier.check_part(from_jsonl(lines))) == []
    assert (verifier.checked, verifier.last.seq) == (9, 9)


@pytest.mark.promise(7)
def test_json_lines_are_ascii() -> None:
    assert all(line.isascii() and line.count("\n") == 1 for line in to_jsonl(rows()))


def test_a_line_can_be_checked_by_hand() -> None:
    previous = "0" * 64
    for line in to_jsonl(rows()):
        content = json.loads(line)
        claimed = content.pop("hash")
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert content["previous"] == previous
        assert hashlib.sha256(canonical).hexdigest() == claimed
        previous = claimed


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        next(to_jsonl(rows())).replace('"seq":1', '"seq":"1"').encode(),
        next(to_jsonl(rows())).replace('"seq":1', '"seq":true').encode(),
        next(to_jsonl(rows())).replace('"seq":1', '"seq":1,"more":1').encode(),
    ],
)
def test_a_line_that_is_no_record_is_named(line: bytes) -> None:
    first, second, *_ = [line.encode() for line in to_jsonl(rows())]
    (found,) = [item for item in from_jsonl([first, line, b"\n", second]) if isinstance(item, Finding)]
    assert (found.what, found.detail) == (What.UNREADABLE, "line 2 is no record")


@pytest.mark.parametrize(("old", "new", "what"), [("sam@", "tom@", What.CHANGED), ('"seq":3', '"seq":4', What.MISSING)])
def test_a_changed_file_is_found(old: str, new: str, what: What) -> None:
    lines = list(to_jsonl(rows()))
    lines[2] = lines[2].replace(old, new)
    findings = list(Verifier().check_part(from_jsonl([line.encode() for line in lines])))
    assert (findings[0].seq, findings[0].what) == (3, what)


@pytest.mark.promise(7)
@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "  =1+1", "\u00a0=1", "=cmd|' /C calc'!A0", "\uff1d1+1", "\t=1", "\r=1"],
)
def test_no_cell_is_a_formula(text: str) -> None:
    record = next(extend(EMPTY, [event("k", "s", 1, {"requester": text, "connection": text})]))
    _, cells = csv.reader(io.StringIO("".join(to_csv([Row(record, derive(record.value))]))))
    for cell in cells:
        assert not cell.lstrip(" \u00a0").startswith(("=", "+", "-", "@", "\uff1d"))


def test_csv_has_a_heading_and_one_line_each() -> None:
    heading, first, *rest = csv.reader(io.StringIO("".join(to_csv(rows()))))
    told = dict(zip(heading, first, strict=True))
    assert (told["seq"], told["time"], told["rules"]) == ("1", "2023-11-14T22:13:21.000Z", "secrets night")
    assert (told["requester"], told["requester_groups"]) == ("dana@example.com", "contractors staff")
    assert len(rest) == 8


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "1970-01-01T00:00:00.000Z"), (10**18, str(10**18)), (-(10**18), str(-(10**18)))]
)
def test_times(ms: int, text: str) -> None:
    assert iso(ms) == text
