"""The requester's own message about one hold: one, updated in place through every state. Pure but for the templates."""

from __future__ import annotations

from bot.pieces import QuestionView
from bot.slack.blocks import Blocks, Row, edits, history, load, moment, reference, rows, value_of, words
from bot.slack.text import clip, inert
from bot.views import CardView
from holdpoint.model import State

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


def dm_blocks(view: CardView) -> Blocks:
    """The requester's message: what became of it, who said what, what was changed; and what they can do."""
    asked = view.open_question if view.pending else None
    changed, more_changed = edits(view)
    dm = {
        "title": "A question about your request" if asked else DM_TITLES[view.state],
        "facts": _facts(view),
        "question": _question(asked) if asked else None,
        "said": _said(view),
        "edits": changed,
        "more_edits": more_changed,
        "history": history(view),
        "value": value_of(view) if view.pending else "",
        "justified": bool(view.justification.strip()),
        "reference": reference(view),
    }
    blocks: Blocks = load("slack/dm.json.j2", dm=dm)
    return blocks


def dm_text(view: CardView) -> str:
    """The line for notifications; nothing that the request itself says."""
    if view.pending and view.open_question:
        return inert(f"{view.open_question.by} has a question about your request", 1_500)
    return inert(f"{DM_TITLES[view.state]}: {view.state_sentence}", 1_500)


def _facts(view: CardView) -> list[Row]:
    found = rows(
        [
            ("Status", clip(view.state_sentence, 400)),
            ("Decided by", "⏳ " if view.pending and view.paused_ms is None else ""),
            ("Clock", "stands until you answer, since " if view.paused_ms is not None else ""),
            ("Why", clip("; ".join(rule.line for rule in view.rules[:3]) or view.title, 600)),
            ("On it", f"{clip(view.claim.name, 100)} until " if view.claim else ""),
            ("Sent by", clip(view.requester, 200)),
            ("To", clip(" → ".join(filter(None, (view.model, view.connection))), 300)),
            ("Text", view.preview),
            ("Glass", clip(view.glass, 250)),
            ("Result", clip(view.outcome.line, 300) if view.outcome else ""),
        ]
    )
    ends = {
        "Decided by": view.deadline_ms,
        "Clock": view.paused_ms,
        "On it": view.claim.until_ms if view.claim else None,
    }
    return [{**row, "at": moment(at) if (at := ends.get(row["label"])) is not None else None} for row in found]


def _question(question: QuestionView) -> Row:
    label = f"{clip(question.by, 80)} asks"
    return {"label": label, "runs": words(question.text, 2_000), "at": moment(question.at_ms)}


def _said(view: CardView) -> list[Row]:
    """What the requester said, and the reason that they were given."""
    found = [
        {"label": "You said", "runs": words(view.justification, 500)},
        *(
            {"label": f"Your answer to {clip(question.by, 80)}", "runs": words(question.answer, 500)}
            for question in view.questions[-2:]
            if not question.is_open
        ),
        {"label": "The reason", "runs": words(view.given_reason, 1_500)},
    ]
    return [item for item in found if item["runs"]]
