from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.errors import MayNotDecide
from holdpoint.model import (
    Decision,
    DecisionKind,
    Edit,
    Escalation,
    Evaluation,
    Hold,
    Requester,
    Requirement,
    Reviewer,
    ReviewTerms,
    Risk,
    Role,
    State,
    Verdict,
)
from holdpoint.policy import authority
from tests.holdpoint.policy.builders import query

NOW = "digest-now"


def hold(
    *requirements: Requirement,
    escalations: tuple[Escalation, ...] = (),
    escalated: int = 0,
    requester: Requester | None = None,
) -> Hold:
    evaluation = Evaluation(Verdict.REVIEW, (), Risk.HIGH, 1, requirements, 600_000, escalations)
    values: dict[str, Any] = {
        "id": "h1", "rev": 1, "state": State.PENDING, "digest": NOW, "original_digest": NOW, "connection": "demo",
        "environment": "production", "method": "POST", "target": "/v1/chat/completions", "query": query("x"),
        "requester": requester or Requester("dana@example.com", frozenset({"contractors"})), "address": "",
        "evaluation": evaluation, "created_ms": 0, "deadline_ms": 600_000, "due_ms": 600_000,
    }  # fmt: skip  # what no test is about
    return Hold(**values, escalated=escalated)


def reviewer(principal: str, *groups: str, owner: str | None = None, roles: frozenset[Role] = frozenset()) -> Reviewer:
    return Reviewer(principal, frozenset(groups), roles, "web", owner=owner)


SECURITY = Requirement("security", 1)
AGENT = Requester("deploy-bot", frozenset({"agents"}), owner="sam@example.com")
JOINS = (Escalation(60_000, "leads"),)

MAY = {
    "in the group": (hold(SECURITY), reviewer("sam@example.com", "security")),
    "in one of several groups": (hold(SECURITY, Requirement("legal", 2)), reviewer("lee@example.com", "legal")),
    "in an alternate": (hold(Requirement("ops", 1, ("platform",))), reviewer("pat@example.com", "platform")),
    "joined by escalation": (hold(SECURITY, escalations=JOINS, escalated=1), reviewer("lou@example.com", "leads")),
    "without any role": (hold(SECURITY), reviewer("sam@example.com", "security")),
    "not the agent's owner": (hold(SECURITY, requester=AGENT), reviewer("kim@example.com", "security")),
}


@pytest.mark.promise(5)
@pytest.mark.parametrize("case", MAY)
def test_who_may_decide(case: str) -> None:
    authority.check(*MAY[case], now_ms=0)


MAY_NOT = {
    "the requester": (
        hold(SECURITY), reviewer("dana@example.com", "security"),
        "This is your own request; somebody else has to decide on it.",
    ),
    "the requester, written otherwise": (
        hold(SECURITY), reviewer(" Dana@Example.com", "security"),
        "This is your own request; somebody else has to decide on it.",
    ),
    "the requester, in other code points": (
        hold(SECURITY, requester=Requester("da\u0301na@example.com", frozenset())),
        reviewer("d\u00e1na@example.com", "security"),
        "This is your own request; somebody else has to decide on it.",
    ),
    "the requester, under another address": (
        hold(SECURITY),
        replace(reviewer("d.smith@example.com", "security"), aliases=frozenset({"Dana@example.com", "x@example.com"})),
        "This is your own request; somebody else has to decide on it.",
    ),
    "the owner of the agent, under another address": (
        hold(SECURITY, requester=AGENT),
        replace(reviewer("s.smith@example.com", "security"), aliases=frozenset({"sam@example.com"})),
        "This request was sent by an agent of yours; somebody else has to decide on it.",
    ),
    "the agent itself": (
        hold(SECURITY, requester=AGENT), reviewer("deploy-bot", "security"),
        "This is your own request; somebody else has to decide on it.",
    ),
    "the owner of the agent": (
        hold(SECURITY, requester=AGENT), reviewer("Sam@example.com", "security"),
        "This request was sent by an agent of yours; somebody else has to decide on it.",
    ),
    "another agent": (
        hold(SECURITY), reviewer("other-bot", "security", owner="kim@example.com"),
        "An agent's key may not decide; a person has to.",
    ),
    "somebody of another group": (
        hold(SECURITY), reviewer("pat@example.com", "contractors"),
        "Only security may decide on this request; you are in contractors.",
    ),
    "somebody of several other groups": (
        hold(SECURITY, Requirement("legal", 2)), reviewer("pat@example.com", "a", "c", "b"),
        "Only security or legal may decide on this request; you are in a, b and c.",
    ),
    "an admin outside the groups": (
        hold(SECURITY), reviewer("pat@example.com", roles=frozenset(Role)),
        "Only security may decide on this request; you are in no group.",
    ),
    "a group that has not joined yet": (
        hold(SECURITY, escalations=JOINS), reviewer("lou@example.com", "leads"),
        "Only security may decide on this request; you are in leads.",
    ),
    "anybody, where nobody is asked": (
        hold(), reviewer("sam@example.com", "security"),
        "Nobody may decide on this request: it names no reviewers.",
    ),
    "nobody in particular": (
        hold(SECURITY), reviewer("", "security"),
        "It is not known who you are, so you may not decide on this request.",
    ),
}  # fmt: skip  # case, arguments, sentence


@pytest.mark.promise(5)
@pytest.mark.parametrize("case", MAY_NOT)
def test_who_may_not_decide_and_what_they_are_told(case: str) -> None:
    held, person, sentence = MAY_NOT[case]
    with pytest.raises(MayNotDecide) as raised:
        authority.check(held, person, now_ms=0)
    assert str(raised.value) == sentence


def decision(
    by: str, *groups: str, kind: DecisionKind = DecisionKind.APPROVE, digest: str = NOW, result: str | None = None,
    glass: bool = False,
) -> Decision:  # fmt: skip
    edits = (Edit("messages/0/content", "new"),) if result else ()
    return Decision(kind, by, by.title(), groups, "web", 0, digest, result or digest, edits=edits, glass=glass)


TWO_OF_SECURITY = (Requirement("security", 2),)
ONE_EACH = (Requirement("security", 1), Requirement("legal", 1))
NO = DecisionKind.REJECT

PROGRESS: dict[str, tuple[tuple[Requirement, ...], list[Decision], list[set[str]], bool]] = {
    "nobody yet": (TWO_OF_SECURITY, [], [set()], False),
    "one of two": (TWO_OF_SECURITY, [decision("sam", "security")], [{"sam"}], False),
    "two of two": (TWO_OF_SECURITY, [decision("sam", "security"), decision("kim", "security")], [{"sam", "kim"}], True),
    "twice the same": (TWO_OF_SECURITY, [decision("sam", "security"), decision("sam", "security")], [{"sam"}], False),
    "the same, written otherwise": (TWO_OF_SECURITY, [decision("sam", "security"), decision("SAM ", "security")], [{"sam"}], False),
    "an outsider": (TWO_OF_SECURITY, [decision("sam", "security"), decision("pat", "sales")], [{"sam"}], False),
    "three for two": (
        TWO_OF_SECURITY, [decision(p, "security") for p in ("sam", "kim", "lee")], [{"sam", "kim"}], True,
    ),
    "one person of both groups": (ONE_EACH, [decision("sam", "security", "legal")], [{"sam"}, set()], False),
    "both seats, the flexible one first": (
        ONE_EACH, [decision("sam", "security", "legal"), decision("kim", "security")], [{"kim"}, {"sam"}], True,
    ),
    "both seats, the flexible one last": (
        ONE_EACH, [decision("kim", "security"), decision("sam", "security", "legal")], [{"kim"}, {"sam"}], True,
    ),
    "an approval of another text": (TWO_OF_SECURITY, [decision("sam", "security", digest="before")], [set()], False),
    "an approval that made this text": (
        (SECURITY,), [decision("sam", "security", digest="before", result=NOW)], [{"sam"}], True,
    ),
    "an approval of what an edit replaced": (
        (SECURITY,), [decision("sam", "security", result="after")], [set()], False,
    ),
    "a rejection after enough approvals": (
        (SECURITY,), [decision("sam", "security"), decision("kim", "security", kind=NO)], [{"sam"}], False,
    ),
    "an alternate": ((Requirement("ops", 1, ("platform",)),), [decision("pat", "platform")], [{"pat"}], True),
    "nothing asked": ((), [decision("sam", "security")], [], False),
    "nobody asked for": ((Requirement("security", 0),), [], [set()], False),
}  # fmt: skip  # requirements, decisions, who counts for each, complete


@pytest.mark.promise(5)
@pytest.mark.parametrize("case", PROGRESS)
def test_how_far_the_approvals_have_come(case: str) -> None:
    requirements, decisions, expected, complete = PROGRESS[case]
    found = authority.tally(requirements, decisions, NOW)
    assert [set(people) for _, people in found.items] == expected
    assert tuple(requirement for requirement, _ in found.items) == requirements
    assert found.complete is complete


SAM_EDITS = decision("sam", "security", digest="before", result=NOW)
KIM = decision("kim", "security")
ONE, TWO = (SECURITY,), TWO_OF_SECURITY

CONFIRMED: dict[str, tuple[tuple[Requirement, ...], list[Decision], bool, bool]] = {
    "nobody edited": (ONE, [KIM], True, False),
    "nobody did anything": (ONE, [], False, False),
    "only who edited": (ONE, [SAM_EDITS], False, True),
    "who edited, twice": (ONE, [SAM_EDITS, decision("sam", "security")], False, True),
    "who edited, written otherwise": (ONE, [SAM_EDITS, decision(" SAM", "security")], False, True),
    "somebody else of the group": (ONE, [SAM_EDITS, KIM], True, False),
    "somebody else of another group that is asked for": (ONE_EACH, [SAM_EDITS, decision("lee", "legal")], True, False),
    "somebody else, and the quorum is not reached": (
        (Requirement("security", 3),), [SAM_EDITS, KIM], False, False,
    ),
    "two of two with who edited": (TWO, [SAM_EDITS, KIM], True, False),
    "an outsider": (ONE, [SAM_EDITS, decision("pat", "sales")], False, True),
    "somebody else's approval of the former text": (ONE, [decision("kim", "security", digest="before"), SAM_EDITS], False, True),
    "somebody else rejects": (ONE, [SAM_EDITS, decision("kim", "security", kind=NO)], False, True),
    "the last edit counts: the editor before may confirm": (
        ONE, [decision("kim", "security", digest="first", result="before"), SAM_EDITS, KIM], True, False,
    ),
    "the last edit counts: its editor may not": (
        ONE, [decision("kim", "security", digest="first", result="before"), SAM_EDITS], False, True,
    ),
    "an edit back to a text that somebody else has approved": (
        TWO, [KIM, decision("lou", "security", result="after"), decision("sam", "security", digest="after", result=NOW)], True, False,
    ),
    "the glass is broken": (ONE, [SAM_EDITS, decision("ada", "platform", glass=True)], True, False),
}  # fmt: skip  # requirements, decisions, complete, unconfirmed


@pytest.mark.promise(5)
@pytest.mark.parametrize("case", CONFIRMED)
def test_an_edit_is_confirmed_by_somebody_else_who_counts(case: str) -> None:
    requirements, decisions, complete, unconfirmed = CONFIRMED[case]
    found = authority.tally(requirements, decisions, NOW, confirm_edits=True)
    assert (found.complete, found.unconfirmed) == (complete, unconfirmed)
    without = authority.tally(requirements, decisions, NOW)
    assert without.items == found.items, "who counts for what is another question"
    assert without.complete or not complete
    assert not without.unconfirmed


def test_the_rules_of_the_hold_say_whether_edits_are_confirmed() -> None:
    held = hold(SECURITY)
    confirmed = replace(held, evaluation=replace(held.evaluation, terms=ReviewTerms(confirm_edits=True)))
    assert authority.progress(held, [SAM_EDITS]).complete
    assert not authority.progress(confirmed, [SAM_EDITS]).complete


GLASS: dict[str, tuple[tuple[Requirement, ...], list[Decision], bool]] = {
    "alone": (TWO_OF_SECURITY, [decision("ada", "platform", glass=True)], True),
    "without any requirement": ((), [decision("ada", "platform", glass=True)], True),
    "of another text": (TWO_OF_SECURITY, [decision("ada", "platform", digest="before", glass=True)], False),
    "after a rejection": (
        ONE, [decision("sam", "security", kind=NO), decision("ada", "platform", glass=True)], False,
    ),
    "as a rejection": (ONE, [decision("ada", "platform", kind=NO, glass=True)], False),
    "the same without breaking it": (ONE, [decision("ada", "platform")], False),
}  # fmt: skip  # requirements, decisions, complete


@pytest.mark.promise(5)
@pytest.mark.parametrize("case", GLASS)
def test_who_breaks_the_glass_approves_alone(case: str) -> None:
    requirements, decisions, complete = GLASS[case]
    assert authority.tally(requirements, decisions, NOW).complete is complete


def test_the_progress_of_a_hold_counts_those_who_joined_and_the_text_that_is_held_now() -> None:
    held = hold(SECURITY, escalations=JOINS, escalated=1)
    assert authority.progress(held, [decision("lou", "leads")]).complete
    assert not authority.progress(hold(SECURITY, escalations=JOINS), [decision("lou", "leads")]).complete
    assert not authority.progress(held, [decision("lou", "leads", digest="other")]).complete


GROUPS = ["a", "b", "c"]
REQUIREMENTS = st.lists(
    st.builds(Requirement, st.sampled_from(GROUPS), st.integers(1, 2)),
    min_size=1,
    max_size=3,
    unique_by=lambda r: r.group,
)
PEOPLE = st.lists(st.sets(st.sampled_from(GROUPS), min_size=1), max_size=5)


@pytest.mark.promise(5)
@given(REQUIREMENTS, PEOPLE)
def test_a_quorum_is_complete_exactly_when_distinct_people_can_fill_every_seat(
    requirements: list[Requirement], people: list[set[str]]
) -> None:
    decisions = [decision(f"p{n}", *sorted(groups)) for n, groups in enumerate(people)]
    found = authority.tally(requirements, decisions, NOW)
    seats = [r.group for r in requirements for _ in range(r.approvals)]
    possible = any(
        all(seat in people[person] for seat, person in zip(seats, chosen, strict=True))
        for chosen in itertools.permutations(range(len(people)), len(seats))
    )
    assert found.complete is possible
    counted = [person for _, by in found.items for person in by]
    assert len(counted) == len(set(counted))


@given(REQUIREMENTS, PEOPLE)
def test_one_approval_more_never_undoes_a_quorum(requirements: list[Requirement], people: list[set[str]]) -> None:
    decisions = [decision(f"p{n}", *sorted(groups)) for n, groups in enumerate(people)]
    for count in range(len(decisions)):
        if authority.tally(requirements, decisions[:count], NOW).complete:
            assert authority.tally(requirements, decisions[: count + 1], NOW).complete


@given(REQUIREMENTS, PEOPLE, st.booleans())
def test_one_approval_more_never_undoes_a_confirmation(
    requirements: list[Requirement], people: list[set[str]], edited: bool
) -> None:
    decisions = [decision(f"p{n}", *sorted(groups)) for n, groups in enumerate(people)]
    if edited and people:
        decisions[0] = decision("p0", *sorted(people[0]), digest="before", result=NOW)
    for count in range(len(decisions)):
        if authority.tally(requirements, decisions[:count], NOW, confirm_edits=True).complete:
            assert authority.tally(requirements, decisions[: count + 1], NOW, confirm_edits=True).complete
