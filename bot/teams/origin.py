"""Where an activity comes from, and what it says of that place: names, what is new, what is gone. Pure.

A team's events speak of one channel and come from another
(https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/subscribe-to-conversation-events): the
conversation is then that of the team, which is its General channel, and the channel that is meant is in ``channelData``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.teams import KIND
from bot.teams.arrived import Activity, bare, text_at, user_of
from bot.units import clip
from holdpoint.store.conversations import Conversation, ConversationKind
from holdpoint.urls import is_safe

NAME_UNITS = 200
_URL_LENGTH = 500
_BETWEEN = " › "  # a team's name and its channel's
_GENERAL = "General"  # Teams leaves its name to the client, which says it in the reader's language

_ID = re.compile(r"[!-~]{1,400}")
_CHANNEL_ID = re.compile(r"19:[!-~]{1,397}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KINDS = {
    "channel": ConversationKind.CHANNEL,
    "groupChat": ConversationKind.GROUP,
    "personal": ConversationKind.PERSONAL,
}
_LEARNT_FROM = frozenset({"message", "invoke", "conversationUpdate", "installationUpdate"})
_TEAM_ENDS = frozenset({"teamDeleted", "teamHardDeleted"})
_IS_THERE = frozenset({"channelCreated", "channelRenamed", "channelRestored"})
_STANDARD = frozenset({"", "standard"})  # an app cannot be in a private or shared channel by being in the team


def conversation_of(activity: Activity, *, now_ms: int) -> Conversation | None:
    """Where ``activity`` comes from; None where it does not say all that it takes to speak there again."""
    kind = _KINDS.get(text_at(activity, "conversation", "conversationType"))
    here, bot = bare(text_at(activity, "conversation", "id")), text_at(activity, "recipient", "id")
    # The SDK's `conversation.tenantId` gets lost on its way; Teams itself says both, and this one on every activity.
    tenant = text_at(activity, "channelData", "tenant", "id").lower()
    service_url = text_at(activity, "serviceUrl")
    if kind is None or activity.get("channelId") != "msteams" or activity.get("type") not in _LEARNT_FROM:
        return None
    if not (_ID.fullmatch(here) and _ID.fullmatch(bot) and _GUID.fullmatch(tenant)):
        return None
    if len(service_url) > _URL_LENGTH or not service_url.isprintable() or not is_safe(service_url):
        return None
    found = Conversation(KIND, here, kind, tenant, service_url, bot, now_ms)
    match kind:
        case ConversationKind.CHANNEL:
            team = text_at(activity, "channelData", "team", "id")
            return replace(found, team=team if _ID.fullmatch(team) else "", name=_channel_name(activity, here, team))
        case ConversationKind.GROUP:
            return replace(found, name=_name(text_at(activity, "conversation", "name")))
        case ConversationKind.PERSONAL:
            return _personal(found, activity)


def general_of(found: Conversation, activity: Activity) -> Conversation:
    """The team of the channel ``found``, that is, its General channel: rosters are the team's."""
    return replace(found, id=found.team, name=_channel_name(activity, found.team, found.team))


def channel_meant(activity: Activity) -> Mapping[str, Any] | None:
    """The channel (id, name, type) that is new, has another name or is back, by an event of its team; else None."""
    data = activity.get("channelData")
    channel = data.get("channel") if isinstance(data, dict) else None
    is_there = text_at(activity, "channelData", "eventType") in _IS_THERE
    return channel if is_there and isinstance(channel, dict) else None


def channels_in(entries: Sequence[Mapping[str, Any]], team: Conversation, *, called: str) -> list[Conversation]:
    """The standard channels among ``entries`` (id, name, type) of ``team``, which is ``called`` so and reached so."""
    return [
        replace(
            team,
            id=(channel := bare(each["id"])),
            name=_joined(called, text_at(each, "name") or (_unnamed(channel, team.team) if called else "")),
        )
        for each in entries
        if _CHANNEL_ID.fullmatch(text_at(each, "id")) and text_at(each, "type") in _STANDARD
    ]


def new_team_name(activity: Activity) -> str:
    """What the team is called from now on; empty where this is not said."""
    renamed = text_at(activity, "channelData", "eventType") == "teamRenamed"
    return _name(text_at(activity, "channelData", "team", "name")) if renamed else ""


def team_name(channels: Sequence[Conversation]) -> str:
    """What the team of ``channels`` is called, as far as one of their names says so."""
    return next((each.name.partition(_BETWEEN)[0] for each in channels if _BETWEEN in each.name), "")


def in_team(name: str, channel: Conversation) -> str:
    """The channel's name, in a team that is called ``name`` now."""
    return _joined(name, channel.name.partition(_BETWEEN)[2] or channel.name)


def deleted(activity: Activity) -> str | None:
    """The channel or team that is gone for everybody; empty for nobody knows which; None: nothing is."""
    event = text_at(activity, "channelData", "eventType")
    if event == "channelDeleted":
        return text_at(activity, "channelData", "channel", "id")
    return text_at(activity, "channelData", "team", "id") if event in _TEAM_ENDS else None


def is_going(activity: Activity) -> bool:
    """Whether it says that the bot is not there any more."""
    if activity.get("type") == "installationUpdate":
        return activity.get("action") == "remove"
    us, gone = text_at(activity, "recipient", "id"), activity.get("membersRemoved")
    left = gone if activity.get("type") == "conversationUpdate" and isinstance(gone, list) else []
    return any(isinstance(each, dict) and each.get("id") == us for each in left)


def merged(known: Conversation, found: Conversation) -> Conversation:
    """What is known, with everything that ``found`` says. Most activities say nothing of names."""
    said = {name: value for name in ("team", "name", "user", "member") if (value := getattr(found, name))}
    if found.user and found.user != known.user:
        said["person"] = ""
    moved = {name: getattr(found, name) for name in ("kind", "tenant", "service_url", "bot")}
    return replace(known, **moved, **said)


def _personal(found: Conversation, activity: Activity) -> Conversation:
    member, user = text_at(activity, "from", "id"), user_of(activity)
    if member == found.bot or not _ID.fullmatch(member) or len(user) > 2 * 36 + 1:
        return found
    return replace(found, user=user, member=member, name=_name(text_at(activity, "from", "name")))


def _channel_name(activity: Activity, here: str, team: str) -> str:
    of_team = text_at(activity, "channelData", "team", "name")
    is_meant = text_at(activity, "channelData", "channel", "id") == here
    own = text_at(activity, "channelData", "channel", "name") if is_meant else ""
    return _joined(of_team, own or (_unnamed(here, team) if of_team else ""))


def _unnamed(channel: str, team: str) -> str:
    return _GENERAL if channel == team else ""


def _joined(team: str, channel: str) -> str:
    return _name(_BETWEEN.join(filter(None, (team.replace("›", ">"), channel)))) if channel else ""


def _name(text: str) -> str:
    return clip(" ".join(text.split()), NAME_UNITS)
