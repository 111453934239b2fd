"""Modals that decide: the reason of a rejection, the edited text of an approval. `TABLE` maps modal to function.

A submission is answered after the decision is in Redis. What went wrong is shown in the modal itself, where the person's
text is still there to be sent again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bot.cards import CardView, PartView
from bot.slack import EDIT_MODAL, REJECT_MODAL
from bot.slack.desk import Desk, Shown, Trouble, in_words
from bot.slack.text import clip, units
from holdpoint.errors import BadEdit, NotFound
from holdpoint.model import DecisionKind, Edit, Hold
from holdpoint.visible import visible

Ack = Callable[..., Awaitable[Any]]
Body = Mapping[str, Any]

MOST_INPUTS = 8  # with 3,000 units each, and six bytes a unit at worst, a view stays under Slack's 250 kB
INPUT_UNITS = 3_000
_PART = "part-"
_REASON = "reason"


async def reject(desk: Desk, ack: Ack, body: Body) -> None:
    """Reject with the reason."""
    async with in_words() as trouble:
        shown = Shown.parse(body["view"]["private_metadata"])
        reason = _texts(body).get(_REASON, "")
        reviewer = await desk.who(body)
        await desk.decider.decide(shown.hold, reviewer, DecisionKind.REJECT, digest=shown.digest, reason=reason)
    await _answer(ack, body, trouble)


async def edit(desk: Desk, ack: Ack, body: Body) -> None:
    """Approve with the edited parts. A part that came back as it was is no edit."""
    async with in_words() as trouble:
        shown = Shown.parse(body["view"]["private_metadata"])
        reviewer = await desk.who(body)
        hold = await desk.look(shown.hold)
        texts = _texts(body)
        edits = _edits(await desk.view(hold, reviewer, limit=None), hold, texts)
        await desk.decider.decide(
            shown.hold, reviewer, DecisionKind.APPROVE, digest=shown.digest, reason=texts.get(_REASON, ""), edits=edits
        )
    await _answer(ack, body, trouble)


TABLE: Mapping[str, Callable[[Desk, Ack, Body], Awaitable[None]]] = {REJECT_MODAL: reject, EDIT_MODAL: edit}


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


def _texts(body: Body) -> dict[str, str]:
    """Block id → what was typed; Slack sends null for an empty input."""
    values = body["view"]["state"]["values"]
    return {block: str((fields.get("text") or {}).get("value") or "") for block, fields in values.items()}


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
        if not number.isdigit() or int(number) >= len(hold.query.parts):
            raise BadEdit("the modal does not fit this request any more; open it again")
        path = hold.query.parts[int(number)].path
        if _settled(text) != _settled(shown[path]):
            edits.append(Edit(path, text.replace("\r\n", "\n")))
    return edits


def _settled(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


async def _answer(ack: Ack, body: Body, trouble: Trouble) -> None:
    """Close the modal, or show the problem at its first input."""
    if not trouble.sentence:
        await ack()
        return
    inputs = [block["block_id"] for block in body["view"]["blocks"] if block["type"] == "input"]
    if not inputs:
        raise NotFound("a modal without an input was submitted")
    await ack(response_action="errors", errors={inputs[0]: clip(trouble.sentence, 1_000)})
