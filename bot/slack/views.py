"""Reviewers' modals: the reason of a rejection, the edited text, a question, a grant. `TABLE` maps modal to function.

A submission is answered after the decision is in Redis. What went wrong is shown in the modal itself, where the person's
text is still there to be sent again.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.cards import CardView, PartView
from bot.slack import ASK_MODAL, EDIT_MODAL, GRANT_MODAL, REJECT_MODAL, bulk, requester
from bot.slack.desk import Ack, Act, Body, Desk, Shown, in_words
from bot.slack.inputs import REASON, TEXT, close, filled, metadata, reason_of
from bot.slack.text import units
from holdpoint.errors import BadEdit, BadText
from holdpoint.model import DecisionKind, Edit, GrantScope, Hold
from holdpoint.visible import visible

MOST_INPUTS = 8  # with 3,000 units each, and six bytes a unit at worst, a view stays under Slack's 250 kB
INPUT_UNITS = 3_000
WHOLE = "whole"  # the word of a modal whose reviewer had every text before their eyes
_PART = "part-"


async def reject(desk: Desk, ack: Ack, body: Body) -> None:
    """Reject with the reason."""
    async with in_words() as trouble:
        shown = Shown.parse(metadata(body))
        reviewer = await desk.who(body)
        hold = await desk.look(shown.hold)
        reason = reason_of(filled(body), hold.evaluation.terms.reasons)
        await desk.decider.decide(shown.hold, reviewer, DecisionKind.REJECT, digest=shown.digest, reason=reason)
    await close(ack, body, trouble)


async def edit(desk: Desk, ack: Ack, body: Body) -> None:
    """Approve with the edited parts. A part that came back as it was is no edit."""
    async with in_words() as trouble:
        shown = Shown.parse(metadata(body))
        reviewer = await desk.who(body)
        hold = await desk.look(shown.hold)
        given = filled(body)
        edits = _edits(await desk.view(hold, reviewer, limit=None), hold, given)
        await desk.decider.decide(
            shown.hold, reviewer, DecisionKind.APPROVE, digest=shown.digest, reason=given.get(REASON, ""), edits=edits,
            seen_whole=shown.word == WHOLE,
        )  # fmt: skip
    await close(ack, body, trouble)


async def ask(desk: Desk, ack: Ack, body: Body) -> None:
    """Put the question to the requester."""
    async with in_words() as trouble:
        shown = Shown.parse(metadata(body))
        await desk.conversation.ask(shown.hold, await desk.who(body), filled(body).get(TEXT, ""))
    await close(ack, body, trouble)


async def grant(desk: Desk, ack: Ack, body: Body) -> None:
    """Approve this request, and those like it."""
    async with in_words() as trouble:
        shown = Shown.parse(metadata(body))
        given = filled(body)
        scope, group = _scope(given.get("scope", ""))
        await desk.grants.approve_similar(
            shown.hold, await desk.who(body), digest=shown.digest, scope=scope, subject=group,
            uses=_number(given.get("uses", "")), age_ms=_number(given.get("age", "")), reason=given.get(REASON, ""),
            seen_whole=shown.word == WHOLE,
        )  # fmt: skip
    await close(ack, body, trouble)


TABLE: Mapping[str, Act] = {
    REJECT_MODAL: reject,
    EDIT_MODAL: edit,
    ASK_MODAL: ask,
    GRANT_MODAL: grant,
    **requester.VIEWS,
    **bulk.VIEWS,
}


def editable_here(view: CardView, hold: Hold) -> tuple[list[tuple[str, PartView]], list[str]]:
    """What the modal can offer: block id and part; and a sentence for everything that only the inbox can edit.

    A text input holds 3,000 characters, and what Slack makes of hidden ones is not known: those stay with the inbox.
    """
    numbers = {part.path: number for number, part in enumerate(hold.query.parts)}
    inputs: list[tuple[str, PartView]] = []
    elsewhere: list[str] = []
    for part in view.parts:
        if not part.editable:
            continue
        if units(part.text) > INPUT_UNITS:
            elsewhere.append(f"{part.label} is longer than {INPUT_UNITS:,} characters.")
        elif visible(part.text) != part.text:
            elsewhere.append(f"{part.label} contains hidden characters.")
        elif len(inputs) < MOST_INPUTS:
            inputs.append((f"{_PART}{numbers[part.path]}", part))
        else:
            elsewhere.append(f"{part.label} does not fit here.")
    if len(elsewhere) > 5:
        elsewhere = [*elsewhere[:5], f"and {len(elsewhere) - 5} more parts."]
    return inputs, elsewhere


def _edits(view: CardView, hold: Hold, texts: Mapping[str, str]) -> list[Edit]:
    """The parts whose text changed. Line ends and outer blanks that a text box changes by itself do not count.

    Raises:
        BadEdit: the modal names a part that is not there.
    """
    shown = {part.path: part.text for part in view.parts}
    edits: list[Edit] = []
    for block, text in texts.items():
        if not block.startswith(_PART):
            continue
        number = block.removeprefix(_PART)
        if not number.isdecimal() or int(number) >= len(hold.query.parts):
            raise BadEdit("the modal does not fit this request any more; open it again")
        path = hold.query.parts[int(number)].path
        if _settled(text) != _settled(shown[path]):
            edits.append(Edit(path, text.replace("\r\n", "\n")))
    return edits


def _settled(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _scope(value: str) -> tuple[GrantScope, str]:
    """``requester``, or ``group <name>``.

    Raises:
        BadText: neither.
    """
    if value == GrantScope.REQUESTER.value:
        return GrantScope.REQUESTER, ""
    word, _, group = value.partition(" ")
    if word == GrantScope.GROUP.value and group:
        return GrantScope.GROUP, group
    raise BadText("Say for whom.")


def _number(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 15):
        raise BadText("Say how often, and for how long.")
    return int(value)
