"""What `holdpoint doctor teams` and ``doctor`` in Teams say: every state of settings, keys, token, places, groups, Graph."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bot.teams.checkup import ADD, REACH, Parts, check_up
from bot.teams.graph import PERMISSION, Graph
from bot.teams.openid import SigningKeys
from holdpoint.findings import Finding, Grade
from holdpoint.live import Live
from holdpoint.settings import Settings
from holdpoint.store import Store
from tests.bot.teams.outward import outward, settings_of
from tests.conftest import MovingClock
from tests.fakes.teams import FakeTeams, channel_id

POLICY = """
version: 1
defaults: {{verdict: allow}}
groups:
  contractors: {{}}
  oncall: {{teams_team: "{team}"}}
  entra: {{entra_group: {entra}}}
routes:
  - {{group: contractors, channels: ["teams:{channel}", web, "slack:C0SECURITY"]}}
"""


@dataclass
class Clinic:
    teams: FakeTeams
    parts: Parts

    async def found(self, **changes: Any) -> dict[str, Finding]:
        """The findings by what was checked; each check once, and advice wherever something is wrong."""
        findings = await check_up(replace(self.parts, **changes))
        assert len({finding.check for finding in findings}) == len(findings)
        assert all(finding.advice for finding in findings if finding.grade is not Grade.OK)
        assert all(self.teams.app_secret not in repr(finding) for finding in findings)
        return {finding.check: finding for finding in findings}


@pytest.fixture
async def clinic(teams: FakeTeams, store: Store, clock: MovingClock) -> AsyncIterator[Clinic]:
    entra = await teams.add_entra_group("eng", "kim")
    text = POLICY.format(team=channel_id("General"), entra=entra, channel=channel_id("security"))
    await store.config.push_policy(text, expect=0, by="test")
    live = Live(store, clock=clock)
    await live.look()
    async with AsyncExitStack() as stack:
        out = await stack.enter_async_context(outward(teams, store, clock=clock))
        settings = settings_of(teams)
        keys = SigningKeys(settings.teams_openid_url, clock=clock)
        stack.push_async_callback(keys.aclose)
        graph = Graph(teams.url, out.credentials, clock=clock)
        stack.push_async_callback(graph.aclose)
        await graph.start()
        yield Clinic(teams, Parts(settings, live, out.credentials, keys, out.connector, out.channels, graph))


async def test_all_is_well_and_nothing_is_posted(clinic: Clinic) -> None:
    await clinic.parts.keys.start()
    findings = await clinic.found()
    assert {finding.grade for finding in findings.values()} == {Grade.OK}
    assert list(findings) == [
        "teams tenant", "teams callbacks", "teams signing keys", "teams", f"teams:{channel_id('security')}",
        "teams group oncall", "teams graph",
    ]  # fmt: skip
    assert findings["teams callbacks"].said.endswith("https://holdpoint.test/api/messages")
    assert findings[f"teams:{channel_id('security')}"].said == "the app is in Holdpoint › security, with 5 people"
    assert findings["teams group oncall"].said == f"5 in {channel_id('General')}"
    assert "entra" in findings["teams graph"].said
    assert await clinic.teams.calls("post", "reply", "update", "create") == []


@pytest.mark.parametrize(("secret", "words"), [("another", "MicrosoftAppPassword"), ("", "MicrosoftAppPassword")])
async def test_without_a_token_nothing_else_can_be_asked(clinic: Clinic, secret: str, words: str) -> None:
    await clinic.parts.keys.start()
    await clinic.teams.set(secret=secret)
    clinic.parts.credentials._slots.clear()
    findings = await clinic.found()
    assert (findings["teams"].grade, words in findings["teams"].said) == (Grade.FAIL, True)
    assert list(findings) == ["teams tenant", "teams callbacks", "teams signing keys", "teams"]


async def test_signing_keys_that_cannot_be_had(clinic: Clinic) -> None:
    await clinic.teams.fail("keys", status=503, code="ServiceUnavailable", times=9)
    await clinic.parts.keys.start()
    keys = (await clinic.found())["teams signing keys"]
    assert (keys.grade, "callbacks are refused" in keys.advice) == (Grade.FAIL, True)


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"public_url": "http://holdpoint.test"}, "teams callbacks", "https"),
        ({"public_url": ""}, "teams callbacks", "https"),
        ({"MicrosoftAppTenantId": ""}, "teams tenant", "nobody counts"),
    ],
)
async def test_settings_that_keep_it_from_working(
    clinic: Clinic, changes: dict[str, Any], check: str, words: str
) -> None:
    await clinic.parts.keys.start()
    given = {**clinic.teams.settings, "public_url": "https://holdpoint.test", **changes}
    findings = await clinic.found(settings=Settings(_env_file=None, **given))
    assert (findings[check].grade, words in findings[check].said) == (Grade.WARN, True)


@pytest.mark.parametrize(
    ("code", "words"), [("BotNotInConversationRoster", "add the app"), ("BotDisabledByAdmin", "administrator")]
)
async def test_a_routed_channel_that_does_not_take_cards(clinic: Clinic, code: str, words: str) -> None:
    await clinic.parts.keys.start()
    await clinic.teams.trouble("General", code)
    findings = await clinic.found()
    channel = findings[f"teams:{channel_id('security')}"]
    assert (channel.grade, channel.advice, words in channel.said) == (Grade.FAIL, ADD, True)
    assert findings["teams group oncall"].grade is Grade.FAIL


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("teams:19:unknown@thread.tacv2", "the app is not there"),
        ("teams:Security", "not the id"),
        ("teams:19:a@thread.tacv2;messageid=1", "not the id"),
    ],
)
async def test_a_route_to_nowhere(clinic: Clinic, store: Store, target: str, words: str) -> None:
    await clinic.parts.keys.start()
    await store.config.add_route("contractors", target, by="test")
    await clinic.parts.live.look()
    finding = (await clinic.found())[target]
    assert (finding.grade, words in finding.said) == (Grade.FAIL, True)


@pytest.mark.parametrize("sort", ["standard", "private", "shared"])
async def test_a_route_to_a_channel_that_nobody_has_heard_from(clinic: Clinic, store: Store, sort: str) -> None:
    await clinic.parts.keys.start()
    await clinic.teams.add_channel("late", sort=sort, tell=False)
    target = f"teams:{channel_id('late')}"
    await store.config.add_route("contractors", target, by="test")
    await clinic.parts.live.look()
    finding = (await clinic.found())[target]
    if sort == "standard":
        assert (finding.grade, finding.said) == (Grade.OK, "the app is in Holdpoint › late, with 5 people")
    else:
        assert (finding.grade, "no private or shared one" in finding.advice) == (Grade.FAIL, True)
    assert await clinic.teams.calls("post", "reply", "update", "create") == []


async def test_a_route_to_a_channel_while_teams_does_not_tell(clinic: Clinic, store: Store) -> None:
    await clinic.parts.keys.start()
    await clinic.teams.fail("channels", status=429, code="Throttled", retry_after="900", times=9)
    target = "teams:19:unknown@thread.tacv2"
    await store.config.add_route("contractors", target, by="test")
    await clinic.parts.live.look()
    finding = (await clinic.found())[target]
    assert (finding.grade, finding.advice) == (Grade.FAIL, REACH)


async def test_a_channel_that_is_asked_later(clinic: Clinic) -> None:
    await clinic.parts.keys.start()
    await clinic.teams.fail("pagedmembers", status=429, code="Throttled", retry_after="900", times=9)
    finding = (await clinic.found())[f"teams:{channel_id('security')}"]
    assert finding.grade is Grade.FAIL


@pytest.mark.parametrize("state", ["refused", "away", "not asked", "nobody"])
async def test_graph(clinic: Clinic, state: str) -> None:
    await clinic.parts.keys.start()
    if state == "not asked":
        finding = (await clinic.found(graph=None))["teams group entra"]
        assert (finding.grade, "TEAMS_GRAPH_URL" in finding.advice) == (Grade.WARN, True)
        return
    if state == "refused":
        await clinic.teams.set(graph_allowed=False)
    elif state == "away":
        await clinic.teams.fail("graph", "reset")
    finding = (await clinic.found())["teams graph"]
    grade = {"refused": Grade.FAIL, "away": Grade.FAIL, "nobody": Grade.OK}[state]
    assert finding.grade is grade
    assert (finding.advice == PERMISSION) == (state == "refused")


async def test_an_empty_team(clinic: Clinic) -> None:
    await clinic.parts.keys.start()
    for key in ("dana", "sam", "kim", "lee", "ola"):
        await clinic.teams.leave("security", key, tell=False)
    finding = (await clinic.found())["teams group oncall"]
    assert (finding.grade, bool(re.search("no members", finding.said))) == (Grade.WARN, True)
