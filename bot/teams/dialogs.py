"""Dialogs: what opens them (`FORMS`), and what becomes of what is sent (`bot.teams.actions.DOES`).

A submission is answered after the decision is in Redis. What went wrong is shown in the dialog itself, where the person's
text is still there to be sent again; where not even that can be drawn, because the store is away, the text comes back in
a dialog that needs nothing but what was sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from bot import acts
from bot.inputs import editable
from bot.teams import ASK, EDIT, GRANT, REJECT, bulk, reading, requester
from bot.teams.actions import DOES
from bot.teams.arrived import Click
from bot.teams.desk import GONE, PRESS_AGAIN, UNKNOWN, Desk, Outcome, Pressed, Trouble, in_words
from bot.teams.fitting import again_dialog, fits, reopened
from bot.teams.forms import INPUT_UNITS, MOST_INPUTS
from bot.teams.reactions import Closed, Dialog, Opened, Said
from bot.teams.render import CARD_CHARACTERS, ask_dialog, edit_dialog, grant_dialog, notice_card, reject_dialog
from bot.teams.seen import NOBODY
from holdpoint.model import Hold

REOPEN_WITHIN_S = 0.5

Form = Callable[[Desk, Pressed], Awaitable[Opened]]


async def fetch(desk: Desk, click: Click) -> Dialog:
    """Open the dialog of a button. Raises only what is a bug."""
    form = FORMS.get(click.verb)
    return await _opened(desk, click, form) if form else Said(UNKNOWN)


async def submit(desk: Desk, click: Click) -> Dialog:
    """Do what a dialog was filled in for, or turn its page. Raises only what is a bug."""
    turn = reading.TURNS.get(click.verb)
    if turn is not None:
        return await _opened(desk, click, turn)
    form = FORMS.get(click.verb)
    if form is None:
        return Said(UNKNOWN)
    outcome = Outcome()
    pressed = Pressed(click, NOBODY)
    async with in_words() as trouble:
        pressed = Pressed(click, await desk.who(click))
        outcome = await DOES[click.verb](desk, pressed)
    if trouble.url:
        desk.redraw_soon(click, anyway=False)
        return Opened("Confirm that it is you", notice_card([trouble.sentence], trouble.url), height="small")
    if trouble.sentence:
        return await _again(desk, pressed, form, trouble)
    desk.redraw_soon(click, anyway=outcome.stale)
    return Said(outcome.sentence) if outcome.sentence else Closed()


async def reject_form(desk: Desk, pressed: Pressed) -> Opened:
    """Ask for the reason; the dialog decides."""
    hold, shown = await _may_decide(desk, pressed), pressed.shown
    view = await desk.view(hold, pressed.person, limit=CARD_CHARACTERS)
    # The clicked card's text is decided on, not what is held by now.
    dialog = reject_dialog(replace(view, digest=shown.digest), hold.evaluation.terms.reasons)
    return Opened("Reject request", dialog, height="medium")


async def edit_form(desk: Desk, pressed: Pressed) -> Opened:
    """Show the text for editing; the dialog decides."""
    hold = await _may_decide(desk, pressed)
    view = await desk.view(hold, pressed.person, limit=None)
    inputs, elsewhere = editable(view, hold, longest=INPUT_UNITS, most=MOST_INPUTS)
    here = {part.path for part in view.parts} == {part.path for _, part in inputs}
    return Opened("Edit & approve", edit_dialog(view, inputs, elsewhere, whole=here), width="large")


async def ask_form(desk: Desk, pressed: Pressed) -> Opened:
    """Ask what to ask the requester; the dialog asks."""
    hold = await _may_decide(desk, pressed)
    view = await desk.view(hold, pressed.person, limit=0)
    return Opened("Ask the requester", ask_dialog(view, pauses=hold.evaluation.terms.question_pauses), height="medium")


async def grant_form(desk: Desk, pressed: Pressed) -> Opened:
    """Ask for whom, how often and how long; the dialog approves. Who has to read first gets the text instead."""
    hold, shown = await _may_decide(desk, pressed), pressed.shown
    limits = acts.grant_limits(desk, hold)
    groups = acts.grant_groups(desk, hold, limits)
    view = await desk.view(hold, pressed.person, limit=CARD_CHARACTERS)
    if await acts.must_read(desk, view, pressed.person):
        return await reading.first(desk, pressed, note=acts.READ_FIRST)
    of_click = replace(view, digest=shown.digest)
    return Opened("Approve similar requests", grant_dialog(of_click, limits, groups, whole=not view.needs_full_view))


FORMS: Mapping[str, Form] = {
    REJECT: reject_form,
    EDIT: edit_form,
    ASK: ask_form,
    GRANT: grant_form,
    **reading.FORMS,
    **requester.FORMS,
    **bulk.FORMS,
}


async def _may_decide(desk: Desk, pressed: Pressed) -> Hold:
    """The hold, before a dialog is worth opening. What the dialog does is checked again."""
    return await acts.may_decide(desk, pressed.shown, pressed.person)


async def _opened(desk: Desk, click: Click, form: Form) -> Dialog:
    opened: Opened | None = None
    async with in_words() as trouble:
        opened = await form(desk, Pressed(click, await desk.who(click)))
    if opened is not None and not trouble.sentence:
        return opened
    _look_again(desk, click, trouble)
    return Said(trouble.sentence)


async def _again(desk: Desk, pressed: Pressed, form: Form, trouble: Trouble) -> Dialog:
    """The dialog once more, as it was sent, below what was wrong. What cannot be sent any more only says so."""
    click, given = pressed.click, pressed.inputs
    if trouble.sentence in PRESS_AGAIN:
        card = again_dialog(click.data, given, verb=click.verb, sentence=trouble.sentence)
        return Opened("Not sent", card, height="medium") if fits(card) else Said(trouble.sentence)
    _look_again(desk, click, trouble)
    opened: Opened | None = None
    if pressed.person is not NOBODY:
        async with in_words(within_s=REOPEN_WITHIN_S):
            opened = await form(desk, pressed)
    if opened is None:
        return Said(trouble.sentence)
    card = reopened(dict(opened.card), click.data, given, trouble.sentence)
    return replace(opened, card=card) if fits(card) else Said(trouble.sentence)


def _look_again(desk: Desk, click: Click, trouble: Trouble) -> None:
    if trouble.sentence != GONE:
        desk.redraw_soon(click, anyway=trouble.stale)
