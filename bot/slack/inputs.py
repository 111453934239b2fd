"""What a submitted modal brings back, and how its problems are shown in it."""

from __future__ import annotations

from collections.abc import Mapping

from bot.slack.desk import Ack, Body, Trouble
from bot.slack.forms import notice_modal
from bot.units import clip
from holdpoint.errors import NotFound


def metadata(body: Body) -> str:
    """What the modal was opened with."""
    return str(body["view"].get("private_metadata") or "")


def filled(body: Body) -> Mapping[str, str]:
    """Block id → what was typed or chosen (an option's value); empty where nothing was."""
    values = body["view"]["state"]["values"]
    found: dict[str, str] = {}
    for block, fields in values.items():
        typed = str((fields.get("text") or {}).get("value") or "")
        chosen = str(((fields.get("choice") or {}).get("selected_option") or {}).get("value") or "")
        found[block] = typed or chosen
    return found


async def close(ack: Ack, body: Body, trouble: Trouble) -> None:
    """Close the modal, or show the problem at its first required input, else at its first.

    An approval that has to be confirmed is kept: what to do takes the place of the modal.
    """
    if not trouble.sentence:
        await ack()
        return
    if trouble.url:
        await say(ack, trouble.sentence, trouble.url)
        return
    inputs = [block for block in body["view"]["blocks"] if block["type"] == "input"]
    if not inputs:
        raise NotFound("a modal without an input was submitted")
    required = [block for block in inputs if not block.get("optional")]
    at = (required or inputs)[0]["block_id"]
    await ack(response_action="errors", errors={at: clip(trouble.sentence, 1_000)})


async def say(ack: Ack, sentence: str, url: str = "") -> None:
    """Put sentences in the place of the modal."""
    await ack(response_action="update", view=notice_modal(sentence.splitlines(), url))
