"""The manifest asks for exactly what the code uses, and Slack would accept it."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import jsonschema
import pytest

from bot.slack import COMMAND
from bot.slack.client import USED_METHODS
from tests.fakes.slack.vocabulary import METHODS
from tests.fakes.slack.workspace import BOT_SCOPES

ROOT = Path(__file__).parent.parent
MANIFEST = json.loads((ROOT / "manifests" / "slack.json").read_text())
# What depends on the kind of channel, or on no method at all.
BY_CHANNEL = {"conversations.history": {"channels:history", "groups:history", "im:history"}}
WITHOUT_METHOD = {"commands"}  # slash commands
WITH_THE_APP_TOKEN = {"connections:write"}


def test_the_scopes_are_those_of_the_methods_that_are_called() -> None:
    needed = set(WITHOUT_METHOD)
    for name in USED_METHODS:
        needed |= METHODS[name].scopes | BY_CHANNEL.get(name, set())
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == needed - WITH_THE_APP_TOKEN


def test_the_fake_grants_what_the_manifest_asks_for() -> None:
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == BOT_SCOPES


def test_every_called_method_is_listed() -> None:
    called = {"apps.connections.open"}  # the SDK's Socket Mode client calls it
    for file in (ROOT / "bot" / "slack").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "call":
                called.add(ast.literal_eval(node.args[0]))
    assert called == USED_METHODS


def test_the_command_and_the_way_in() -> None:
    (command,) = MANIFEST["features"]["slash_commands"]
    assert command["command"] == COMMAND
    assert command["should_escape"] is True  # bot/commands.py reads <#C…> as a channel
    assert MANIFEST["settings"]["socket_mode_enabled"] is True
    assert MANIFEST["settings"]["interactivity"]["is_enabled"] is True


@pytest.mark.skipif("HOLDPOINT_PEERS" not in os.environ, reason="HOLDPOINT_PEERS names no folder")
@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
def test_slack_accepts_the_manifest(version: str) -> None:
    schema = json.loads(
        (Path(os.environ["HOLDPOINT_PEERS"]) / "slack-manifest" / f"manifest.schema.{version}.json").read_text()
    )
    validator = jsonschema.Draft7Validator(schema)
    assert [error.message for error in validator.iter_errors(MANIFEST)] == []
