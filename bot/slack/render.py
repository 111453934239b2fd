"""`CardView` → the blocks of a Slack message, through ``templates/slack/``. Pure but for reading the templates.

Here every text gets its length; the templates put them where they belong. Requests never reach mrkdwn: they stand in
``plain_text`` and ``rich_text``, which Slack does not parse. Limits are Slack's (3,000 a text, 50 blocks, and about
13,000 for all texts of a message, which Slack enforces but does not document), with a margin, in UTF-16 units.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from bot.cards import Action, CardView, EditView, PartView
from bot.passages import Segment
from bot.slack import APPROVE, EDIT, REJECT, VIEW
from bot.slack.text import clip, clip_escaped, pieces
from bot.templates import render
from holdpoint.model import State

Blocks = list[dict[str, Any]]
Row = dict[str, str]

CARD_CHARACTERS = 1_800  # of the request's texts on a card; at most twice as many units
MOST_PARTS = 6
MOST_RUNS = 200  # runs of one passage; what comes after them is shown, but its marks are not
PAGE_UNITS = 2_500
_LABELS = {
    Action.APPROVE: ("Approve", APPROVE, "primary"),
    Action.EDIT: ("Edit & approve", EDIT, ""),
    Action.REJECT: ("Reject", REJECT, "danger"),
    Action.VIEW: ("View full", VIEW, ""),
}


def value_of(view: CardView) -> str:
    """What a button carries: which hold, and which text of it was shown. Nothing else; the server knows the rest."""
    return f"{view.id} {view.digest}"


def card_blocks(view: CardView) -> Blocks:
    """The card for reviewers."""
    shown = [part for part in view.parts if any(not segment.gap for segment in part.segments)][:MOST_PARTS]
    card = {
        "title": clip(view.title, 140),
        "facts": _facts(view),
        "deadline": _moment(view.deadline_ms) if view.pending else None,
        "parts": [{"label": clip(part.label, 100), "runs": runs(part.segments)} for part in shown],
        "cut": _cut(view, shown),
        "edits": [_edit(edit) for edit in view.edits[:2]],
        "more_edits": f"{len(view.edits) - 2} more edits are in the inbox." if len(view.edits) > 2 else "",
        "history": _history(view),
        "buttons": _buttons(view),
        "url": view.url,
        "reference": _reference(view),
    }
    blocks: Blocks = load("slack/card.json.j2", card=card)
    return blocks


def dm_blocks(view: CardView) -> Blocks:
    """The requester's own message."""
    facts = [
        ("Status", clip(view.state_sentence, 400)),
        ("Why", clip("; ".join(_rule_line(rule.id, rule.description) for rule in view.rules[:3]), 600)),
        ("Sent by", clip(view.requester, 200)),
        ("To", clip(" · ".join(filter(None, (view.connection, view.model, view.environment))), 300)),
        ("Result", clip(view.outcome.line, 300) if view.outcome else ""),
    ]
    dm = {
        "title": DM_TITLES[view.state],
        "facts": rows(facts),
        "deadline": _moment(view.deadline_ms) if view.pending else None,
        "preview": [{"text": view.preview, "marked": False, "gap": False}] if view.preview else [],
        "history": _history(view),
        "cancel": value_of(view) if view.pending else "",
        "reference": _reference(view),
    }
    blocks: Blocks = load("slack/dm.json.j2", dm=dm)
    return blocks


def card_text(view: CardView) -> str:
    """The line for notifications and screen readers: who and why, nothing that the request itself says."""
    return clip_escaped(f"{view.title} — {view.requester} → {view.connection} — {view.state_sentence}", 1_500)


def dm_text(view: CardView) -> str:
    return clip_escaped(f"{DM_TITLES[view.state]}: {view.state_sentence}", 1_500)


DM_TITLES = {
    State.PENDING: "Your request is held for review",
    State.APPROVED: "Your request was approved",
    State.RELEASED: "Your request is with the model",
    State.COMPLETED: "Your request was answered",
    State.FAILED: "Your request was approved, but the model failed",
    State.REJECTED: "Your request was rejected",
    State.EXPIRED: "Your request expired",
    State.CANCELLED: "Your request was cancelled",
}


def _facts(view: CardView) -> list[Row]:
    rules = [
        f"{_rule_line(rule.id, rule.description)} ({rule.verdict.value}, {rule.risk.value} risk)" for rule in view.rules
    ]
    approvals = [progress.line for progress in view.progress]
    return rows(
        [
            ("Status", clip(view.state_sentence, 400)),
            *who(view),
            ("Risk", view.risk.value),
            *_some("Rule", rules, most=4, length=300),
            ("Says", clip(view.justification, 300)),
            ("Tools", clip(", ".join(view.tools), 200)),
            *_some("Warning", view.warnings, most=3, length=150),
            *_some("Approvals", approvals, most=5, length=150),
            ("Identical", f"{view.count} requests wait as one" if view.count > 1 else ""),
            ("Result", clip(view.outcome.line, 200) if view.outcome else ""),
        ]
    )


def who(view: CardView) -> list[tuple[str, str]]:
    """Who asked what of which model."""
    return [
        ("Requester", clip(view.requester, 200)),
        ("Groups", clip(", ".join(view.requester_groups), 200)),
        ("Connection", clip(view.connection, 100)),
        ("Model", clip(view.model, 150)),
        ("Environment", clip(view.environment, 100)),
    ]


def rows(pairs: Iterable[tuple[str, str]]) -> list[Row]:
    """Labels and values for the template; those without a value are left out."""
    return [{"label": label, "value": value} for label, value in pairs if value.strip()]


def _some(label: str, texts: Sequence[str], *, most: int, length: int) -> list[tuple[str, str]]:
    """The first texts, and how many there are beyond."""
    shown = [(label, clip(text, length)) for text in texts[:most]]
    return [*shown, (label, f"and {len(texts) - most} more, see the inbox")] if len(texts) > most else shown


def _rule_line(rule: str, description: str) -> str:
    return f"{rule}: {description}" if description else rule


def runs(segments: Iterable[Segment]) -> list[dict[str, Any]]:
    """Segments as text elements of at most Slack's length."""
    found: list[dict[str, Any]] = [
        {"text": piece, "marked": segment.marked, "gap": segment.gap}
        for segment in segments
        for piece in pieces(segment.text, PAGE_UNITS)
    ]
    if len(found) > MOST_RUNS:
        rest = "".join(run["text"] for run in found[MOST_RUNS:])
        found[MOST_RUNS:] = [{"text": piece, "marked": False, "gap": False} for piece in pieces(rest, PAGE_UNITS)]
    return found


def _cut(view: CardView, shown: Sequence[PartView]) -> str:
    hidden = len(view.parts) - len(shown)
    left_out = view.cut + sum(len(part.plain) for part in view.parts if part not in shown and not part.cut)
    if not hidden and not view.cut:
        return ""
    parts = f" and {hidden} of {len(view.parts)} parts" if hidden else ""
    where = "View full" if view.pending else "The inbox"
    return f"Not shown here: {left_out:,} characters{parts}. {where} shows everything."


def _edit(edit: EditView) -> Row:
    text = "\n".join(f"{line.sign} {line.text}" for line in edit.lines if line.sign.strip()) or " "
    return {"label": clip(f"{edit.label}, edited by {edit.by}", 150), "text": clip(text, 600)}


def _history(view: CardView) -> list[dict[str, Any]]:
    """What people did. The last lines only; the inbox has them all."""
    lines = view.timeline[1:][-5:]  # the first one says that it was held
    return [
        {**_moment(line.at_ms), "text": clip(f"{line.text}: {line.note}" if line.note else line.text, 300)}
        for line in lines
    ]


def _buttons(view: CardView) -> list[Row]:
    if not view.pending:
        return []
    value = value_of(view)
    wanted = [Action.APPROVE, Action.EDIT, Action.REJECT] if Action.APPROVE in view.actions else []
    if not any(part.editable for part in view.parts):
        wanted = [action for action in wanted if action is not Action.EDIT]
    if _is_cut(view):
        wanted.append(Action.VIEW)
    return [{"text": _LABELS[a][0], "action": _LABELS[a][1], "style": _LABELS[a][2], "value": value} for a in wanted]


def _is_cut(view: CardView) -> bool:
    return view.cut > 0 or len(view.parts) > MOST_PARTS


def _reference(view: CardView) -> str:
    return f"Hold {view.id} · text {view.digest[:12]}"


def _moment(at_ms: int) -> dict[str, Any]:
    """A time for Slack to show in the reader's own zone, and in UTC where it cannot."""
    words = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"at_s": at_ms // 1000, "at_words": words}


def load(template: str, **context: Any) -> Any:
    """The JSON that a template gives."""
    return json.loads(render(template, **context))
