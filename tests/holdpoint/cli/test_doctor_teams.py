"""`holdpoint doctor teams` as an operator runs it, against the fake."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.teams import FakeTeams
from tests.fakes.teams.fixtures import teams, teams_process
from tests.support.cli import Cli, Ended

__all__ = ["teams", "teams_process"]

POLICY = """
version: 1
defaults: {verdict: allow}
groups:
  contractors: {members: [dana@example.com]}
routes:
  - {group: contractors, channels: ["teams:19:a@thread.tacv2"]}
"""


async def run(cli: Cli, teams: FakeTeams, *arguments: str, **settings: str) -> Ended:
    usual = {**teams.settings, "HOLDPOINT_PUBLIC_URL": "https://holdpoint.test"}
    return await asyncio.to_thread(cli, "doctor", "teams", *arguments, settings=usual | settings)


async def test_it_says_what_to_do_and_ends_with_one(cli: Cli, teams: FakeTeams) -> None:
    well = await run(cli, teams, "--json")
    assert (well.code, well.json["healthy"]) == (0, True), well.out
    assert [check["check"] for check in well.json["checks"]] == [
        "teams tenant", "teams callbacks", "teams signing keys", "teams",
    ]  # fmt: skip
    pushed = await asyncio.to_thread(cli, "policy", "push", "-", stdin=POLICY)
    assert pushed.code == 0, pushed.err
    wrong = await run(cli, teams)
    assert wrong.code == 1
    assert "the app is not there" in wrong.out
    assert teams.app_secret not in wrong.out + wrong.err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"MicrosoftAppPassword": ""}, "MicrosoftAppPassword"),
        ({"MicrosoftAppPassword": "wrong-secret"}, "MicrosoftAppPassword is wrong"),
        ({"MicrosoftAppTenantId": ""}, "MicrosoftAppTenantId"),
        ({"ToChannelFromBotLoginUrl": "http://127.0.0.1:9"}, "can this machine reach Microsoft?"),
        ({"ToBotFromChannelOpenIdMetadataUrl": "http://127.0.0.1:9/x"}, "callbacks are refused"),
        ({"TEAMS_GRAPH_URL": "graph.microsoft.com"}, "TEAMS_GRAPH_URL"),
    ],
)
async def test_settings_that_cannot_work(cli: Cli, teams: FakeTeams, settings: dict[str, str], words: str) -> None:
    ended = await run(cli, teams, **settings)
    assert ended.code == 1
    assert words in ended.out
    assert "wrong-secret" not in ended.out


async def test_without_teams_there_is_nothing_to_say(cli: Cli, teams: FakeTeams) -> None:
    ended = await run(cli, teams, MicrosoftAppId="")
    assert (ended.code, "not set up" in ended.out) == (0, True)
