"""``/holdpoint …``: the grammar of bot/commands.py, answered where it was typed, for who typed it only.

::

    done within two seconds ─▶ the answer is the acknowledgement, unless it is too long for one
    else ─▶ "Working…" ─ … ─▶ the answer, by the response URL

What asks to be confirmed carries a button; its click runs the confirmation, and the answer takes the question's place.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from bot.accounts import UnknownPerson
from bot.answers import Answer
from bot.commands import Commands
from bot.slack import KIND
from bot.slack.answers import answer_blocks, answer_text
from bot.slack.desk import SLACK_AWAY, Ack, Body, Desk
from bot.slack.later import respond, send_picture
from bot.slack.places import join, local, split
from bot.typed import PICTURE, WORKING, result
from bot.typed import run as run_typed
from holdpoint.errors import ChannelError, StoreUnavailable

QUICK_S = 2.0  # of the three seconds after which Slack shows an error
# Of an answer that is the acknowledgement: Slack ends a socket over which more than 20,480 come at once. Not documented.
QUICK_BYTES = 20_000

_MENTION = re.compile(r"(<@([UW][A-Z0-9]{2,30})(?:\|[^>]*)?>)", re.ASCII)
_MOST_MENTIONS = 3
_LINK = re.compile(r"<(?:mailto:|https?://)[^|>]*\|([^>]*)>|<(https?://[^|>]*)>")

_log = logging.getLogger(__name__)


async def run(desk: Desk, typed: Commands, ack: Ack, body: Body) -> None:
    """Run what was typed behind the command."""
    working = desk.tasks.start("slack command", _answered(desk, typed, body, as_typed(str(body.get("text") or ""))))
    if await _is_quick(working):
        message = _message(working.result())
        if len(json.dumps(message)) <= QUICK_BYTES:  # as the SDK sends it: six bytes for what is not ASCII
            await ack(**message)
            _picture_soon(desk, body, working.result())
            return
        await ack()
    else:
        await ack(response_type="ephemeral", text=WORKING)
    desk.tasks.start("slack answer", _later(desk, body, working, replace=False))


async def confirm(desk: Desk, typed: Commands, ack: Ack, body: Body) -> None:
    """Do what was asked about; the answer takes the place of the question."""
    value = str(body["actions"][0].get("value") or "")
    text = value if value.startswith("confirm ") else "confirm"
    working = desk.tasks.start("slack confirmation", _answered(desk, typed, body, text))
    await _is_quick(working)
    await ack()
    desk.tasks.start("slack answer", _later(desk, body, working, replace=True))


def as_typed(text: str) -> str:
    """What the person typed, of what Slack makes of it: links and e-mail addresses as text, ``& < >`` as such.

    Channels stay ``<#C0123|name>``: the grammar knows them. People stay ``<@U0123|name>`` until they are looked up.
    """
    text = _LINK.sub(lambda match: match[1] if match[1] is not None else match[2], text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


async def _is_quick(working: asyncio.Task[Answer]) -> bool:
    done, _ = await asyncio.wait({working}, timeout=QUICK_S)
    return bool(done)


async def _answered(desk: Desk, typed: Commands, body: Body, text: str) -> Answer:
    # A slash command says where it was typed; a click on its answer does too, but needs it no more.
    text = await _with_people(desk, text, place=split(_user(body))[0])
    return await run_typed(typed, text, partial(desk.who, body), away=SLACK_AWAY, place=_place(body))


async def _with_people(desk: Desk, text: str, *, place: str) -> str:
    """``text``, typed in the workspace ``place``, with people who are mentioned by their principal.

    Whom Holdpoint does not know stays what Slack made of it.
    """
    for mention, user_id in list(dict.fromkeys(_MENTION.findall(text)))[:_MOST_MENTIONS]:
        try:
            person = await desk.directory.by_platform(desk.people, KIND, join(place, user_id))
        except (UnknownPerson, ChannelError, StoreUnavailable):
            continue
        text = text.replace(mention, person.principal)
    return text


def _place(body: Body) -> str:
    """The channel, as routes name it; empty where no card could be routed to, as in direct messages."""
    channel = str(body.get("channel_id") or "")
    return f"{KIND}:{channel}" if local(channel)[:1] in ("C", "G") else ""


def _message(answer: Answer) -> dict[str, Any]:
    if answer.picture is not None:
        answer = replace(answer, lines=(*answer.lines, PICTURE))
    return {"response_type": "ephemeral", "text": answer_text(answer), "blocks": answer_blocks(answer)}


async def _later(desk: Desk, body: Body, working: asyncio.Task[Answer], *, replace: bool) -> None:
    """Say the answer by the response URL, once it is there."""
    await asyncio.wait({working})
    answer = result(working)
    url = str(body.get("response_url") or "")
    try:
        await respond(desk.client, url, {**_message(answer), "replace_original": replace})
    except ChannelError as error:
        _log.warning("an answer to a command was lost: %s", error)
    _picture_soon(desk, body, answer)


def _picture_soon(desk: Desk, body: Body, answer: Answer) -> None:
    if answer.picture is not None:
        desk.tasks.start("slack picture", _send_picture(desk, body, answer))


async def _send_picture(desk: Desk, body: Body, answer: Answer) -> None:
    if answer.picture is None:
        return
    try:
        await send_picture(desk.client, _user(body), answer.picture)
    except ChannelError as error:
        # The numbers have been said already; a picture that is missing is no reason to say more.
        _log.warning("a picture was not sent: %s", error)


def _user(body: Mapping[str, Any]) -> str:
    user = body.get("user")
    return str(user["id"]) if isinstance(user, dict) else str(body.get("user_id") or "")
