"""The real authority against a naive one, over generated histories: who they let decide, and when it is enough.

Nothing is released that the naive model would not release; and what could be released, if everybody who may were asked,
is. Addresses are told apart only by what was said of them, so that half of the histories find out late who is whom.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from bot.plans import decision_by
from holdpoint.errors import MayNotDecide
from holdpoint.model import (
    Decision,
    DecisionKind,
    Edit,
    Evaluation,
    Factor,
    Hold,
    Requester,
    Requirement,
    Reviewer,
    ReviewTerms,
    Risk,
    StandIn,
    Verdict,
)
from holdpoint.policy import authority
from tests.holdpoint.policy import naive_authority as naive
from tests.holdpoint.policy.test_authority import hold

NOW, SENT = 50, "sent"
APPROVE = DecisionKind.APPROVE
ADDRESSES = [f"{name}@example.com" for name in ("ann", "bob", "cyd", "dan", "eve", "fay", "gus")]
GROUPS = ["leads", "security", "legal"]

NOBODY = frozenset[str]()
address = st.sampled_from(ADDRESSES)
aliases = st.sampled_from([NOBODY] * 10 + [frozenset({each}) for each in ADDRESSES])
some_groups = st.sampled_from(
    [NOBODY, *(frozenset(each) for n in (1, 2) for each in itertools.combinations(GROUPS, n))]
)
absent = st.builds(naive.Absent, address, aliases, some_groups, st.sampled_from([NOW, 100, 100, 100]))
nobody_absent: st.SearchStrategy[tuple[naive.Absent, ...]] = st.just(())
person = st.builds(
    naive.Person,
    address,
    aliases,
    some_groups,
    nobody_absent | nobody_absent | st.lists(absent, min_size=1, max_size=2).map(tuple),
    st.sampled_from([False] * 19 + [True]),
)
crowd = st.lists(person, min_size=3, max_size=6)


@st.composite
def asked(draw: st.DrawFn) -> tuple[naive.Asked, ...]:
    names = draw(st.permutations(GROUPS))[: draw(st.integers(1, 3))]
    return tuple(
        naive.Asked(
            name, draw(st.sampled_from([1, 1, 1, 2])), tuple(draw(st.sets(st.sampled_from(names[:at])))) if at else ()
        )
        for at, name in enumerate(names)
    )


@st.composite
def requests(draw: st.DrawFn) -> naive.Request:
    owner = draw(st.none() | st.none() | address)
    return naive.Request(
        draw(asked()), draw(address) if owner is None else "deploy-bot", draw(aliases), owner,
        self_approval=draw(st.booleans()), low=draw(st.booleans()), confirm_edits=draw(st.booleans()),
        step_up=draw(st.sampled_from([False, False, True])),
    )  # fmt: skip


@dataclass(frozen=True)
class Step:
    """Somebody does something: approve, edit into another text (or back), or break the glass."""

    who: int
    text: str | None = None
    glass: bool = False
    proven: bool = True


step = st.builds(
    Step,
    st.integers(0, 5),
    st.sampled_from([None] * 6 + [SENT, "first", "second"]),
    st.sampled_from([False] * 19 + [True]),
    st.sampled_from([True, True, True, False]),
)


def held(request: naive.Request) -> Hold:
    asked_for = tuple(Requirement(each.group, each.approvals, after=each.after) for each in request.asked)
    terms = ReviewTerms(
        confirm_edits=request.confirm_edits,
        self_approval=request.self_approval,
        step_up_ms=300_000 if request.step_up else None,
    )
    risk = Risk.LOW if request.low else Risk.MEDIUM
    made = hold(requester=Requester(request.requester, frozenset(), request.owner, aliases=request.aliases))
    evaluation = Evaluation(Verdict.REVIEW, (), risk, 1, asked_for, 600_000, terms=terms)
    return replace(made, evaluation=evaluation, digest=SENT, original_digest=SENT)


def reviewer_of(person: naive.Person) -> Reviewer:
    return Reviewer(
        person.address,
        person.groups,
        frozenset(),
        "web",
        owner="gus@example.com" if person.agent else None,
        aliases=person.aliases,
        stands_in_for=tuple(StandIn(each.address, each.groups, each.until, each.aliases) for each in person.absent),
    )


class Story:
    """One hold, told to both."""

    def __init__(self, request: naive.Request) -> None:
        self.request = request
        self.hold = held(request)
        self.complete = False

    def act(self, person: naive.Person, step: Step) -> bool:
        """Whether it was written. Asserts that the naive model lets them, too."""
        reviewer = reviewer_of(person)
        if step.glass:
            return self._break_glass(person, reviewer)
        if (
            not step.text
            and any(
                done.by == person.address and done.digest == self.hold.digest and not done.edits
                for done in self.hold.decisions
            )
            and not authority.counts_anew(self.hold, reviewer, now_ms=NOW)
        ):
            return False
        try:
            right = authority.check(self.hold, reviewer, now_ms=NOW)
        except MayNotDecide:
            return False
        if right.own and step.text:
            return False
        behalf = person.absent[reviewer.stands_in_for.index(right.absent)] if right.absent else None
        assert naive.may(self.request, person, behalf, NOW), "who may not was let in"
        factor = Factor.PASSKEY if step.proven else None
        said = decision_by(reviewer, APPROVE, self.hold, NOW, right=right, factor=factor)
        text = step.text or self.request.text
        if step.text:
            said = replace(said, result_digest=text, edits=(Edit("messages/0/content", text),))
        self._write(naive.Approval(person, behalf, text, bool(step.text), step.proven), said, text)
        return True

    def _break_glass(self, person: naive.Person, reviewer: Reviewer) -> bool:
        try:
            authority.check_not_own(self.hold, reviewer)
        except MayNotDecide:
            return False
        said = replace(decision_by(reviewer, APPROVE, self.hold, NOW), glass=True)
        text = self.request.text
        self._write(naive.Approval(person, None, text, edits=False, proven=False, glass=True), said, text)
        assert self.complete
        return True

    def _write(self, approval: naive.Approval, said: Decision, text: str) -> None:
        self.request.said.append(approval)
        self.request.text = text
        self.hold = replace(self.hold, decisions=(*self.hold.decisions, said), digest=text)
        self.complete = authority.progress(self.hold, self.hold.decisions).complete


@pytest.mark.promise(5)
@settings(max_examples=300, deadline=None)
@given(requests(), crowd, st.lists(step, max_size=14))
def test_nothing_is_released_that_the_policy_does_not_allow(
    request: naive.Request, people: list[naive.Person], steps: list[Step]
) -> None:
    story = Story(request)
    for each in steps:
        story.act(people[each.who % len(people)], each)
        if story.complete:
            event("released")
            assert naive.enough(request)
            return
        simple = not any(asked.after for asked in request.asked) and not any(said.behalf for said in request.said)
        if simple:
            assert not naive.enough(request), "enough, and not released"


@pytest.mark.promise(5)
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_who_approved_before_the_turn_of_their_other_group_came_moves_on_for_who_comes_later(
    order: tuple[int, ...],
) -> None:
    chain = (naive.Asked("leads", 1), naive.Asked("security", 1, ("leads",)), naive.Asked("legal", 1, ("security",)))
    story = Story(
        naive.Request(
            chain, "dan@example.com", NOBODY, None, self_approval=False, low=False, confirm_edits=False, step_up=False
        )
    )
    ann, bob, cyd = (
        naive.Person(address, NOBODY, frozenset(groups))
        for address, groups in zip(ADDRESSES, (GROUPS[:2], GROUPS[1:], GROUPS[:1]), strict=False)
    )
    for _ in range(6):
        written = [story.act((ann, bob, cyd)[at], Step(0)) for at in order if not story.complete]
        if not any(written):
            break
    assert story.complete
    assert len(story.hold.decisions) <= 5, "nobody approves more often than it takes"


@pytest.mark.promise(5)
@settings(max_examples=300, deadline=None)
@given(requests(), crowd, st.randoms(use_true_random=False))
def test_what_can_be_released_is_once_everybody_was_asked(
    request: naive.Request, people: list[naive.Person], random: Random
) -> None:
    request.confirm_edits = False
    told = request.told(*people)
    away = naive.reach([each.address for who in people for each in who.absent], told)
    present = [who for who in people if not naive.reach([who.address], told) & away]
    if not naive.could_be_enough(request, present, NOW):
        return
    event("possible")
    story = Story(request)
    for _ in range(6):
        random.shuffle(present)
        written = [story.act(who, Step(0)) for who in present if not story.complete]
        if not any(written):
            break
    assert story.complete
