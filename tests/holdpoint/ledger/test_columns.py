"""Search columns come from whatever an event has, and never fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.ledger.columns import NAMES, Columns, derive, item, likeness
from tests.holdpoint.ledger.samples import story

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from([*NAMES, "evaluation", "decision", "hits"]), inner),
    max_leaves=20,
)  # fmt: skip


def test_an_event_of_a_hold_fills_them() -> None:
    created, _, approved, *_ = [derive(record) for record in map(_value, story())]
    assert created == Columns(
        requester="dana@example.com",
        requester_groups="\ncontractors\nstaff\n",
        connection="demo",
        verdict="review",
        state="pending",
        digest="d" * 64,
        rules="\nsecrets\nnight\n",
        similar_own=likeness("demo", ["secrets"], ["dana@example.com"]),
        similar_group=likeness("demo", ["secrets"], ["contractors", "staff"]),
    )
    assert approved.reviewer_name == "Sam"
    assert (approved.reviewer, approved.state, approved.requester) == (
        "sam@example.com",
        "approved",
        "dana@example.com",
    )


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        ({}, Columns()),
        ({"requester": "dana", "connection": 5, "state": None}, Columns(requester="dana")),
        ({"requester": {"principal": ["x"], "groups": "g"}, "evaluation": [], "decision": "no"}, Columns()),
        ({"evaluation": {"hits": [1, {"rule": "a"}, {"rule": 2}]}}, Columns(rules="\na\n")),
        ({"digest": "x" * 300}, Columns(digest="x" * 200)),
        ({"connection": "a\x00\u202eb"}, Columns(connection="a⟨U+0000⟩⟨U+202E⟩b")),
    ],
)
def test_what_is_missing_or_odd_is_empty(data: dict[str, object], columns: Columns) -> None:
    assert derive(data) == columns


def test_requests_are_alike_by_connection_rules_and_people_in_any_order() -> None:
    key = likeness("demo", ["a", "b"], ["x", "y"])
    assert key == likeness("demo", ["b", "a", "b"], ["y", "x"])
    others = (
        likeness("other", ["a", "b"], ["x", "y"]),
        likeness("demo", ["a"], ["x", "y"]),
        likeness("demo", ["a", "b", "x"], ["y"]),
        likeness("demo", ["a", "b"], ["x"]),
        likeness("demo", [], ["a", "b", "x", "y"]),
    )
    assert len({key, *others}) == 6
    assert likeness("demo", ["a"], []) == likeness("demo", ["a"], [""]) == ""


@pytest.mark.parametrize(
    ("data", "alike"),
    [
        ({}, True),
        ({"evaluation": {"hits": [{"rule": "n", "verdict": "allow"}, {"rule": "s", "verdict": "review"}]}}, True),
        ({"evaluation": {"hits": []}}, False),
        ({"requester": {"principal": "kim@example.com", "groups": ["staff"]}}, False),
        ({"connection": "other"}, False),
    ],
)
def test_only_review_rules_count_for_likeness(data: dict[str, object], alike: bool) -> None:
    first = {
        "hold": "h1",
        "connection": "demo",
        "requester": {"principal": "dana@example.com", "groups": ["staff"]},
        "evaluation": {"verdict": "review", "hits": [{"rule": "s", "verdict": "review"}]},
    }
    assert (derive({**first, **data}).similar_own == derive(first).similar_own) is alike
    assert derive({**first, "hold": None}).similar_own == ""


def test_an_item_of_a_list_cannot_pretend_to_be_two() -> None:
    assert derive({"evaluation": {"hits": [{"rule": "a\nb"}]}}).rules == item("a\nb") == "\na⟨U+000A⟩b\n"


@given(st.dictionaries(st.text() | st.sampled_from(["requester", "evaluation", "decision", "connection"]), JSON))
def test_no_event_makes_them_fail(data: dict[str, object]) -> None:
    columns = derive(data)
    assert all("\x00" not in getattr(columns, name) for name in NAMES)


def _value(made: object) -> dict[str, object]:
    from holdpoint.ledger.chain import EMPTY, Entry, extend  # noqa: PLC0415 - a helper of this file only

    assert isinstance(made, Entry)
    return dict(next(extend(EMPTY, [made])).value)
