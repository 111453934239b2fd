"""OAuth, several workspaces, an organisation: the fake hands out tokens as Slack does, and takes them away."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from tests.fakes.slack import FakeSlack
from tests.fakes.slack.conftest import client_of, refused
from tests.fakes.slack.things import SlackSays

BACK = "https://holdpoint.test/slack/oauth_redirect"


def page(slack: FakeSlack, **changes: str) -> str:
    asked = {"client_id": slack.client_id, "scope": "chat:write,commands", "state": "s1", "redirect_uri": BACK}
    return f"{slack.authorize_url}?{urlencode(asked | changes)}"


@pytest.fixture
def nobody(slack: FakeSlack) -> AsyncWebClient:
    slack.redirect_urls.append("https://holdpoint.test/")
    return client_of(slack, None)


async def exchange(nobody: AsyncWebClient, **given: str) -> AsyncSlackResponse:
    """Not the SDK's own method: it uses a deprecated part of aiohttp."""
    return await nobody.api_call("oauth.v2.access", data=given)


async def test_from_the_page_to_the_token(slack: FakeSlack, nobody: AsyncWebClient) -> None:
    other = slack.add_workspace("T0OTHER")
    ann = other.add_user("Ann", "ann@example.com")
    async with aiohttp.ClientSession() as session, session.get(page(slack)) as shown:
        assert shown.status == 200
    answer = {k: v[0] for k, v in parse_qs(urlsplit(slack.allow(page(slack), other, ann)).query).items()}
    assert answer["state"] == "s1"
    given = {"client_id": slack.client_id, "client_secret": slack.client_secret, "code": answer["code"]}
    said = await exchange(nobody, **given, redirect_uri=BACK)
    assert (said["team"], said["scope"]) == ({"id": "T0OTHER", "name": "Other"}, "chat:write,commands")
    assert (await client_of(slack, said["access_token"]).auth_test())["team_id"] == "T0OTHER"
    assert await refused(exchange(nobody, **given)) == "invalid_code"  # it serves once


async def test_what_the_exchange_refuses(slack: FakeSlack, nobody: AsyncWebClient) -> None:
    ann = slack.workspace.add_user("Ann", None)

    def code() -> str:
        return parse_qs(urlsplit(slack.allow(page(slack), slack.workspace, ann)).query)["code"][0]

    ours = {"client_id": slack.client_id, "client_secret": slack.client_secret}
    assert await refused(exchange(nobody, **(ours | {"client_secret": "x"}), code=code())) == "bad_client_secret"
    assert await refused(exchange(nobody, **(ours | {"client_id": "x"}), code=code())) == "invalid_client_id"
    assert await refused(exchange(nobody, **ours, code="x")) == "invalid_code"
    assert await refused(exchange(nobody, **ours, code=code(), redirect_uri="https://else")) == "bad_redirect_uri"
    late = code()
    slack.workspace.forward(seconds=601)
    assert await refused(exchange(nobody, **ours, code=late)) == "invalid_code"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"client_id": "x"}, "invalid_client_id"),
        ({"scope": ""}, "no_scopes"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"redirect_uri": "https://evil.test/"}, "bad_redirect_uri"),
    ],
)
async def test_what_the_page_refuses(
    slack: FakeSlack, nobody: AsyncWebClient, changes: dict[str, str], word: str
) -> None:
    async with aiohttp.ClientSession() as session, session.get(page(slack, **changes)) as shown:
        assert shown.status == 400
        assert word in await shown.text()
    with pytest.raises(SlackSays, match=word):
        slack.allow(page(slack, **changes), slack.workspace, slack.workspace.add_user("Ann", None))


async def test_each_token_sees_its_own_workspace(slack: FakeSlack, client: AsyncWebClient) -> None:
    other = slack.add_workspace("T0OTHER", token="xoxb-other")
    ours, theirs = slack.workspace.add_channel("ops"), other.add_channel("ops")
    assert await refused(client.chat_postMessage(channel=theirs.id, text="x")) == "channel_not_found"
    posted = await client_of(slack, "xoxb-other").chat_postMessage(channel=theirs.id, text="x")
    assert other.channels[theirs.id].messages[posted["ts"]].user == other.bot_user
    assert await refused(client_of(slack, "xoxb-other").chat_postMessage(channel=ours.id, text="x")) == (
        "channel_not_found"
    )


async def test_a_token_of_an_organisation_serves_all_its_workspaces(slack: FakeSlack, nobody: AsyncWebClient) -> None:
    one, two = (slack.add_workspace(team, enterprise="E0GRID") for team in ("T0ONE", "T0TWO"))
    admin = one.add_user("Ann", "ann@example.com", user_id="W0001")
    back = slack.allow(page(slack), one, admin, org_wide=True)
    said = await exchange(
        nobody,
        client_id=slack.client_id,
        client_secret=slack.client_secret,
        code=parse_qs(urlsplit(back).query)["code"][0],
    )
    assert said["is_enterprise_install"] is True
    assert (said["team"], said["enterprise"]["id"]) == (None, "E0GRID")
    client = client_of(slack, said["access_token"])
    for workspace in (one, two):
        channel = workspace.add_channel("ops")
        assert (await client.chat_postMessage(channel=channel.id, text="x"))["ok"]


async def test_revoked_and_removed(slack: FakeSlack, client: AsyncWebClient) -> None:
    assert (await client.auth_revoke(test=True))["revoked"] is False
    await client.auth_revoke()
    assert await refused(client.auth_test()) == "token_revoked"
    other = slack.add_workspace("T0OTHER", token="xoxb-other")
    theirs = client_of(slack, "xoxb-other")
    assert await refused(theirs.apps_uninstall(client_id=slack.client_id, client_secret="x")) == "bad_client_secret"
    await theirs.apps_uninstall(client_id=slack.client_id, client_secret=slack.client_secret)
    assert await refused(theirs.auth_test()) == "token_revoked"
    assert other.bot_tokens == {}
