"""Ids of other workspaces: ``T0123/C0456`` is channel C0456 of workspace T0123; without a slash, of the home workspace.

Everything in bot/slack passes ids on as they are. They get their prefix where callbacks come in (`at_place`) and where
answers of such a workspace do (`with_place`), and lose it where calls go out (`without_place`). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HOME = ""  # the place of ids without a prefix

_IDS = ("channel", "channel_id", "user", "users", "user_id", "trigger_id", "view_id", "usergroup")
_ID = re.compile(r"[A-Z][A-Z0-9]+")  # and not a name, as some answers have one under the same key
_CHANNEL_IN_TEXT = re.compile(r"<#([CG][A-Z0-9]+)(?:\|[^>]*)?>")


def split(some_id: str) -> tuple[str, str]:
    """The place of an id, and the id as that place knows it."""
    place, slash, rest = some_id.partition("/")
    return (place, rest) if slash else (HOME, some_id)


def join(place: str, some_id: str) -> str:
    """The opposite; what has a place already keeps it."""
    return some_id if not place or not some_id or "/" in some_id else f"{place}/{some_id}"


def local(some_id: str) -> str:
    """The id as its own workspace writes it, for a mention inside a message to that workspace."""
    return split(some_id)[1]


def is_person(some_id: str) -> bool:
    """Whether it is a person's id, and not a channel's."""
    return local(some_id)[:1] in ("U", "W")


def without_place(arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Where a call goes, and its arguments as that workspace knows them.

    Raises:
        ValueError: its ids belong to different workspaces.
    """
    bare, places = dict(arguments), set()
    for name in _IDS:
        value = bare.get(name)
        if isinstance(value, str):
            place, bare[name] = split(value)
            places.add(place)
    if len(places) > 1:
        raise ValueError("ids of two workspaces in one call")
    return (places.pop() if places else HOME), bare


def with_place(answer: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """An answer of the Web API, with ids that find their way back."""
    if not place:
        return answer
    return {**answer, **_prefixed(answer, place)}


def at_place(body: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A callback from another workspace, with ids that find their way back.

    A channel in the text of a command becomes ``slack:T0123/C0456``, the form in which routes name it.
    """
    if not place:
        return dict(body)
    changed = {**body, **_prefixed(body, place)}
    for name in ("container", "event"):
        if isinstance(body.get(name), Mapping):
            changed[name] = {**body[name], **_prefixed(body[name], place)}
    if "command" in body:
        changed["text"] = _CHANNEL_IN_TEXT.sub(rf"slack:{place}/\1", str(body.get("text") or ""))
    return changed


def _prefixed(thing: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The members of ``thing`` that are ids, have one, or are lists of them."""
    found: dict[str, Any] = {}
    for name in (*_IDS, "view"):
        value = thing.get(name)
        if isinstance(value, str) and (name == "trigger_id" or _ID.fullmatch(value)):
            found[name] = join(place, value)
        elif isinstance(value, list):
            found[name] = [join(place, item) if isinstance(item, str) else item for item in value]
        elif isinstance(value, Mapping) and isinstance(value.get("id"), str):
            found[name] = {**value, "id": join(place, value["id"])}
    return found


def place_of(body: Mapping[str, Any]) -> str:
    """The workspace, or with an installation for all of it the organisation, whose app a callback is for.

    Not the workspace of who acted: in a channel shared by Slack Connect that may be another one.
    """
    granted = body.get("authorizations") or [{}]
    organisation = _id(body.get("enterprise")) or body.get("enterprise_id") or granted[0].get("enterprise_id") or ""
    is_whole = body.get("is_enterprise_install") or granted[0].get("is_enterprise_install")
    if str(is_whole).lower() == "true":
        return str(organisation)
    view, message = body.get("view") or {}, body.get("message") or {}
    team = view.get("app_installed_team_id") or message.get("team") or granted[0].get("team_id")
    return str(team or _id(body.get("team")) or body.get("team_id") or "")


def _id(thing: Any) -> str:
    return str(thing.get("id") or "") if isinstance(thing, Mapping) else str(thing or "")
