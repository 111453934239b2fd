"""Buttons of a reviewer's card. One function for each; `TABLE` is the map from button to function, of everybody's buttons.

Whatever decides is in Redis before Slack hears "received"; who may not, or is too late, reads why; what could not be
recorded is said at once, or Slack shows the person an error, because the callback stays unacknowledged (promise 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot import acts
from bot.cards import CardView
from bot.inputs import editable
from bot.slack import APPROVE, ASK, CLAIM, EDIT, GRANT, MORE, OPEN, REJECT, UNCLAIM, bulk, reading, requester
from bot.slack.desk import Ack, Act, Body, Desk, Shown, answer, in_words, limit_at, shown_by
from bot.slack.forms import GROUP_UNITS, ask_modal, grant_modal, reject_modal
from bot.slack.modals import edit_modal
from bot.slack.render import CARD_CHARACTERS
from bot.slack.views import INPUT_UNITS, MOST_INPUTS
from bot.slack.windows import open_modal
from holdpoint.errors import NotFound, NotRead
from holdpoint.model import Hold, Reviewer


async def approve(desk: Desk, ack: Ack, body: Body) -> None:
    """Approve the text that was shown. Who has to read all of it first gets it on the screen."""
    async with in_words() as trouble:
        shown = shown_by(body)
        reviewer = await desk.who(body)
        try:
            await acts.approve(desk, shown, reviewer, limit=limit_at(body))
        except NotRead:
            await reading.open_first(desk, body, shown, reviewer, note=acts.READ_FIRST)
        else:
            desk.redraw_soon(shown.hold, body, anyway=False)
    await answer(desk, ack, body, trouble)


async def reject(desk: Desk, ack: Ack, body: Body) -> None:
    """Ask for the reason; the modal decides."""
    async with in_words() as trouble:
        hold, reviewer, _ = await _may_decide(desk, body)
        view = await desk.view(hold, reviewer, limit=CARD_CHARACTERS)
        await open_modal(desk.client, body, _as_clicked(body, reject_modal(view, hold.evaluation.terms.reasons)))
    await answer(desk, ack, body, trouble)


async def edit(desk: Desk, ack: Ack, body: Body) -> None:
    """Show the text for editing; the modal decides."""
    async with in_words() as trouble:
        hold, reviewer, _ = await _may_decide(desk, body)
        view = await desk.view(hold, reviewer, limit=None)
        inputs, elsewhere = editable(view, hold, longest=INPUT_UNITS, most=MOST_INPUTS)
        here = {part.path for part in view.parts} == {part.path for _, part in inputs}
        whole = here or not (await _as_shown(desk, hold, reviewer, body)).needs_full_view
        await open_modal(desk.client, body, edit_modal(view, inputs, elsewhere, whole=whole))
    await answer(desk, ack, body, trouble)


async def ask(desk: Desk, ack: Ack, body: Body) -> None:
    """Ask what to ask the requester; the modal asks."""
    async with in_words() as trouble:
        hold, reviewer, _ = await _may_decide(desk, body)
        view = await desk.view(hold, reviewer, limit=0)
        await open_modal(desk.client, body, ask_modal(view, pauses=hold.evaluation.terms.question_pauses))
    await answer(desk, ack, body, trouble)


async def grant(desk: Desk, ack: Ack, body: Body) -> None:
    """Ask for whom, how often and how long; the modal approves. Who has to read first gets the text instead."""
    async with in_words() as trouble:
        hold, reviewer, shown = await _may_decide(desk, body)
        limits = acts.grant_limits(desk, hold)
        groups = acts.grant_groups(desk, hold, limits, longest=GROUP_UNITS)
        view = await _as_shown(desk, hold, reviewer, body)
        if await acts.must_read(desk, view, reviewer):
            await reading.open_first(desk, body, shown, reviewer, note=acts.READ_FIRST)
        else:
            modal = grant_modal(view, limits, groups, whole=not view.needs_full_view)
            await open_modal(desk.client, body, _as_clicked(body, modal))
    await answer(desk, ack, body, trouble)


async def claim(desk: Desk, ack: Ack, body: Body) -> None:
    """Say "I am on it"."""
    async with in_words() as trouble:
        shown = shown_by(body)
        await desk.conversation.claim(shown.hold, await desk.who(body))
        desk.redraw_soon(shown.hold, body, anyway=False)
    await answer(desk, ack, body, trouble)


async def unclaim(desk: Desk, ack: Ack, body: Body) -> None:
    """Give it back."""
    async with in_words() as trouble:
        shown = shown_by(body)
        await desk.conversation.unclaim(shown.hold, await desk.who(body))
        desk.redraw_soon(shown.hold, body, anyway=False)
    await answer(desk, ack, body, trouble)


async def more(desk: Desk, ack: Ack, body: Body) -> None:
    """A card's menu: what was chosen carries the button that it stands for, and that button's value."""
    action = body["actions"][0]
    name, _, value = str((action.get("selected_option") or {}).get("value")).partition(" ")
    act = TABLE.get(name)
    if act is None or name == MORE:
        async with in_words() as trouble:
            raise NotFound("not a choice of ours")
        await answer(desk, ack, body, trouble)
        return
    await act(desk, ack, {**body, "actions": [{**action, "action_id": name, "value": value}]})


async def opened(_desk: Desk, ack: Ack, _body: Body) -> None:
    """A link was followed. Slack wants to hear that it was received; nothing else happens."""
    await ack()


TABLE: Mapping[str, Act] = {
    APPROVE: approve,
    REJECT: reject,
    EDIT: edit,
    ASK: ask,
    GRANT: grant,
    CLAIM: claim,
    UNCLAIM: unclaim,
    MORE: more,
    OPEN: opened,
    **reading.ACTIONS,
    **requester.ACTIONS,
    **bulk.ACTIONS,
}


async def _may_decide(desk: Desk, body: Body) -> tuple[Hold, Reviewer, Shown]:
    """The hold and the reviewer, before a modal is worth opening. What the modal does is checked again."""
    shown, reviewer = shown_by(body), await desk.who(body)
    return await acts.may_decide(desk, shown, reviewer), reviewer, shown


async def _as_shown(desk: Desk, hold: Hold, reviewer: Reviewer, body: Body) -> CardView:
    """The hold as far as the place of the click shows it: how much of the text the person had before their eyes."""
    return await desk.view(hold, reviewer, limit=limit_at(body))


def _as_clicked(body: Body, modal: dict[str, Any]) -> dict[str, Any]:
    """``modal``, which decides on the text that the clicked card showed, not on what is held by now."""
    word = str(modal["private_metadata"]).split(" ")[2:]
    shown = shown_by(body)
    return {**modal, "private_metadata": " ".join([shown.hold, shown.digest, *word])}
