"""The buttons below a card, as rows for the templates: what acts at once, what asks first, what opens a dialog. Pure.

Teams shows six; what comes after them, and what is seldom wanted, stands in a menu
(https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-actions).
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.facts import TITLES
from bot.pieces import Action
from bot.shared_views import BundleView, DigestView
from bot.teams import (
    ANSWER,
    APPROVE,
    ASK,
    BULK_APPROVE,
    BULK_REJECT,
    CANCEL,
    CLAIM,
    EDIT,
    GRANT,
    JUSTIFY,
    QUIET,
    REJECT,
    REVEAL,
    UNCLAIM,
    VIEW,
    forms,
)
from bot.teams.elements import Row, value_of
from bot.views import CardView

MOST_PRIMARY = 6

_POSITIVE, _DESTRUCTIVE = "positive", "destructive"
_SHOWN = (Action.APPROVE, Action.EDIT, Action.REJECT, Action.ASK, Action.VIEW, Action.CLAIM, Action.UNCLAIM)
_PLAIN = {Action.APPROVE: APPROVE, Action.CLAIM: CLAIM, Action.UNCLAIM: UNCLAIM}
_MENU = {Action.GRANT: GRANT, Action.REVEAL: REVEAL}
_LEVELS = (
    ("Tell me everything about my requests", "all"),
    ("Tell me decisions and questions only", "decisions"),
    ("Send me no messages", "none"),
)


def for_reviewers(view: CardView, *, inline: bool) -> list[Row]:
    """What ``view`` offers. ``inline``: the text is edited below the card, else in a dialog."""
    if not view.pending:
        return only_link(view.url)
    order = (Action.VIEW, *_SHOWN) if view.needs_full_view else _SHOWN
    wanted = [
        action for action in dict.fromkeys(order) if action in view.actions and (action is not Action.VIEW or view.cut)
    ]
    menu = [_fetch(TITLES[action], verb, value_of(view)) for action, verb in _MENU.items() if action in view.actions]
    return _folded([*(_shown(view, action, inline=inline) for action in wanted), _link(view.url)], menu)


def only_link(url: str) -> list[Row]:
    """Nothing that acts."""
    return [_link(url)]


def for_page(view: CardView) -> list[Row]:
    """What can be done from a page that lists holds: read all of one, and go to where it is decided."""
    return [_fetch(TITLES[Action.VIEW], VIEW, value_of(view)), _link(view.url)]


def for_bundle(bundle: BundleView) -> list[Row]:
    """Exactly those that wait are decided, all at once."""
    view = bundle.card
    if not bundle.ids:
        return only_link(view.url)
    count = f"{len(bundle.ids):,}"
    read = _fetch(TITLES[Action.VIEW], VIEW, value_of(view), _read_style(view))
    approve = _execute(f"Approve all {count}", BULK_APPROVE, bundle.value, _approve_style(view))
    reject = _bulk_reject(f"Reject all {count}", bundle.value, choose=bool(view.reasons))
    return [*([read, approve, reject] if view.needs_full_view else [approve, reject, read]), _link(view.url)]


def for_digest(view: DigestView) -> list[Row]:
    """Exactly those that wait are decided; approving asks once more, since nothing of their texts is shown."""
    waiting = len(view.waiting)
    if not waiting:
        return only_link(view.url)
    what = f"these {waiting}" if waiting > 1 else "this one"
    exactly = f"Exactly the {waiting} that wait on this card." if waiting > 1 else "The one that waits on this card."
    sure = {"text": f"{exactly} Each counts as your own decision."}
    approve = _execute(f"Approve {what}", BULK_APPROVE, view.value, _POSITIVE)
    return [
        _show(f"Approve {what} …", "sure", sure, [approve], style=_POSITIVE),
        _bulk_reject(f"Reject {what}", view.value, choose=False),
        _link(view.url),
    ]


def for_requester(view: CardView) -> list[Row]:
    """What who sent it can do while it waits."""
    if not view.pending:
        return []
    value, asked = value_of(view), view.open_question
    answer = [_show("Answer", "answer", forms.answer_fields(), [
        _execute("Answer", ANSWER, value_of(view, asked.id), _POSITIVE)], style=_POSITIVE)] if asked else []  # fmt: skip
    say = "Change what you said" if view.justification.strip() else "Justify"
    sure = {"text": "Withdraw this request? It will not reach the model."}
    hear = {"text": "How much do you want to hear of?"}
    return [
        *answer,
        _show(say, "justify", forms.justify_fields(before=view.justification), [_execute("Send", JUSTIFY, value, _POSITIVE)]),
        _show("Withdraw …", "sure", sure, [_execute("Withdraw", CANCEL, value, _DESTRUCTIVE)], style=_DESTRUCTIVE),
        _show("Messages …", "sure", hear, [_execute(title, QUIET, value_of(view, level)) for title, level in _LEVELS]),
    ]  # fmt: skip


def _shown(view: CardView, action: Action, *, inline: bool) -> Row:
    """One of `_SHOWN`."""
    title, value = TITLES[action], value_of(view)
    match action:
        case Action.EDIT:
            return _edit(view) if inline else _fetch(title, EDIT, value)
        case Action.REJECT:
            return _reject(view)
        case Action.ASK:
            fields = forms.ask_fields(pauses=view.question_pauses)
            return _show(title, "ask", fields, [_execute("Ask", ASK, value, _POSITIVE)])
        case Action.VIEW:
            return _fetch(title, VIEW, value, _read_style(view))
        case _:
            return _execute(title, _PLAIN[action], value, _approve_style(view) if action is Action.APPROVE else "")


def _read_style(view: CardView) -> str:
    """Of what opens the text: it comes first, and in colour, where nothing is approved that was not read."""
    return _POSITIVE if view.needs_full_view else ""


def _approve_style(view: CardView) -> str:
    return "" if view.needs_full_view else _POSITIVE


def _reject(view: CardView) -> Row:
    fields = {"prepared": forms.options(view.reasons)}
    press = _execute("Reject", REJECT, value_of(view), _DESTRUCTIVE)
    return _show(TITLES[Action.REJECT], "reject", fields, [press], end=f".{REJECT}", style=_DESTRUCTIVE)


def _edit(view: CardView) -> Row:
    inputs = forms.inline_inputs(view) or []
    whole = not view.needs_full_view or all(
        part.cut == 0 or part.path in {each.path for _, each in inputs} for part in view.parts
    )
    press = _execute("Approve with these texts", EDIT, value_of(view, forms.word(whole=whole)), _POSITIVE)
    return _show(TITLES[Action.EDIT], "edit", forms.edit_fields(inputs, ()), [press], end=f".{EDIT}")


def _bulk_reject(title: str, value: str, *, choose: bool) -> Row:
    """One reason for all. ``choose``: there are prepared ones, of which a dialog offers those that all have."""
    more = [_fetch("Choose a prepared reason …", BULK_REJECT, value)] if choose else []
    press = [_execute("Reject", BULK_REJECT, value, _DESTRUCTIVE), *more]
    return _show(title, "reject", {"prepared": []}, press, end=f".{REJECT}", style=_DESTRUCTIVE)


def _folded(first: Sequence[Row], rest: Sequence[Row]) -> list[Row]:
    """Those that are shown, and those in the menu."""
    menu = [*first[MOST_PRIMARY:], *rest]
    return [*first[:MOST_PRIMARY], *({**row, "secondary": True} for row in menu)]


def _execute(title: str, verb: str, hold: str, style: str = "") -> Row:
    return {"kind": "execute", "title": title, "verb": verb, "hold": hold, "style": style, "secondary": False}


def _fetch(title: str, verb: str, hold: str, style: str = "") -> Row:
    return {"kind": "fetch", "title": title, "verb": verb, "hold": hold, "style": style, "secondary": False}


def _link(url: str) -> Row:
    return {"kind": "link", "title": "Open in inbox", "url": url, "style": "", "secondary": False}


def _show(title: str, form: str, fields: Row, buttons: Sequence[Row], *, end: str = "", style: str = "") -> Row:
    """``end`` makes the ids of its inputs unique on the card: ``reason.reject``."""
    return {
        "kind": "show", "title": title, "form": form, "fields": fields, "buttons": list(buttons), "end": end or f".{form}",
        "style": style, "secondary": False,
    }  # fmt: skip
