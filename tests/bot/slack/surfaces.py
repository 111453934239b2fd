"""Every place of Slack where text appears, as functions of one hold; and holds that carry one text in every field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bot.answers import Answer, Picture, Table, inert
from bot.cards import CardView, card_view
from bot.dashboard import Dashboard, Overview
from bot.happenings import happenings
from bot.inputs import editable
from bot.platform import Reply
from bot.shared_views import BundleView, DigestView, digest_line
from bot.slack import answers, forms, render
from bot.slack.home_view import home_view, stranger_view
from bot.slack.modals import edit_modal, view_modal
from bot.slack.threads import reply_payload
from bot.slack.views import INPUT_UNITS, MOST_INPUTS
from holdpoint.model import (
    Claim,
    Decision,
    DecisionKind,
    Edit,
    Escalation,
    GrantLimits,
    GrantScope,
    Hold,
    Mention,
    Outcome,
    Part,
    PartRole,
    Query,
    Question,
    Requester,
    Requirement,
    Reviewer,
    ReviewTerms,
    Risk,
    RuleHit,
    Similar,
    State,
    Tally,
    Verdict,
)
from holdpoint.policy.mask import Masks
from holdpoint.store.cards import Failing
from holdpoint.store.quiet import Quiet
from holdpoint.visible import visible, visible_line
from tests.support.builders import make_evaluation

NOW = 1_700_000_000_000
LINK = "https://holdpoint.test"
MASKS = Masks()
Json = dict[str, Any]


@dataclass(frozen=True)
class Surface:
    """What is sent: ``blocks``, the line for notifications (None in a view), and the whole view where it is one."""

    blocks: list[Json]
    text: str | None = None
    view: Json | None = None
    rest: list[Json] = field(default_factory=list)  # further views: the pages after the first


def hold_with(text: str, *, state: State = State.PENDING) -> Hold:
    """A hold in ``state``, with ``text`` in every field that anybody but Holdpoint fills."""
    roles = (PartRole.SYSTEM, PartRole.TOOL, PartRole.ASSISTANT, PartRole.USER)
    parts = [Part(f"messages/{number}/content", role, text) for number, role in enumerate(roles) if text]
    parts += [Part(f"tools/0/{text}", PartRole.DEFINITION, text), Part(f"x/{text}", PartRole.PARAMETER, text)]
    query = Query(
        connection=text, endpoint="chat/completions", model=text, parts=tuple(parts), tools=(text, text), stream=False,
        prompt_tokens=1, max_tokens=None, uninspectable=(text,), body=b"{}",
    )  # fmt: skip
    evaluation = make_evaluation(
        hits=(RuleHit(text, text, Verdict.REVIEW, Risk.HIGH), RuleHit("plain", text, Verdict.MODIFY, Risk.LOW)),
        reason=f"because {text}", requirements=(Requirement(text, 1),), escalations=(Escalation(1_000, text),),
        terms=ReviewTerms(reasons=(text,), grant=GrantLimits(5, 3_600_000, frozenset(GrantScope)), confirm_edits=True),
    )  # fmt: skip
    pending = state is State.PENDING
    edited = Decision(
        DecisionKind.APPROVE, text, text, (text,), "slack", NOW + 1, "d" * 64, "d" * 64, reason=text,
        edits=(Edit("messages/3/content", f"{text}2"),), before=(Edit("messages/3/content", text),),
    )  # fmt: skip
    last = replace(edited, edits=(), before=(), glass=True, channel="web", at_ms=NOW + 9)
    if state is State.REJECTED:
        last = replace(last, kind=DecisionKind.REJECT, glass=False)
    tallies = (Tally(text, text, 2), Tally("kim@example.com", "Kim", 1))
    return Hold(
        id="h0123456789abcdef0123456", rev=1, state=state, digest="d" * 64, original_digest="d" * 64, connection=text,
        environment=text, method="POST", target="/v1/chat/completions", query=query,
        requester=Requester(text, frozenset({text, f"{text}2"}), owner=None, name=text), address=text,
        evaluation=evaluation, created_ms=NOW, deadline_ms=NOW + 600_000, due_ms=NOW, justification=text, escalated=1,
        decisions=(edited,) if pending else (edited, last), closed_ms=None if pending else NOW + 10, close_reason=text,
        outcome=Outcome(502, "0" * 64, text, 3, 4, 5, 6, error=text) if state is State.FAILED else None,
        claim=Claim(text, text, NOW + 60_000), paused_ms=NOW + 5 if pending else None,
        questions=(
            Question("q1", text, text, text, NOW + 2, answer=text, answered_by=text, answered_ms=NOW + 3),
            Question("q2", text, text, text, NOW + 4),
        ),
        similar=Similar(GrantScope.REQUESTER, 3, 3, 0, 0, tallies, tallies, last_ms=NOW - 1),
    )  # fmt: skip


def agent_with(text: str) -> Hold:
    """The same, asked by an agent with an owner."""
    hold = hold_with(text)
    return replace(hold, requester=Requester(text, frozenset({text}), owner=text))


def seen(hold: Hold, *, limit: int | None = render.CARD_CHARACTERS) -> CardView:
    return card_view(hold, now_ms=NOW, link_base=LINK, masks=MASKS, limit=limit)


def _card(hold: Hold) -> Surface:
    return Surface(render.card_blocks(seen(hold)), render.card_text(seen(hold)))


def _dm(hold: Hold) -> Surface:
    return Surface(render.dm_blocks(seen(hold)), render.dm_text(seen(hold)))


def _bundle(hold: Hold) -> Surface:
    bundle = BundleView("b1", seen(hold), ("h1", "h2"), ((State.CANCELLED, 1),))
    return Surface(render.bundle_blocks(bundle), render.bundle_text(bundle))


def _digest(hold: Hold) -> Surface:
    view = DigestView("b2", (digest_line(seen(hold)),) * 3, f"{LINK}/review", more=2)
    return Surface(render.digest_blocks(view), render.digest_text(view))


def _thread(hold: Hold) -> Surface:
    # On one line: of a diff of several, a thread shows the changed ones alone.
    flat = visible_line(hold.query.model)
    path = "messages/3/content"
    decisions = tuple(
        replace(each, edits=(Edit(path, f"{flat}2"),), before=(Edit(path, flat),)) if each.edits else each
        for each in hold.decisions
    )
    hold = replace(hold, decisions=decisions)
    lines = tuple(each.text for each in happenings(hold, masks=MASKS))
    payload = reply_payload(Reply(lines), {Mention.REMINDER: [("user", "U0SAM"), ("subteam", "S0ONCALL")]})
    return Surface(payload["blocks"], payload["text"])


def _of_view(view: Json, rest: list[Json] | None = None) -> Surface:
    return Surface(view["blocks"], None, view, rest or [])


def _pages(hold: Hold, *, revealed: bool) -> Surface:
    view = seen(hold, limit=None)
    first = view_modal(view, 1, revealed=revealed)
    pages = [view_modal(view, number, revealed=revealed).modal for number in range(2, first.pages + 1)]
    return _of_view(first.modal, pages)


def _edit(hold: Hold) -> Surface:
    view = seen(hold, limit=None)
    return _of_view(edit_modal(view, *editable(view, hold, longest=INPUT_UNITS, most=MOST_INPUTS), whole=False))


def _answer_question(hold: Hold) -> Surface:
    question = hold.questions[-1]
    return _of_view(forms.answer_modal(seen(hold), question, visible(question.text)))


def _grant(hold: Hold) -> Surface:
    limits = hold.evaluation.terms.grant
    assert limits is not None
    return _of_view(forms.grant_modal(seen(hold), limits, ["contractors"], whole=False))


def _home(hold: Hold) -> Surface:
    view = seen(hold, limit=400)
    text = hold.query.model
    person = Reviewer(text, frozenset({text}), frozenset(), "slack", text)
    overview = Overview(3, 2, 1, 4_000, (Failing(target=f"slack:{text}", text=text, at_ms=NOW),))
    page = Dashboard(person, (view,), 3, (view,), Quiet.ALL, overview, frozenset())
    return _of_view(home_view(page))


def _answers(hold: Hold) -> Surface:
    text = hold.query.model
    answer = Answer(
        True, (text, "x"), Table(("a", "b"), ((text, "c"),)), (seen(hold),), text=text, confirm="c0ffee",
        picture=Picture(b"", text),
    )  # fmt: skip
    shown = inert(answer, MASKS)
    return Surface(answers.answer_blocks(shown), answers.answer_text(shown))


SURFACES: Mapping[str, Callable[[Hold], Surface]] = {
    "card": _card,
    "dm": _dm,
    "bundle": _bundle,
    "digest": _digest,
    "thread": _thread,
    "view full": lambda hold: _pages(hold, revealed=False),
    "reveal": lambda hold: _pages(hold, revealed=True),
    "edit": _edit,
    "reject": lambda hold: _of_view(forms.reject_modal(seen(hold), ("prepared",))),
    "ask": lambda hold: _of_view(forms.ask_modal(seen(hold), pauses=True)),
    "grant": _grant,
    "answer a question": _answer_question,
    "justify": lambda hold: _of_view(forms.justify_modal(seen(hold))),
    "home": _home,
    "home of a stranger": lambda hold: _of_view(stranger_view(f"You are {visible(hold.query.model)}.")),
    "answer to a command": _answers,
    "notice": lambda hold: Surface(forms.notice_blocks([f"By {visible(hold.query.model)}."])),
}
