"""The requester's own message about one hold: one, updated in place through every state. Pure but for the templates."""

from __future__ import annotations

from bot import facts, requester_facts
from bot.slack.blocks import Blocks, edits, fact_rows, history, load, said_rows, value_of
from bot.slack.text import inert
from bot.views import CardView


def dm_blocks(view: CardView) -> Blocks:
    """The requester's message: what became of it, who said what, what was changed; and what they can do."""
    asked = requester_facts.open_question(view)
    changed, more_changed = edits(view)
    dm = {
        "title": requester_facts.title(view),
        "facts": fact_rows(requester_facts.facts(view)),
        "question": said_rows([asked])[0] if asked else None,
        "said": said_rows(requester_facts.said(view)),
        "edits": changed,
        "more_edits": more_changed,
        "history": history(view),
        "value": value_of(view) if view.pending else "",
        "justified": bool(view.justification.strip()),
        "reference": facts.reference(view),
    }
    blocks: Blocks = load("slack/dm.json.j2", dm=dm)
    return blocks


def dm_text(view: CardView) -> str:
    """The line for notifications; nothing that the request itself says."""
    return inert(requester_facts.headline(view), 1_500)
