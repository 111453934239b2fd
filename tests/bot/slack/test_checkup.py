"""What `holdpoint doctor slack` and `/holdpoint doctor` say: every state of token, scopes, socket, groups and channels."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from bot.slack.checkup import check_up
from bot.slack.client import SlackClient
from holdpoint.findings import Finding, Grade
from holdpoint.store.installations import Installed
from holdpoint.store.safe import Safe
from tests.bot.slack.conftest import MakeWorld, World, quiet
from tests.bot.slack.test_install import KEY, OTHER, SETTINGS
from tests.fakes.slack import Fault


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    world = await make_world("http", start=False)
    world.settings = dict(SETTINGS)
    await world.start_app()
    world.slack.workspace.usergroups["S0ONCALL"] = [world.sam.id]
    return world


async def found(world: World) -> dict[str, Finding]:
    """The findings by what was checked; each check once, and advice wherever something is wrong."""
    findings = await check_up(world.app.client, world.live)
    assert len({finding.check for finding in findings}) == len(findings)
    assert all(finding.advice for finding in findings if finding.grade is not Grade.OK)
    return {finding.check: finding for finding in findings}


async def test_all_is_well(world: World) -> None:
    findings = await found(world)
    assert {finding.grade for finding in findings.values()} == {Grade.OK}
    assert findings["slack"].said == "holdpoint in Fake (T0TEAM)"
    assert findings["slack:C0SECURITY"].said == "the app is in #security"
    assert findings["slack group oncall"].said == "1 in S0ONCALL"
    assert findings.keys() >= {"slack scopes", "slack:C0SECOND", "slack:C0LEADS"}


async def test_nothing_is_posted(world: World) -> None:
    await found(world)
    assert world.slack.count("chat.postMessage") == 0


@pytest.mark.parametrize("word", ["token_revoked", "account_inactive", "token_expired"])
async def test_a_token_that_slack_refuses(world: World, word: str) -> None:
    world.slack.workspace.revoked["xoxb-fake-bot"] = word
    findings = await found(world)
    assert (findings["slack"].grade, word in findings["slack"].said) == (Grade.FAIL, True)
    assert "SLACK_BOT_TOKEN" in findings["slack"].advice
    assert len(findings) == 1  # nothing else can be asked


@pytest.mark.parametrize("fault", [Fault("status", status=503), Fault("reset"), Fault("limited", retry_after=7)])
async def test_slack_that_does_not_answer(world: World, fault: Fault) -> None:
    world.slack.fault("auth.test", fault)
    findings = await found(world)
    assert findings["slack"].grade is Grade.FAIL


@pytest.mark.parametrize(
    ("missing", "grade", "words"),
    [
        ({"chat:write"}, Grade.FAIL, "missing: chat:write"),
        ({"users:read.email", "im:write"}, Grade.FAIL, "missing: im:write, users:read.email"),
        ({"channels:history"}, Grade.WARN, "may appear twice"),
        ({"files:write"}, Grade.WARN, "without their picture"),
    ],
)
async def test_scopes_that_are_missing(world: World, missing: set[str], grade: Grade, words: str) -> None:
    world.slack.workspace.bot_tokens["xoxb-fake-bot"] -= missing
    scopes = (await found(world))["slack scopes"]
    assert scopes.grade is grade
    assert words in scopes.said


async def test_scopes_that_are_too_many(world: World) -> None:
    world.slack.workspace.bot_tokens["xoxb-fake-bot"] |= {"channels:manage"}
    scopes = (await found(world))["slack scopes"]
    assert (scopes.grade, scopes.said) == (Grade.WARN, "not used: channels:manage")


async def test_channels_where_no_card_can_be(world: World) -> None:
    slack = world.slack
    slack.archive(world.security)
    slack.kick(world.second)
    for target in ("slack:C0NOWHERE", "slack:#ops", "slack:T0ELSE/C0NOWHERE", "teams:19:abc@thread.tacv2"):
        await world.store.config.add_route("contractors", target, by="test")
    hidden = slack.workspace.add_channel("hidden", private=True, channel_id="G0HIDDEN", bot=False)
    await world.store.config.add_route("contractors", f"slack:{hidden.id}", by="test")
    await world.live.look()
    findings = await found(world)
    assert findings["slack:C0SECURITY"].said == "#security is archived"
    assert findings["slack:C0SECOND"].said == "the app is not in #second"
    assert findings["slack:C0SECOND"].advice == "in the channel: /invite @Holdpoint"
    assert "channel_not_found" in findings["slack:C0NOWHERE"].said
    assert "/invite" in findings["slack:G0HIDDEN"].advice
    assert findings["slack:#ops"].said == "not the id of a channel"
    assert "/slack/install" in findings["slack:T0ELSE/C0NOWHERE"].said
    assert "teams:19:abc@thread.tacv2" not in findings
    assert {f.check for f in findings.values() if f.grade is Grade.OK} >= {"slack", "slack:C0LEADS"}


async def test_channels_that_may_not_be_looked_at(world: World) -> None:
    world.slack.workspace.bot_tokens["xoxb-fake-bot"] -= {"channels:read"}
    assert (await found(world))["slack:C0SECURITY"].grade is Grade.WARN


async def test_user_groups(world: World) -> None:
    world.slack.workspace.usergroups["S0ONCALL"] = []
    assert (await found(world))["slack group oncall"].grade is Grade.WARN
    del world.slack.workspace.usergroups["S0ONCALL"]
    group = (await found(world))["slack group oncall"]
    assert (group.grade, "slack_usergroup" in group.advice) == (Grade.FAIL, True)


async def test_other_workspaces_are_looked_at_too(world: World) -> None:
    other = world.slack.add_workspace(OTHER, token="xoxb-other")
    locked = Safe(SecretStr(KEY)).lock(SecretStr("xoxb-other"))
    await world.store.installations.put(
        Installed("slack", OTHER, "Other", OTHER, "", other.bot_user, ("chat:write",), locked, "U1", 1)
    )
    findings = await found(world)
    assert findings[f"slack {OTHER}"].said == "holdpoint in Other (T0OTHER)"
    assert findings[f"slack {OTHER} scopes"].grade is Grade.OK
    other.revoked["xoxb-other"] = "account_inactive"
    assert (await found(world))[f"slack {OTHER}"].grade is Grade.FAIL


@pytest.mark.parametrize(
    ("token", "grade", "words"),
    [
        ("xapp-fake-app", Grade.OK, ""),
        ("xoxb-fake-bot", Grade.FAIL, "xapp-"),
        ("xapp-wrong", Grade.FAIL, "SLACK_APP_TOKEN"),
        ("xapp-poor", Grade.FAIL, "connections:write"),
    ],
)
async def test_the_socket(world: World, token: str, grade: Grade, words: str) -> None:
    world.slack.workspace.app_tokens["xapp-poor"] = frozenset()
    app_client = SlackClient(token=SecretStr(token), api_url=world.slack.url, clock=world.clock, logger=quiet())
    await app_client.start()
    findings = {f.check: f for f in await check_up(world.app.client, world.live, app_client=app_client)}
    await app_client.aclose()
    assert findings["slack socket"].grade is grade
    assert words in findings["slack socket"].advice
