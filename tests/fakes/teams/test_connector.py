"""The fake connector refuses what Teams refuses: a row for each rule."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.fakes.teams import FakeTeams, channel_id, personal_id
from tests.fakes.teams.conftest import Bot, attached, with_card
from tests.fakes.teams.things import BOT, Json

HELLO: Json = {"type": "message", "text": "hello"}


def mention(person: str, text: str) -> Json:
    return {"type": "mention", "text": text, "mentioned": {"id": person, "name": "Kim"}}


BAD: dict[str, Any] = {
    "no activity": ["x"],
    "no type": {"text": "x"},
    "another type": {"type": "invoke", "text": "x"},
    "nothing in it": {"type": "message", "text": ""},
    "text that is no text": {"type": "message", "text": 5},
    "a field that activities do not have": {**HELLO, "colour": "red"},
    "another format": {**HELLO, "textFormat": "html"},
    "somebody else's name": {**HELLO, "from": {"id": "29:kim"}},
    "another conversation than the address": {**HELLO, "conversation": {"id": "19:other@thread.tacv2"}},
    "attachments that are no list": {"type": "message", "attachments": attached({})},
    "an unknown attachment": {"type": "message", "attachments": [{"contentType": "application/json", "content": {}}]},
    "an attachment that is no object": {"type": "message", "attachments": ["x"]},
    "entities that are no list": {**HELLO, "entities": {}},
    "a value": {**HELLO, "value": {}},
    "a bad card": with_card(version="1.6"),
    "no card": {"type": "message", "attachments": [attached("x")]},
    "a stranger in userIds": with_card(
        refresh={"action": {"type": "Action.Execute", "verb": "r"}, "userIds": ["29:stranger"]}
    ),
    "a stranger mentioned": {"type": "message", "text": "<at>Kim</at>", "entities": [mention("29:x", "<at>Kim</at>")]},
    "a mention that is not in the text": {**HELLO, "entities": [mention(BOT, "<at>Kim</at>")]},
    "a mention without the tag": {**HELLO, "entities": [mention(BOT, "hello")]},
    "a mention of nobody": {
        "type": "message",
        "text": "<at>K</at>",
        "entities": [{"type": "mention", "text": "<at>K</at>"}],
    },
    "a mention that is not in the card": with_card(msteams={"entities": [mention(BOT, "<at>Kim</at>")]}),
}


@pytest.mark.parametrize("activity", BAD.values(), ids=BAD.keys())
async def test_a_bad_activity_is_refused_and_noted(teams: FakeTeams, bot: Bot, activity: Any) -> None:
    status, answer = await bot.post("security", activity)
    assert (status, answer["error"]["code"]) == (400, "BadSyntax")
    assert len(await teams.take_problems()) == 1
    assert await teams.messages("security") == []


async def test_a_good_one_is_posted_mentions_and_all(teams: FakeTeams, bot: Bot) -> None:
    kim = teams.people["kim"].id
    card = with_card(
        body=[{"type": "TextBlock", "text": "Hello <at>Kim</at>"}],
        msteams={"width": "Full", "entities": [mention(kim, "<at>Kim</at>")]},
        refresh={"action": {"type": "Action.Execute", "verb": "r"}, "userIds": [kim]},
    )
    whole = {**card, "summary": "one to decide", "from": {"id": BOT}, "conversation": {"id": channel_id("security")}}
    status, answer = await bot.post("security", whole)
    assert status == 201
    [message] = await teams.messages("security")
    assert (message.id, message.sender, message.seen, message.summary) == (
        answer["id"],
        "bot",
        "Hello <at>Kim</at>",
        "one to decide",
    )


@pytest.mark.parametrize(("place", "most"), [("security", 28 * 1024), ("huddle", 100 * 1024)])
async def test_a_message_has_a_size_in_utf_16(teams: FakeTeams, bot: Bot, place: str, most: int) -> None:
    around = len('{"type":"message","text":""}') * 2
    fits = (most - around) // 4
    assert (await bot.post(place, {"type": "message", "text": "😀" * fits}))[0] == 201
    status, answer = await bot.post(place, {"type": "message", "text": "😀" * (fits + 1)})
    assert (status, answer["error"]["code"]) == (413, "MessageSizeTooBig")
    await teams.set(channel_bytes=200_000, chat_bytes=200_000)
    assert (await bot.post(place, {"type": "message", "text": "😀" * (fits + 1)}))[0] == 201
    await teams.take_problems()


async def test_the_thread_is_in_the_address(teams: FakeTeams, bot: Bot) -> None:
    root = (await bot.post("security", HELLO))[1]["id"]
    under = (await bot.post("security", HELLO, thread=root))[1]["id"]
    again = (await bot.post("security", HELLO, thread=under))[1]["id"]
    conversation = quote(channel_id("security"), safe="")
    beside = (await bot.call("POST", f"/conversations/{conversation}/activities/{root}", HELLO))[1]["id"]
    found = {each.id: each.root for each in await teams.messages("security")}
    assert found == {root: root, under: root, again: root, beside: beside}
    [message] = [each for each in await teams.messages("security") if each.id == root]
    assert [each.id for each in await teams.thread(message)] == [under, again]


async def test_an_update_takes_every_persons_own_view_away(teams: FakeTeams, bot: Bot) -> None:
    refreshing = {"action": {"type": "Action.Execute", "verb": "r"}, "userIds": [teams.people["kim"].id]}
    await bot.post("security", with_card(refresh=refreshing))
    [message] = await teams.cards("security")
    content = {"type": "AdaptiveCard", "version": "1.5", "body": [{"type": "TextBlock", "text": "Yours"}]}
    bot.reply = {"statusCode": 200, "type": attached(None)["contentType"], "value": content}
    kim = teams.user("kim")
    assert (await kim.open(message)).kind == "card"
    assert ((await kim.look(message)).seen, (await kim.look(message)).refreshed) == ("Yours", True)
    assert (await bot.put("security", message.id, with_card(body=[{"type": "TextBlock", "text": "Done"}])))[0] == 200
    now = await kim.look(message)
    assert (now.seen, now.refreshed, now.edits, len(now.history)) == ("Done", False, 1, 1)


async def test_a_deleted_message_is_gone(teams: FakeTeams, bot: Bot) -> None:
    made = (await bot.post("security", HELLO))[1]["id"]
    path = f"/conversations/{quote(channel_id('security'), safe='')}/activities/{made}"
    assert await bot.call("DELETE", path) == (200, None)
    for method in ("PUT", "DELETE", "POST"):
        status, answer = await bot.call(method, path, HELLO if method != "DELETE" else None)
        assert (status, answer["error"]["code"]) == (404, "ActivityNotFoundInConversation")


async def test_only_its_own_messages_can_be_changed(teams: FakeTeams, bot: Bot) -> None:
    said = await teams.user("kim").say("hello", "security", mention=False)
    assert said.kind == "nothing"
    assert said.message is not None
    status, answer = await bot.put("security", said.message["id"], HELLO)
    assert (status, answer["error"]["code"]) == (403, "NotEnoughPermissions")


async def test_a_message_that_somebody_removed_is_gone(teams: FakeTeams, bot: Bot) -> None:
    made = (await bot.post("security", HELLO))[1]["id"]
    await teams.remove((await teams.messages("security"))[0])
    assert (await bot.put("security", made, HELLO))[0] == 404
    assert await teams.messages("security") == []


@pytest.mark.parametrize("token", ["", "x.y.z", "other"])
async def test_who_has_no_token_is_told_nothing(teams: FakeTeams, bot: Bot, token: str) -> None:
    if token == "other":
        token = (await bot.login(scope="https://graph.microsoft.com/.default"))[1]["access_token"]
    conversation = quote(channel_id("security"), safe="")
    status, answer = await bot.call("POST", f"/conversations/{conversation}/activities", HELLO, token=token)
    assert (status, answer["error"]["code"]) == (401, "Unauthorized")


async def test_a_token_ends(teams: FakeTeams, bot: Bot) -> None:
    assert (await bot.post("security", HELLO))[0] == 201
    await teams.advance(3590)
    assert (await bot.post("security", HELLO))[0] == 201
    await teams.advance(20)
    assert (await bot.post("security", HELLO))[0] == 401
    bot.token = ""
    assert (await bot.post("security", HELLO))[0] == 201
    await teams.revoke(bot.token)
    assert (await bot.post("security", HELLO))[0] == 401


@pytest.mark.parametrize(
    "code", ["BotNotInConversationRoster", "BotDisabledByAdmin", "MessageWritesBlocked", "ConversationBlockedByUser"]
)
async def test_trouble_with_a_place_is_403(teams: FakeTeams, bot: Bot, code: str) -> None:
    await teams.trouble("security", code)
    status, answer = await bot.post("security", HELLO)
    assert (status, answer["error"]["code"]) == (403, code)
    assert (await bot.post("second", HELLO))[0] == 201


async def test_where_the_app_is_removed_it_says_nothing(teams: FakeTeams, bot: Bot) -> None:
    await teams.uninstall("security")
    await teams.user("kim").uninstall()
    await teams.user("sam").change(blocked=True)
    assert [each["action"] for _, each in bot.got if each["type"] == "installationUpdate"] == ["remove", "remove"]
    refused = [await bot.post(place, HELLO) for place in ("security", "second", personal_id("kim"), personal_id("sam"))]
    codes = [(status, answer["error"]["code"]) for status, answer in refused]
    assert codes == [(403, "BotNotInConversationRoster")] * 3 + [(403, "MessageWritesBlocked")]


async def test_an_unknown_place_is_not_found(teams: FakeTeams, bot: Bot) -> None:
    await teams.vanish("second")
    for place in ("19:nowhere@thread.tacv2", "second"):
        status, answer = await bot.post(place, HELLO)
        assert (status, answer["error"]["code"]) == (404, "ConversationNotFound")
    assert (await bot.post("security", HELLO, thread="1"))[0] == 404


async def test_a_moved_service_url_is_only_known_from_what_teams_sends(teams: FakeTeams, bot: Bot) -> None:
    moved = await teams.move("emea")
    assert (await bot.post("security", HELLO))[0] == 404
    await teams.user("kim").say("hi", "security")
    assert bot.got[-1][1]["serviceUrl"] == moved
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {bot.token}"}) as session:
        url = f"{moved}v3/conversations/{channel_id('security')}/activities"
        async with session.post(url, json=HELLO) as answer:
            assert answer.status == 201


async def test_a_card_that_everybody_would_refresh_is_for_small_places(teams: FakeTeams, bot: Bot) -> None:
    people = [(await teams.add_person(f"p{n}")).key for n in range(61)]
    await teams.add_group("crowd", *people)
    await teams.install("crowd", by="p0", tell=False)
    card = with_card(refresh={"action": {"type": "Action.Execute", "verb": "r"}})
    assert (await bot.post("crowd", card))[0] == 400
    await teams.leave("crowd", "p60", tell=False)
    assert (await bot.post("crowd", card))[0] == 201
    await teams.take_problems()


async def test_two_writes_of_one_conversation_at_once_are_found_out(teams: FakeTeams, bot: Bot) -> None:
    await bot.post("security", HELLO)
    await teams.fail("post", "gate", name="g", times=3)  # so that all are there before one is written
    posts = asyncio.gather(*(bot.post(p, HELLO) for p in ("security", "security", "second")))
    await teams.waits_at("g", 3)
    await teams.open_gate("g")
    first, second, other = await posts
    assert sorted([first[0], second[0]]) == [201, 412]
    assert other[0] == 201
    assert await teams.count("overlaps") == 1
