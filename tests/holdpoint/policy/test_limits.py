"""The section ``limits``: what it says, what is wrong with it, and which budgets a request falls under."""

from __future__ import annotations

import pytest

from holdpoint.errors import PolicyError
from holdpoint.model import Requester
from holdpoint.policy import parse_policy
from holdpoint.policy.limits import Measure, Per, budgets_of

HEAD = """
version: 1
connections:
  demo: {upstream: "http://127.0.0.1:9000", protocol: openai}
  other: {upstream: "http://127.0.0.1:9001", protocol: openai}
groups:
  contractors: {members: [dana@example.com]}
  staff: {}
limits:
"""

EVERYTHING = (
    HEAD
    + """
  - id: contractors
    for: {groups: [contractors], connections: [demo]}
    per: requester
    requests_per_minute: 60
    prompt_tokens_per_minute: 100000
    holds_at_once: 5
    holds_per_hour: 20
  - {id: all, requests_per_minute: 1000}
"""
)


def test_a_limit_says_how_much_of_what_for_whom() -> None:
    first, second = parse_policy(EVERYTHING).limits
    assert (first.id, first.per, first.groups, first.connections) == (
        "contractors", Per.REQUESTER, frozenset({"contractors"}), frozenset({"demo"}),
    )  # fmt: skip
    assert first.most == {
        Measure.REQUESTS: 60,
        Measure.PROMPT_TOKENS: 100_000,
        Measure.HOLDS_AT_ONCE: 5,
        Measure.HOLDS: 20,
    }
    assert (second.per, second.groups, second.connections) == (Per.REQUESTER, frozenset(), frozenset())


def test_without_the_section_nothing_is_limited() -> None:
    assert parse_policy(HEAD.removesuffix("limits:\n")).limits == ()


WRONG: list[tuple[str, str, str]] = [
    ("no id", "{requests_per_minute: 1}", "a limit lacks 'id'"),
    ("an id that is none", "{id: 'a b', requests_per_minute: 1}", "'a b' is no id"),
    ("an id that is too long", f"{{id: {'a' * 65}, requests_per_minute: 1}}", "is no id"),
    ("nothing limited", "{id: a}", "limits nothing: name one of requests_per_minute"),
    ("an unknown measure", "{id: a, requests_per_hour: 1}", "has no field 'requests_per_hour'"),
    ("none at all", "{id: a, requests_per_minute: 0}", "must be at least 1"),
    ("less than none", "{id: a, requests_per_minute: -5}", "must be at least 1"),
    ("no number", "{id: a, requests_per_minute: many}", "must be a whole number"),
    ("half a request", "{id: a, requests_per_minute: 0.5}", "must be a whole number"),
    ("more than can be counted", "{id: a, requests_per_minute: 1000000001}", "must be at most 1000000000"),
    ("more holds than can be looked at", "{id: a, holds_at_once: 1001}", "must be at most 1000"),
    ("per something", "{id: a, per: owner, requests_per_minute: 1}", "per cannot be 'owner'"),
    ("per group, of none", "{id: a, per: group, requests_per_minute: 1}", "per group needs to know which"),
    ("for nobody", "{id: a, for: {}, requests_per_minute: 1}", "for names nobody"),
    ("for no groups", "{id: a, for: {groups: []}, requests_per_minute: 1}", "is an empty list"),
    ("for something", "{id: a, for: {requesters: [dana]}, requests_per_minute: 1}", "has no field 'requesters'"),
    ("to no such connection", "{id: a, for: {connections: [dmo]}, requests_per_minute: 1}", "did you mean 'demo'"),
    ("no mapping", "a", "a limit must be a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("limit", "problem"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_named_with_its_line(limit: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(f"{HEAD}  - {{id: good, requests_per_minute: 1}}\n  - {limit}\n")
    (found,) = caught.value.problems
    assert problem in found.message
    assert found.line == 11


def test_an_id_stands_for_one_limit() -> None:
    with pytest.raises(PolicyError, match="two limits named 'a' \\(first in line 10\\)"):
        parse_policy(HEAD + "  - {id: a, requests_per_minute: 1}\n" * 2)


def test_there_is_an_end_to_them() -> None:
    many = "".join(f"  - {{id: a{number}, requests_per_minute: 1}}\n" for number in range(101))
    with pytest.raises(PolicyError, match="more than 100 entries"):
        parse_policy(HEAD + many)


def test_a_group_that_only_tokens_carry_is_a_warning() -> None:
    document = parse_policy(HEAD + "  - {id: a, for: {groups: [partners]}, requests_per_minute: 1}\n")
    assert any("partners" in warning.message for warning in document.warnings)


MATCHING = """
  - {id: each, requests_per_minute: 1}
  - {id: contractors, for: {groups: [contractors, staff]}, requests_per_minute: 1}
  - {id: by-group, for: {groups: [contractors, staff]}, per: group, requests_per_minute: 1}
  - {id: demo, for: {connections: [demo]}, per: connection, requests_per_minute: 1}
  - {id: any-connection, per: connection, requests_per_minute: 1}
"""
DANA = ("dana@example.com",)

FALLS_UNDER: list[tuple[str, Requester, frozenset[str], str, set[tuple[str, tuple[str, ...]]]]] = [
    ("nobody's in particular", Requester("dana@example.com", frozenset()), frozenset(), "other",
     {("each", DANA), ("any-connection", ("other",))}),
    ("a group's", Requester("dana@example.com", frozenset()), frozenset({"contractors"}), "demo",
     {("each", DANA), ("contractors", DANA), ("by-group", ("contractors",)), ("demo", ("demo",)),
      ("any-connection", ("demo",))}),
    ("all groups'", Requester("dana@example.com", frozenset()), frozenset({"contractors", "staff", "x"}), "other",
     {("each", DANA), ("contractors", DANA), ("by-group", ("contractors",)), ("by-group", ("staff",)),
      ("any-connection", ("other",))}),
    ("an agent's own", Requester("dana@example.com", frozenset(), owner="eve@example.com"), frozenset(), "other",
     {("each", ("dana@example.com", "eve@example.com")), ("any-connection", ("other",))}),
    ("one person's, however they are written", Requester(" ＤANA@Example.com", frozenset()), frozenset(), "other",
     {("each", DANA), ("any-connection", ("other",))}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("requester", "groups", "connection", "expected"), [row[1:] for row in FALLS_UNDER], ids=[row[0] for row in FALLS_UNDER]
)  # fmt: skip
def test_a_request_falls_under_every_limit_that_names_it(
    requester: Requester, groups: frozenset[str], connection: str, expected: set[tuple[str, tuple[str, ...]]]
) -> None:
    limits = parse_policy(HEAD + MATCHING).limits
    found = budgets_of(limits, requester, groups, connection)
    assert {(each.limit, each.subject) for each in found} == expected
    assert len(found) == len(expected)
