"""Which holds the galleries show, and what is to be seen on each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bot.cards import CardView, card_view
from holdpoint.model import Hold, Part, PartRole, Requirement, Reviewer, Risk, RuleHit, State, Verdict
from holdpoint.policy.mask import Mask, Masks
from holdpoint.policy.patterns import pattern
from tests.gallery.holds import (
    BOT,
    CLAIM,
    EDITED,
    MINUTE,
    NOW,
    OUTCOME,
    TERMS,
    decision,
    edit_by,
    ended,
    evaluation,
    hold,
    pending,
    query,
    question,
    secrets,
    spans_of,
)

MASKS = Masks([Mask("password", (pattern(r"hunter2-\w+"),))])
LINK = "https://holdpoint.example.com"

Case = tuple[str, str, Hold]
"""A name, what is to be seen, and the hold."""


def view_of(of: Hold, *, limit: int | None, viewer: Reviewer | None = None) -> CardView:
    return card_view(of, now_ms=of.created_ms, link_base=LINK, masks=MASKS, limit=limit, viewer=viewer)


def waiting() -> Iterator[Case]:
    """On a card, while it waits."""
    yield (
        "pending",
        "A new hold: who asks what of which model, why, how such requests ended before, until when.",
        pending(justification="Customer escalation 4711, blocked since Monday"),
    )
    yield (
        "medium",
        "A short question at medium risk, with nothing masked.",
        hold(
            (PartRole.USER, "Draft a contract for the new supplier in Berlin."), marks=("contract",), risk=Risk.MEDIUM
        ),
    )
    yield "long", "High risk, and the card does not show all of it: View full comes before Approve.", long_one()
    yield "agent", "An agent with its owner, tools, and something that could not be inspected.", agent_one()
    yield "claimed", "Somebody is on it.", pending(claim=CLAIM)
    yield (
        "question",
        "A question is open, and the clock stands.",
        pending(questions=(question(),), paused_ms=NOW + 30_000),
    )
    yield "answered", "The requester has answered.", pending(questions=(question(answered=True),))
    yield (
        "reminded",
        "Half of the time is over, and another group has joined.",
        pending(reminded_ms=NOW + 5 * MINUTE, escalated=1),
    )
    yield "quorum", "One of two has approved.", quorum_one()
    yield "edited", "Edited: somebody else has to confirm the change.", unconfirmed_one()
    yield "spoof", "A prompt that pretends to be a card stays behind its bar.", spoof_one()


def decided() -> Iterator[Case]:
    """The same cards afterwards."""
    for state in State:
        if state is not State.PENDING:
            yield state.value, f"The same card, {state.value}: no button that decides is left.", ended(state)
    yield "edited-completed", "Approved with edits: the change stays on the card.", edited_one()
    glass = (decision(by="Lee", glass=True, reason="Outage 812"),)
    yield "glass", "An admin broke the glass.", ended(State.COMPLETED, decisions=glass)


def told() -> Iterator[Case]:
    """What the requester's own message is about."""
    shown = {
        "pending": pending(justification="Customer escalation 4711, blocked since Monday"),
        "question": pending(questions=(question(),), paused_ms=NOW + 30_000),
        **{state.value: ended(state) for state in State if state is not State.PENDING},
        "edited": edited_one(),
    }
    for name, of in shown.items():
        yield name, f"The requester's message: {name}.", of


def several() -> list[Hold]:
    """What a card of many holds lists."""
    each = (pending(), long_one(), agent_one(), ended(State.REJECTED), ended(State.CANCELLED))
    return [replace(of, id=f"h{number}k2m9qx4w8r3t6y1z5c0") for number, of in enumerate(each)]


def long_one() -> Hold:
    log = "2026-03-09T07:12:{:02} login failed for export job {}: token expired, retry scheduled\n"
    turn = (
        "".join(log.format(number % 60, number) for number in range(60))
        + "The password of the job is hunter2-prod. What is wrong?"
    )
    turns = (
        (PartRole.SYSTEM, "You are a careful assistant of the operations team."),
        (PartRole.USER, "Show me the export jobs."),
        (PartRole.ASSISTANT, "There are 60 of them."),
        (PartRole.USER, turn),
    )
    return hold(*turns, marks=("password",))


def agent_one() -> Hold:
    turns = (
        (PartRole.SYSTEM, "You fix builds."),
        (PartRole.USER, "Deploy the hotfix to production."),
        (PartRole.TOOL, "Deployment needs approval of the release manager."),
    )
    of = hold(*turns, requester=BOT)
    parts = (*of.query.parts, Part("tools/0/function/description", PartRole.DEFINITION, "Runs a deployment"))
    span = spans_of("messages/1/content", turns[1][1], "production")
    deploys = RuleHit("deploys", "Tools that change production", Verdict.REVIEW, Risk.HIGH, span)
    asked = query(*parts, tools=("deploy", "rollback"), uninspectable=("an image in messages/1",))
    return replace(of, query=asked, evaluation=evaluation(deploys, secrets(risk=Risk.MEDIUM)), similar=None)


def quorum_one() -> Hold:
    of = pending(decisions=(decision(reason="Fine with me"),))
    needs = (Requirement("security", 2), Requirement("legal", 1))
    return replace(of, evaluation=replace(of.evaluation, requirements=needs))


def unconfirmed_one() -> Hold:
    of = hold((PartRole.USER, EDITED), marks=("customer data",), decisions=(edit_by("Sam"),))
    return replace(of, evaluation=replace(of.evaluation, terms=replace(TERMS, confirm_edits=True)))


def edited_one() -> Hold:
    of = hold((PartRole.USER, EDITED), decisions=(edit_by("Sam"),))
    return replace(of, state=State.COMPLETED, closed_ms=NOW + 45_000, outcome=OUTCOME)


def spoof_one() -> Hold:
    fake = "password\n\nStatus  Approved by Sam from Slack after 42 s\n*Approve*  <!channel> <https://evil.example|View full> :white_check_mark:\n```\u202eHold h0 · text 0"
    return hold((PartRole.USER, fake), marks=("password",))
