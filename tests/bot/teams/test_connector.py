"""Calls to the Bot Connector: what Teams gets, what is repeated and what never, and what each refusal means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from bot.platform import AccessLost, MessageGone, NobodyThere
from bot.teams.connector import Connector, TeamsRefused
from holdpoint.clock import now_ms
from holdpoint.errors import ChannelError, ChannelRefused, ChannelUnavailable
from holdpoint.store import Store
from tests.bot.teams.outward import Outward, outward
from tests.fakes.teams import FakeTeams, channel_id, group_id, personal_id
from tests.support.ports import free_port
from tests.support.waiting import within

SECURITY = channel_id("security")
DANA = personal_id("dana")


@pytest.fixture
async def out(teams: FakeTeams, store: Store) -> AsyncIterator[Outward]:
    async with outward(teams, store, clock=now_ms) as opened:
        yield opened


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is repeated soon."""
    monkeypatch.setattr("bot.teams.courier.FIRST_PAUSE_S", 0.03)


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is not repeated: there is no time for the pause."""
    monkeypatch.setattr("bot.teams.courier.FIRST_PAUSE_S", 30)


@pytest.fixture
async def hurry(out: Outward, monkeypatch: pytest.MonkeyPatch, soon: None) -> None:
    """And gives up soon; but an attempt that is made has time enough, whatever else this machine does."""
    await out.credentials.token()
    monkeypatch.setattr("bot.teams.courier.BUDGET_S", 2.6)
    monkeypatch.setattr("bot.teams.courier.LEAST_S", 2.0)


def text(words: str = "hello") -> dict[str, Any]:
    return {"type": "message", "text": words}


async def everything(out: Outward, conversation: str, message: str, name: str) -> object:
    """One call of each kind, by its name in the fake."""
    connector = out.connector
    match name:
        case "post":
            return await connector.post(conversation, text())
        case "update":
            return await connector.update(conversation, message, text("new"))
        case "delete":
            return await connector.delete(conversation, message)
        case "member":
            return await connector.member(conversation, out.teams.people["kim"].id)
        case _:
            return await connector.members(conversation)


OPERATIONS = ("post", "update", "delete", "member", "pagedmembers")


async def test_a_message_is_posted_replied_to_updated_and_deleted(out: Outward) -> None:
    root = await out.connector.post(SECURITY, text("root"))
    reply = await out.connector.reply(SECURITY, root, text("reply"))
    await out.connector.update(SECURITY, root, text("changed"))
    first, second = await out.teams.messages("security")
    assert (first.id, first.text, first.edits, first.is_reply) == (root, "changed", 1, False)
    assert (second.id, second.text, second.root) == (reply, "reply", root)
    await out.connector.delete(SECURITY, root)
    assert [message.id for message in await out.teams.messages("security")] == [reply]


@pytest.mark.parametrize("place", [group_id("huddle"), DANA], ids=["group chat", "personal chat"])
async def test_where_there_are_no_threads_a_reply_is_a_message(out: Outward, place: str) -> None:
    root = await out.connector.post(place, text("root"))
    reply = await out.connector.reply(place, root, text("reply"))
    found = (await out.teams.calls("post", place=place))[-1]
    assert found.body["conversation"] == {"id": place}
    assert [message.id for message in await out.teams.messages(place)] == [root, reply]


async def test_an_activity_says_who_speaks_and_where(out: Outward) -> None:
    root = await out.connector.post(SECURITY, {"type": "message", "text": "x", "from": {"id": "29:mallory"}})
    await out.connector.reply(SECURITY, root, text())
    first, second = await out.teams.calls("post")
    assert first.body["from"] == second.body["from"] == {"id": f"28:{out.teams.app_id}"}
    assert first.body["conversation"] == {"id": SECURITY}
    assert second.body["conversation"] == {"id": f"{SECURITY};messageid={root}"}


async def test_a_thread_in_an_id_makes_no_difference(out: Outward) -> None:
    root = await out.connector.post(f"{SECURITY};messageid=1", text())
    (message,) = await out.teams.messages("security")
    assert message.id == root


async def test_the_roster_has_everybody_page_by_page(out: Outward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.teams.connector.PAGE", 2)
    names = [member["name"] for member in await out.connector.members(SECURITY)]
    assert names == [f"{name.capitalize()} Example" for name in ("dana", "sam", "kim", "lee", "ola")]
    assert len(await out.teams.calls("pagedmembers")) == 3
    assert {call.conversation for call in await out.teams.calls("pagedmembers")} == {channel_id("General")}
    assert len(await out.connector.members(group_id("huddle"))) == 5


async def test_a_member_is_found_or_is_not_there(out: Outward) -> None:
    kim = out.teams.people["kim"]
    found = await out.connector.member(SECURITY, kim.id)
    assert found is not None
    assert found["email"] == kim.email
    assert await out.connector.member(SECURITY, "29:nobody") is None
    await out.teams.vanish("General")
    with pytest.raises(TeamsRefused):
        await out.connector.member(SECURITY, kim.id)


async def test_a_personal_chat_is_opened_and_is_always_the_same(out: Outward) -> None:
    place = await out.places.get(SECURITY)
    assert place is not None
    kim = out.teams.user("kim")
    assert await out.connector.open_personal(place, kim.id) == kim.chat
    assert await out.connector.open_personal(place, kim.id) == kim.chat
    await kim.uninstall(tell=False)
    with pytest.raises(NobodyThere):
        await out.connector.open_personal(place, kim.id)
    await kim.install(tell=False)
    await out.teams.fail("create", "reset", committed=True)
    assert await out.connector.open_personal(place, kim.id) == kim.chat, "asking twice does no harm"


async def test_an_unknown_conversation_is_told_how_to_become_known(out: Outward) -> None:
    with pytest.raises(ChannelRefused, match="add the app to the team or chat, or mention it there"):
        await out.connector.post(channel_id("nowhere"), text())
    assert not await out.teams.calls()


async def test_a_conversation_that_moved_is_looked_up_once_more(out: Outward, store: Store) -> None:
    await out.connector.post(SECURITY, text("before"))
    moved_to = await out.teams.move("emea")
    real = out.places.get
    asked = 0

    async def get(conversation: str) -> Any:
        nonlocal asked
        asked += 1
        found = await real(conversation)
        return found if asked == 1 or found is None else replace(found, service_url=moved_to)

    out.places.get = get  # type: ignore[method-assign]  # another bot hears of it at this very moment
    await out.connector.post(SECURITY, text("after"))
    assert [message.text for message in await out.teams.messages("security")] == ["before", "after"]
    assert asked == 2


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("BotNotInConversationRoster", "add the app to the team or chat again"),
        ("BotDisabledByAdmin", "administrator"),
        ("MessageWritesBlocked", "removed or blocked"),
    ],
)
async def test_a_bot_that_was_put_out_is_told_so(out: Outward, operation: str, code: str, words: str) -> None:
    message = await out.connector.post(SECURITY, text())
    await out.teams.trouble("General", code)
    await out.teams.trouble("security", code)
    with pytest.raises(TeamsRefused, match=words) as caught:
        await everything(out, SECURITY, message, operation)
    assert (caught.value.status, caught.value.code) == (403, code)
    assert len([call for call in await out.teams.calls(operation) if call.status == 403]) == 1, "asked once"


@pytest.mark.parametrize("how", ["uninstalled", "blocked"])
async def test_a_person_without_the_app_is_nobody_there(out: Outward, how: str) -> None:
    dana = out.teams.user("dana")
    await (dana.uninstall(tell=False) if how == "uninstalled" else dana.change(blocked=True))
    with pytest.raises(NobodyThere):
        await out.connector.post(DANA, text())


@pytest.mark.parametrize("operation", ["update", "delete"])
async def test_a_deleted_message_is_gone(out: Outward, operation: str) -> None:
    message = await out.connector.post(SECURITY, text())
    await out.connector.delete(SECURITY, message)
    with pytest.raises(MessageGone):
        await everything(out, SECURITY, message, operation)


async def test_a_deleted_conversation_is_refused(out: Outward) -> None:
    await out.teams.vanish("security")
    with pytest.raises(TeamsRefused, match="ConversationNotFound: the conversation was deleted"):
        await out.connector.post(SECURITY, text())


async def test_a_message_that_is_too_large_is_refused_once(out: Outward) -> None:
    with pytest.raises(TeamsRefused, match="too large") as caught:
        await out.connector.post(SECURITY, text("x" * 20_000))
    assert caught.value.status == 413
    assert len(await out.teams.calls("post")) == 1
    assert await out.teams.take_problems()


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 412, "code": "PreconditionFailed"},
        {"status": 429, "code": "Throttled", "retry_after": "0"},
        {"status": 502},
        {"status": 504},
        {"kind": "html", "status": 502},
        {"kind": "empty", "status": 504},
    ],
    ids=str,
)
async def test_what_microsoft_says_to_repeat_is_repeated(out: Outward, operation: str, fault: dict[str, Any]) -> None:
    message = await out.connector.post(SECURITY, text())
    await out.teams.fail(operation, **{"times": 2, **fault})
    await everything(out, SECURITY, message, operation)
    assert len(await out.teams.calls(operation)) == (4 if operation == "post" else 3)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(
    ("operation", "fault", "is_certain"),
    [
        ("post", {"status": 412}, True),
        ("post", {"status": 429}, True),
        ("post", {"status": 429, "retry_after": "60"}, True),
        ("post", {"status": 502}, False),
        ("post", {"status": 504}, False),
        ("post", {"status": 500}, False),
        ("post", {"status": 503}, False),
        ("post", {"kind": "reset"}, False),
        ("post", {"kind": "reset", "committed": True}, False),
        ("post", {"kind": "garbage", "committed": True}, False),
        ("update", {"status": 412}, True),
        ("update", {"status": 502}, False),
        ("update", {"kind": "reset"}, False),
        ("pagedmembers", {"status": 504}, True),
        ("pagedmembers", {"kind": "reset"}, True),
        ("pagedmembers", {"kind": "garbage"}, False),
        ("member", {"kind": "garbage"}, False),
    ],
    ids=str,
)
async def test_what_stays_broken_waits_and_says_whether_it_had_an_effect(
    out: Outward, operation: str, fault: dict[str, Any], *, is_certain: bool
) -> None:
    message = await out.connector.post(SECURITY, text())
    await out.teams.fail(operation, **{"times": 99, **fault})
    with pytest.raises(ChannelUnavailable) as caught:
        async with within(3):
            await everything(out, SECURITY, message, operation)
    assert not isinstance(caught.value, AccessLost)
    assert (caught.value.retry_after_seconds is not None) == is_certain
    await out.teams.heal()


async def test_a_retry_after_is_what_is_waited_for(out: Outward) -> None:
    await out.teams.fail("post", status=429, code="Throttled", retry_after="60")
    with pytest.raises(ChannelUnavailable) as caught:
        await out.connector.post(SECURITY, text())
    assert caught.value.retry_after_seconds == 60
    with pytest.raises(ChannelUnavailable) as caught:
        await out.connector.post(SECURITY, text())
    assert 58 < (caught.value.retry_after_seconds or 0) <= 60
    assert len(await out.teams.calls("post")) == 1, "Teams is not asked meanwhile"
    await out.connector.post(channel_id("second"), text())
    assert await out.connector.members(SECURITY), "only messages, and only there"


@pytest.mark.parametrize("kind", ["reset", "slow"])
async def test_a_post_whose_connection_broke_is_never_repeated(
    out: Outward, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("bot.teams.courier.ATTEMPT_S", 1.0)  # enough for Teams to take the message
    await out.teams.fail("post", kind, committed=True, seconds=30)
    with pytest.raises(ChannelUnavailable) as caught:
        await out.connector.post(SECURITY, text())
    assert caught.value.retry_after_seconds is None
    assert len(await out.teams.messages("security")) == 1
    assert len(await out.teams.calls("post")) == 1


async def test_a_post_after_a_502_may_be_there_whatever_comes_then(out: Outward) -> None:
    await out.credentials.token()
    await out.teams.fail("post", status=502)
    await out.teams.fail("post", status=429, retry_after="60")
    with pytest.raises(ChannelUnavailable) as caught:
        await out.connector.post(SECURITY, text())
    assert caught.value.retry_after_seconds is None
    assert len(await out.teams.calls("post")) == 2


@pytest.mark.parametrize("operation", ["update", "delete", "pagedmembers"])
async def test_what_may_be_done_twice_is_repeated_after_a_broken_connection(out: Outward, operation: str) -> None:
    message = await out.connector.post(SECURITY, text())
    await out.teams.fail(operation, "reset")
    await everything(out, SECURITY, message, operation)


@pytest.mark.usefixtures("once")
async def test_a_service_that_cannot_be_reached_has_certainly_done_nothing(out: Outward) -> None:
    place = await out.places.get(SECURITY)
    assert place is not None
    await out.places.opened(replace(place, service_url=f"http://127.0.0.1:{free_port()}/"))
    with pytest.raises(ChannelUnavailable, match="cannot be reached: ClientConnectorError") as caught:
        await out.connector.post(SECURITY, text(), can_wait=True)
    assert caught.value.retry_after_seconds is not None


@pytest.fixture
async def other_server() -> AsyncIterator[tuple[str, list[str]]]:
    """A server that answers every call with a redirect to itself; its URL, and the tokens that it saw there."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/stolen":
            seen.append(request.headers.get("Authorization", ""))
            return web.json_response({"id": "1"})
        return web.Response(status=307, headers={"Location": "/stolen"})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
    await runner.cleanup()


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_no_redirect_is_followed(out: Outward, other_server: tuple[str, list[str]], operation: str) -> None:
    url, seen = other_server
    place = await out.places.get(SECURITY)
    assert place is not None
    await out.places.opened(replace(place, service_url=url))
    with pytest.raises(ChannelUnavailable, match="redirect"):
        await everything(out, SECURITY, "1", operation)
    assert not seen


@pytest.mark.parametrize("url", ["http://smba.example/amer/", "ftp://127.0.0.1/", "//smba.example/", "", "https:///x"])
async def test_the_token_goes_to_no_address_that_is_not_safe(out: Outward, url: str) -> None:
    place = await out.places.get(SECURITY)
    assert place is not None
    await out.places.opened(replace(place, service_url=url))
    with pytest.raises(ChannelRefused, match="neither https nor on this machine"):
        await out.connector.post(SECURITY, text())


@pytest.mark.usefixtures("once")
async def test_an_answer_without_an_end_is_cut_off(out: Outward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.teams.courier.MOST_BYTES", 50)
    with pytest.raises(ChannelUnavailable) as caught:
        await out.connector.members(SECURITY)
    assert "ValueError" in str(caught.value)


async def test_a_token_that_is_not_taken_any_more_is_renewed_once(teams: FakeTeams, store: Store) -> None:
    ahead_ms = 0
    async with outward(teams, store, clock=lambda: now_ms() + ahead_ms) as out:
        await teams.revoke(await out.credentials.token())
        ahead_ms = 60_000
        await teams.advance(60)
        await out.connector.post(SECURITY, text())
        assert [call.status for call in await teams.calls("post")] == [401, 201]


async def test_a_bot_that_teams_does_not_know_has_lost_its_access(out: Outward) -> None:
    await out.teams.set(registered=False)
    for _ in range(3):
        with pytest.raises(AccessLost, match="check MicrosoftAppId") as caught:
            await out.connector.post(SECURITY, text())
        assert caught.value.retry_after_seconds == 30
    assert await out.teams.count("token") == 1, "a new token is asked for no more often than it can help"


async def test_a_wrong_secret_is_lost_access_too(teams: FakeTeams, store: Store) -> None:
    async with outward(teams, store, clock=now_ms, MicrosoftAppPassword="wrong") as out:
        with pytest.raises(AccessLost, match="MicrosoftAppPassword"):
            await out.connector.post(SECURITY, text())
        assert not await teams.calls()


async def test_a_login_service_that_is_away_leaves_nothing_in_doubt(out: Outward) -> None:
    await out.teams.fail("token", status=503)
    with pytest.raises(ChannelUnavailable) as caught:
        await out.connector.post(SECURITY, text())
    assert caught.value.retry_after_seconds == 5


async def test_writes_to_one_conversation_never_overlap(out: Outward) -> None:
    await out.teams.set(rates=False)
    message = await out.connector.post(SECURITY, text())
    await asyncio.gather(
        out.connector.reply(SECURITY, message, text()),
        *(out.connector.update(SECURITY, message, text(str(number))) for number in range(4)),
    )
    assert await out.teams.count("overlaps") == 0
    assert {call.status for call in await out.teams.calls()} <= {200, 201}


async def test_who_asks_at_the_same_moment_is_paced_like_who_asks_in_turn(out: Outward) -> None:
    message = await out.connector.post(SECURITY, text())
    await asyncio.gather(*(out.connector.update(SECURITY, message, text(str(number))) for number in range(9)))
    assert [call.status for call in await out.teams.calls("update")] == [200] * 9


async def test_conversations_do_not_wait_for_each_other(out: Outward) -> None:
    await out.teams.fail("post", "gate", name="stuck", conversation="security")
    stuck = asyncio.create_task(out.connector.post(SECURITY, text()))
    await out.teams.waits_at("stuck")
    await out.connector.post(channel_id("second"), text())
    assert await out.connector.members(SECURITY), "nor does a question wait for a message"
    assert not stuck.done()
    await out.teams.open_gate("stuck")
    assert await stuck


@pytest.mark.usefixtures("hurry")
async def test_who_queues_too_long_is_sent_away_unheard(out: Outward) -> None:
    await out.teams.fail("post", "gate", name="stuck")
    first, second = (asyncio.create_task(out.connector.post(SECURITY, text())) for _ in range(2))
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert all(isinstance(result, ChannelUnavailable) for result in results)
    assert [getattr(result, "retry_after_seconds", None) is None for result in results] == [True, False]
    await out.teams.open_gate("stuck")


async def test_a_burst_keeps_to_the_rates_and_what_can_wait_goes_last(out: Outward) -> None:
    message = await out.connector.post(SECURITY, text())
    for _ in range(3):
        await out.connector.update(SECURITY, message, text(), can_wait=True)
    with pytest.raises(ChannelUnavailable) as caught:
        await out.connector.update(SECURITY, message, text(), can_wait=True)
    assert 0 < (caught.value.retry_after_seconds or 0) <= 2
    await out.connector.update(SECURITY, message, text())
    assert len(await out.teams.calls("update")) == 4
    for _ in range(4):
        await out.connector.update(SECURITY, message, text())
    assert {call.status for call in await out.teams.calls()} <= {200, 201}, "the fake counts them as Teams does"


async def test_nothing_of_a_message_or_a_token_gets_into_an_error(out: Outward) -> None:
    token = await out.credentials.token()
    for fault in ({"status": 400, "code": "BadSyntax"}, {"status": 403, "code": "secret words of\nthe service"}):
        await out.teams.fail("post", **fault)
        with pytest.raises(ChannelError) as caught:
            await out.connector.post(SECURITY, text("the admin password"))
        assert "planned" not in str(caught.value)
        assert "secret words" not in str(caught.value)
        assert "password" not in str(caught.value)
        assert token not in str(caught.value)


async def test_a_closed_connector_says_so(teams: FakeTeams, store: Store) -> None:
    async with outward(teams, store, clock=now_ms) as out:
        connector: Connector = out.connector
    with pytest.raises(ChannelUnavailable, match="closed"):
        await connector.post(SECURITY, text())


async def test_ids_are_quoted_into_the_address(out: Outward) -> None:
    with pytest.raises(ChannelRefused):
        await out.connector.update(SECURITY, "../../../x?y#z", text())
    (call,) = await out.teams.calls("update")
    assert call.message == "../../../x?y#z"


async def test_characters_that_are_none_break_nothing(out: Outward) -> None:
    await out.connector.post(SECURITY, text("\ud800 \U0001f600"))
