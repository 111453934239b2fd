"""What the bot hears of installations, people and names; and of Entra groups."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.fakes.teams import FakeTeams, channel_id, group_id, personal_id
from tests.fakes.teams.conftest import Bot
from tests.fakes.teams.process import TeamsProcess
from tests.fakes.teams.things import BOT, Json

BOT_ACCOUNT = {"id": BOT, "name": "Holdpoint"}


async def test_a_team_gets_the_app(teams: FakeTeams, bot: Bot) -> None:
    await teams.uninstall("second")
    bot.got.clear()
    assert [answer.status for answer in await teams.install("second", by="kim")] == [200, 200]
    (_, installed), (_, updated) = bot.got
    assert (installed["type"], installed["action"]) == ("installationUpdate", "add")
    assert installed["channelData"]["team"] == teams.teams["Holdpoint"]
    assert installed["channelData"]["settings"] == {"selectedChannel": {"id": channel_id("second")}}
    assert installed["from"]["aadObjectId"] == teams.people["kim"].aad
    assert (updated["type"], updated["membersAdded"]) == ("conversationUpdate", [BOT_ACCOUNT])
    assert updated["channelData"]["eventType"] == "teamMemberAdded"
    assert updated["conversation"]["id"] == channel_id("second")


async def test_a_group_and_a_person_get_the_app(teams: FakeTeams, bot: Bot) -> None:
    await teams.install("huddle")
    await teams.user("dana").install()
    assert [activity["type"] for _, activity in bot.got] == ["installationUpdate", "conversationUpdate"] * 2
    assert bot.got[0][1]["conversation"] == {
        "conversationType": "groupChat", "tenantId": teams.tenant, "id": group_id("huddle"), "isGroup": True
    }  # fmt: skip
    assert "team" not in bot.got[0][1]["channelData"]
    dana = bot.got[3][1]
    assert dana["conversation"]["id"] == personal_id("dana")
    assert [each["id"] for each in dana["membersAdded"]] == [BOT, teams.people["dana"].id]


async def test_people_come_and_go_and_channels_are_renamed(teams: FakeTeams, bot: Bot) -> None:
    await teams.add_person("new")
    await teams.join("security", "new")
    await teams.leave("security", "new")
    await teams.rename("security", "Security desk")
    joined, left, renamed = (activity for _, activity in bot.got)
    assert [each["id"] for each in joined["membersAdded"]] == [teams.people["new"].id]
    assert [each["id"] for each in left["membersRemoved"]] == [teams.people["new"].id]
    data = renamed["channelData"]
    assert (data["eventType"], data["channel"]) == (
        "channelRenamed",
        {"id": channel_id("security"), "name": "Security desk"},
    )


async def test_an_arrangement_may_stay_untold(teams: FakeTeams, bot: Bot) -> None:
    await teams.uninstall("security", tell=False)
    await teams.user("dana").uninstall(tell=False)
    assert bot.got == []
    assert (await bot.post("security", {"type": "message", "text": "x"}))[0] == 403


async def test_any_activity_can_be_delivered_by_hand(teams: FakeTeams, bot: Bot) -> None:
    activity = await teams.activity("message", "kim", "huddle")
    answer = await teams.deliver(activity | {"text": "hi", "channelId": "slack"})
    assert (answer.status, answer.attempts) == (200, 1)
    assert (bot.got[0][1]["text"], bot.got[0][1]["channelId"]) == ("hi", "slack")
    assert (await teams.sent())[-1]["text"] == "hi"
    assert (await teams.raw(b'{"a": 1}'))[0] == 200


async def test_a_new_world_is_empty(teams: FakeTeams, bot: Bot) -> None:
    await bot.login()
    await teams.fail("*", "reset", times=9)
    await teams.start_again()
    assert await teams.count("token") == 0
    assert await teams.sent() == []
    assert await teams.messages("security") == []
    assert (await bot.login())[0] == 200


async def graph(teams: FakeTeams, token: str, user: str, ids: list[str]) -> tuple[int, Json]:
    url = f"{teams.url}/v1.0/users/{user}/checkMemberGroups"
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as session, session.post(url, json={"groupIds": ids}, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_graph_knows_groups_in_groups(teams: FakeTeams, bot: Bot) -> None:
    inner = await teams.add_entra_group("inner", "kim")
    outer = await teams.add_entra_group("outer", "sam", inner)
    token = (await bot.login(scope=f"{teams.url}/.default"))[1]["access_token"]
    kim = teams.people["kim"].aad
    assert await graph(teams, token, kim, [outer, inner]) == (200, {"value": [outer, inner]})
    assert await graph(teams, token, teams.people["sam"].aad, [outer, inner]) == (200, {"value": [outer]})
    assert (await graph(teams, token, "nobody", [outer]))[0] == 404
    assert (await graph(teams, token, kim, ["x"]))[0] == 400
    assert (await graph(teams, token, kim, [outer] * 21))[0] == 400
    assert (await graph(teams, (await bot.login())[1]["access_token"], kim, [outer]))[0] == 401
    await teams.set(graph_allowed=False)
    assert (await graph(teams, token, kim, [outer]))[0] == 403


def test_the_process_ends_when_we_do() -> None:
    process = TeamsProcess()
    assert process.url.startswith("http://127.0.0.1:")
    process.close()
    assert process._process.returncode == 0


@pytest.mark.parametrize("verb", ["no_verb", "click"])
async def test_a_wrong_verb_is_an_error(teams: FakeTeams, verb: str) -> None:
    with pytest.raises(AssertionError):
        await teams.call(verb)


async def channels(bot: Bot, place: str) -> tuple[int, Any]:
    return await bot.call("GET", f"/teams/{quote(channel_id(place), safe='')}/conversations")


async def test_a_team_tells_its_channels(teams: FakeTeams, bot: Bot) -> None:
    await teams.add_channel("late", tell=False)
    await teams.add_channel("closed", sort="private", tell=False)
    await teams.drop_channel("leads", tell=False)
    status, answer = await channels(bot, "General")
    assert (status, [(each["name"], each["type"]) for each in answer["conversations"]]) == (
        200,
        [
            (None, "standard"),
            ("security", "standard"),
            ("second", "standard"),
            ("late", "standard"),
            ("closed", "private"),
        ],
    )
    assert answer["conversations"][0]["id"] == channel_id("General") == teams.teams["Holdpoint"]["id"]
    assert (await bot.post("late", {"type": "message", "text": "x"}))[0] == 201
    assert (await bot.post("closed", {"type": "message", "text": "x"}))[0] == 403
    assert (await channels(bot, "security"))[0] == 404
    assert (await channels(bot, "nowhere"))[0] == 404
    assert (await bot.call("GET", f"/teams/{quote(channel_id('General'))}/conversations", token="x"))[0] == 401
    assert bot.got == []
    await teams.uninstall("security", tell=False)
    status, answer = await channels(bot, "General")
    assert (status, answer["error"]["code"]) == (403, "BotNotInConversationRoster")


async def test_the_list_of_channels_is_rationed_like_the_roster(teams: FakeTeams, bot: Bot) -> None:
    await teams.set(speed=0)  # however long these calls take: they are made at one moment
    answers = [(await channels(bot, "General"))[0] for _ in range(17)]
    assert 429 in answers
    assert (await channels(bot, "General"))[0] == 429
    await teams.advance(60)
    assert (await channels(bot, "General"))[0] == 200


async def test_events_about_channels_come_from_the_team(teams: FakeTeams, bot: Bot) -> None:
    await teams.add_channel("late")
    await teams.rename("late", "later")
    await teams.drop_channel("late")
    await teams.drop_channel("late", back=True)
    await teams.rename_team("late", "Gate")
    activities = [activity for _, activity in bot.got]
    assert {activity["conversation"]["id"] for activity in activities} == {channel_id("General")}
    said = [
        (data["eventType"], data.get("channel", {}).get("name", ""), data["team"].get("name", ""))
        for data in (activity["channelData"] for activity in activities)
    ]
    assert said == [
        ("channelCreated", "late", ""), ("channelRenamed", "later", ""), ("channelDeleted", "later", ""),
        ("channelRestored", "later", ""), ("teamRenamed", "", "Gate"),
    ]  # fmt: skip
