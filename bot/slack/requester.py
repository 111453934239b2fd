"""The requester's own message: withdraw, justify, answer, and how much to hear of. For who sent it, or owns the agent.

`ACTIONS` maps buttons, `VIEWS` modals to functions.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot import acts
from bot.inputs import TEXT
from bot.slack import ANSWER, ANSWER_MODAL, CANCEL, JUSTIFY, JUSTIFY_MODAL, QUIET
from bot.slack.desk import Ack, Act, Body, Desk, Shown, answer, in_words, shown_by
from bot.slack.forms import answer_modal, justify_modal
from bot.slack.inputs import close, filled, metadata
from bot.slack.windows import open_modal
from holdpoint.errors import NotFound
from holdpoint.model import Hold, Reviewer
from holdpoint.store.quiet import Quiet


async def cancel(desk: Desk, ack: Ack, body: Body) -> None:
    """The requester withdraws the request."""
    async with in_words() as trouble:
        shown = shown_by(body)
        await desk.withdrawals.withdraw(shown.hold, (await desk.who(body)).principal)
        desk.redraw_soon(shown.hold, body, anyway=False)
    await answer(desk, ack, body, trouble)


async def justify(desk: Desk, ack: Ack, body: Body) -> None:
    """Ask why; the modal says it."""
    async with in_words() as trouble:
        hold, person, _ = await _own(desk, body)
        await open_modal(desk.client, body, justify_modal(await desk.view(hold, person, limit=0)))
    await answer(desk, ack, body, trouble)


async def answer_question(desk: Desk, ack: Ack, body: Body) -> None:
    """Show the question that the button names, else the newest one that is open; the modal answers."""
    async with in_words() as trouble:
        hold, person, shown = await _own(desk, body)
        question, text = acts.open_question(desk, hold, shown.word)
        view = await desk.view(hold, person, limit=0)
        await open_modal(desk.client, body, answer_modal(view, question, text))
    await answer(desk, ack, body, trouble)


async def quiet(desk: Desk, ack: Ack, body: Body) -> None:
    """How much this person wants to hear of; their own wish, whatever message it was chosen in."""
    async with in_words() as trouble:
        action = body["actions"][0]
        chosen = str((action.get("selected_option") or {}).get("value") or action.get("value") or "")
        level = next((each for each in Quiet if each.value == chosen.partition(" ")[0]), None)
        if level is None:
            raise NotFound("not a choice of ours")
        await desk.store.quiet.set((await desk.who(body)).principal, level)
    await answer(desk, ack, body, trouble, about_card=False)


async def send_justification(desk: Desk, ack: Ack, body: Body) -> None:
    """Put it on the card."""
    async with in_words() as trouble:
        shown = Shown.parse(metadata(body))
        await desk.conversation.justify(shown.hold, await desk.who(body), filled(body).get(TEXT, ""))
    await close(ack, body, trouble)


async def send_answer(desk: Desk, ack: Ack, body: Body) -> None:
    """Put it on the card."""
    async with in_words() as trouble:
        shown = Shown.parse(metadata(body))
        await desk.conversation.answer(shown.hold, shown.word, await desk.who(body), filled(body).get(TEXT, ""))
    await close(ack, body, trouble)


ACTIONS: Mapping[str, Act] = {CANCEL: cancel, JUSTIFY: justify, ANSWER: answer_question, QUIET: quiet}
VIEWS: Mapping[str, Act] = {JUSTIFY_MODAL: send_justification, ANSWER_MODAL: send_answer}


async def _own(desk: Desk, body: Body) -> tuple[Hold, Reviewer, Shown]:
    """The hold and the person, before a modal is worth opening. What the modal says is checked again."""
    shown, person = shown_by(body), await desk.who(body)
    return await acts.own(desk, shown, person), person, shown
