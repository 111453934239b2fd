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

from bot import facts
from bot.facts import TITLES
from bot.pieces import Action
from bot.shared_views import BundleView
from bot.slack import APPROVE, ASK, BULK_APPROVE, BULK_REJECT, CLAIM, EDIT, GRANT, REJECT, REVEAL, UNCLAIM, VIEW
from bot.slack.blocks import (
    MOST_RUNS,
    PAGE_UNITS,
    Blocks,
    Room,
    Row,
    edits,
    fact_rows,
    fitted,
    history,
    load,
    rows,
    runs,
    said_rows,
    value_of,
    who,
)
from bot.slack.digest import digest_blocks, digest_text
from bot.slack.dm import dm_blocks, dm_text
from bot.slack.text import inert
from bot.units import clip
from bot.views import CardView

__all__ = [
    "CARD_CHARACTERS", "MOST_RUNS", "PAGE_UNITS", "Blocks", "Row", "bundle_blocks", "bundle_text", "card_blocks",
    "card_text", "digest_blocks", "digest_text", "dm_blocks", "dm_text", "load", "rows", "runs", "value_of", "who",
]  # fmt: skip

CARD_CHARACTERS = 1_200  # of the request's texts on a card; at most twice as many units

_FIRST = {
    Action.APPROVE: (APPROVE, "primary"),
    Action.EDIT: (EDIT, ""),
    Action.REJECT: (REJECT, "danger"),
}
_SECOND = {
    Action.ASK: ASK,
    Action.CLAIM: CLAIM,
    Action.UNCLAIM: UNCLAIM,
    Action.VIEW: VIEW,
}
_MENU = {Action.GRANT: GRANT, Action.REVEAL: REVEAL}


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
    whole = [{"text": TITLES[Action.VIEW], "action": VIEW, "value": value_of(view)}]
    waits = bundle.ids and view.pending
    return _blocks(view, first if waits else [], whole if waits else [], menu=[], bundle=bundle)


def buttons(view: CardView) -> tuple[list[Row], list[Row], list[Row]]:
    """A card's buttons, for who shows it elsewhere: first row, second row, menu."""
    return _first(view), _second(view), _menu(view)


def card_text(view: CardView) -> str:
    """The line for notifications and screen readers: who and why, nothing that the request itself says."""
    return inert(facts.headline(view), 1_500)


def bundle_text(bundle: BundleView) -> str:
    return inert(f"× {bundle.count} {card_text(bundle.card)}", 1_500)


def _blocks(
    view: CardView, first: list[Row], second: list[Row], *, menu: list[Row], bundle: BundleView | None = None
) -> Blocks:
    found, said = facts.facts(view, bundle), facts.said(view)
    fixed: dict[str, Any] = {
        "header": facts.header(view, bundle.count if bundle else view.count),
        "left_out": facts.left_out(view),
        "read_first": view.pending and view.needs_full_view,
        "first": first,
        "second": second,
        "menu": menu,
        "url": view.url,
        "references": [facts.reference(view), *facts.covered(bundle)],
    }

    def draw(room: Room) -> Blocks:
        changed, more_changed = edits(view, room)
        card: dict[str, Any] = {
            **fixed,
            "line": clip(view.requester_line, min(room.text, 400)),
            "facts": fact_rows(found, room),
            "said": said_rows(said, room),
            "parts": [
                {"label": clip(part.label, min(room.text, 100)), "runs": runs(part.segments, room.runs)}
                for part in view.parts
                if part.shows_text
            ],
            "edits": changed,
            "more_edits": more_changed,
            "history": history(view, room) if not view.pending else [],
        }
        blocks: Blocks = load("slack/card.json.j2", card=card)
        return blocks

    return fitted(draw)


def _first(view: CardView) -> list[Row]:
    if not view.pending:
        return []
    value = value_of(view)
    found = [action for action in _FIRST if action in view.actions]
    return [{"text": TITLES[a], "action": _FIRST[a][0], "style": _FIRST[a][1], "value": value} for a in found]


def _second(view: CardView) -> list[Row]:
    if not view.pending:
        return []
    value = value_of(view)
    wanted = [action for action in _SECOND if action in view.actions and (action is not Action.VIEW or view.cut)]
    return [{"text": TITLES[action], "action": _SECOND[action], "value": value} for action in wanted]


def _menu(view: CardView) -> list[Row]:
    """What is seldom wanted: one such thing is a button, several are a menu (Slack allows no menu of one)."""
    if not view.pending:
        return []
    wanted = [action for action in _MENU if action in view.actions]
    return [{"text": TITLES[a], "action": _MENU[a], "value": value_of(view)} for a in wanted]
