"""What the requester's own message says, in words: the counterpart of `bot.facts` for who sent it. Pure; knows no platform."""

from __future__ import annotations

from bot.facts import Fact, Said, claim, told
from bot.units import clip
from bot.views import CardView
from holdpoint.model import State

TITLES = {
    State.PENDING: "Your request is held for review",
    State.APPROVED: "Your request was approved",
    State.RELEASED: "Your request is with the model",
    State.COMPLETED: "Your request was answered",
    State.FAILED: "Your request was approved, but the model failed",
    State.REJECTED: "Your request was rejected",
    State.EXPIRED: "Your request expired",
    State.CANCELLED: "Your request was cancelled",
}


def title(view: CardView) -> str:
    """What became of it, for who sent it."""
    return "A question about your request" if view.pending and view.open_question else TITLES[view.state]


def headline(view: CardView) -> str:
    """For notifications of the requester's own message. Not inert by itself."""
    if view.pending and view.open_question:
        return f"{view.open_question.by} has a question about your request"
    return f"{TITLES[view.state]}: {view.state_sentence}"


def facts(view: CardView) -> list[Fact]:
    """What who sent it has to know."""
    running = view.pending and view.paused_ms is None
    clock = Fact("Clock", "stands until you answer, since ", view.paused_ms) if view.paused_ms is not None else None
    return told(
        [
            Fact("Status", clip(view.state_sentence, 400)),
            *([Fact("Decided by", "⏳ ", view.deadline_ms)] if running else []),
            *([clock] if clock else []),
            Fact("Why", clip("; ".join(rule.line for rule in view.rules[:3]) or view.title, 600)),
            *claim(view),
            Fact("Sent by", clip(view.requester, 200)),
            Fact("To", clip(" → ".join(filter(None, (view.model, view.connection))), 300)),
            Fact("Text", view.preview),
            Fact("Glass", clip(view.glass, 250)),
            Fact("Result", clip(view.outcome.line, 300) if view.outcome else ""),
        ]
    )


def said(view: CardView) -> list[Said]:
    """What the requester said, and the reason that they were given."""
    found = [
        Said("You said", clip(view.justification, 500)),
        *(
            Said(f"Your answer to {clip(question.by, 80)}", clip(question.answer, 500))
            for question in view.questions[-2:]
            if not question.is_open
        ),
        Said("The reason", clip(view.given_reason, 1_500)),
    ]
    return [each for each in found if each.text.strip()]


def open_question(view: CardView) -> Said | None:
    """What the requester is asked now."""
    asked = view.open_question if view.pending else None
    return Said(f"{clip(asked.by, 80)} asks", clip(asked.text, 2_000), asked.at_ms) if asked else None
