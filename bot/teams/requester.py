"""The requester's own message: withdraw, justify, answer, and how much to hear of. For who sent it, or owns the agent.

`DOES` maps verbs to functions, `FORMS` those that open a dialog.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bot import acts
from bot.inputs import TEXT
from bot.teams import ANSWER, CANCEL, JUSTIFY, QUIET
from bot.teams.desk import Desk, Outcome, Pressed
from bot.teams.reactions import Opened
from bot.teams.render import answer_dialog, justify_dialog
from holdpoint.errors import NotFound
from holdpoint.store.quiet import Quiet

_HEARD = {
    Quiet.ALL: "Holdpoint writes to you about each of your requests that is held.",
    Quiet.DECISIONS: "Holdpoint writes to you once a request of yours is decided, and when somebody asks you something.",
    Quiet.NONE: "Holdpoint does not write to you about your requests.",
}


async def cancel(desk: Desk, pressed: Pressed) -> Outcome:
    """The requester withdraws the request."""
    return Outcome(await desk.withdrawals.withdraw(pressed.shown.hold, pressed.person.principal))


async def justify(desk: Desk, pressed: Pressed) -> Outcome:
    """Put the reason on the card."""
    return Outcome(await desk.conversation.justify(pressed.shown.hold, pressed.person, pressed.inputs.get(TEXT, "")))


async def answer(desk: Desk, pressed: Pressed) -> Outcome:
    """Put the answer on the card."""
    shown = pressed.shown
    return Outcome(await desk.conversation.answer(shown.hold, shown.word, pressed.person, pressed.inputs.get(TEXT, "")))


async def quiet(desk: Desk, pressed: Pressed) -> Outcome:
    """How much this person wants to hear of; their own wish, whatever message it was chosen in."""
    word = pressed.shown.word
    level = next((each for each in Quiet if each.value == word), None)
    if level is None:
        raise NotFound("not a choice of ours")
    await desk.store.quiet.set(pressed.person.principal, level)
    return Outcome(sentence=_HEARD[level])


async def justify_form(desk: Desk, pressed: Pressed) -> Opened:
    """Ask why; the dialog says it."""
    hold = await acts.own(desk, pressed.shown, pressed.person)
    view = await desk.view(hold, pressed.person, limit=0)
    return Opened("Why you need it", justify_dialog(view), height="medium")


async def answer_form(desk: Desk, pressed: Pressed) -> Opened:
    """Show the question that the button names, else the newest one that is open; the dialog answers."""
    hold = await acts.own(desk, pressed.shown, pressed.person)
    question, text = acts.open_question(desk, hold, pressed.shown.word)
    view = await desk.view(hold, pressed.person, limit=0)
    return Opened("Answer the question", answer_dialog(view, question, text), height="medium")


DOES: Mapping[str, Callable[[Desk, Pressed], Awaitable[Outcome]]] = {
    CANCEL: cancel,
    JUSTIFY: justify,
    ANSWER: answer,
    QUIET: quiet,
}
FORMS: Mapping[str, Callable[[Desk, Pressed], Awaitable[Opened]]] = {JUSTIFY: justify_form, ANSWER: answer_form}
