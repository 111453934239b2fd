"""The card of many holds, for a channel that is near its rate limit. Pure but for reading the templates."""

from __future__ import annotations

from collections.abc import Sequence

from bot.facts import RISK_MARKS, digest_note, digest_title
from bot.shared_views import DigestLine, DigestView
from bot.teams import buttons
from bot.teams.elements import ENVELOPE_BYTES, MOST_BYTES, Card, Room, Row, Run, fitted, load, moment, ours, words
from bot.teams.text import inert
from bot.units import clip
from holdpoint.model import Reviewer


def digest_card(view: DigestView) -> Card:
    """The holds as a list, each with requester, what, risk, deadline and id; and buttons for exactly those that wait."""
    return _fitted(view, buttons.for_digest(view))


def digest_card_for(view: DigestView, viewer: Reviewer, refused: str = "") -> Card:
    """The same as one person sees it: what they sent stands first. ``refused``: why they may decide none of those that wait."""
    own = [line for line in view.lines if viewer.principal in line.senders]
    others = [line for line in view.lines if viewer.principal not in line.senders]
    said = _own_words(own) if own else ""
    if refused and any(line.pending for line in others):
        said = f"{said} Of the others: {refused}" if own else refused
    actions = buttons.only_link(view.url) if refused else buttons.for_digest(view)
    return _fitted(view, actions, lines=(*own, *others), own=len(own), personal=said)


def digest_summary(view: DigestView) -> str:
    """The line for notifications. Words of ours only."""
    return inert(digest_title(view), 500)


def _fitted(
    view: DigestView, actions: Sequence[Row], *, lines: Sequence[DigestLine] = (), own: int = 0, personal: str = ""
) -> Card:
    """``lines``: those of ``view`` in another order, the first ``own`` of them the reader's; ``personal`` is said to them."""

    def draw(room: Room) -> Card:
        most = min(room.text, 90)
        return load(
            "digest",
            digest={
                "title": digest_title(view),
                "style": "warning" if view.waiting else "good",
                "note": digest_note(view),
                "personal": words(room.clip(personal)),
                "lines": [_line(line, most, yours=at < own) for at, line in enumerate(lines or view.lines)],
                "actions": actions,
                "refresh": view.value if view.waiting else "",
            },
        )

    return fitted(draw, MOST_BYTES - ENVELOPE_BYTES)


def _own_words(own: Sequence[DigestLine]) -> str:
    count = "One of these requests is yours" if len(own) == 1 else f"{len(own)} of these requests are yours"
    waiting = sum(line.pending for line in own)
    if not waiting:
        return f"{count}."
    them = "it" if len(own) == 1 else "them"
    return f"{count}: others decide on {them}."


def _line(line: DigestLine, most: int, *, yours: bool) -> list[Run]:
    """``who``, ``what`` and ``preview`` are from outside; the rest is ours, without a style, because there may be many lines."""
    first = f"{' · yours' if yours else ''}{' · read first' if line.unread and line.pending else ''}"
    preview = f"\n“{clip(line.preview, most)}”" if line.pending and line.preview else ""
    until = f"⏳ {moment(line.deadline_ms)['text']}" if line.pending else ""
    sentence = "" if line.pending else clip(line.sentence, most)
    return [
        ours(f"{RISK_MARKS[line.risk]} {line.risk.value}{first} · ", "bare"),
        *words(clip(line.requester, most) or "?", "bold"),
        *words(f"\n{clip(line.what, most) or '?'}{preview}"),
        ours("\n", "bare"),
        *words(sentence),
        ours(f"{until} · {line.id}", "bare"),
    ]
