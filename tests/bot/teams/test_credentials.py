"""The bot's own tokens: asked for once, renewed in time, and every way in which there is none."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from bot.platform import AccessLost
from bot.teams.credentials import Credentials
from holdpoint.errors import ChannelUnavailable, ConfigurationError
from holdpoint.settings import Settings
from tests.conftest import MovingClock
from tests.fakes.teams import FakeTeams
from tests.support.waiting import wait_until

GRAPH = "https://graph.microsoft.com/.default"
SECRET = "fake~app.secret"


def credentials(teams: FakeTeams, clock: MovingClock, **changes: str | None) -> Credentials:
    return Credentials(Settings(_env_file=None, **{**teams.settings, **changes}), clock=clock)


async def test_a_token_is_asked_for_once_and_renewed_five_minutes_early(teams: FakeTeams, clock: MovingClock) -> None:
    mine = credentials(teams, clock)
    first = await mine.token()
    assert [await mine.token() for _ in range(3)] == [first] * 3
    clock.forward(seconds=3_599 - 301)
    assert await mine.token() == first
    assert await teams.count("token") == 1
    clock.forward(seconds=2)
    await teams.advance(3_600)
    assert await mine.token() != first
    assert await teams.count("token") == 2


async def test_many_who_ask_at_once_ask_one_question(teams: FakeTeams, clock: MovingClock) -> None:
    mine = credentials(teams, clock)
    found = await asyncio.gather(*(mine.token() for _ in range(50)))
    assert len(set(found)) == 1
    assert await teams.count("token") == 1


async def test_each_scope_has_a_token_of_its_own(teams: FakeTeams, clock: MovingClock) -> None:
    mine = credentials(teams, clock)
    assert await mine.token() != await mine.token(GRAPH)
    await mine.token(GRAPH)
    assert await teams.count("token") == 2


@pytest.mark.parametrize(
    ("kind", "scope", "tenant"),
    [
        ("SingleTenant", None, "aaaaaaaa-0000-4000-8000-000000000001"),
        ("MultiTenant", None, "botframework.com"),
        ("MultiTenant", GRAPH, "aaaaaaaa-0000-4000-8000-000000000001"),
    ],
)
async def test_the_token_is_asked_of_the_right_tenant(
    teams: FakeTeams, clock: MovingClock, kind: str, scope: str | None, tenant: str
) -> None:
    await teams.set(tenants=[tenant])
    assert await credentials(teams, clock, MicrosoftAppType=kind).token(scope)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"MicrosoftAppPassword": "wrong~secret"}, "MicrosoftAppPassword is wrong"),
        ({"MicrosoftAppId": "99999999-2222-4333-8444-555555555555"}, "MicrosoftAppId is not known"),
        ({"MicrosoftAppTenantId": "99999999-0000-4000-8000-000000000001"}, "MicrosoftAppTenantId names no tenant"),
        ({"ToChannelFromBotOAuthScope": "https://elsewhere.example"}, "ToChannelFromBotOAuthScope"),
    ],
)
async def test_a_refusal_names_the_setting_and_never_its_value(
    teams: FakeTeams, clock: MovingClock, changes: dict[str, str], words: str
) -> None:
    mine = credentials(teams, clock, **changes)
    with pytest.raises(AccessLost, match=words) as caught:
        await mine.token()
    assert caught.value.retry_after_seconds == 30
    for value in (*changes.values(), SECRET):
        assert value not in str(caught.value)


async def test_a_refusal_is_not_asked_for_again_at_once(teams: FakeTeams, clock: MovingClock) -> None:
    await teams.set(secret="another")
    mine = credentials(teams, clock)
    results = await asyncio.gather(*(mine.token() for _ in range(20)), return_exceptions=True)
    assert {type(result) for result in results} == {AccessLost}
    assert await teams.count("token") == 1
    await teams.set(secret=SECRET)
    clock.forward(seconds=29)
    with pytest.raises(AccessLost):
        await mine.token()
    clock.forward(seconds=2)
    assert await mine.token()
    assert await teams.count("token") == 2


async def test_while_a_token_lasts_a_failing_renewal_stops_nobody(teams: FakeTeams, clock: MovingClock) -> None:
    mine = credentials(teams, clock)
    first = await mine.token()
    clock.forward(seconds=3_599 - 200)
    await teams.fail("token", status=503, times=2)
    assert await mine.token() == first
    assert await mine.token() == first
    assert await teams.count("token") == 2, "asked once, and not again at once"
    clock.forward(seconds=201)
    with pytest.raises(ChannelUnavailable):
        await mine.token()
    clock.forward(seconds=6)
    assert await mine.token()


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("error", {"status": 500}),
        ("error", {"status": 503}),
        ("error", {"status": 429}),
        ("html", {"status": 502}),
        ("html", {"status": 403}),
        ("html", {"status": 200}),
        ("garbage", {}),
        ("empty", {"status": 200}),
        ("reset", {}),
    ],
)
async def test_a_login_service_in_trouble_is_worth_another_try(
    teams: FakeTeams, clock: MovingClock, kind: str, more: dict[str, int]
) -> None:
    await teams.fail("token", kind, **more)
    mine = credentials(teams, clock)
    with pytest.raises(ChannelUnavailable) as caught:
        await mine.token()
    assert not isinstance(caught.value, AccessLost)
    assert caught.value.retry_after_seconds == 5
    clock.forward(seconds=6)
    assert await mine.token()


async def test_a_login_service_that_hangs_is_given_up(
    teams: FakeTeams, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.teams.credentials.TIMEOUT_S", 0.2)
    await teams.fail("token", "gate", name="login")
    mine = credentials(teams, clock)
    with pytest.raises(ChannelUnavailable, match="TimeoutError"):
        await mine.token()
    await teams.open_gate("login")


async def test_who_is_cancelled_takes_nobody_along(teams: FakeTeams, clock: MovingClock) -> None:
    await teams.fail("token", "gate", name="login")
    mine = credentials(teams, clock)
    first, second = asyncio.create_task(mine.token()), asyncio.create_task(mine.token())
    await teams.waits_at("login")
    first.cancel()
    await wait_until(first.done, "the first has given up")
    assert await second
    await teams.open_gate("login")


async def test_a_token_that_is_not_taken_is_dropped_unless_it_is_new(teams: FakeTeams, clock: MovingClock) -> None:
    mine = credentials(teams, clock)
    first = await mine.token()
    assert not mine.drop(first)
    assert await mine.token() == first
    clock.forward(seconds=31)
    assert mine.drop(first)
    await teams.advance(31)
    second = await mine.token()
    assert second != first
    assert mine.drop(first), "somebody else was faster: try with the new one"
    assert await mine.token() == second


Answered = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Answered], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """A login service that answers as the test wishes; its URL."""
    runners: list[web.AppRunner] = []

    async def start(answer: Answered) -> str:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


GOOD = {"access_token": "tok", "token_type": "Bearer", "expires_in": 3_599}


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        GOOD | {"access_token": None},
        GOOD | {"access_token": ""},
        GOOD | {"access_token": "two words"},
        GOOD | {"access_token": "a\r\nX-Evil: 1"},
        GOOD | {"access_token": "tökén"},
        GOOD | {"token_type": "mac"},
        GOOD | {"token_type": None},
        GOOD | {"expires_in": 0},
        GOOD | {"expires_in": -5},
        GOOD | {"expires_in": True},
        GOOD | {"expires_in": "soon"},
        GOOD | {"expires_in": 10**12},
        {"access_token": "tok", "token_type": "Bearer"},
        GOOD | {"padding": "x" * 100_000},
    ],
    ids=str,
)
async def test_an_answer_that_is_no_token_is_none(
    serve: Serve, teams: FakeTeams, clock: MovingClock, body: object
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(body)

    mine = credentials(teams, clock, ToChannelFromBotLoginUrl=await serve(answer))
    with pytest.raises(ChannelUnavailable):
        await mine.token()


async def test_a_life_in_text_counts_and_a_short_life_is_halved(
    serve: Serve, teams: FakeTeams, clock: MovingClock
) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response(GOOD | {"expires_in": "100", "token_type": "bearer"})

    mine = credentials(teams, clock, ToChannelFromBotLoginUrl=await serve(answer) + "/")
    await mine.token()
    clock.forward(seconds=49)
    await mine.token()
    assert asked == [f"/{teams.tenant}/oauth2/v2.0/token"]
    clock.forward(seconds=2)
    await mine.token()
    assert len(asked) == 2


async def test_the_secret_follows_no_redirect(serve: Serve, teams: FakeTeams, clock: MovingClock) -> None:
    reached: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        reached.append(await request.text())
        return web.json_response(GOOD)

    target = await serve(elsewhere)

    async def answer(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{target}/token")

    mine = credentials(teams, clock, ToChannelFromBotLoginUrl=await serve(answer))
    with pytest.raises(ChannelUnavailable, match="307"):
        await mine.token()
    assert not reached


async def test_what_the_service_says_about_the_secret_is_repeated_nowhere(
    serve: Serve, teams: FakeTeams, clock: MovingClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(request: web.Request) -> web.Response:
        form = await request.post()
        body = {"error": "invalid_client", "error_description": json.dumps(dict(form)), "error_codes": [424242]}
        return web.json_response(body, status=401)

    caplog.set_level(logging.DEBUG)
    mine = credentials(teams, clock, ToChannelFromBotLoginUrl=await serve(answer))
    with pytest.raises(AccessLost, match="AADSTS424242") as caught:
        await mine.token()
    assert SECRET not in str(caught.value)
    assert SECRET not in caplog.text
    assert SECRET not in repr(vars(mine))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"MicrosoftAppPassword": None}, "MicrosoftAppPassword"),
        ({"MicrosoftAppTenantId": ""}, "MicrosoftAppTenantId"),
        ({"ToChannelFromBotLoginUrl": "http://login.example"}, "ToChannelFromBotLoginUrl"),
        ({"ToChannelFromBotLoginUrl": "ftp://127.0.0.1"}, "ToChannelFromBotLoginUrl"),
    ],
)
async def test_settings_that_cannot_work_are_named_at_the_start(
    teams: FakeTeams, clock: MovingClock, changes: dict[str, str | None], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        credentials(teams, clock, **changes)


async def test_a_shared_bot_without_a_tenant_can_speak_but_not_ask_the_directory(
    teams: FakeTeams, clock: MovingClock
) -> None:
    mine = credentials(teams, clock, MicrosoftAppType="MultiTenant", MicrosoftAppTenantId="")
    assert await mine.token()
    with pytest.raises(AccessLost, match="MicrosoftAppTenantId"):
        await mine.token(GRAPH)
