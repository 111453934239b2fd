"""The payloads of Slack's callbacks, as the vendor publishes them. Pure but for the triggers and response URLs."""

from __future__ import annotations

from typing import Any

from tests.fakes.slack.forms import option_of
from tests.fakes.slack.things import Json, Message, User, View
from tests.fakes.slack.workspace import Workspace

APP = "A0APP"


def team_of(ws: Workspace, user: User) -> Json:
    """The workspace of who acted, which is another one than the channel's for a person who came by Slack Connect."""
    team: Json = {"id": user.team, "domain": ws.name.lower()}
    return team | ({"enterprise_id": user.enterprise, "enterprise_name": "Grid"} if user.enterprise else {})


def head(ws: Workspace, kind: str, user: User) -> Json:
    """What every interaction starts with."""
    name = user.name.split()[0].lower()
    return {
        "type": kind, "team": team_of(ws, user), "user": {"id": user.id, "username": name, "name": name, "team_id": user.team},
        "api_app_id": APP, "token": "legacy", "trigger_id": ws.new_trigger(user.id),
        "enterprise": {"id": user.enterprise, "name": "Grid"} if user.enterprise else None,
        "is_enterprise_install": bool(ws.org_wide),
    }  # fmt: skip


def action(block: Json, element: Json, value: Any) -> Json:
    """One entry of ``actions``: a button pressed, or a choice made. ``value`` forges another one than a button's."""
    kind = element["type"]
    done: Json = {
        "type": kind, "action_id": element["action_id"], "block_id": block.get("block_id", "b0"), "action_ts": "1.0",
    }  # fmt: skip
    if kind in ("static_select", "overflow", "radio_buttons"):
        return done | {"selected_option": option_of(element, value)}
    if kind == "checkboxes":
        return done | {"selected_options": [option_of(element, one) for one in value or ()]}
    done["text"] = element["text"]
    if value is not None or "value" in element:
        done["value"] = value if value is not None else element["value"]
    return done | ({"style": element["style"]} if "style" in element else {})


def on_message(ws: Workspace, user: User, message: Message, done: Json, response_url: str) -> Json:
    """block_actions on a message."""
    channel = ws.channels[message.channel]
    container: Json = {
        "type": "message", "message_ts": message.ts, "channel_id": channel.id, "is_ephemeral": False,
    }  # fmt: skip
    if message.thread_ts is not None:
        container["thread_ts"] = message.thread_ts
    return {
        **head(ws, "block_actions", user), "container": container,
        "channel": {"id": channel.id, "name": channel.name}, "message": message.as_json(with_metadata=True),
        "state": {"values": {}}, "response_url": response_url, "actions": [done],
    }  # fmt: skip


def on_view(ws: Workspace, user: User, shown: Json, done: Json) -> Json:
    """block_actions inside a modal or on the Home tab."""
    container = {"type": "view", "view_id": shown["id"]}
    return {**head(ws, "block_actions", user), "container": container, "view": shown, "actions": [done]}


def slash(ws: Workspace, user: User, channel: Json, command: str, text: str, response_url: str) -> Json:
    """A slash command, before it becomes a form."""
    payload: Json = {
        "token": "legacy", "api_app_id": APP, "team_id": user.team, "team_domain": ws.name.lower(),
        "channel_id": channel["id"], "channel_name": channel["name"], "user_id": user.id,
        "user_name": user.name.split()[0].lower(), "command": command, "text": text, "response_url": response_url,
        "trigger_id": ws.new_trigger(user.id), "is_enterprise_install": "true" if ws.org_wide else "false",
    }  # fmt: skip
    return payload | ({"enterprise_id": user.enterprise, "enterprise_name": "Grid"} if user.enterprise else {})


def event_callback(ws: Workspace, event: Json, number: int) -> Json:
    """The envelope of the Events API."""
    installation = {
        "enterprise_id": ws.enterprise, "team_id": ws.team, "user_id": ws.bot_user, "is_bot": True,
        "is_enterprise_install": bool(ws.org_wide),
    }  # fmt: skip
    payload: Json = {
        "token": "legacy", "team_id": ws.team, "api_app_id": APP, "type": "event_callback", "event": event,
        "event_id": f"Ev{number:04}", "event_time": ws.now_ms() // 1000, "authorizations": [installation],
        "is_ext_shared_channel": False,
    }  # fmt: skip
    return payload | ({"enterprise_id": ws.enterprise} if ws.enterprise else {})


def home_opened(ws: Workspace, user: User, view: View | None) -> Json:
    """The event of a person who opens the app's Home tab."""
    event: Json = {
        "type": "app_home_opened", "user": user.id, "channel": ws.direct(user.id).id, "event_ts": ws.ts(), "tab": "home",
    }  # fmt: skip
    return event | ({"view": view.as_json()} if view is not None else {})
