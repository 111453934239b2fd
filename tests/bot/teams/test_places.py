"""Where the bot is: learnt from what comes in, repaired, bounded, forgotten, and kept over restarts."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from bot.teams.origin import NAME_UNITS, conversation_of
from bot.teams.places import FRESH_MS, Places, bare
from holdpoint.errors import StoreUnavailable
from holdpoint.store import Store
from holdpoint.store.conversations import Conversation, ConversationKind
from tests.conftest import MovingClock
from tests.fakes.teams import FakeTeams, channel_id, group_id, personal_id
from tests.support.redis_server import RedisServer

NOW = 1_700_000_000_000


@pytest.fixture
def places(teams: FakeTeams, store: Store, clock: MovingClock) -> Places:
    return new_places(teams, store, clock)


def new_places(teams: FakeTeams, store: Store, clock: MovingClock) -> Places:
    return Places(store.conversations, clock=clock, is_trusted=lambda tenant: tenant == teams.tenant)


def test_a_thread_is_in_its_channel() -> None:
    assert bare("19:a@thread.tacv2;messageid=1") == bare("19:a@thread.tacv2") == "19:a@thread.tacv2"


async def test_each_kind_of_place(teams: FakeTeams, places: Places, clock: MovingClock) -> None:
    channel = await places.learn(await teams.activity("message", "kim", "security"))
    group = await places.learn(await teams.activity("message", "kim", "huddle"))
    chat = await places.learn(await teams.activity("message", "kim", personal_id("kim")))
    kim = teams.user("kim")
    bot = f"28:{teams.app_id}"
    known = (teams.tenant, teams.service_url, bot, clock())
    assert channel == Conversation(
        "teams", channel_id("security"), ConversationKind.CHANNEL, *known, team=channel_id("General"),
        name="Holdpoint › security",
    )  # fmt: skip
    assert group is not None
    assert (group.id, group.kind, group.team, group.person) == (group_id("huddle"), ConversationKind.GROUP, "", "")
    assert chat == Conversation(
        "teams", kim.chat, ConversationKind.PERSONAL, *known, name=kim.name, user=kim.user, member=kim.id
    )


async def test_whose_a_chat_is_says_the_roster_alone(teams: FakeTeams, places: Places) -> None:
    chat = await places.learn(await teams.activity("message", "kim", personal_id("kim")))
    assert chat is not None
    assert chat.person == ""
    assert await places.of_person("kim@example.com") is None
    await places.belongs_to(chat.id, "kim@example.com")
    assert await places.of_person("KIM@example.com") == replace(chat, person="kim@example.com")
    await places.learn(await teams.activity("message", "kim", personal_id("kim")))
    assert await places.of_person("kim@example.com") is not None
    other = {"from": {"id": "29:other", "aadObjectId": teams.user("sam").aad}}
    await places.learn({**await teams.activity("message", "kim", personal_id("kim")), **other})
    assert await places.of_person("kim@example.com") is None, "another account: asked of the roster again"


async def test_a_channel_has_no_person(teams: FakeTeams, places: Places) -> None:
    channel = await places.learn(await teams.activity("message", "kim", "security"))
    assert channel is not None
    await places.belongs_to(channel.id, "kim@example.com")
    assert await places.of_person("kim@example.com") is None


async def test_a_team_is_known_by_any_of_its_channels(teams: FakeTeams, places: Places) -> None:
    await places.learn(await teams.activity("message", "kim", "security"))
    team = await places.get(channel_id("General"))
    assert team is not None
    assert (team.team, team.tenant, team.service_url) == (channel_id("General"), teams.tenant, teams.service_url)


@pytest.mark.parametrize("kind", ["message", "invoke", "conversationUpdate", "installationUpdate"])
async def test_every_kind_of_activity_teaches(teams: FakeTeams, places: Places, kind: str) -> None:
    activity = {**await teams.activity("message", "kim", "security"), "type": kind}
    assert await places.learn(activity) is not None


async def test_what_is_no_news_is_not_written(teams: FakeTeams, store: Store, clock: MovingClock) -> None:
    activity = await teams.activity("message", "kim", "security")
    first = await new_places(teams, store, clock).learn(activity)
    clock.forward(seconds=3600)
    again = await new_places(teams, store, clock).learn(activity)
    nameless = deepcopy(activity)
    nameless["channelData"] = {"tenant": activity["channelData"]["tenant"]}
    assert again == first, "the time of the first writing"
    assert await new_places(teams, store, clock).learn(nameless) == first
    assert await store.conversations.get("teams", channel_id("security")) == first


async def test_a_moved_service_url_is_repaired_and_a_restart_knows_it(
    teams: FakeTeams, places: Places, store: Store, clock: MovingClock
) -> None:
    await places.learn(await teams.activity("message", "kim", "security"))
    await teams.move("emea", "security")
    moved = await places.learn(await teams.activity("message", "kim", "security"))
    assert moved is not None
    assert moved.service_url.endswith("/emea/")
    assert await new_places(teams, store, clock).get(channel_id("security")) == moved


async def test_a_new_name_replaces_the_old_one(teams: FakeTeams, places: Places) -> None:
    await places.learn(await teams.activity("message", "kim", "security"))
    activity = deepcopy(await teams.activity("message", "kim", "security"))
    activity["channelData"]["channel"]["name"] = "  secret\n talk" + "\U0001f512" * 300
    renamed = await places.learn(activity)
    assert renamed is not None
    assert renamed.name.startswith("Holdpoint › secret talk\U0001f512")
    assert len(renamed.name.encode("utf-16-le")) // 2 <= NAME_UNITS


async def test_another_process_is_heard_within_seconds(
    teams: FakeTeams, places: Places, store: Store, clock: MovingClock
) -> None:
    other = new_places(teams, store, clock)
    assert await places.get(channel_id("security")) is None
    learnt = await other.learn(await teams.activity("message", "kim", "security"))
    assert await places.get(channel_id("security")) is None
    clock.forward(seconds=FRESH_MS / 1000)
    assert await places.get(f"{channel_id('security')};messageid=17") == learnt


async def test_who_is_removed_from_a_team_is_in_none_of_its_channels(
    teams: FakeTeams, places: Places, store: Store
) -> None:
    for place in ("security", "second", "huddle"):
        await places.learn(await teams.activity("message", "kim", place))
    await places.forget(channel_id("General"))
    assert await places.get(channel_id("security")) is None
    assert [each.id for each in await store.conversations.all("teams")] == [group_id("huddle")]


async def test_a_channel_alone_is_forgotten_alone(teams: FakeTeams, places: Places) -> None:
    for place in ("security", "second"):
        await places.learn(await teams.activity("message", "kim", place))
    await places.forget(channel_id("second"))
    assert sorted(each.id for each in await places.all()) == sorted([channel_id("security"), channel_id("General")])


def removed(activity: dict[str, Any]) -> dict[str, Any]:
    return {**activity, "type": "conversationUpdate", "membersRemoved": [{"id": activity["recipient"]["id"]}]}


def uninstalled(activity: dict[str, Any]) -> dict[str, Any]:
    return {**activity, "type": "installationUpdate", "action": "remove"}


@pytest.mark.parametrize("going", [removed, uninstalled])
async def test_a_farewell_teaches_nothing(teams: FakeTeams, places: Places, going: Any) -> None:
    assert await places.learn(going(await teams.activity("message", "kim", "security"))) is None
    assert await places.all() == []


async def test_somebody_else_who_leaves_changes_nothing(teams: FakeTeams, places: Places) -> None:
    activity = await teams.activity("message", "kim", "security")
    left = {**activity, "type": "conversationUpdate", "membersRemoved": [{"id": "29:sam"}, None, 5]}
    assert await places.learn(left) is not None


@pytest.mark.parametrize(
    ("event", "left"),
    [
        ("channelDeleted", [channel_id("General")]),
        ("teamDeleted", []),
        ("teamHardDeleted", []),
        ("channelRenamed", sorted([channel_id("General"), channel_id("security")])),
    ],
)
async def test_what_is_deleted_is_forgotten(teams: FakeTeams, places: Places, event: str, left: list[str]) -> None:
    activity = deepcopy(await teams.activity("message", "kim", "security"))
    await places.learn(activity)
    activity["type"] = "conversationUpdate"
    activity["channelData"]["eventType"] = event
    if event.startswith("team"):
        del activity["channelData"]["channel"]
    await places.learn(activity)
    assert sorted(each.id for each in await places.all()) == left


CHANGES: dict[str, dict[str, Any]] = {
    "no tenant": {"channelData": {}},
    "a tenant in the conversation alone": {"channelData": None},
    "a tenant that is no id": {"channelData": {"tenant": {"id": "common"}}},
    "a tenant that is no text": {"channelData": {"tenant": {"id": 5}}},
    "a tenant that is no object": {"channelData": {"tenant": "x"}},
    "no kind": {"conversation": {"id": "19:a@thread.tacv2"}},
    "another kind": {"conversation": {"id": "19:a@thread.tacv2", "conversationType": "lobby"}},
    "no id": {"conversation": {"conversationType": "channel"}},
    "an id with blanks": {"conversation": {"id": "19: a", "conversationType": "channel"}},
    "an id without end": {"conversation": {"id": "1" * 401, "conversationType": "channel"}},
    "an id that is a number": {"conversation": {"id": 19, "conversationType": "channel"}},
    "no bot": {"recipient": {}},
    "another platform": {"channelId": "emulator"},
    "another type": {"type": "typing"},
    "http to the world": {"serviceUrl": "http://smba.example/amer/"},
    "no URL": {"serviceUrl": "smba"},
    "no service URL": {"serviceUrl": None},
    "a URL without end": {"serviceUrl": "https://x.example/" + "a" * 500},
    "a URL with a line feed": {"serviceUrl": "https://x.example/\na"},
    "another scheme": {"serviceUrl": "file:///etc/passwd"},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
async def test_what_is_odd_is_no_place(teams: FakeTeams, places: Places, changes: dict[str, Any]) -> None:
    activity = await teams.activity("message", "kim", "security")
    assert conversation_of(activity, now_ms=NOW) is not None
    assert conversation_of({**activity, **changes}, now_ms=NOW) is None
    assert await places.learn({**activity, **changes}) is None
    assert await places.all() == []


@pytest.mark.parametrize(
    "url", ["https://smba.trafficmanager.net/de/", "http://127.0.0.1:1/x", "http://localhost/", "http://[::1]/"]
)
async def test_https_and_this_machine_are_service_urls(teams: FakeTeams, url: str) -> None:
    activity = {**await teams.activity("message", "kim", "security"), "serviceUrl": url}
    found = conversation_of(activity, now_ms=NOW)
    assert found is not None
    assert found.service_url == url


@pytest.mark.parametrize("sender", [{}, {"id": 7}, {"id": "a b"}, {"id": "x" * 401}, {"id": "BOT"}])
async def test_a_chat_without_a_person_is_a_place_all_the_same(teams: FakeTeams, sender: dict[str, Any]) -> None:
    activity = await teams.activity("message", "kim", personal_id("kim"))
    sender = {"id": activity["recipient"]["id"]} if sender.get("id") == "BOT" else sender
    found = conversation_of({**activity, "from": {**sender, "name": "Kim"}}, now_ms=NOW)
    assert found is not None
    assert (found.user, found.member, found.person) == ("", "", "")


async def test_strangers_fill_no_memory(teams: FakeTeams, store: Store, clock: MovingClock) -> None:
    places = Places(store.conversations, clock=clock, is_trusted=lambda _: False)
    assert await places.learn(await teams.activity("message", "kim", "security")) is None
    assert await places.get(channel_id("security")) is None
    assert await store.conversations.all("teams") == []


async def test_without_the_store_the_last_known_place_serves(
    teams: FakeTeams, redis_server: RedisServer, clock: MovingClock
) -> None:
    store = await Store.open(redis_server.url, clock=clock)
    try:
        places = new_places(teams, store, clock)
        learnt = await places.learn(await teams.activity("message", "kim", "security"))
        redis_server.kill()
        clock.forward(seconds=60)
        assert await places.get(channel_id("security")) == learnt
        with pytest.raises(StoreUnavailable):
            await places.get(channel_id("second"))
        with pytest.raises(StoreUnavailable):
            await places.learn(await teams.activity("message", "kim", "second"))
        answerable = await places.get(channel_id("second"))
        assert answerable is not None, "where somebody is told that the store is away"
    finally:
        await store.aclose()
