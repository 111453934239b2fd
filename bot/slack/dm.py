"""The requester's own message about one hold: one, updated in place through every state. Pure but for the templates."""

from __future__ import annotations

from bot import facts, requester_facts
from bot.slack.blocks import Blocks, Room, edits, fact_rows, fitted, history, load, said_rows, value_of
from bot.slack.text import inert
from bot.views import CardView


def dm_blocks(view: CardView) -> Blocks:
    """The requester's message: what became of it, who said what, what was changed; and what they can do."""
    asked = requester_facts.open_question(view)
    found, said = requester_facts.facts(view), requester_facts.said(view)

    def draw(room: Room) -> Blocks:
        changed, more_changed = edits(view, room)
        dm = {
            "title": requester_facts.title(view),
            "facts": fact_rows(found, room),
            "question": said_rows([asked], room)[0] if asked else None,
            "said": said_rows(said, room),
            "edits": changed,
            "more_edits": more_changed,
            "history": history(view, room),
            "value": value_of(view) if view.pending else "",
            "justified": bool(view.justification.strip()),
            "reference": facts.reference(view),
        }
        blocks: Blocks = load("slack/dm.json.j2", dm=dm)
        return blocks

    return fitted(draw)


def dm_text(view: CardView) -> str:
    """The line for notifications; nothing that the request itself says."""
    return inert(requester_facts.headline(view), 1_500)
