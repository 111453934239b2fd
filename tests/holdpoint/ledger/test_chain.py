"""Canonical bytes and hashes, as the documentation lets anybody compute them by hand."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.ledger.chain import EMPTY, GENESIS, Form, Head, advance, canonical, digest, entry, extend, position
from tests.holdpoint.ledger.samples import story


def test_the_canonical_bytes_are_these() -> None:
    (record,) = extend(
        EMPTY, [entry(source="events/1-0", kind="route.added", subject="ü", at_ms=5, raw='{"a":"é\\n"}'.encode())]
    )
    expected = (
        '{"at_ms":5,"data":"{\\"a\\":\\"é\\\\n\\"}","form":"json","kind":"route.added","previous":"' + "0" * 64
        + '","seq":1,"source":"events/1-0","subject":"ü"}'
    )  # fmt: skip
    assert canonical(record.content) == expected.encode()
    assert record.hash == hashlib.sha256(expected.encode()).hexdigest()


def test_each_record_names_the_hash_of_the_one_before() -> None:
    records = list(extend(EMPTY, story()))
    assert [r.seq for r in records] == [1, 2, 3, 4, 5, 6, 7]
    assert records[0].previous == GENESIS
    assert [r.previous for r in records[1:]] == [r.hash for r in records[:-1]]
    assert list(extend(Head(3, records[2].hash), story()[3:])) == records[3:]


@pytest.mark.promise(2)
@given(st.text(), st.integers(), st.text())
def test_by_hand_with_the_json_of_the_standard_library(data: str, at_ms: int, subject: str) -> None:
    content = {"data": data, "at_ms": at_ms, "subject": subject, "seq": 1}
    by_hand = hashlib.sha256(
        json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()
    assert digest(content) == by_hand
    assert canonical(content) == orjson.dumps(content, option=orjson.OPT_SORT_KEYS) if abs(at_ms) < 2**63 else True


@pytest.mark.parametrize(
    ("raw", "form", "data"),
    [
        (b'{"a":1}', Form.JSON, '{"a":1}'),
        (b'{ "a" : 1.50 }', Form.JSON, '{ "a" : 1.50 }'),
        (b"[1]", Form.TEXT, "[1]"),
        (b"{broken", Form.TEXT, "{broken"),
        (b"", Form.TEXT, ""),
        (b'{"a":"\\ud800"}', Form.TEXT, '{"a":"\\ud800"}'),
        (b"nul\x00", Form.BASE64, "bnVsAA=="),
        (b"\xff\xfe", Form.BASE64, "//4="),
    ],
)
def test_data_is_kept_as_it_stood(raw: bytes, form: Form, data: str) -> None:
    made = entry(source="events/1-0", kind="k", subject="s", at_ms=1, raw=raw)
    assert (made.form, made.data) == (form, data)


def test_names_are_bounded_and_hold_nothing_hidden() -> None:
    made = entry(source="events/1-0", kind="k\x00", subject="s" * 9999, at_ms=1, raw=b"{}")
    assert (made.kind, len(made.subject)) == ("k⟨U+0000⟩", 200)


@pytest.mark.parametrize(("value", "says"), [(b"bytes", "not JSON serializable"), ("\udcff", "surrogates")])
def test_what_no_record_can_hold_has_no_hash(value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        digest({"data": value})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("events/12-3", ("events", (12, 3))),
        ("p1/events/1-0", ("p1/events", (1, 0))),
        ("odd", ("", ())),
        ("x/²-1", ("x", ())),
    ],
)
def test_positions_are_compared_as_numbers(source: str, expected: tuple[str, tuple[int, ...]]) -> None:
    assert position(source) == expected


def test_the_last_source_of_a_stream_never_goes_back() -> None:
    assert advance({"a": "a/9-0"}, ["a/8-5", "b/1-0", "a/10-0", "a/9-9"]) == {"b": "b/1-0", "a": "a/10-0"}
