"""Rosters and personal chats: whom they show, what may be opened."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.fakes.teams import FakeTeams, channel_id, personal_id
from tests.fakes.teams.conftest import Bot
from tests.fakes.teams.things import BOT, Json

HELLO: Json = {"type": "message", "text": "hello"}


def path(place: str, rest: str) -> str:
    return f"/conversations/{quote(place, safe='')}/{rest}"


async def test_a_member_is_found_by_either_id(teams: FakeTeams, bot: Bot) -> None:
    kim = teams.people["kim"]
    for wanted in (kim.id, kim.aad):
        status, found = await bot.call("GET", path(channel_id("security"), f"members/{quote(wanted, safe='')}"))
        assert status == 200
        assert (found["id"], found["aadObjectId"], found["objectId"]) == (kim.id, kim.aad, kim.aad)
        assert (found["email"], found["userPrincipalName"]) == ("kim@example.com", "kim@example.com")
        assert (found["tenantId"], found["userRole"], found["name"]) == (teams.tenant, "user", "Kim Example")


async def test_an_old_roster_has_only_object_ids(teams: FakeTeams, bot: Bot) -> None:
    await teams.set(old_rosters=True)
    _, found = await bot.call("GET", path(channel_id("security"), f"members/{teams.people['kim'].id}"))
    assert "aadObjectId" not in found
    assert found["objectId"] == teams.people["kim"].aad


async def test_who_is_not_a_plain_member(teams: FakeTeams, bot: Bot) -> None:
    await teams.add_guest("gus")
    await teams.add_anonymous("ann")
    await teams.add_bot("robo")
    await teams.add_person("xen", tenant=teams.other_tenant)
    await teams.add_person("nomail", email=None)
    people = ("gus", "ann", "robo", "xen", "nomail")
    await teams.add_group("mixed", "kim", *people)
    await teams.install("mixed", by="kim", tell=False)
    await teams.user("kim").change(disabled=True)
    _, listed = await bot.call("GET", path(teams.places["mixed"], "members"))
    found = {each["name"].split()[0].lower(): each for each in listed}
    assert found.keys() == {"gus", "ann", "xen", "nomail"}
    assert (found["gus"]["userRole"], "#EXT#" in found["gus"]["userPrincipalName"]) == ("guest", True)
    assert (found["ann"]["userRole"], "objectId" in found["ann"]) == ("anonymous", False)
    assert found["xen"]["tenantId"] == teams.other_tenant
    assert "email" not in found["nomail"]
    for gone in ("kim", "robo", "lee"):
        status, answer = await bot.call("GET", path(teams.places["mixed"], f"members/{teams.people[gone].id}"))
        assert (status, answer["error"]["code"]) == (404, "MemberNotFoundInConversation")


async def test_a_big_team_comes_in_pages(teams: FakeTeams, bot: Bot) -> None:
    many = [(await teams.add_person(f"p{n}")).key for n in range(5)]
    await teams.add_team("Big", *many, channels=("big",))
    await teams.install("big", by="p0", tell=False)
    pages, token = [], ""
    while True:
        query = f"pagedmembers?pageSize=2{'&continuationToken=' + token if token else ''}"
        status, page = await bot.call("GET", path(channel_id("big"), query))
        assert status == 200
        pages.append(len(page["members"]))
        token = page.get("continuationToken", "")
        if not token:
            break
    assert pages == [2, 2, 1]
    assert (await bot.call("GET", path(channel_id("big"), "pagedmembers?pageSize=501")))[0] == 400
    await teams.set(least_page=50)
    assert (await bot.call("GET", path(channel_id("big"), "pagedmembers?pageSize=49")))[0] == 400
    assert (await bot.call("GET", path(channel_id("big"), "pagedmembers?continuationToken=x")))[0] == 400
    await teams.take_problems()


def personal(teams: FakeTeams, **changes: Any) -> Json:
    members = [{"id": teams.people["dana"].id}]
    body: Json = {"isGroup": False, "bot": {"id": BOT}, "members": members, "tenantId": teams.tenant, **changes}
    return {name: value for name, value in body.items() if value is not None}


async def test_a_personal_chat_is_opened_once(teams: FakeTeams, bot: Bot) -> None:
    for member in (teams.people["dana"].id, teams.people["dana"].aad):
        made = await bot.call("POST", "/conversations", personal(teams, members=[{"id": member}]))
        assert made == (201, {"id": personal_id("dana")})
    by_data = personal(teams, tenantId=None, bot=None, channelData={"tenant": {"id": teams.tenant}}, activity=HELLO)
    assert (await bot.call("POST", "/conversations", by_data))[0] == 201
    assert [each.text for each in await teams.user("dana").messages()] == ["hello"]


@pytest.mark.parametrize(
    "changes",
    [
        {"isGroup": None}, {"isGroup": "no"}, {"isGroup": True}, {"members": None}, {"members": []},
        {"members": [{"id": "29:a"}, {"id": "29:b"}]}, {"members": [{}]}, {"members": ["29:a"]}, {"tenantId": None},
        {"bot": {"id": "28:other"}}, {"activity": {"type": "message"}},
    ],
)  # fmt: skip
async def test_a_bad_opening_is_refused(teams: FakeTeams, bot: Bot, changes: Json) -> None:
    status, answer = await bot.call("POST", "/conversations", personal(teams, **changes))
    assert (status, answer["error"]["code"]) == (400, "BadSyntax")
    assert await teams.take_problems()


@pytest.mark.parametrize(
    "changes", [{"members": [{"id": "29:unknown"}]}, {"tenantId": "bbbbbbbb-0000-4000-8000-000000000002"}]
)
async def test_who_is_not_of_the_tenant_is_unknown(teams: FakeTeams, bot: Bot, changes: Json) -> None:
    status, answer = await bot.call("POST", "/conversations", personal(teams, **changes))
    assert (status, answer["error"]["message"]) == (400, "Invalid user identity in provided tenant")


@pytest.mark.parametrize("state", [{"installed": False}, {"blocked": True}, {"disabled": True}])
async def test_no_chat_with_who_has_not_the_app(teams: FakeTeams, bot: Bot, state: Json) -> None:
    await teams.user("dana").change(**state)
    status, answer = await bot.call("POST", "/conversations", personal(teams))
    assert (status, answer["error"]["code"]) == (403, "ForbiddenOperationException")


async def test_a_thread_may_be_opened_as_a_conversation(teams: FakeTeams, bot: Bot) -> None:
    body = {"isGroup": True, "channelData": {"channel": {"id": channel_id("security")}}, "activity": HELLO}
    status, made = await bot.call("POST", "/conversations", body)
    assert (status, made["id"]) == (201, f"{channel_id('security')};messageid={made['activityId']}")
    assert [each.id for each in await teams.messages("security")] == [made["activityId"]]
