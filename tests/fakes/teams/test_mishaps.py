"""Rates, faults, keys and the bot's own tokens."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import aiohttp
import jwt
import pytest

from tests.fakes.teams import FakeTeams, channel_id
from tests.fakes.teams.conftest import Bot
from tests.fakes.teams.rates import LIMITS, Rates
from tests.fakes.teams.things import Json
from tests.fakes.teams.wrong_tokens import RIGHT, WRONG

HELLO: Json = {"type": "message", "text": "hello"}


@pytest.mark.parametrize("family", LIMITS)
def test_each_window_holds(family: str) -> None:
    for seconds, most in LIMITS[family]:
        rates = Rates()
        step = seconds / most  # just slow enough, but for what smaller windows say
        times = [n * step for n in range(most)]
        spread = sorted(times)
        refusals = [rates.spend(family, "c", 100 + at) for at in spread]
        assert refusals == [None] * most, (seconds, most)
        last = 100 + spread[-1]
        wait = rates.spend(family, "c", last)
        assert wait is not None
        assert rates.spend(family, "other", last) is None
        assert rates.spend(family, "c", last + wait) is None


async def test_too_many_posts_are_429_until_the_clock_moves(teams: FakeTeams, bot: Bot) -> None:
    await teams.set(speed=0)  # however long these calls take: they are made within one second
    statuses = [(await bot.post("security", HELLO))[0] for _ in range(8)]
    assert statuses[:7] == [201] * 7
    assert statuses[7] == 429
    assert (await bot.post("second", HELLO))[0] == 201
    conversation = quote(channel_id("security"), safe="")
    url = f"{teams.service_url}v3/conversations/{conversation}/activities"
    authorized = {"Authorization": f"Bearer {bot.token}"}
    async with aiohttp.ClientSession() as session, session.post(url, json=HELLO, headers=authorized) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert (await answer.json())["error"]["code"] == "Throttled"
    await teams.advance(2)
    assert (await bot.post("security", HELLO))[0] == 201
    await teams.set(rates=False)
    assert [(await bot.post("security", HELLO))[0] for _ in range(20)] == [201] * 20


@pytest.mark.parametrize(("fields", "status", "posted"), [
    ({"kind": "error", "status": 412, "code": "PreconditionFailed"}, 412, 0),
    ({"kind": "error", "status": 502, "committed": True}, 502, 1),
    ({"kind": "html", "status": 503}, 503, 0),
    ({"kind": "empty", "status": 504}, 504, 0),
    ({"kind": "error", "status": 429, "code": "Throttled", "retry_after": "3"}, 429, 0),
])  # fmt: skip
async def test_a_fault_hits_one_call(teams: FakeTeams, bot: Bot, fields: Json, status: int, posted: int) -> None:
    await teams.fail("post", conversation="security", **fields)
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {(await bot.login())[1]['access_token']}"}
    ) as session:
        url = f"{teams.service_url}v3/conversations/{channel_id('security')}/activities"
        async with session.post(url, json=HELLO) as answer:
            assert answer.status == status
            assert answer.headers.get("Retry-After") == fields.get("retry_after")
    assert len(await teams.messages("security")) == posted
    assert (await bot.post("security", HELLO))[0] == 201
    assert [call.status for call in await teams.calls("post", place="security")] == [status, 201]


@pytest.mark.parametrize("committed", [False, True])
async def test_a_connection_breaks_before_or_after_the_effect(teams: FakeTeams, bot: Bot, *, committed: bool) -> None:
    await teams.fail("post", "reset", committed=committed)
    with pytest.raises(aiohttp.ClientError):
        await bot.post("security", HELLO)
    assert len(await teams.messages("security")) == int(committed)
    assert [call.status for call in await teams.calls("post")] == [0]


async def test_a_call_waits_at_a_gate(teams: FakeTeams, bot: Bot) -> None:
    await teams.fail("post", "gate", name="g")
    waiting = asyncio.create_task(bot.post("security", HELLO))
    await teams.waits_at("g")
    assert await teams.messages("security") == []
    await teams.open_gate("g")
    assert (await waiting)[0] == 201


@pytest.mark.parametrize(("changes", "status", "error", "number"), [
    ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
    ({"client_id": "99999999-2222-4333-8444-555555555555"}, 400, "unauthorized_client", 700016),
    ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
    ({"scope": "https://api.botframework.com"}, 400, "invalid_scope", 1002012),
    ({"scope": "https://other.example/.default"}, 400, "invalid_resource", 500011),
    ({"tenant": "cccccccc-0000-4000-8000-000000000003"}, 400, "invalid_request", 90002),
])  # fmt: skip
async def test_a_wrong_request_gets_no_token(
    bot: Bot, changes: dict[str, str], status: int, error: str, number: int
) -> None:
    got, body = await bot.login(**changes)
    assert (got, body["error"], body["error_codes"]) == (status, error, [number])


async def test_an_unregistered_bot_is_told_so(teams: FakeTeams, bot: Bot) -> None:
    await teams.set(registered=False)
    status, answer = await bot.post("security", HELLO)
    assert (status, answer["error"]["code"]) == (401, "BotNotRegistered")


async def keys_of(teams: FakeTeams) -> Json:
    async with aiohttp.ClientSession() as session:
        async with session.get(teams.settings["ToBotFromChannelOpenIdMetadataUrl"]) as answer:
            metadata = await answer.json()
        async with session.get(metadata["jwks_uri"]) as answer:
            return {key["kid"]: key for key in (await answer.json())["keys"]}


def verify(keys: Json, header: str | None, teams: FakeTeams) -> bool:
    """As a careful bot does it, for the activities of this table."""
    scheme, _, token = (header or "").partition(" ")
    try:
        kid = str(jwt.get_unverified_header(token).get("kid"))
        key = jwt.PyJWK(keys[kid], "RS256")
        said = jwt.decode(
            token, key, algorithms=["RS256"], audience=teams.app_id, issuer="https://api.botframework.com", leeway=300,
            options={"require": ["exp", "iss", "aud"]},
        )  # fmt: skip
    except (jwt.InvalidTokenError, KeyError, UnicodeError):
        return False
    return (
        scheme.lower() == "bearer"
        and said.get("serviceurl") == teams.service_url
        and "msteams" in keys[kid].get("endorsements", [])
    )


@pytest.mark.parametrize(("name", "right"), [*((n, False) for n in WRONG), *((n, True) for n in RIGHT)])
async def test_each_token_is_what_it_says(teams: FakeTeams, bot: Bot, name: str, *, right: bool) -> None:
    await teams.deliver(await teams.activity("message"), token=name)
    [(header, _)] = bot.got
    assert verify(await keys_of(teams), header, teams) is right


async def test_keys_rotate(teams: FakeTeams, bot: Bot) -> None:
    old = await keys_of(teams)
    kid = await teams.rotate(publish=False)
    await teams.user("kim").say("hi", "security")
    assert not verify(await keys_of(teams), bot.got[-1][0], teams)
    await teams.publish()
    assert verify(await keys_of(teams), bot.got[-1][0], teams)
    await teams.rotate(keep=False)
    assert (await keys_of(teams)).keys() & {*old, kid} == set()
    assert (await teams.count("openid"), await teams.count("keys")) == (4, 4)


@pytest.mark.parametrize("operation", ["openid", "keys", "token"])
async def test_the_doors_fail_on_demand(teams: FakeTeams, bot: Bot, operation: str) -> None:
    await teams.fail(operation, "error", status=500)
    await teams.fail(operation, "garbage")
    urls = {
        "openid": "/v1/.well-known/openidconfiguration",
        "keys": "/v1/.well-known/keys",
        "token": f"/{teams.tenant}/oauth2/v2.0/token",
    }
    async with aiohttp.ClientSession() as session:
        seen = []
        for _ in range(2):
            async with session.request(
                "POST" if operation == "token" else "GET", teams.url + urls[operation]
            ) as answer:
                seen.append((answer.status, await answer.text()))
    assert seen[0][0] == 500
    assert seen[1] == (200, '{"keys": [')
