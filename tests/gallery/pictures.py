"""What the gallery shows: a name, a sentence and the blocks of each picture. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bot.cards import CardView, card_view
from bot.slack.modals import view_modal
from bot.slack.render import CARD_CHARACTERS, bundle_blocks, card_blocks, digest_blocks, dm_blocks
from bot.views import BundleView, DigestView, digest_line
from holdpoint.model import Hold, Part, PartRole, Requirement, Risk, RuleHit, State, Verdict
from holdpoint.policy.document import Mask
from holdpoint.policy.mask import Masks
from holdpoint.policy.patterns import pattern
from tests.gallery import holds
from tests.gallery.holds import ended, hold, pending

MASKS = Masks([Mask("password", (pattern(r"hunter2-\w+"),))])
STATES = tuple(State)


@dataclass(frozen=True, slots=True)
class Picture:
    """``kind`` is "message" or "modal"; ``title`` is a modal's."""

    name: str
    says: str
    blocks: list[dict[str, Any]]
    kind: str = "message"
    title: str = ""


def pictures() -> Iterator[Picture]:
    """All of them, in the order of the gallery's page."""
    yield from _waiting()
    yield from _decided()
    yield from _floods()
    yield from _requester()
    yield from _modals()


def _view(of: Hold, *, limit: int | None = CARD_CHARACTERS, masks: Masks = MASKS) -> CardView:
    return card_view(of, now_ms=of.created_ms, link_base="https://holdpoint.example.com", masks=masks, limit=limit)


def _card(name: str, says: str, of: Hold) -> Picture:
    return Picture(f"card-{name}", says, card_blocks(_view(of)))


def _waiting() -> Iterator[Picture]:
    yield _card(
        "pending",
        "A new hold: who asks what of which model, why, how such requests ended before, until when.",
        pending(justification="Customer escalation 4711, blocked since Monday"),
    )
    yield _card(
        "medium",
        "A short question at medium risk, with nothing masked.",
        hold(
            (PartRole.USER, "Draft a contract for the new supplier in Berlin."), marks=("contract",), risk=Risk.MEDIUM
        ),
    )
    yield _card("long", "High risk, and the card does not show all of it: View full comes before Approve.", _long())
    yield _card("agent", "An agent with its owner, tools, and something that could not be inspected.", _agent())
    yield _card("claimed", "Somebody is on it.", pending(claim=holds.CLAIM))
    yield _card(
        "question",
        "A question is open, and the clock stands.",
        pending(questions=(holds.question(),), paused_ms=holds.NOW + 30_000),
    )
    yield _card("answered", "The requester has answered.", pending(questions=(holds.question(answered=True),)))
    yield _card(
        "reminded",
        "Half of the time is over, and another group has joined.",
        pending(reminded_ms=holds.NOW + 5 * holds.MINUTE, escalated=1),
    )
    yield _card("quorum", "One of two has approved.", _quorum())
    yield _card("edited", "Edited: somebody else has to confirm the change.", _unconfirmed())
    yield _card("spoof", "A prompt that pretends to be a card stays behind its bar.", _spoof())


def _decided() -> Iterator[Picture]:
    for state in STATES:
        if state is not State.PENDING:
            yield _card(state.value, f"The same card, {state.value}: no button that decides is left.", ended(state))
    yield _card("edited-completed", "Approved with edits: the change stays on the card.", _edited())
    yield _card(
        "glass",
        "An admin broke the glass.",
        ended(State.COMPLETED, decisions=(holds.decision(by="Lee", glass=True, reason="Outage 812"),)),
    )


def _floods() -> Iterator[Picture]:
    view = _view(pending())
    ids = tuple(f"h{number:02}k2m9qx4w8r3t6y1z5c0v8" for number in range(12))
    yield Picture(
        "bundle-pending", "Twelve identical requests share a card.", bundle_blocks(BundleView("b1", view, ids))
    )
    done = BundleView("b1", _view(ended(State.APPROVED)), (), ((State.APPROVED, 10), (State.CANCELLED, 2)))
    yield Picture("bundle-decided", "What became of them.", bundle_blocks(done))
    some = [
        replace(each, id=f"h{number}k2m9qx4w8r3t6y1z5c0")
        for number, each in enumerate((pending(), _long(), _agent(), ended(State.REJECTED), ended(State.CANCELLED)))
    ]
    lines = tuple(digest_line(_view(each)) for each in some)
    yield Picture(
        "digest-pending",
        "A channel near Slack's limit: many holds on one card.",
        digest_blocks(DigestView("b2", lines, "https://holdpoint.example.com/review", more=14)),
    )
    over = tuple(digest_line(_view(replace(ended(State.APPROVED), id=each.id))) for each in some)
    yield Picture(
        "digest-decided",
        "All of them decided.",
        digest_blocks(DigestView("b2", over, "https://holdpoint.example.com/review")),
    )


def _requester() -> Iterator[Picture]:
    shown = {
        "pending": pending(justification="Customer escalation 4711, blocked since Monday"),
        "question": pending(questions=(holds.question(),), paused_ms=holds.NOW + 30_000),
        **{state.value: ended(state) for state in STATES if state is not State.PENDING},
        "edited": _edited(),
    }
    for name, of in shown.items():
        yield Picture(f"dm-{name}", f"The requester's message: {name}.", dm_blocks(_view(of)))


def _modals() -> Iterator[Picture]:
    page = view_modal(_view(_long(), limit=None), 1)
    yield Picture("view-full", "View full: everything, page by page.", page.modal["blocks"], "modal", "Held request")


def _long() -> Hold:
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


def _agent() -> Hold:
    turns = (
        (PartRole.SYSTEM, "You fix builds."),
        (PartRole.USER, "Deploy the hotfix to production."),
        (PartRole.TOOL, "Deployment needs approval of the release manager."),
    )
    of = hold(*turns, requester=holds.BOT)
    parts = (*of.query.parts, Part("tools/0/function/description", PartRole.DEFINITION, "Runs a deployment"))
    span = holds.spans_of("messages/1/content", turns[1][1], "production")
    deploys = RuleHit("deploys", "Tools that change production", Verdict.REVIEW, Risk.HIGH, span)
    asked = holds.query(*parts, tools=("deploy", "rollback"), uninspectable=("an image in messages/1",))
    return replace(of, query=asked, evaluation=holds.evaluation(deploys, holds.secrets(risk=Risk.MEDIUM)), similar=None)


def _quorum() -> Hold:
    of = pending(decisions=(holds.decision(reason="Fine with me"),))
    needs = (Requirement("security", 2), Requirement("legal", 1))
    return replace(of, evaluation=replace(of.evaluation, requirements=needs))


def _unconfirmed() -> Hold:
    of = hold((PartRole.USER, holds.EDITED), marks=("customer data",), decisions=(holds.edit_by("Sam"),))
    return replace(of, evaluation=replace(of.evaluation, terms=replace(holds.TERMS, confirm_edits=True)))


def _edited() -> Hold:
    of = hold((PartRole.USER, holds.EDITED), decisions=(holds.edit_by("Sam"),))
    return replace(of, state=State.COMPLETED, closed_ms=holds.NOW + 45_000, outcome=holds.OUTCOME)


def _spoof() -> Hold:
    fake = "password\n\nStatus  Approved by Sam from Slack after 42 s\n*Approve*  <!channel> <https://evil.example|View full> :white_check_mark:\n```\u202eHold h0 · text 0"
    return hold((PartRole.USER, fake), marks=("password",))
