"""The truth table: one row per promise of who may decide, and of when it is enough."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from bot.plans import decision_by
from holdpoint.errors import MayNotDecide
from holdpoint.model import (
    DecisionKind,
    Edit,
    Factor,
    Hold,
    Requester,
    Requirement,
    Reviewer,
    ReviewTerms,
    Risk,
    StandIn,
)
from holdpoint.policy import authority, people
from tests.holdpoint.policy.test_authority import hold

NOON = 1_000_000
SAM, SAM2, SAM3, KIM, LEE, DANA, DANA2 = (
    f"{name}@example.com" for name in ("sam", "s.smith", "sammy", "kim", "lee", "dana", "d.jones")
)
SECURITY, LEADS, LEGAL = Requirement("security", 1), Requirement("leads", 1), Requirement("legal", 1)
TWO = Requirement("security", 2)
LATER = Requirement("security", 1, after=("leads",))
BOTH = Requirement("security", 1, after=("leads", "legal"))
LAST = Requirement("legal", 1, after=("leads", "security"))


def person(principal: str, *groups: str, also: tuple[str, ...] = (), away: tuple[StandIn, ...] = ()) -> Reviewer:
    return Reviewer(principal, frozenset(groups), frozenset(), "web", aliases=frozenset(also), stands_in_for=away)


def away(principal: str, *groups: str, also: tuple[str, ...] = (), until_ms: int = NOON + 1) -> StandIn:
    return StandIn(principal, frozenset(groups), until_ms, frozenset(also))


@dataclass(frozen=True)
class Request:
    """What is held: ``by`` sent it, ``asked`` have to approve."""

    asked: tuple[Requirement, ...] = (SECURITY,)
    by: Requester = field(default_factory=lambda: Requester(DANA, frozenset()))
    risk: Risk = Risk.LOW
    terms: ReviewTerms = field(default_factory=ReviewTerms)

    def held(self) -> Hold:
        made = hold(*self.asked, requester=self.by)
        return replace(made, evaluation=replace(made.evaluation, risk=self.risk, terms=self.terms))


def say(held: Hold, who: Reviewer, *, edit: str = "", factor: Factor | None = None) -> Hold:
    """What becomes of ``held`` when ``who`` approves it, or edits it into the text with another digest."""
    right = authority.check(held, who, now_ms=NOON)
    said = decision_by(who, DecisionKind.APPROVE, held, NOON, right=right, factor=factor)
    if edit:
        said = replace(said, result_digest=edit, edits=(Edit("messages/0/content", edit),))
    return replace(held, decisions=(*held.decisions, said), digest=said.result_digest)


def is_released(held: Hold) -> bool:
    return authority.progress(held, held.decisions).complete


OWN, AGENTS = "This is your own request", "This request was sent by an agent of yours"
SMALL = ReviewTerms(self_approval=True)
BOT = Requester("deploy-bot", frozenset(), owner=SAM)
KEY_OF_SAM2 = Requester("deploy-bot", frozenset(), owner=SAM2, key_id="k1")
TEAM = person(KIM, "security")

MAY: dict[str, tuple[Request, Reviewer, str]] = {
    # promise: what is held, who wants to decide, why not (empty: they may)
    "whoever is in the group may": (Request(), TEAM, ""),
    "nobody decides on their own request": (Request(), person(DANA, "security"), OWN),
    "nor when the channel writes them otherwise": (Request(), person(" DANA@Example.COM", "security"), OWN),
    "nor under an alias that the channel tells": (Request(), person(DANA2, "security", also=(DANA,)), OWN),
    "nor under an alias that the token told": (
        Request(by=Requester(DANA, frozenset(), aliases=frozenset({DANA2}))), person(DANA2, "security"), OWN,
    ),
    "nor when both know only a third address": (
        Request(by=Requester(DANA, frozenset(), aliases=frozenset({DANA2}))), person(SAM, "security", also=(DANA2,)), OWN,
    ),
    "an empty address makes nobody the same": (
        Request(by=Requester(DANA, frozenset(), aliases=frozenset({""}))), person(KIM, "security", also=("", " ")), "",
    ),
    "nobody decides on a request of their agent": (Request(by=BOT), person(SAM, "security"), AGENTS),
    "nor under an alias": (Request(by=BOT), person(SAM2, "security", also=(SAM,)), AGENTS),
    "nor when the key names the owner's alias": (Request(by=KEY_OF_SAM2), person(SAM, "security", also=(SAM2,)), AGENTS),
    "nor when the agent's token names the owner's alias": (
        Request(by=replace(BOT, owner=SAM3, aliases=frozenset({SAM}))), person(SAM, "security"), OWN,
    ),
    "the agent's own key decides nothing": (
        Request(), replace(person("deploy-bot", "security"), owner=SAM), "An agent's key may not decide",
    ),
    "nor does that of an agent without an owner decide on its own request": (
        Request(by=Requester("deploy-bot", frozenset())), person("deploy-bot", "security"), OWN,
    ),
    "nor on that of another agent": (
        Request(by=Requester("deploy-bot", frozenset())), person("review-bot", "security"), "An agent's key may not decide",
    ),
    "nobody in particular decides nothing": (Request(), person(" ", "security"), "It is not known who you are"),
    "self-approval is for the requester, where the policy says so": (Request(terms=SMALL), person(DANA, "security"), ""),
    "and under their other address": (Request(terms=SMALL), person(DANA2, "security", also=(DANA,)), ""),
    "who is in a group that is asked": (Request(terms=SMALL), person(DANA, "sales"), "Only security may decide"),
    "not in the place of somebody who is": (
        Request(terms=SMALL), person(DANA, "sales", away=(away(KIM, "security"),)), "Only security may decide",
    ),
    "not at medium risk": (Request(terms=SMALL, risk=Risk.MEDIUM), person(DANA, "security"), OWN),
    "not at high risk": (Request(terms=SMALL, risk=Risk.HIGH), person(DANA, "security"), OWN),
    "not for the owner of an agent": (Request(by=BOT, terms=SMALL), person(SAM, "security"), AGENTS),
    "not for an agent without an owner": (
        Request(by=Requester("deploy-bot", frozenset()), terms=SMALL), person("deploy-bot", "security"), OWN,
    ),
    "however the agent is called": (
        Request(by=Requester(DANA, frozenset(), owner=SAM), terms=SMALL), person(DANA, "security"), OWN,
    ),
    "nor by an agent's key that carries the requester's name": (
        Request(terms=SMALL), replace(person(DANA, "security"), owner=SAM), "An agent's key may not decide",
    ),
    "a group decides when its turn has come": (Request(asked=(LEADS, LATER)), person(LEE, "leads"), ""),
    "and not before": (
        Request(asked=(LEADS, LATER)), TEAM, "It is not yet the turn of security: leads has to approve before.",
    ),
    "nor while one of several is missing": (
        Request(asked=(LEADS, SECURITY, LAST)), person(LEE, "legal"),
        "It is not yet the turn of legal: leads and security have to approve before.",
    ),
    "who stands in for a member may": (Request(), person(LEE, "sales", away=(away(SAM, "security"),)), ""),
    "until the absence is over": (
        Request(), person(LEE, "sales", away=(away(SAM, "security", until_ms=NOON),)), "Only security may decide",
    ),
    "not on a request of the absent person": (
        Request(), person(LEE, away=(away(DANA, "security"),)), "you stand in for dana@example.com, whose own request it is",
    ),
    "nor of their other address": (
        Request(), person(LEE, away=(away(SAM, "security", also=(DANA,)),)), "whose own request it is",
    ),
    "nor of an agent of theirs": (
        Request(by=BOT), person(LEE, away=(away(SAM, "security"),)), "whose own request it is",
    ),
    "nor on their own": (Request(), person(DANA, away=(away(SAM, "security"),)), OWN),
    "nor on one of their own agent's": (Request(by=BOT), person(SAM, away=(away(KIM, "security"),)), AGENTS),
    "nobody stands in for themselves": (
        Request(), person(SAM2, also=(SAM,), away=(away(SAM, "security"),)), "Only security may decide",
    ),
    "the absent person's absent ones are none of theirs": (
        Request(), person(LEE, away=(away(SAM),)), "Only security may decide",
    ),
    "an own group is enough even for a request of somebody for whom they stand in": (
        Request(), person(KIM, "security", away=(away(DANA, "security"),)), "",
    ),
}  # fmt: skip  # one row per promise


@pytest.mark.promise(5)
@pytest.mark.parametrize("promise", MAY)
def test_who_may_decide(promise: str) -> None:
    request, who, why_not = MAY[promise]
    if not why_not:
        authority.check(request.held(), who, now_ms=NOON)
        return
    with pytest.raises(MayNotDecide) as refused:
        authority.check(request.held(), who, now_ms=NOON)
    assert why_not in str(refused.value)


EDIT = "edited"
ASKED_TWICE = ReviewTerms(confirm_edits=True)
FRESH = ReviewTerms(step_up_ms=300_000)
SAM_AWAY = (away(SAM, "security", also=(SAM3,)),)
Said = tuple[Reviewer, str]


def yes(
    principal: str, *groups: str, edit: str = "", also: tuple[str, ...] = (), away: tuple[StandIn, ...] = ()
) -> Said:
    return person(principal, *groups, also=also, away=away), edit


ENOUGH: dict[str, tuple[Request, list[Said], bool]] = {
    # promise: what is held, who approves in this order, whether that releases it
    "one of one": (Request(), [yes(SAM, "security")], True),
    "two people are two": (Request((TWO,)), [yes(SAM, "security"), yes(KIM, "security")], True),
    "two addresses of one person are one": (
        Request((TWO,)), [yes(SAM, "security"), yes(SAM2, "security", also=(SAM,))], False,
    ),
    "whichever of the two told of the other": (
        Request((TWO,)), [yes(SAM2, "security", also=(SAM,)), yes(SAM, "security")], False,
    ),
    "two who share a third address are one": (
        Request((TWO,)), [yes(SAM, "security", also=(SAM3,)), yes(SAM2, "security", also=(SAM3,))], False,
    ),
    "somebody else makes one of two, later": (
        Request((Requirement("security", 3),)),
        [yes(SAM, "security"), yes(SAM2, "security"), yes(SAM3, "security", also=(SAM, SAM2))], False,
    ),
    "one person in two groups counts for one": (
        Request((SECURITY, LEGAL)), [yes(SAM, "security"), yes(SAM2, "legal", also=(SAM,))], False,
    ),
    "whichever of the two helps": (
        Request((SECURITY, LEGAL)), [yes(SAM, "security"), yes(SAM2, "legal", also=(SAM,)), yes(KIM, "security")], True,
    ),
    "an edit is one approval": (Request(), [yes(SAM, "security", edit=EDIT)], True),
    "and no second one": (
        Request((TWO,)), [yes(SAM, "security", edit=EDIT), yes(SAM2, "security", also=(SAM,))], False,
    ),
    "an edit voids what was approved before": (
        Request((TWO,)), [yes(SAM, "security"), yes(KIM, "security", edit=EDIT)], False,
    ),
    "an edit is confirmed by somebody else": (
        Request(terms=ASKED_TWICE), [yes(SAM, "security", edit=EDIT), yes(KIM, "security")], True,
    ),
    "not by the editor's other address": (
        Request(terms=ASKED_TWICE), [yes(SAM, "security", edit=EDIT), yes(SAM2, "security", also=(SAM,))], False,
    ),
    "of two edits by one person under two addresses neither confirms the other": (
        Request(terms=ASKED_TWICE),
        [yes(SAM, "security", edit="first"), yes(SAM2, "security", also=(SAM,), edit="second")], False,
    ),
    "of two edits by two people the second is confirmed by the first": (
        Request(terms=ASKED_TWICE),
        [yes(SAM, "security", edit="first"), yes(KIM, "security", edit="second"), yes(SAM, "security")], True,
    ),
    "not by who stands in for the editor": (
        Request(terms=ASKED_TWICE), [yes(LEE, away=SAM_AWAY, edit=EDIT), yes(SAM, "security")], False,
    ),
    "one group after the other": (Request((LEADS, LATER)), [yes(LEE, "leads"), yes(SAM, "security")], True),
    "the first one alone": (Request((LEADS, LATER)), [yes(LEE, "leads")], False),
    "one person does not take both turns": (
        Request((LEADS, LATER)), [yes(LEE, "leads", "security"), yes(LEE, "leads", "security")], False,
    ),
    "an approval given in one turn does not wait for the next": (
        Request((LEADS, LEGAL, BOTH)), [yes(KIM, "leads"), yes(SAM, "leads", "security"), yes(LEE, "legal")], False,
    ),
    "but is given again": (
        Request((LEADS, LEGAL, BOTH)),
        [yes(KIM, "leads"), yes(SAM, "leads", "security"), yes(LEE, "legal"), yes(SAM, "leads", "security")], True,
    ),
    "after an edit the first ones come first again": (
        Request((LEADS, LATER)), [yes(LEE, "leads"), yes(SAM, "security", edit=EDIT)], False,
    ),
    "and the editor once more, when it is their turn": (
        Request((LEADS, LATER)),
        [yes(LEE, "leads"), yes(SAM, "security", edit=EDIT), yes(LEE, "leads"), yes(SAM, "security")], True,
    ),
    "a stand-in takes the seat": (Request(), [yes(LEE, away=SAM_AWAY)], True),
    "and one only, though they are in the group themselves": (Request((TWO,)), [yes(KIM, "security", away=SAM_AWAY)], False),
    "the absent person takes no second one": (Request((TWO,)), [yes(LEE, away=SAM_AWAY), yes(SAM, "security")], False),
    "nor under another address": (Request((TWO,)), [yes(LEE, away=SAM_AWAY), yes(SAM3, "security")], False),
    "a stand-in and somebody else are two": (Request((TWO,)), [yes(LEE, away=SAM_AWAY), yes(KIM, "security")], True),
    "a stand-in of two takes one seat": (
        Request((TWO,)), [yes(LEE, away=(*SAM_AWAY, away(KIM, "security")))], False,
    ),
    "the requester's approval is one of two": (Request((TWO,), terms=SMALL), [yes(DANA, "security")], False),
    "and needs somebody else's": (
        Request((TWO,), terms=SMALL), [yes(DANA, "security"), yes(KIM, "security")], True,
    ),
    "their other address is no second one": (
        Request((TWO,), by=Requester(DANA, frozenset(), aliases=frozenset({DANA2})), terms=SMALL),
        [yes(DANA, "security"), yes(DANA2, "security")], False,
    ),
    "nor does it count once the text was edited": (
        Request((TWO,), terms=SMALL), [yes(DANA, "security"), yes(KIM, "security", edit=EDIT)], False,
    ),
}  # fmt: skip  # one row per promise


@pytest.mark.promise(5)
@pytest.mark.parametrize("promise", ENOUGH)
def test_when_it_is_enough(promise: str) -> None:
    request, said, expected = ENOUGH[promise]
    held = request.held()
    for who, edit in said:
        assert not is_released(held), "it was released before"
        held = say(held, who, edit=edit)
    assert is_released(held) is expected


@pytest.mark.promise(5)
def test_who_turns_out_to_be_the_requester_does_not_count() -> None:
    held = say(Request((TWO,)).held(), person(SAM, "security"))
    assert authority.progress(held, held.decisions).filled == 1
    told = decision_by(person(KIM, "security", also=(SAM, DANA)), DecisionKind.APPROVE, held, NOON)
    found = authority.progress(held, (*held.decisions, told))
    assert (found.filled, found.complete) == (0, False)


@pytest.mark.promise(5)
def test_requesters_approve_what_they_sent_and_not_what_somebody_made_of_it() -> None:
    held = Request((TWO,), terms=SMALL).held()
    dana = person(DANA, "security")
    assert authority.check(held, dana, now_ms=NOON).own
    assert not authority.check(held, TEAM, now_ms=NOON).own
    with pytest.raises(MayNotDecide, match=OWN):
        authority.check(say(held, TEAM, edit=EDIT), dana, now_ms=NOON)


def test_a_person_is_everybody_whom_some_way_connects() -> None:
    pairs = [people.names(*pair) for pair in ("cd", "bc", "ab", "xy")]
    assert people.whole(people.names("a"), pairs) == people.names(*"abcd")
    agent = Requester("deploy-bot", frozenset(), owner=SAM, aliases=frozenset({SAM2}))
    assert [people.is_own(agent, each) for each in ("Deploy-Bot", " SAM@example.com", SAM2, KIM, "")] == [
        True, True, True, False, False,
    ]  # fmt: skip  # in the order of the question


@pytest.mark.promise(5)
def test_nobody_stands_in_for_who_has_approved_or_whose_stand_in_has() -> None:
    held = Request((TWO,)).held()
    lee, kim = person(LEE, away=SAM_AWAY), person(KIM, away=SAM_AWAY)
    for first in (person(SAM, "security"), person(SAM3, "security"), lee):
        with pytest.raises(MayNotDecide, match="is counted already"):
            authority.check(say(held, first), kim, now_ms=NOON)
    assert authority.check(say(held, lee), lee, now_ms=NOON).absent == SAM_AWAY[0], "they may still reject"
    edited = say(say(held, person(SAM, "security", also=(SAM2,))), person(LEE, "security"), edit=EDIT)
    authority.check(edited, kim, now_ms=NOON)
    with pytest.raises(MayNotDecide, match="is counted already"):
        authority.check(say(edited, person(SAM2, "security")), kim, now_ms=NOON)


@pytest.mark.promise(5)
def test_a_decision_says_in_whose_place_it_was_made_and_only_where_it_had_to() -> None:
    asked = Request((LEADS, LATER)).held()
    both = person(LEE, "leads", away=SAM_AWAY)
    assert authority.check(asked, both, now_ms=NOON).absent is None
    due = say(asked, person(KIM, "leads"))
    right = authority.check(due, both, now_ms=NOON)
    said = decision_by(both, DecisionKind.APPROVE, due, NOON, right=right)
    assert (said.behalf, said.behalf_aliases, said.groups) == ((SAM,), (SAM3,), ("leads", "security"))


@pytest.mark.promise(5)
def test_approvals_without_the_proof_that_is_asked_for_do_not_count() -> None:
    held = Request(terms=FRESH).held()
    sam = person(SAM, "security")
    without = say(held, sam)
    assert not is_released(without)
    assert authority.counts_anew(without, sam, now_ms=NOON)
    assert is_released(say(without, sam, factor=Factor.PASSKEY))


@pytest.mark.promise(5)
def test_glass_is_not_broken_for_oneself() -> None:
    for by, who in ((Requester(DANA, frozenset()), person(DANA2, also=(DANA,))), (BOT, person(SAM2, also=(SAM,)))):
        held = Request(by=by, terms=SMALL).held()
        with pytest.raises(MayNotDecide):
            authority.check_not_own(held, who)
        said = replace(decision_by(who, DecisionKind.APPROVE, held, NOON), glass=True)
        strict = replace(held, evaluation=replace(held.evaluation, terms=ReviewTerms()))
        assert not authority.progress(strict, (said,)).complete


def test_an_approval_counts_anew_only_where_it_adds_something() -> None:
    held = Request((LEADS, LEGAL, BOTH)).held()
    sam, kim = person(SAM, "leads", "security"), person(KIM, "leads")
    spare = say(say(held, kim), sam)
    assert not authority.counts_anew(spare, sam, now_ms=NOON)
    due = say(spare, person(LEE, "legal"))
    assert authority.counts_anew(due, sam, now_ms=NOON)
    assert not authority.counts_anew(due, kim, now_ms=NOON)
    assert authority.progress(due, due.decisions).missing == (BOTH,)
