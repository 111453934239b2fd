"""Buttons. One function for each; `TABLE` is the map from button to function.

Whatever decides is in Redis before Slack hears "received"; who may not, or is too late, reads why; what could not be
recorded is said at once, or Slack shows the person an error, because the callback stays unacknowledged (promise 6).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bot.cards import Action
from bot.slack import APPROVE, CANCEL, EDIT, OPEN, PAGES, REJECT, VIEW
from bot.slack.client import SlackRefused
from bot.slack.desk import GONE, Desk, NotTold, Shown, Trouble, in_words
from bot.slack.modals import edit_modal, reject_modal, view_modal
from bot.slack.render import CARD_CHARACTERS
from bot.slack.views import editable_here
from bot.visibility import may_see
from bot.withdraw import is_requester
from holdpoint.errors import MayNotDecide, TooLate
from holdpoint.model import DecisionKind, Hold, Reviewer

Ack = Callable[..., Awaitable[Any]]
Body = Mapping[str, Any]

PAGED_CHARACTERS = 200_000  # longer requests are read in the web inbox
_EXPIRED = frozenset({"expired_trigger_id", "trigger_expired"})
_TURNED = frozenset({"hash_conflict", "not_found"})  # the same click, delivered twice; or the modal was closed
_USED = frozenset({"exchanged_trigger_id", "trigger_exchanged"})


async def approve(desk: Desk, ack: Ack, body: Body) -> None:
    """Approve the text that was shown."""
    async with in_words() as trouble:
        shown = _shown(body)
        await desk.decider.decide(shown.hold, await desk.who(body), DecisionKind.APPROVE, digest=shown.digest)
        desk.redraw_soon(shown.hold, body, anyway=False)
    await _answer(desk, ack, body, trouble)


async def cancel(desk: Desk, ack: Ack, body: Body) -> None:
    """The requester withdraws the request."""
    async with in_words() as trouble:
        shown = _shown(body)
        await desk.withdrawals.withdraw(shown.hold, (await desk.who(body)).principal)
        desk.redraw_soon(shown.hold, body, anyway=False)
    await _answer(desk, ack, body, trouble)


async def reject(desk: Desk, ack: Ack, body: Body) -> None:
    """Ask for the reason; the modal decides."""
    async with in_words() as trouble:
        hold, reviewer, shown = await _may_decide(desk, body)
        view = await desk.view(hold, reviewer, limit=CARD_CHARACTERS)
        await _open(desk, body, {**reject_modal(view), "private_metadata": f"{shown.hold} {shown.digest}"})
    await _answer(desk, ack, body, trouble)


async def edit(desk: Desk, ack: Ack, body: Body) -> None:
    """Show the text for editing; the modal decides."""
    async with in_words() as trouble:
        hold, reviewer, _ = await _may_decide(desk, body)
        view = await desk.view(hold, reviewer, limit=None)
        inputs, elsewhere = editable_here(view, hold)
        await _open(desk, body, edit_modal(view, inputs, elsewhere))
    await _answer(desk, ack, body, trouble)


async def view(desk: Desk, ack: Ack, body: Body) -> None:
    """Everything that is held, in pages."""
    async with in_words() as trouble:
        hold, reviewer = await _may_read(desk, body)
        await _open(desk, body, view_modal(await desk.view(hold, reviewer, limit=None), 1))
    await _answer(desk, ack, body, trouble)


async def page(desk: Desk, ack: Ack, body: Body) -> None:
    """Another page of `view`, in the same modal."""
    async with in_words() as trouble:
        hold, reviewer = await _may_read(desk, body)
        number = str(body["actions"][0].get("value", "")).rpartition(" ")[2]
        modal = view_modal(await desk.view(hold, reviewer, limit=None), int(number) if number.isdigit() else 1)
        await _turn(desk, body, modal)
    if trouble.sentence:
        raise NotTold(trouble.sentence)  # inside a modal there is no place for an ephemeral message
    await ack()


async def opened(_desk: Desk, ack: Ack, _body: Body) -> None:
    """A link was followed. Slack wants to hear that it was received; nothing else happens."""
    await ack()


TABLE: Mapping[str, Callable[[Desk, Ack, Body], Awaitable[None]]] = {
    APPROVE: approve,
    REJECT: reject,
    EDIT: edit,
    VIEW: view,
    CANCEL: cancel,
    OPEN: opened,
    **dict.fromkeys(PAGES, page),
}


def _shown(body: Body) -> Shown:
    return Shown.parse(body["actions"][0].get("value"))


async def _may_decide(desk: Desk, body: Body) -> tuple[Hold, Reviewer, Shown]:
    """The hold and the reviewer, before a modal is worth opening. The decision itself is checked again."""
    shown = _shown(body)
    reviewer = await desk.who(body)
    hold = await desk.look(shown.hold)
    seen = await desk.view(hold, reviewer, limit=0)
    if Action.REJECT not in seen.actions:
        raise MayNotDecide(seen.may_not_decide) if seen.may_not_decide else TooLate(seen.state_sentence)
    return hold, reviewer, shown


async def _may_read(desk: Desk, body: Body) -> tuple[Hold, Reviewer]:
    shown = _shown(body)
    reviewer = await desk.who(body)
    hold = await desk.look(shown.hold)
    if not may_see(hold, reviewer) and not is_requester(hold, reviewer.principal):
        raise MayNotDecide("Only those who may decide on this request, admins and auditors may read all of it.")
    if sum(len(part.text) for part in hold.query.parts) > PAGED_CHARACTERS:
        raise MayNotDecide(
            f"This request is too long for Slack. Read it in the inbox: {desk.link_base}/review/{hold.id}"
        )
    return hold, reviewer


async def _turn(desk: Desk, body: Body, modal: Mapping[str, Any]) -> None:
    try:
        await desk.client.call("views.update", view_id=body["view"]["id"], hash=body["view"]["hash"], view=modal)
    except SlackRefused as error:
        if error.word not in _TURNED:
            raise


async def _open(desk: Desk, body: Body, modal: Mapping[str, Any]) -> None:
    try:
        await desk.client.call("views.open", trigger_id=body["trigger_id"], view=modal)
    except SlackRefused as error:
        if error.word in _USED:
            return  # the same click, delivered twice: its modal is open
        if error.word in _EXPIRED:
            raise TooLate(
                "That took longer than the three seconds that Slack allows. Press the button again."
            ) from error
        raise


async def _answer(desk: Desk, ack: Ack, body: Body, trouble: Trouble) -> None:
    """Say "received" after the person was told what went wrong, if anything did.

    Raises:
        NotTold: they could not be told; unacknowledged, the click shows them Slack's own error.
    """
    if trouble.sentence:
        await desk.tell(body, trouble.sentence)
        if trouble.sentence != GONE:
            desk.redraw_soon(_shown(body).hold, body, anyway=trouble.stale)
    await ack()
