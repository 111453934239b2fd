"""What people can do at the fake's clients, and what the bot is sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fakes.teams import CannotDo, FakeTeams, channel_id, personal_id
from tests.fakes.teams.conftest import Bot, card, execute, posted, shown
from tests.fakes.teams.things import ADAPTIVE, BOT, Json
from tests.support.waiting import wait_until


def inline(*inputs: Json) -> Json:
    inside = {"type": "AdaptiveCard", "body": list(inputs), "actions": [execute("reject")]}
    return {"type": "Action.ShowCard", "title": "Reject…", "card": inside}


async def test_a_click_is_an_invoke_and_its_answer_is_shown_to_who_clicked(teams: FakeTeams, bot: Bot) -> None:
    message = await posted(
        teams, bot, inline({"type": "Input.Text", "id": "reason", "value": "was"}), execute("approve", id="a1")
    )
    bot.reply = shown("Rejected")
    result = await teams.user("kim").click(message, "reject", {"reason": "no"})
    assert (result.kind, result.seen) == ("card", "Rejected")
    [(header, activity)] = bot.got
    assert header is not None
    kim = teams.people["kim"]
    assert activity["type"] == "invoke"
    assert activity["name"] == "adaptiveCard/action"
    data = {"verb": "reject", "hold": "h d", "reason": "no"}
    assert activity["value"] == {
        "action": {"type": "Action.Execute", "title": "Reject", "verb": "reject", "data": data},
        "trigger": "manual",
    }
    assert activity["from"] == {"id": kim.id, "name": "Kim Example", "aadObjectId": kim.aad}
    place = {"conversationType": "channel", "tenantId": teams.tenant, "isGroup": True}
    assert activity["conversation"] == {**place, "id": f"{channel_id('security')};messageid={message.id}"}
    assert activity["replyToId"] == message.id
    assert activity["serviceUrl"] == teams.service_url
    assert activity["channelData"]["tenant"] == {"id": teams.tenant}
    assert activity["recipient"] == {"id": BOT, "name": "Holdpoint"}
    assert (await teams.user("kim").look(message)).seen == "Rejected"
    assert (await teams.user("sam").look(message)).titles == ["Reject…", "Reject", "Approve"]
    with pytest.raises(CannotDo, match="no button 'approve'"):
        await teams.user("kim").click(message, "approve")
    assert (await teams.user("sam").click(message, "a1")).kind == "card"


WRONG_ANSWERS: dict[str, tuple[int, Any]] = {
    "HTTP 500": (500, {"statusCode": 200, "type": ADAPTIVE, "value": card("x")}),
    "HTTP 202": (202, {"statusCode": 200, "type": ADAPTIVE, "value": card("x")}),
    "no body": (200, None),
    "no invoke response": (200, card("x")),
    "too much in it": (200, {**shown("x"), "body": {}}),
    "a status that is text": (200, {**shown("x"), "statusCode": "200"}),
    "an error's status that is text": (
        200,
        {"statusCode": "400", "type": "application/vnd.microsoft.error", "value": {"code": "a", "message": "b"}},
    ),
    "a card with an error's status": (200, {**shown("x"), "statusCode": 400}),
    "a bad card": (200, shown("x", version="2.0")),
    "a stranger in userIds": (200, shown("x", refresh={"action": execute("refresh"), "userIds": ["29:x"]})),
    "a card that is too big": (200, shown("x" * 20_000)),
    "an unknown type": (200, {"statusCode": 200, "type": "text/plain", "value": "x"}),
    "a message that is no text": (
        200,
        {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": {}},
    ),
    "an error without words": (
        200,
        {"statusCode": 400, "type": "application/vnd.microsoft.error", "value": {"code": "BadRequest"}},
    ),
    "an error that is none": (
        200,
        {"statusCode": 200, "type": "application/vnd.microsoft.error", "value": {"code": "a", "message": "b"}},
    ),
}


@pytest.mark.parametrize(("status", "body"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS.keys())
async def test_a_wrong_answer_is_something_went_wrong(teams: FakeTeams, bot: Bot, status: int, body: Any) -> None:
    message = await posted(teams, bot, execute("approve"))
    bot.status, bot.reply = status, body
    result = await teams.user("kim").click(message, "approve")
    assert result.kind == "wrong"
    assert result.attempts == (3 if status == 500 else 1)
    assert len(await teams.take_problems()) == 1
    assert await teams.user("kim").told() == ["Something went wrong. Please try again."]
    assert not (await teams.user("kim").look(message)).refreshed


async def test_messages_and_errors_are_told_in_passing(teams: FakeTeams, bot: Bot) -> None:
    message = await posted(teams, bot, execute("approve"))
    bot.reply = {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "Noted"}
    assert (await teams.user("kim").click(message, "approve")).said == "Noted"
    error = {"code": "Forbidden", "message": "You may not"}
    bot.reply = {"statusCode": 403, "type": "application/vnd.microsoft.error", "value": error}
    result = await teams.user("kim").click(message, "approve")
    assert (result.kind, result.value) == ("error", {"status": 403, **error})
    assert await teams.user("kim").told() == ["Noted", "You may not"]
    assert await teams.user("sam").told() == []


async def test_who_waits_too_long_tries_twice_more_with_the_same_activity(teams: FakeTeams, bot: Bot) -> None:
    message = await posted(teams, bot, execute("approve"))
    await teams.set(invoke_s=0.05)
    bot.gate, bot.reply = asyncio.Event(), shown("Late")
    result = await teams.user("kim").click(message, "approve")
    assert (result.kind, result.statuses) == ("wrong", [0, 0, 0])
    await wait_until(lambda: len(bot.got) == 3, "the last one has arrived, too")
    assert len({activity["id"] for _, activity in bot.got}) == 1
    assert await teams.count("late") == 3
    bot.gate.set()
    assert not (await teams.user("kim").look(message)).refreshed
    await teams.take_problems()


@pytest.mark.parametrize("delivered", ["a click", "a message"])
async def test_everything_may_come_twice(teams: FakeTeams, bot: Bot, delivered: str) -> None:
    message = await posted(teams, bot, execute("approve"))
    bot.reply = shown("Done")
    await teams.set(copies=2)
    kim = teams.user("kim")
    result = await (kim.click(message, "approve") if delivered == "a click" else kim.say("help", "security"))
    assert len(result.answers) == 2
    assert bot.got[0][1] == bot.got[1][1]


@pytest.mark.parametrize("key", ["stranger", "sam"])
async def test_only_members_see_a_place(teams: FakeTeams, bot: Bot, key: str) -> None:
    await teams.add_person("stranger")
    message = await posted(teams, bot, execute("approve"))
    await teams.leave("security", "sam")
    for attempt in (
        teams.user(key).click(message, "approve"),
        teams.user(key).messages("security"),
        teams.user(key).say("hi", "second"),
    ):
        with pytest.raises(CannotDo, match="is not in"):
            await attempt


async def test_a_card_refreshes_by_itself_for_those_it_names(teams: FakeTeams, bot: Bot) -> None:
    refresh = {"action": execute("refresh"), "userIds": [teams.people["kim"].id]}
    message = await posted(teams, bot, execute("approve"), refresh=refresh)
    bot.reply = shown("Yours", actions=[execute("claim")])
    assert (await teams.user("sam").open(message)).kind == "nothing"
    assert bot.got == []
    assert (await teams.user("kim").open(message)).seen == "Yours\nClaim"
    assert (await teams.user("sam").refresh(message)).kind == "card"
    assert [activity["value"]["trigger"] for _, activity in bot.got] == ["automatic", "manual"]
    assert (await teams.user("kim").messages("security"))[-1].titles == ["Claim"]
    with pytest.raises(CannotDo, match="no refresh"):
        await teams.user("kim").refresh(message)


async def test_an_old_client_sends_the_fallback_as_a_message(teams: FakeTeams, bot: Bot) -> None:
    message = await posted(teams, bot, execute("approve"), execute("claim", fallback="drop"))
    result = await teams.user("kim").click(message, "approve", old_client=True)
    assert result.kind == "sent"
    [(_, activity)] = bot.got
    assert (activity["type"], activity["value"], activity["replyToId"]) == (
        "message",
        {"verb": "approve", "hold": "h d"},
        message.id,
    )
    assert "text" not in activity
    with pytest.raises(CannotDo, match="no button"):
        await teams.user("kim").click(message, "claim", old_client=True)


async def test_the_bot_only_hears_what_is_said_to_it(teams: FakeTeams, bot: Bot) -> None:
    kim = teams.user("kim")
    assert (await kim.say("hello all", "security", mention=False)).kind == "nothing"
    assert (await kim.say("help <b>", "security")).kind == "sent"
    root = (await teams.messages("security"))[-1]
    await kim.say("again", "security", thread=root.id)
    await kim.say("pending")
    first, second, third = (activity for _, activity in bot.got)
    assert first["text"] == "<at>Holdpoint</at> help <b>"
    assert {"type": "mention", "mentioned": {"id": BOT, "name": "Holdpoint"}, "text": "<at>Holdpoint</at>"} in first[
        "entities"
    ]
    assert (
        first["conversation"]["id"] == second["conversation"]["id"] == f"{channel_id('security')};messageid={root.id}"
    )
    assert (third["text"], third["conversation"]["id"]) == ("pending", personal_id("kim"))
    assert third["conversation"]["conversationType"] == "personal"
    assert "isGroup" not in third["conversation"]
