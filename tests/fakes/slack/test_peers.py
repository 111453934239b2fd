"""The fake's methods, errors, tiers and payloads against published copies of the vendor's own, where HOLDPOINT_PEERS is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack import FakeSlack, Json, payloads
from tests.fakes.slack.vocabulary import BOT_SCOPES_KNOWN, COMMON_ERRORS, METHODS

PEERS = os.environ.get("HOLDPOINT_PEERS", "")
pytestmark = pytest.mark.skipif(not PEERS, reason="HOLDPOINT_PEERS names no folder")

# Errors of a method that its published page does not name: another page does, or only the guides do.
ELSEWHERE = {"is_archived", "not_found", "push_limit_reached", "thread_not_found", "restricted_action"}
DOCUMENTED = {"response_urls"}  # of a submission, in the guide to modals
# What Slack sends only on occasions that the fake does not have: functions, attachments, unfurling.
RARE = {
    "function_data", "interactivity", "bot_access_token", "app_unfurl", "is_cleared", "response_urls", "state", "view",
    "message", "channel", "response_url", "container", "actions", "trigger_id", "enterprise", "hash",
}  # fmt: skip


def file_of(method: str) -> Path:
    return Path(PEERS) / "slack-methods" / f"{method}.json"


PUBLISHED = sorted(name for name in METHODS if not PEERS or file_of(name).exists())


def page_of(method: str) -> Any:
    return json.loads(file_of(method).read_text())


def payload(name: str) -> Json:
    [file] = (Path(PEERS) / "slack-payloads").glob(f"*/{name}.json")
    official: Json = json.loads(file.read_text())
    return official


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_method_is_as_its_page_says(name: str) -> None:
    page, method = page_of(name), METHODS[name]
    assert method.arguments <= set(page["args"]) | {"mrkdwn"}
    assert method.errors - COMMON_ERRORS <= set(page["errors"]) | ELSEWHERE
    required = {argument for argument, said in page["args"].items() if said["required"]}
    assert required - {"token"} <= method.required | {"channel", "users"}
    assert method.required <= set(page["args"])
    tier = page["rate_limit"]["label"]
    assert f"{method.per_minute}+" in tier if method.per_minute else "Special" in tier


@pytest.mark.parametrize("name", PUBLISHED)
def test_scopes_are_those_of_the_page(name: str) -> None:
    page, method = page_of(name), METHODS[name]
    named = {scope["name"] for scope in page["scopes"].get("bot", [])}
    assert not named or method.scopes <= named | {"users:read"}
    assert named - {"mpim:read", "mpim:history", "mpim:write"} <= BOT_SCOPES_KNOWN


def has_only_slacks_fields(ours: Json, official: Json, *parts: str) -> None:
    assert ours.keys() <= official.keys() | DOCUMENTED, ours.keys() - official.keys()
    assert official.keys() - ours.keys() <= RARE, official.keys() - ours.keys() - RARE
    for part in parts:
        assert ours[part].keys() <= official[part].keys(), (part, ours[part].keys() - official[part].keys())


@pytest.fixture
async def posted(slack: FakeSlack, client: AsyncWebClient) -> Json:
    """block_actions of a button on a message."""
    sam = slack.workspace.add_user("Sam", None, enterprise="E0GRID")
    channel = slack.workspace.add_channel("ops", sam)
    button = {"type": "button", "text": {"type": "plain_text", "text": "Go"}, "action_id": "go", "value": "1"}
    await client.chat_postMessage(channel=channel.id, text="x", blocks=[{"type": "actions", "elements": [button]}])
    message = slack.workspace.messages(channel.id)[0]
    await client.chat_postMessage(channel=channel.id, text="x", thread_ts=message.ts)
    return slack.click_payload(sam, message, *message.button("go"))  # type: ignore[misc]


async def test_a_click_has_slacks_fields(posted: Json) -> None:
    official = payload("BlockActionPayload")
    has_only_slacks_fields(posted, official, "user", "team", "enterprise", "container", "channel", "message")
    assert posted["actions"][0].keys() <= official["actions"][0].keys()


async def test_a_submission_and_a_closing_have_slacks_fields(slack: FakeSlack) -> None:
    sam = slack.workspace.add_user("Sam", None)
    modal: Json = {"type": "modal", "title": {"type": "plain_text", "text": "t"}, "blocks": [{"type": "divider"}]}
    view = slack.workspace.open_view(sam.id, modal, None).as_json()
    submitted = {**payloads.head(slack.workspace, "view_submission", sam), "view": view, "response_urls": []}
    official = payload("ViewSubmissionPayload")
    has_only_slacks_fields(submitted, official)
    assert view.keys() - official["view"].keys() <= {"blocks"}
    closed = {**payloads.head(slack.workspace, "view_closed", sam), "view": view, "is_cleared": False}
    del closed["trigger_id"]
    has_only_slacks_fields(closed, payload("ViewClosedPayload"))


def test_a_command_has_slacks_fields(slack: FakeSlack) -> None:
    sam = slack.workspace.add_user("Sam", None, enterprise="E0GRID")
    place = {"id": "C1", "name": "ops"}
    typed = payloads.slash(slack.workspace, sam, place, "/holdpoint", "help", "https://x")
    official = payload("SlashCommandPayload")
    assert typed.keys() == official.keys()


def test_only_these_methods_have_no_published_page() -> None:
    assert set(METHODS) - set(PUBLISHED) == {"apps.uninstall", "auth.revoke", "conversations.replies"}
