"""Strict in, one meaning, canonical out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.canonical import NotCanonical, apply_edits, digest, lookup, parse, serialise, strings

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)  # fmt: skip


@pytest.mark.promise(2)
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nothing",
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"x":{"a":1,"a":2}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e400}',
        b'{"a":-1e400}',
        b'{"a":123456789012345678901234567890}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":"\x01"}',
        b'{"a":1} {"b":2}',
        b'{"a":1,}',
        b"{'a':1}",
        b'\xef\xbb\xbf{"a":1}',
        b"[" * 300 + b"]" * 300,
        b'{"a":"\\u006eull","b":1e400}',
    ],
)
def test_what_has_no_single_meaning_is_refused(raw: bytes) -> None:
    with pytest.raises(NotCanonical):
        serialise(parse(raw), raw)


@pytest.mark.promise(8)
def test_the_error_does_not_quote_the_content() -> None:
    with pytest.raises(NotCanonical) as caught:
        parse(b'{"sesame":1,"sesame":2}')
    assert "sesame" not in str(caught.value)
    assert "duplicate key" in str(caught.value)


@pytest.mark.promise(2)
@given(json_values)
def test_the_canonical_form_means_the_same_and_is_stable(value: object) -> None:
    raw = json.dumps(value).encode()
    once = serialise(parse(raw), raw)
    assert serialise(parse(once), once) == once
    assert json.loads(once) == value


def test_what_is_kept_costs_no_more_than_it_says() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    value = {"messages": [{"role": "user", "content": "word " * 400}]}
    before = resident()
    kept = [serialise(value) for _ in range(10_000)]
    assert resident() - before < 10_000 * 2 * len(kept[0])


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, {"a": [1, math.inf]}, object(), {"a": {1}}])
def test_what_is_no_json_value_is_not_written(value: Any) -> None:
    with pytest.raises(NotCanonical):
        serialise(value)


def test_a_fraction_is_written_as_the_number_that_it_is() -> None:
    raw = b"[1.50,1E5,-0.0,1e-400,0.1000000000000000055511151231257827]"
    assert serialise(parse(raw), raw) == serialise(parse(raw)) == b"[1.5,100000.0,-0.0,0.0,0.1]"


def test_key_order_is_kept() -> None:
    assert serialise(parse(b'{"b":1,"a":{"z":1,"y":2}}')) == b'{"b":1,"a":{"z":1,"y":2}}'


@given(json_values)
def test_every_string_is_found_where_its_path_says(value: object) -> None:
    if isinstance(value, dict | list):
        for path, text in strings(value):  # type: ignore[arg-type]
            assert lookup(value, path) == text  # type: ignore[arg-type]


def test_edits_replace_strings_and_nothing_else() -> None:
    body = b'{"messages":[{"content":"a"}],"a/b":{"~":"c"},"n":1}'
    assert apply_edits(body, {"messages/0/content": "x", "a~1b/~0": "y"}) == (
        b'{"messages":[{"content":"x"}],"a/b":{"~":"y"},"n":1}'
    )


@pytest.mark.parametrize(
    "path", ["messages", "n", "messages/1/content", "messages/-1/content", "nope", "", "n/0", "messages/x"]
)
def test_an_edit_of_no_string_is_refused(path: str) -> None:
    with pytest.raises(KeyError):
        apply_edits(b'{"messages":[{"content":"a"}],"n":1}', {path: "x"})


@pytest.mark.promise(2)
@pytest.mark.parametrize(
    ("body", "path"), [(b'{"~keys":"a","b":1}', "~keys"), (b'{"x":{"~keys":"a","b":1}}', "x/~keys")]
)
def test_the_keys_of_an_object_cannot_be_edited_nor_what_is_named_like_them(body: bytes, path: str) -> None:
    assert lookup(json.loads(body), path) == "~keys\nb"
    with pytest.raises(KeyError):
        apply_edits(body, {path: "x"})
    assert apply_edits(body, {path.replace("~", "~0"): "x"}) == body.replace(b'"a"', b'"x"')


@pytest.mark.promise(2)
def test_the_digest_covers_where_it_goes_and_what_is_said() -> None:
    base = {"connection": "demo", "method": "POST", "target": "/v1/x", "body": b"{}"}
    seen = {digest(**base)}  # type: ignore[arg-type]
    for change in ({"connection": "other"}, {"method": "PUT"}, {"target": "/v1/y"}, {"body": b"[]"}):
        seen.add(digest(**{**base, **change}))  # type: ignore[arg-type]
    assert len(seen) == 5
