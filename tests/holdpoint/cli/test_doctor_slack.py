"""`holdpoint doctor slack` as an operator runs it, against the fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.fakes.slack import FakeSlack
from tests.support.cli import Cli, Ended

POLICY = """
version: 1
defaults: {verdict: allow, uninspectable: review, timeout: 10m, on_timeout: reject}
connections:
  demo: {upstream: "http://127.0.0.1:9000", protocol: openai, environment: production}
groups:
  contractors: {members: [dana@example.com]}
routes:
  - {group: contractors, channels: ["slack:C0SECURITY"]}
"""


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    fake = FakeSlack()
    await fake.start()
    fake.workspace.add_channel("security", channel_id="C0SECURITY")
    yield fake
    await fake.stop()


async def run(cli: Cli, slack: FakeSlack, *arguments: str, **settings: str) -> Ended:
    usual = {"SLACK_BOT_TOKEN": "xoxb-fake-bot", "SLACK_APP_TOKEN": "xapp-fake-app", "SLACK_API_URL": slack.url}
    return await asyncio.to_thread(cli, "doctor", "slack", *arguments, settings=usual | settings)


async def test_it_says_what_to_do_and_ends_with_one(cli: Cli, slack: FakeSlack) -> None:
    pushed = await asyncio.to_thread(cli, "policy", "push", "-", stdin=POLICY)
    assert pushed.code == 0, pushed.err
    well = await run(cli, slack, "--json")
    assert (well.code, well.json["healthy"]) == (0, True)
    assert {check["check"] for check in well.json["checks"]} == {
        "slack", "slack scopes", "slack socket", "slack:C0SECURITY",
    }  # fmt: skip
    slack.kick(slack.workspace.channels["C0SECURITY"])
    wrong = await run(cli, slack)
    assert wrong.code == 1
    assert "the app is not in #security" in wrong.out
    assert "/invite @Holdpoint" in wrong.out
    assert "xoxb" not in wrong.out + wrong.err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"SLACK_APP_TOKEN": ""}, "no way for clicks"),
        ({"SLACK_CLIENT_ID": "1.2"}, "SLACK_CLIENT_SECRET"),
        ({"SLACK_CLIENT_ID": "1.2", "HOLDPOINT_SECRET_KEY": "short"}, "32 bytes"),
        ({"SLACK_API_URL": "http://127.0.0.1:9/api/"}, "can this machine reach Slack?"),
        ({"SLACK_TRUSTED_TEAMS": "everybody"}, "SLACK_TRUSTED_TEAMS"),
    ],
)
async def test_settings_that_cannot_work(cli: Cli, slack: FakeSlack, settings: dict[str, str], words: str) -> None:
    ended = await run(cli, slack, **settings)
    assert ended.code == 1
    assert words in ended.out
    assert "short" not in ended.out


async def test_without_slack_there_is_nothing_to_say(cli: Cli, slack: FakeSlack) -> None:
    ended = await run(cli, slack, SLACK_BOT_TOKEN="")
    assert (ended.code, "not set up" in ended.out) == (0, True)


async def test_another_part_is_a_mistake(cli: Cli) -> None:
    ended = await asyncio.to_thread(cli, "doctor", "teapot")
    assert ended.code == 2
