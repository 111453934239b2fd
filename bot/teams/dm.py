"""The requester's own message about one hold: one, updated in place through every state. Pure but for the templates."""

from __future__ import annotations

from collections.abc import Sequence

from bot import facts, requester_facts
from bot.pieces import Tone
from bot.shared_views import BundleView
from bot.teams import buttons
from bot.teams.elements import (
    ENVELOPE_BYTES,
    MOST_BYTES,
    PEOPLE_BYTES,
    Card,
    Room,
    Row,
    Story,
    fitted,
    load,
    said_rows,
    style_of,
    value_of,
)
from bot.teams.text import inert
from bot.views import CardView

_YOURS = "You sent this request, or own the agent that did: others decide on it."


def dm_card(view: CardView) -> Card:
    """What became of it, who said what, what was changed; and what they can do."""
    return _fitted(view, buttons.for_requester(view), MOST_BYTES - ENVELOPE_BYTES, note="", refresh="")


def own_card(view: CardView, bundle: BundleView | None = None) -> Card:
    """The same in place of a channel's card, for the requester's eyes alone: nothing to press. ``bundle``: of identical ones."""
    room = MOST_BYTES - ENVELOPE_BYTES - PEOPLE_BYTES
    value = bundle.value if bundle else value_of(view)
    return _fitted(view, [], room, note=_YOURS, refresh=value if view.pending else "", bundle=bundle)


def dm_summary(view: CardView) -> str:
    """The line for notifications; nothing that the request itself says."""
    return inert(requester_facts.headline(view), 500)


def _fitted(
    view: CardView, actions: Sequence[Row], most_bytes: int, *, note: str, refresh: str,
    bundle: BundleView | None = None,
) -> Card:  # fmt: skip
    identical = [facts.Fact("Identical", bundle.line)] if bundle else []
    times = f" · × {bundle.count:,}" if bundle else ""
    story = Story.of(view, [*identical, *requester_facts.facts(view)], requester_facts.said(view))
    asked = requester_facts.open_question(view)
    dm = {
        "title": requester_facts.title(view) + times,
        "style": "accent" if view.tone is Tone.WAITING else style_of(view),
        "note": note,
        "actions": actions,
        "references": [facts.reference(view), *facts.covered(bundle)],
        "refresh": refresh,
    }

    def draw(room: Room) -> Card:
        question = said_rows([asked], room)[0] if asked else None
        return load("dm", dm={**dm, **story.rows(room), "question": question})

    return fitted(draw, most_bytes)
