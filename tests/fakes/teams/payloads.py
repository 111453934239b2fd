"""The activities that Teams sends to a bot.

Shapes from https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations and
https://learn.microsoft.com/adaptive-cards/authoring-cards/universal-action-model#request-format.
"""

from __future__ import annotations

import html
import uuid
from datetime import UTC, datetime

from tests.fakes.teams.things import BOT, BOT_NAME, Json, Person, Place
from tests.fakes.teams.world import World, bot_account

MENTION = f"<at>{BOT_NAME}</at>"


def head(world: World, kind: str, person: Person, place: Place, service_url: str, *, root: str = "") -> Json:
    """What every activity has."""
    now = datetime.now(UTC)
    return {
        "type": kind, "id": world.new_id(), "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "localTimestamp": now.isoformat(timespec="milliseconds"), "channelId": "msteams", "serviceUrl": service_url,
        "from": person.account(), "conversation": world.conversation_json(place, root), "recipient": bot_account(),
        "channelData": world.channel_data(place),
    }  # fmt: skip


def _at_client(activity: Json) -> Json:
    client: Json = {
        "locale": "en-US",
        "country": "US",
        "platform": "Web",
        "timezone": "Europe/Berlin",
        "type": "clientInfo",
    }
    return activity | {"locale": "en-US", "localTimezone": "Europe/Berlin", "entities": [client]}


def card_action(activity: Json, action: Json, data: Json, message: str, trigger: str) -> Json:
    """Turn a head into the invoke of a pressed Action.Execute, or of a refresh."""
    described: Json = {name: action[name] for name in ("type", "id", "title", "verb") if name in action}
    activity = _at_client(activity) | {"name": "adaptiveCard/action", "replyToId": message, "id": f"f:{uuid.uuid4()}"}
    activity["channelData"] |= {"source": {"name": "message"}, "legacy": {"replyToId": f"1:{message}"}}
    return activity | {"value": {"action": {**described, "data": data}, "trigger": trigger}}


def task(activity: Json, name: str, data: Json, message: str) -> Json:
    """``task/fetch`` and ``task/submit``; only the first says on which message."""
    activity = _at_client(activity) | {"name": name, "id": f"f:{uuid.uuid4()}"}
    activity["channelData"] |= {"source": {"name": "message" if message else "task"}}
    if message:
        activity["replyToId"] = message
    return activity | {"value": {"data": data, "context": {"theme": "default"}}}


def submitted(activity: Json, data: Json, message: str) -> Json:
    """A plain Action.Submit: a message without words."""
    return _at_client(activity) | {"replyToId": message, "value": data}


def said(activity: Json, text: str, *, mention: bool) -> Json:
    """Something typed; ``mention``: to the bot, its name first."""
    whole = f"{MENTION} {text}" if mention else text
    activity = _at_client(activity) | {"text": whole, "textFormat": "plain"}
    shown = html.escape(text, quote=False)
    if mention:
        activity["entities"] = [
            *activity["entities"],
            {"type": "mention", "mentioned": {"id": BOT, "name": BOT_NAME}, "text": MENTION},
        ]
        shown = f'<span itemscope itemtype="http://schema.skype.com/Mention" itemid="0">{BOT_NAME}</span>&nbsp;{shown}'
    return activity | {"attachments": [{"contentType": "text/html", "content": f"<div><div>{shown}</div></div>"}]}


def installation(activity: Json, world: World, place: Place, *, added: bool) -> Json:
    """``installationUpdate``."""
    activity = activity | {"action": "add" if added else "remove"}
    data = dict(activity["channelData"])
    if place.kind == "channel":
        data |= {"team": world.teams[place.team].data(), "settings": {"selectedChannel": {"id": place.id}}}
    data["source"] = {"name": "message"}
    return activity | {"channelData": data}


def membership(activity: Json, world: World, place: Place, members: list[Json], *, added: bool) -> Json:
    """``conversationUpdate`` about people or the bot."""
    data = dict(activity["channelData"])
    if place.kind == "channel":
        data |= {
            "team": world.teams[place.team].data(),
            "eventType": "teamMemberAdded" if added else "teamMemberRemoved",
        }
        data.pop("channel", None)
    return activity | {"membersAdded" if added else "membersRemoved": members, "channelData": data}


def team_event(activity: Json, event: str, place: Place) -> Json:
    """``conversationUpdate`` about a channel: it comes from the team, and does not say what that is called."""
    channel = {"id": place.id, "name": place.name} | ({} if place.sort == "standard" else {"type": place.sort})
    data = {"channel": channel, "team": {"id": place.team}, "eventType": event}
    return activity | {"channelData": data | {"tenant": {"id": place.tenant}}}


def team_renamed(activity: Json, world: World, place: Place) -> Json:
    """``conversationUpdate`` about a team's new name."""
    data = {"team": {"id": place.team, "name": world.teams[place.team].name}, "eventType": "teamRenamed"}
    return activity | {"channelData": data | {"tenant": {"id": place.tenant}}}
