"""`CardView` → the blocks of a channel's card, through ``templates/slack/``. Pure but for reading the templates.

::

    header        what it is worth: state, risk, how many
    facts         who → what → where · why · status · decide by · similar · who is on it
    said          justification, questions and answers
    passages      the newest user turn, what matched elsewhere; then how much is folded
    edits         as diffs
    history       what people decided
    buttons       approve, edit, reject │ ask, claim, view full, the rest

Here every text gets its length; the templates put them where they belong. `blocks.py` says how texts stay inert, and
has the limits; `dm.py` is the requester's message, `digest.py` the card of many holds.
"""

from __future__ import annotations

from typing import Any

from bot.slack import APPROVE, ASK, BULK_APPROVE, BULK_REJECT, CLAIM, EDIT, GRANT, REJECT, REVEAL, UNCLAIM, VIEW
from bot.slack.blocks import (
    MOST_RUNS,
    PAGE_UNITS,
    Blocks,
    Row,
    edits,
    history,
    load,
    moment,
    reference,
    rows,
    runs,
    some,
    value_of,
    who,
    words,
)
from bot.slack.digest import digest_blocks, digest_text
from bot.slack.dm import dm_blocks, dm_text
from bot.slack.text import clip, inert
from bot.views import Action, BundleView, CardView
from holdpoint.model import Risk, State

__all__ = [
    "CARD_CHARACTERS", "MOST_RUNS", "PAGE_UNITS", "Blocks", "Row", "bundle_blocks", "bundle_text", "card_blocks",
    "card_text", "digest_blocks", "digest_text", "dm_blocks", "dm_text", "load", "rows", "runs", "value_of", "who",
]  # fmt: skip

CARD_CHARACTERS = 1_200  # of the request's texts on a card; at most twice as many units

_FIRST = {
    Action.APPROVE: ("Approve", APPROVE, "primary"),
    Action.EDIT: ("Edit & approve", EDIT, ""),
    Action.REJECT: ("Reject", REJECT, "danger"),
}
_SECOND = {
    Action.ASK: ("Ask the requester", ASK),
    Action.CLAIM: ("I am on it", CLAIM),
    Action.UNCLAIM: ("Hand it back", UNCLAIM),
    Action.VIEW: ("View full", VIEW),
}
_MENU = {Action.GRANT: ("Approve similar …", GRANT), Action.REVEAL: ("Reveal what is masked", REVEAL)}
_RISKS = {Risk.LOW: "⚪ Low risk", Risk.MEDIUM: "🟠 Medium risk", Risk.HIGH: "🔴 High risk"}
_HEADERS = {
    State.PENDING: "held for review",
    State.APPROVED: "✅ Approved",
    State.RELEASED: "✅ Approved, with the model now",
    State.COMPLETED: "✅ Approved and answered",
    State.FAILED: "❗ Approved, but the model failed",
    State.REJECTED: "⛔ Rejected",
    State.EXPIRED: "⌛ Expired",
    State.CANCELLED: "🚫 Cancelled",
}


def card_blocks(view: CardView) -> Blocks:
    """The card for reviewers."""
    return _blocks(view, _first(view), _second(view), menu=_menu(view))


def bundle_blocks(bundle: BundleView) -> Blocks:
    """One card for identical requests. They are decided together, or one by one in the inbox."""
    view, value = bundle.card, bundle.value
    count = f"{len(bundle.ids):,}"
    first = [
        {"text": f"Approve all {count}", "action": BULK_APPROVE, "style": "primary", "value": value},
        {"text": f"Reject all {count}", "action": BULK_REJECT, "style": "danger", "value": value},
    ]
    whole = [{"text": "View full", "action": VIEW, "value": value_of(view)}]
    waits = bundle.ids and view.pending
    return _blocks(view, first if waits else [], whole if waits else [], menu=[], bundle=bundle)


def buttons(view: CardView) -> tuple[list[Row], list[Row], list[Row]]:
    """A card's buttons, for who shows it elsewhere: first row, second row, menu."""
    return _first(view), _second(view), _menu(view)


def card_text(view: CardView) -> str:
    """The line for notifications and screen readers: who and why, nothing that the request itself says."""
    return inert(f"{header(view)}: {view.title} — {view.requester} → {view.connection} — {view.state_sentence}", 1_500)


def bundle_text(bundle: BundleView) -> str:
    return inert(f"× {bundle.count} {card_text(bundle.card)}", 1_500)


def header(view: CardView, count: int = 1) -> str:
    """``🔴 High risk, held for review · × 12``. Words of ours only."""
    times = f" · × {count:,}" if count > 1 else ""
    word = f"{_RISKS[view.risk]}, {_HEADERS[view.state]}" if view.pending else _HEADERS[view.state]
    return word + times


def _blocks(
    view: CardView, first: list[Row], second: list[Row], *, menu: list[Row], bundle: BundleView | None = None
) -> Blocks:
    changed, more_changed = edits(view)
    card: dict[str, Any] = {
        "header": header(view, bundle.count if bundle else view.count),
        "line": clip(view.requester_line, 400),
        "facts": _facts(view, bundle),
        "said": _said(view),
        "parts": [
            {"label": clip(part.label, 100), "runs": runs(part.segments)} for part in view.parts if part.shows_text
        ],
        "left_out": _left_out(view),
        "read_first": view.pending and view.needs_full_view,
        "edits": changed,
        "more_edits": more_changed,
        "history": history(view) if not view.pending else [],
        "first": first,
        "second": second,
        "menu": menu,
        "url": view.url,
        "references": [reference(view), *_covered(bundle)],
    }
    blocks: Blocks = load("slack/card.json.j2", card=card)
    return blocks


def _facts(view: CardView, bundle: BundleView | None) -> list[Row]:
    several = len(view.progress) > 1 or any(item.needed > 1 for item in view.progress)
    told = [
        *_why(view),
        ("Status", clip(view.state_sentence, 400)),
        *_clock(view),
        *some("Approvals", [item.line for item in view.progress] if several else [], most=5, length=150),
        ("On it", f"{clip(view.claim.name, 100)} until " if view.claim else ""),
        ("Identical", clip(bundle.line if bundle else _identical(view), 300)),
        ("History", clip(view.similar, 300) if view.pending else ""),
        ("Tools", clip(", ".join(view.tools), 200)),
        *some("Warning", view.warnings, most=3, length=150),
        ("Glass", clip(view.glass, 250)),
        ("Result", clip(view.outcome.line, 250) if view.outcome else ""),
    ]
    found = rows(told)
    ends = {
        "Decide by": view.deadline_ms,
        "On it": view.claim.until_ms if view.claim else None,
        "Clock": view.paused_ms,
    }
    return [{**row, "at": moment(at) if (at := ends.get(row["label"])) is not None else None} for row in found]


def _why(view: CardView) -> list[tuple[str, str]]:
    """The rules; what the policy says of the request first, where no rule says the same."""
    several = len(view.rules) > 1
    lines = [
        f"{rule.line} ({rule.verdict.value}, {rule.risk.value} risk)" if several else rule.line for rule in view.rules
    ]
    title = [] if any(rule.description == view.title for rule in view.rules) else [view.title]
    return some("Why", [*title, *lines], most=4, length=250)


def _clock(view: CardView) -> list[tuple[str, str]]:
    """The row whose value goes before the date."""
    if not view.pending:
        return []
    if view.paused_ms is not None:
        return [("Clock", "stands until the requester answers, since ")]
    return [("Decide by", "⏰ " if view.reminded_ms is not None else "⏳ ")]


def _identical(view: CardView) -> str:
    return f"{view.count:,} requests wait as one" if view.count > 1 else ""


def _said(view: CardView) -> list[Row]:
    """What people said about the request, each behind its own bar: several lines stay where they belong."""
    found: list[Row] = [{"label": "The requester says", "runs": words(view.justification, 500), "at": None}]
    for question in view.questions[-2:]:
        state = "  (no answer yet)" if question.is_open and view.pending else ""
        asked = f"{clip(question.by, 80)} asked{state}"
        found.append({"label": asked, "runs": words(question.text, 250), "at": moment(question.at_ms)})
        if question.answered_ms is not None:
            label = f"{clip(question.answered_by, 80)} answered"
            found.append({"label": label, "runs": words(question.answer, 400), "at": moment(question.answered_ms)})
    found.append({"label": "Reason", "runs": words(view.given_reason, 500), "at": None})
    return [item for item in found if item["runs"]]


def _left_out(view: CardView) -> str:
    where = "View full" if view.pending else "see the inbox"
    return f"{view.left_out}: {where}" if view.left_out else ""


def _covered(bundle: BundleView | None) -> list[str]:
    """The ids that the card stands for, as far as they fit."""
    if bundle is None or not bundle.ids:
        return []
    shown = bundle.ids[:_MOST_IDS]
    more = f" and {len(bundle.ids) - _MOST_IDS} more" if len(bundle.ids) > _MOST_IDS else ""
    return [f"Waiting: {', '.join(shown)}{more}"]


_MOST_IDS = 40


def _first(view: CardView) -> list[Row]:
    if not view.pending:
        return []
    value = value_of(view)
    found = [action for action in _FIRST if action in view.actions]
    return [{"text": _FIRST[a][0], "action": _FIRST[a][1], "style": _FIRST[a][2], "value": value} for a in found]


def _second(view: CardView) -> list[Row]:
    if not view.pending:
        return []
    value = value_of(view)
    wanted = [action for action in _SECOND if action in view.actions and (action is not Action.VIEW or view.cut)]
    return [{"text": _SECOND[action][0], "action": _SECOND[action][1], "value": value} for action in wanted]


def _menu(view: CardView) -> list[Row]:
    """What is seldom wanted: one such thing is a button, several are a menu (Slack allows no menu of one)."""
    if not view.pending:
        return []
    wanted = [action for action in _MENU if action in view.actions]
    return [{"text": _MENU[a][0], "action": _MENU[a][1], "value": value_of(view)} for a in wanted]
