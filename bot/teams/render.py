"""`CardView` → an Adaptive Card, through ``templates/teams/``. Pure but for reading the templates.

::

    heading       what it is worth: state, risk, how many (words, and a colour that says the same)
    facts         who → what → where · why · status · decide by · history · who is on it
    boxes         justification, questions and answers; the newest user turn, what matched elsewhere; edits as diffs
    buttons       approve, edit, reject, ask, claim; a menu for the rest. Below the card, what they ask for
    reference     hold, digest

`elements.py` says how texts stay inert and how a card is kept small; `buttons.py` and `forms.py` have what can be pressed
and filled in, `dm.py` the requester's message, `digest.py` the card of many holds, `answers.py` what commands answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot import facts
from bot.pieces import Action
from bot.shared_views import BundleView
from bot.teams import VIEW, buttons
from bot.teams.answers import answer_card, notice_card
from bot.teams.digest import digest_card, digest_card_for, digest_summary
from bot.teams.dm import dm_card, dm_summary, own_card
from bot.teams.elements import (
    CARD_CHARACTERS,
    ENVELOPE_BYTES,
    MOST_BYTES,
    PEOPLE_BYTES,
    ROOMS,
    Card,
    Room,
    Row,
    Story,
    fitted,
    load,
    passages,
    size_bytes,
    style_of,
    value_of,
    words,
)
from bot.teams.forms import (
    answer_dialog,
    ask_dialog,
    bulk_reject_dialog,
    edit_dialog,
    grant_dialog,
    inline_inputs,
    justify_dialog,
    reject_dialog,
    view_dialog,
)
from bot.teams.text import inert
from bot.views import CardView
from holdpoint.model import Reviewer

__all__ = [
    "CARD_CHARACTERS", "MOST_BYTES", "Card", "answer_card", "answer_dialog", "ask_dialog", "bulk_reject_dialog",
    "bundle_card", "bundle_card_for", "bundle_summary", "card", "card_for", "digest_card", "digest_card_for",
    "digest_summary", "dm_card", "dm_summary", "edit_dialog", "grant_dialog", "justify_dialog", "notice_card",
    "reject_dialog", "sample_card", "size_bytes", "summary", "view_dialog",
]  # fmt: skip

_ROOM = MOST_BYTES - ENVELOPE_BYTES - PEOPLE_BYTES
_SUMMARY_UNITS = 500


def card(view: CardView) -> Card:
    """The card for a channel, with buttons for everybody; each click is checked again where it arrives."""
    draw = _drawing(view)
    if Action.EDIT in view.actions and inline_inputs(view):
        # The texts below the card are worth more than long facts: a little is given up for them, not much.
        actions = buttons.for_reviewers(view, inline=True)
        for room in ROOMS[:2]:
            drawn = draw(room, actions)
            if size_bytes(drawn) <= _ROOM:
                return drawn
    actions = buttons.for_reviewers(view, inline=False)
    return fitted(lambda room: draw(room, actions), _ROOM)


def card_for(view: CardView, viewer: Reviewer) -> Card:
    """The card as one person sees it; ``view`` was made for them. Who sent the request sees what became of it."""
    if viewer.principal in view.senders:
        return own_card(view)
    if not view.may_not_decide:
        return card(view)
    draw = _drawing(view, refused=view.may_not_decide)
    return fitted(lambda room: draw(room, buttons.only_link(view.url)), _ROOM)


def bundle_card(bundle: BundleView) -> Card:
    """One card for identical requests. They are decided together, or one by one in the inbox."""
    draw, actions = _drawing(bundle.card, bundle=bundle), buttons.for_bundle(bundle)
    return fitted(lambda room: draw(room, actions), _ROOM)


def bundle_card_for(bundle: BundleView, viewer: Reviewer, refused: str = "") -> Card:
    """The same as one person sees it. ``refused``: why they may decide none of those that wait."""
    if viewer.principal in bundle.card.senders:
        return own_card(bundle.card, bundle)
    if not refused:
        return bundle_card(bundle)
    draw = _drawing(bundle.card, bundle=bundle, refused=refused)
    return fitted(lambda room: draw(room, buttons.only_link(bundle.card.url)), _ROOM)


def sample_card(view: CardView) -> Card:
    """The card itself, said to be a sample, without its buttons."""
    draw = _drawing(view)
    return fitted(lambda room: load("sample", body=draw(room, [])["body"]), _ROOM)


def summary(view: CardView) -> str:
    """The line for notifications: who and why, nothing that the request itself says."""
    return inert(facts.headline(view), _SUMMARY_UNITS)


def bundle_summary(bundle: BundleView) -> str:
    return inert(f"× {bundle.count:,} {facts.headline(bundle.card)}", _SUMMARY_UNITS)


def _drawing(
    view: CardView, *, bundle: BundleView | None = None, refused: str = ""
) -> Callable[[Room, Sequence[Row]], Card]:
    """The card, for so much room and with such buttons. ``refused``: why the person who sees it may not decide."""
    story = Story.of(view, facts.facts(view, bundle), facts.said(view))
    fixed = {
        "header": facts.header(view, bundle.count if bundle else view.count),
        "style": style_of(view),
        "parts": passages([(part.label, part.segments) for part in view.parts if part.shows_text]),
        "read_first": view.pending and view.needs_full_view and not refused,
        "references": [facts.reference(view), *facts.covered(bundle)],
        "refresh": (bundle.value if bundle else value_of(view)) if view.pending else "",
    }

    def draw(room: Room, actions: Sequence[Row]) -> Card:
        can_be_read = any(button.get("verb") == VIEW for button in actions)
        left_out = facts.left_out(view) if can_be_read or not view.left_out else f"{view.left_out}: see the inbox"
        rows = story.rows(room)
        return load(
            "card",
            card={
                **fixed,
                **rows,
                "line": words(room.clip(view.requester_line), "bold"),
                "refused": words(room.clip(refused)),
                "left_out": left_out,
                "history": [] if view.pending else rows["history"],
                "actions": actions,
            },
        )

    return draw
