"""The card of many holds, for a channel that is near its rate limit. Pure but for reading the templates."""

from __future__ import annotations

from bot.facts import RISK_MARKS, digest_note, digest_title
from bot.shared_views import DigestLine, DigestView
from bot.slack import BULK_APPROVE, BULK_REJECT
from bot.slack.blocks import Blocks, Room, Row, fitted, load, moment
from bot.slack.text import inert
from bot.units import clip

MOST_LINES = 20  # of which a message has room to say who asks what


def digest_blocks(view: DigestView) -> Blocks:
    """The holds as a list, each with requester, what, risk, deadline and id; and buttons for exactly those that wait."""
    waiting = len(view.waiting)
    fixed = {
        "title": digest_title(view),
        "note": digest_note(view),
        "buttons": _buttons(view, waiting) if waiting else [],
        "url": view.url,
    }

    def draw(room: Room) -> Blocks:
        digest = {**fixed, "lines": [_line(line, room.text) for line in view.lines]}
        blocks: Blocks = load("slack/digest.json.j2", digest=digest)
        return blocks

    return fitted(draw)


def digest_text(view: DigestView) -> str:
    """The line for notifications. Words of ours only."""
    return inert(digest_title(view), 1_500)


def _line(line: DigestLine, most: int) -> Row:
    """``who``, ``what`` and ``preview`` are from outside; the rest is ours."""
    first = " · read first" if line.unread and line.pending else ""
    return {
        "risk": f"{RISK_MARKS[line.risk]} {line.risk.value}{first}  ",
        "who": clip(line.requester, min(most, 80)) or "?",
        "what": clip(line.what, min(most, 80)) or "?",
        "preview": clip(line.preview, min(most, 90)) if line.pending else "",
        "at": moment(line.deadline_ms) if line.pending else None,
        "sentence": clip(line.sentence, min(most, 120)),
        "id": line.id,
    }


def _buttons(view: DigestView, waiting: int) -> list[Row]:
    what = f"these {waiting}" if waiting > 1 else "this one"
    exactly = f"Exactly the {waiting} that wait on this card." if waiting > 1 else "The one that waits on this card."
    return [
        {"text": f"Approve {what}", "action": BULK_APPROVE, "style": "primary", "value": view.value,
         "ask": {"title": f"Approve {what}?", "text": f"{exactly} Each counts as your own decision.",
                 "confirm": "Approve", "deny": "Back"}},
        {"text": f"Reject {what}", "action": BULK_REJECT, "style": "danger", "value": view.value, "ask": None},
    ]  # fmt: skip
