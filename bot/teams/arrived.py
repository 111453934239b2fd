"""What Teams sent, in our own words: a `Click` or a `Message`. Pure; nothing here trusts the shape of what came.

An activity is the JSON of one callback, the "Activity object" of
https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference. Whoever it is from is
vouched for by the Bot Connector, whose token it came with; what a button carries is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from holdpoint.errors import HoldpointError

Activity = Mapping[str, Any]

_THREAD = ";messageid="
_TEXTS = ("type", "id", "channelId", "serviceUrl", "name", "action", "text", "replyToId")
_OBJECTS = ("from", "recipient", "conversation", "channelData")
_NEEDED = ("type", "channelId", "serviceUrl")
_MOST_DEEP = 32


class Malformed(HoldpointError):
    """An activity, or what it carries, has not the shape that it should have. ``str()`` quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Click:
    """A button that somebody pressed, or (``automatic``) a card that asks to be refreshed for who looks at it.

    ``data`` is what the button carries and the inputs beside it; ``user`` is ``<tenant>/<aadObjectId>``, empty for who has
    none (anonymous people, bots); ``member`` their id in Teams (``29:…``). ``conversation`` has no ``;messageid=``;
    ``message`` is the id of the clicked message, empty where Teams does not say. ``dialog``: it opens a dialog, or was
    pressed inside one. ``raw`` is the activity.
    """

    verb: str
    data: Mapping[str, Any]
    automatic: bool
    user: str
    member: str
    conversation: str
    message: str
    dialog: bool
    raw: Activity


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody wrote to the bot: ``text`` without the mention of the bot, else as Teams sent it.

    ``thread`` is the id of the message at the head of the thread in a channel, empty elsewhere. See `Click` for the rest.
    """

    text: str
    user: str
    member: str
    conversation: str
    message: str
    thread: str
    personal: bool
    raw: Activity


def parsed(body: bytes) -> Activity:
    """``body`` as an activity: every field that anybody here reads has its type.

    Raises:
        Malformed: no JSON, too deep, no object, or a field is missing or of another type.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("the body is no JSON") from error
    if _is_deep(value):
        raise Malformed("the body is nested too deeply")
    return _checked(value)


def _checked(value: object) -> Activity:
    if not isinstance(value, dict):
        raise Malformed("the body is no JSON object")
    for name in _TEXTS:
        if not isinstance(value.get(name, ""), str | None):
            raise Malformed(f"{name} is no text")
    for name in _OBJECTS:
        if not isinstance(value.get(name, {}), dict | None):
            raise Malformed(f"{name} is no object")
    for name in _NEEDED:
        if not value.get(name):
            raise Malformed(f"{name} is missing")
    if not text_at(value, "conversation", "id") or not text_at(value, "from", "id"):
        raise Malformed("it says not where it comes from")
    return value


def executed(activity: Activity) -> Click:
    """The click of an ``adaptiveCard/action`` invoke.

    Raises:
        Malformed: see `Click` for what it has to say.
    """
    value = activity.get("value")
    action = value.get("action") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(action, dict) or action.get("type") != "Action.Execute":
        raise Malformed("no Action.Execute")
    return _click(activity, action.get("verb"), action.get("data"), automatic=value.get("trigger") == "automatic")


def of_dialog(activity: Activity) -> Click:
    """The click of a ``task/fetch`` or ``task/submit`` invoke.

    Raises:
        Malformed: see `Click` for what it has to say.
    """
    value = activity.get("value")
    data = value.get("data") if isinstance(value, dict) else None
    return _click(activity, data.get("verb") if isinstance(data, dict) else None, data, dialog=True)


def submitted(activity: Activity) -> Click | None:
    """The click of a message that an ``Action.Submit`` made, in clients without ``Action.Execute``; None: it is no click."""
    value = activity.get("value")
    if not isinstance(value, dict) or not text_at(value, "verb"):
        return None
    return _click(activity, value["verb"], value)


def message(activity: Activity) -> Message:
    """What was written."""
    conversation = text_at(activity, "conversation", "id")
    return Message(
        text=_without_mention(activity), user=user_of(activity), member=text_at(activity, "from", "id"),
        conversation=bare(conversation), message=str(activity.get("id") or ""), thread=conversation.partition(_THREAD)[2],
        personal=text_at(activity, "conversation", "conversationType") == "personal", raw=activity,
    )  # fmt: skip


def user_of(activity: Activity) -> str:
    """``<tenant>/<aadObjectId>``, lower case; empty for who has no account in a directory."""
    tenant = text_at(activity, "channelData", "tenant", "id") or text_at(activity, "conversation", "tenantId")
    person = text_at(activity, "from", "aadObjectId")
    return f"{tenant}/{person}".lower() if tenant and person else ""


def bare(conversation: str) -> str:
    """``19:…@thread.tacv2;messageid=1`` → ``19:…@thread.tacv2``."""
    return conversation.partition(_THREAD)[0]


def text_at(value: Mapping[str, Any], *path: str) -> str:
    """The text at the end of ``path``; empty where there is none, or something else."""
    found: Any = value
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def _click(activity: Activity, verb: object, data: object, *, automatic: bool = False, dialog: bool = False) -> Click:
    if not isinstance(verb, str) or not verb or not isinstance(data, dict):
        raise Malformed("no verb, or no data")
    return Click(
        verb=verb, data=data, automatic=automatic, user=user_of(activity), member=text_at(activity, "from", "id"),
        conversation=bare(text_at(activity, "conversation", "id")), message=str(activity.get("replyToId") or ""),
        dialog=dialog, raw=activity,
    )  # fmt: skip


def _is_deep(value: object) -> bool:
    """Whether something lies deeper than `_MOST_DEEP`; without recursion, which is what this protects."""
    level: list[object] = [value]
    for _ in range(_MOST_DEEP):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def _without_mention(activity: Activity) -> str:
    text, us = str(activity.get("text") or ""), text_at(activity, "recipient", "id")
    entities = activity.get("entities")
    for entity in entities if isinstance(entities, list) else []:
        mention = text_at(entity, "text") if isinstance(entity, dict) else ""
        if mention and us and text_at(entity, "mentioned", "id") == us:
            text = text.replace(mention, "", 1)
    return text.strip()
