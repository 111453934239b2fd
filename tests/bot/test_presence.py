"""Who is called, and what a card says when nobody of a group is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bot.bundle_views import bundled
from bot.platform import Call
from bot.presence import callings, moved_ms, off_sentence
from holdpoint.absence import Absence, WhoIsAway
from holdpoint.ledger.chain import EMPTY, entry, extend
from holdpoint.ledger.timeline import render
from holdpoint.model import DecisionKind, Escalation, Hold, Mention, Requirement, State
from holdpoint.policy import compile_policy, parse_policy
from holdpoint.policy.mask import Masks
from holdpoint.snapshot import Snapshot
from holdpoint.store.as_json import to_json
from holdpoint.store.bundles import Bundle, BundleKind
from tests.support.builders import DANA, make_decision, make_draft, make_evaluation

POLICY = """
version: 1
defaults: {verdict: allow}
connections: {demo: {upstream: "http://127.0.0.1:9000", protocol: openai}}
groups:
  security: {members: [sam@example.com, kim@example.com]}
  office: {members: [ola@example.com], hours: {days: mon-fri, from: "09:00", to: "17:30", zone: Europe/Berlin}}
  nights: {members: [nia@example.com], hours: {from: "22:00", to: "06:00", zone: Europe/Berlin}}
  oncall: {slack_usergroup: S0ONCALL, members: [pat@example.com]}
  programs: {members: [deploy-bot]}
"""
POLICY_COMPILED = compile_policy(parse_policy(POLICY), 1)
SUNDAY = int(datetime(2026, 11, 22, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1000)
MONDAY = SUNDAY + 86_400_000
SAM, KIM, OLA, LEE, NIA, PAT = (f"{name}@example.com" for name in ("sam", "kim", "ola", "lee", "nia", "pat"))


def known(*away: tuple[str, str]) -> Snapshot:
    """With these people away until Tuesday: person and delegate."""
    absences = [Absence(who, SUNDAY, MONDAY + 86_400_000, who, delegate) for who, delegate in away]
    return Snapshot(1, POLICY_COMPILED, {}, (), absences=WhoIsAway(absences))


def held(*groups: str, at_ms: int = SUNDAY, alternates: tuple[str, ...] = ()) -> Hold:
    needs = tuple(Requirement(group, 1, alternates) for group in groups)
    draft = make_draft(evaluation=make_evaluation(requirements=needs, escalations=()))
    return Hold(
        "h1", 1, State.PENDING, draft.digest, draft.digest, "demo", draft.environment, draft.method, draft.target,
        draft.query, draft.requester, draft.address, draft.evaluation, at_ms, at_ms + 600_000, at_ms + 600_000,
    )  # fmt: skip


def called(hold: Hold, snapshot: Snapshot, *groups: str, now_ms: int = SUNDAY) -> dict[str, tuple[str, ...]]:
    names = groups or tuple(name for need in hold.requirements for name in (need.group, *need.alternates))
    call = Call("call held", Mention.HELD, names, hold)
    return {each.group.name: each.people for each in callings(call, snapshot, now_ms)}


@pytest.mark.parametrize(
    ("away", "people"),
    [
        ([], (KIM, SAM)),
        ([(SAM, "")], (KIM,)),
        ([(SAM, LEE)], (KIM, LEE)),
        ([(SAM, KIM)], (KIM,)),
        ([(SAM, LEE), (LEE, OLA)], (KIM,)),  # nothing is handed on
        ([(SAM, DANA.principal)], (KIM,)),  # the requester is nobody to call
        ([(SAM, ""), (KIM, "")], (KIM, SAM)),  # nobody is there: everybody, as ever
        ([(SAM, ""), (KIM, LEE)], (LEE,)),
        ([(SAM, KIM), (KIM, SAM)], (KIM, SAM)),
        ([("SAM@Example.com", "")], (KIM,)),
    ],
)
def test_who_is_away_is_not_called_but_their_delegate_is(away: list[tuple[str, str]], people: tuple[str, ...]) -> None:
    assert called(held("security"), known(*away)) == {"security": people}


@pytest.mark.parametrize(
    ("now_ms", "groups", "expected"),
    [
        (MONDAY, ("office",), {"office": (OLA,)}),
        (SUNDAY, ("office",), {"office": (OLA,)}),  # nobody else could be called
        (SUNDAY, ("office", "security"), {"office": (OLA,), "security": (KIM, SAM)}),  # each is needed
        (SUNDAY, ("office", "programs", "unknown"), {"office": (OLA,), "programs": ()}),
    ],
)
def test_a_group_that_is_needed_is_called_outside_its_hours(
    now_ms: int, groups: tuple[str, ...], expected: dict[str, tuple[str, ...]]
) -> None:
    assert called(held(*groups), known(), now_ms=now_ms) == expected


@pytest.mark.parametrize(
    ("now_ms", "alternate", "expected"),
    [
        (SUNDAY, "security", {"security": (KIM, SAM)}),
        (MONDAY, "security", {"office": (OLA,), "security": (KIM, SAM)}),
        (SUNDAY, "nights", {"office": (OLA,), "nights": (NIA,)}),
        (SUNDAY + 11 * 3_600_000, "nights", {"nights": (NIA,)}),
        (SUNDAY, "oncall", {"oncall": (PAT,)}),  # Slack knows who is on call
    ],
)
def test_a_group_is_left_alone_outside_its_hours_while_another_one_can_do_it(
    now_ms: int, alternate: str, expected: dict[str, tuple[str, ...]]
) -> None:
    assert called(held("office", alternates=(alternate,)), known(), now_ms=now_ms) == expected


def test_one_call_does_not_ring_who_is_away_because_another_requirement_has_nobody() -> None:
    hold = held("office", "security")
    assert called(hold, known((SAM, "")), "security") == {"security": (KIM,)}


def test_who_has_decided_is_not_called_nor_whose_place_was_taken() -> None:
    hold = held("security", "legal")
    decision = replace(make_decision(hold, by=LEE), behalf=(SAM,), groups=("other",))
    assert called(replace(hold, decisions=(decision,)), known((SAM, LEE))) == {"security": (KIM,)}
    assert called(replace(hold, decisions=(decision,)), known()) == {"security": (KIM,)}  # Sam is back meanwhile


def test_on_a_platforms_own_list_only_delegates_are_called_by_name() -> None:
    hold = held("oncall")
    (calling,) = callings(Call("k", Mention.HELD, ("oncall",), hold), known((PAT, LEE)), SUNDAY)
    assert calling.others == (LEE,)
    (calling,) = callings(Call("k", Mention.HELD, ("oncall",), hold), known(), SUNDAY)
    assert calling.others == ()


AWAY = "everybody in security is away, the first until Tue 2026-11-24 11:00 UTC"
OFF = "office is off until Mon 2026-11-23 09:00 Europe/Berlin"


@pytest.mark.parametrize(
    ("hold", "away", "now_ms", "sentence"),
    [
        (held("office"), [], SUNDAY, f"{OFF}. Its people may still decide"),
        (held("office"), [], MONDAY, ""),
        (held("office", "security"), [(SAM, ""), (KIM, "")], SUNDAY, f"{OFF}; {AWAY}. Their people may still decide"),
        (held("office", "security"), [], SUNDAY, f"{OFF}. Its people may still decide"),
        (held("office", alternates=("security",)), [], SUNDAY, ""),
        (held("security"), [(SAM, ""), (KIM, "")], SUNDAY, f"{AWAY}. Its people may still decide"),
        (held("security"), [(SAM, ""), (KIM, LEE)], SUNDAY, ""),
        (held("security"), [(SAM, "")], SUNDAY, ""),
        (held("oncall"), [(PAT, "")], SUNDAY, ""),  # nobody here knows who else is on call
        (held("programs"), [], SUNDAY, ""),
        (held("unknown"), [], SUNDAY, ""),
        (replace(held("office"), state=State.EXPIRED), [], SUNDAY, ""),
    ],
)
def test_what_a_card_says(hold: Hold, away: list[tuple[str, str]], now_ms: int, sentence: str) -> None:
    assert off_sentence(hold, known(*away), now_ms) == sentence


def test_once_a_group_is_met_nothing_is_said_of_it() -> None:
    hold = held("office", "security")
    decision = make_decision(hold, by=OLA, kind=DecisionKind.APPROVE)
    assert off_sentence(replace(hold, decisions=(replace(decision, groups=("office",)),)), known(), SUNDAY) == ""


def test_after_an_escalation_the_card_says_why_who_joined_is_alone() -> None:
    hold = held("office")
    escalated = replace(
        hold, evaluation=replace(hold.evaluation, escalations=(Escalation(60_000, "security"),)), escalated=1
    )
    assert off_sentence(escalated, known(), SUNDAY) == OFF
    assert moved_ms(hold) == hold.created_ms
    assert moved_ms(escalated) == hold.created_ms + 60_000


def test_a_card_for_identical_requests_says_it_too() -> None:
    holds = [replace(held("office"), id=name) for name in ("h1", "h2")]
    bundle = Bundle("b1", BundleKind.SAME, "slack:C0SECURITY", SUNDAY, ("h1", "h2"))
    what = bundled(
        bundle, holds, link_base="", masks=Masks(), limit=100, off=lambda hold: off_sentence(hold, known(), SUNDAY)
    )
    assert OFF in what.shown


def test_the_ledger_tells_in_whose_place_it_was() -> None:
    hold = held("security")
    decision = replace(make_decision(hold, by=LEE), behalf=(SAM,), behalf_until_ms=MONDAY)
    event = entry(
        source="events/1-0", kind="hold.approved", subject="h1", at_ms=SUNDAY,
        raw=to_json({"hold": "h1", "decision": decision}),
    )  # fmt: skip
    told = render(list(extend(EMPTY, [event])))
    assert "in the place of  sam@example.com, away until 2026-11-23T11:00:00.000Z" in told
