"""The manifest asks for exactly what the code uses, and Slack would accept it."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bot.slack import COMMAND
from bot.slack.client import USED_METHODS
from bot.slack.scopes import BOT_SCOPES
from tests.fakes.slack import workspace
from tests.fakes.slack.vocabulary import BOT_SCOPES_KNOWN, METHODS

ROOT = Path(__file__).parent.parent
MANIFEST = json.loads((ROOT / "manifests" / "slack.json").read_text())
# What depends on the kind of channel, or on no method at all.
BY_CHANNEL = {
    "conversations.history": {"channels:history", "groups:history", "im:history"},
    "conversations.replies": {"channels:history", "groups:history", "im:history"},
    "conversations.info": {"channels:read", "groups:read"},
}
WITHOUT_METHOD = {"commands"}  # slash commands
WITH_THE_APP_TOKEN = {"connections:write"}
METHOD = (
    r"(admin|apps|auth|bots|chat|conversations|files|oauth|reactions|team|usergroups|users|views)\.[a-z]\w*(\.\w+)*"
)
PEERS = os.environ.get("HOLDPOINT_PEERS", "")


def test_the_scopes_are_those_of_the_methods_that_are_called() -> None:
    needed = set(WITHOUT_METHOD)
    for name in USED_METHODS:
        needed |= METHODS[name].scopes | BY_CHANNEL.get(name, set())
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == needed - WITH_THE_APP_TOKEN


def test_the_manifest_the_installation_and_the_fake_name_the_same_scopes() -> None:
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == BOT_SCOPES
    assert workspace.BOT_SCOPES == BOT_SCOPES
    assert BOT_SCOPES <= BOT_SCOPES_KNOWN


def test_every_called_method_is_listed() -> None:
    called = {"apps.connections.open"}  # the SDK's Socket Mode client calls it
    for file in (ROOT / "bot" / "slack").glob("*.py"):
        named = _called if file.name == "client.py" else _named  # client.py lists them as well
        called |= {name for node in ast.walk(ast.parse(file.read_text())) for name in named(node)}
    assert called == USED_METHODS


def _called(node: ast.AST) -> Iterator[str]:
    """The method that this very expression calls."""
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "call"
    if is_call and node.args and isinstance(node.args[0], ast.Constant):  # type: ignore[attr-defined]
        yield str(node.args[0].value)  # type: ignore[attr-defined]


def _named(node: ast.AST) -> Iterator[str]:
    """The name of a method anywhere: it may reach the call by a variable."""
    if isinstance(node, ast.Constant) and (node.value in METHODS or re.fullmatch(METHOD, str(node.value))):
        yield str(node.value)


def test_the_command_and_the_way_in() -> None:
    (command,) = MANIFEST["features"]["slash_commands"]
    assert command["command"] == COMMAND
    assert command["should_escape"] is True  # the grammar reads <#C…> as a channel
    assert MANIFEST["settings"]["socket_mode_enabled"] is True
    assert MANIFEST["settings"]["interactivity"]["is_enabled"] is True


def test_the_events_are_those_that_are_listened_to() -> None:
    heard = set()
    for file in (ROOT / "bot" / "slack").glob("*.py"):
        heard |= set(re.findall(r'bolt\.event\("(\w+)"\)', file.read_text()))
    assert set(MANIFEST["settings"]["event_subscriptions"]["bot_events"]) == heard
    assert {"app_home_opened", "app_uninstalled", "tokens_revoked"} <= heard


def test_the_home_and_the_messages_have_their_tabs() -> None:
    home = MANIFEST["features"]["app_home"]
    assert home["home_tab_enabled"] is True  # views.publish
    assert home["messages_tab_enabled"] is True  # messages to requesters
    assert home["messages_tab_read_only_enabled"] is True  # nothing reads what people write there


def test_the_texts_are_within_slacks_limits() -> None:
    shown = MANIFEST["display_information"]
    assert 1 <= len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140
    assert 175 <= len(shown["long_description"]) <= 4000
    assert len(MANIFEST["features"]["bot_user"]["display_name"]) <= 80
    for command in MANIFEST["features"]["slash_commands"]:
        assert re.fullmatch(r"/[a-z0-9_-]{1,31}", command["command"])
        assert len(command["description"]) <= 2000
        assert len(command["usage_hint"]) <= 1000


@pytest.mark.skipif(not PEERS, reason="HOLDPOINT_PEERS names no folder")
@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
@pytest.mark.parametrize("over", ["socket", "http"])
def test_slack_accepts_the_manifest(version: str, over: str) -> None:
    schema = json.loads((Path(PEERS) / "slack-manifest" / f"manifest.schema.{version}.json").read_text())
    manifest: dict[str, Any] = json.loads(json.dumps(MANIFEST))
    if over == "http":  # as docs/slack.md says to change it
        url = "https://holdpoint.example.com/slack/events"
        manifest["settings"] |= {"socket_mode_enabled": False}
        manifest["settings"]["interactivity"]["request_url"] = url
        manifest["settings"]["event_subscriptions"]["request_url"] = url
        manifest["features"]["slash_commands"][0]["url"] = url
        manifest["oauth_config"]["redirect_urls"] = ["https://holdpoint.example.com/slack/oauth_redirect"]
    validator = jsonschema.Draft7Validator(schema)
    assert [error.message for error in validator.iter_errors(manifest)] == []
