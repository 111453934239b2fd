"""Every standard channel of a team with the app takes cards, though Teams names one of them only when it is added."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from bot.admin.sample import sample_view
from bot.teams import channels as module
from bot.teams.channels import AGAIN_MS, EVERY_MS, NOBODY_KNOWS, NOT_THERE, Channels
from bot.teams.places import FRESH_MS
from bot.teams.sample import TeamsSampler
from holdpoint.errors import ChannelRefused, ChannelUnavailable
from holdpoint.model import State
from holdpoint.store import Store
from holdpoint.store.conversations import Conversation, ConversationKind
from holdpoint.tasks import Tasks
from tests.bot.teams.conftest import MakeWorld
from tests.bot.teams.outward import Outward, outward
from tests.bot.teams.test_commands import ask
from tests.bot.teams.world import POLICY, World
from tests.conftest import MovingClock
from tests.fakes.teams import FakeTeams, channel_id, group_id, personal_id
from tests.support.waiting import wait_until

GENERAL, SECURITY, SECOND, LEADS, LATE = map(channel_id, ("General", "security", "second", "leads", "late"))
TO_LATE = POLICY.replace(SECOND, LATE)


async def asked(teams: FakeTeams) -> int:
    """How often Teams was asked for the channels of a team."""
    return len(await teams.calls("channels"))


async def are_known(world: World, *channels: str) -> None:
    async def known() -> bool:
        return {each.id for each in await world.store.conversations.all("teams")} >= set(channels)

    await wait_until(known, "the channels are known", every=0.02)


async def nothing_fails(world: World) -> None:
    async def none() -> bool:
        return not await world.store.cards.failing()

    await wait_until(none, "no target is failing", every=0.02)


# whole bots


async def test_after_the_app_was_added_every_channel_of_the_team_takes_cards(make_world: MakeWorld) -> None:
    world = await make_world(installed=False)
    await world.teams.install("security")
    hold = await world.hold()
    for place in ("security", "second"):
        await world.card(hold, place)
    await are_known(world, GENERAL, SECURITY, SECOND, LEADS)
    names = {each.id: each.name for each in await world.app.places.all()}
    assert names == {
        GENERAL: "Holdpoint › General", SECURITY: "Holdpoint › security", SECOND: "Holdpoint › second",
        LEADS: "Holdpoint › leads",
    }  # fmt: skip
    decided = await world.user("kim").click(await world.card(hold, "second"), "approve")
    assert decided.kind == "card"
    await world.becomes(hold, State.APPROVED)
    await world.card(await world.hold(), "second")
    assert await asked(world.teams) == 1


@pytest.mark.parametrize("bots", [1, 2])
async def test_what_is_known_is_known_after_a_restart_and_to_every_bot(make_world: MakeWorld, bots: int) -> None:
    world = await make_world(installed=False, bots=bots)
    await world.teams.install("security")
    await are_known(world, SECOND)
    for app in list(world.apps):
        await app.stop()
    await world.start_app()
    await world.card(await world.hold(), "second")
    assert await asked(world.teams) == 1


async def test_with_two_bots_either_may_hear_and_either_may_post(make_world: MakeWorld) -> None:
    world = await make_world(installed=False, bots=2)
    for url in world.urls:
        await world.teams.connect(url)
        await world.teams.uninstall("security")
        await world.teams.install("security")
        await world.card(await world.hold(), "second")
    assert world.errors() == [0, 0]


async def test_a_channel_that_was_created_while_the_bot_was_away(make_world: MakeWorld) -> None:
    world = await make_world(installed=False, policy=TO_LATE)
    await world.teams.install("security")
    await are_known(world, SECOND)
    await world.app.stop()
    await world.teams.add_channel("late", tell=False)
    await world.start_app()
    await world.card(await world.hold(), "late")
    await world.card(await world.hold(), "late")
    assert await asked(world.teams) == 2
    known = await world.app.places.get(LATE)
    assert known is not None
    assert known.name == "Holdpoint › late"


async def test_a_channel_that_is_created_takes_cards_at_once(make_world: MakeWorld) -> None:
    world = await make_world(installed=False, policy=TO_LATE)
    await world.teams.install("security")
    await are_known(world, SECOND)
    assert [each.status for each in await world.teams.add_channel("late")] == [200]
    await world.card(await world.hold(), "late")
    assert await asked(world.teams) == 1


async def test_a_team_that_gets_the_app_again_is_looked_at_again(make_world: MakeWorld) -> None:
    world = await make_world(installed=False)
    await world.teams.install("security")
    await are_known(world, SECOND, LEADS)
    await world.teams.uninstall("security")
    assert await world.store.conversations.all("teams") == []
    await world.teams.install("leads")
    await world.card(await world.hold(), "second")


async def test_who_leaves_a_team_by_one_channel_leaves_them_all(make_world: MakeWorld) -> None:
    world = await make_world(installed=False)
    await world.teams.install("security")
    await are_known(world, SECOND, LEADS)
    removed = await world.teams.activity("installationUpdate", "lee", "security")
    assert (await world.teams.deliver({**removed, "action": "remove"})).status == 200
    assert await world.store.conversations.all("teams") == []


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls give up soon, and are made again soon."""
    monkeypatch.setattr("bot.teams.courier.BUDGET_S", 2.6)
    monkeypatch.setattr("bot.teams.courier.LEAST_S", 2.0)  # enough for one attempt, whatever else this machine does
    monkeypatch.setattr("bot.teams.courier.FIRST_PAUSE_S", 0.03)
    monkeypatch.setattr(module, "AGAIN_MS", 200)


FAILURES: dict[str, dict[str, Any]] = {
    "429": {"status": 429, "code": "Throttled", "retry_after": "1"},
    "502": {"status": 502, "code": "ServiceError"},
    "500": {"status": 500, "code": "ServiceError"},
    "a proxy's page": {"kind": "html", "status": 503},
    "no connection": {"kind": "reset"},
    "no JSON": {"kind": "garbage"},
    "no channels": {"kind": "empty", "status": 200},
}


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES)
async def test_a_card_waits_while_teams_does_not_tell_the_channels(
    make_world: MakeWorld, fault: dict[str, Any]
) -> None:
    world = await make_world(installed=False)
    await world.teams.fail("channels", times=999, **fault)
    await world.teams.install("security")
    hold = await world.hold()
    await world.card(hold, "security")

    async def tried() -> bool:
        return await asked(world.teams) >= 3

    await wait_until(tried, "Teams is asked again", every=0.02)
    assert await world.find(hold, "second") is None
    answer = await world.user("kim").click(await world.card(hold, "security"), "approve")
    assert answer.kind == "card", "members can be asked for all the same"
    other = await world.hold()
    await world.card(other, "security")
    await world.teams.heal()
    await world.card(other, "second")
    await nothing_fails(world)
    assert world.errors() == [0]


async def test_a_team_that_was_closed_to_the_bot_and_is_not_any_more(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY_MS", 0)
    world = await make_world(installed=False)
    await world.teams.fail("channels", status=403, code="BotNotInConversationRoster", times=99)
    await world.teams.install("security")
    await world.card(await world.hold(), "security")

    async def failing() -> list[str]:
        return [each.target for each in await world.store.cards.failing()]

    assert await wait_until(failing, "the refusal is noted") == [f"teams:{SECOND}"]
    await world.teams.heal()
    await world.card(await world.hold(), "second")
    await nothing_fails(world)


async def test_nobody_waits_for_the_list(make_world: MakeWorld) -> None:
    world = await make_world(installed=False)
    await world.teams.fail("channels", "gate", name="g", times=99)
    installed = await world.teams.install("security")
    assert [each.status for each in installed] == [200, 200]
    assert max(each.seconds for each in installed) < 1.0
    await world.teams.waits_at("g")
    hold = await world.hold()
    card = await world.card(hold, "security")
    answer = await world.user("kim").click(card, "approve")
    assert (answer.kind, answer.attempts) == ("card", 1)
    assert answer.seconds < 1.0
    await world.becomes(hold, State.APPROVED)
    assert len(await world.teams.calls("channels")) == 1, "one at a time"
    await world.teams.open_gate("g")


async def test_a_command_about_a_sibling_channel(make_world: MakeWorld) -> None:
    world = await make_world(installed=False)
    await world.teams.user("lee").install()
    await world.teams.install("security")
    await are_known(world, SECOND)
    await world.teams.add_channel("closed", sort="private")

    async def says(command: str) -> str:
        return (await ask(world, "lee", command)).seen

    assert "not in that conversation" not in await says(f"route add contractors teams:{LEADS}")
    assert NOT_THERE in await says(f"route add contractors teams:{channel_id('closed')}")
    assert "posted" in await says("route test platform-leads")
    assert len(await world.teams.cards("leads")) == 1


# one by one


@pytest.fixture
async def out(teams: FakeTeams, store: Store, clock: MovingClock) -> AsyncIterator[Outward]:
    """Nothing but security (and with it the team) is known, and the huddle."""
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(outward(teams, store, clock=clock))
        for place in (SECOND, LEADS):
            await opened.places.forget(place)
        yield opened


async def test_many_who_look_at_once_ask_once_and_then_not_for_a_minute(out: Outward, clock: MovingClock) -> None:
    await out.teams.add_channel("late", tell=False)
    found = await asyncio.gather(*(out.channels.find(f"{SECOND};messageid=1") for _ in range(20)))
    second = await out.places.get(SECOND)
    assert second is not None
    assert set(found) == {second}
    security = await out.places.get(SECURITY)
    assert security is not None
    assert second == replace(security, id=SECOND, name="Holdpoint › second", at_ms=second.at_ms)
    nowhere = channel_id("nowhere")
    assert await asyncio.gather(*(out.channels.find(nowhere) for _ in range(20))) == [None] * 20
    assert (await out.channels.find(LATE)) is not None, "all channels were learnt"
    assert await asked(out.teams) == 1
    clock.forward(seconds=(EVERY_MS - 1) / 1000)
    assert await out.channels.find(nowhere) is None
    assert await asked(out.teams) == 1
    clock.forward(seconds=0.001)
    assert await out.channels.find(nowhere) is None
    assert await asked(out.teams) == 2


async def test_what_is_known_or_in_no_team_is_not_looked_for(out: Outward) -> None:
    for known in (SECURITY, GENERAL, group_id("huddle"), personal_id("dana")):
        assert await out.channels.find(known) is not None
    for unknown in (group_id("other"), personal_id("kim"), "19:meeting_x@thread.v2", "", "x"):
        assert await out.channels.find(unknown) is None
    assert await out.teams.calls() == []


async def test_what_another_bot_has_just_heard_is_not_asked_for(out: Outward, store: Store, clock: MovingClock) -> None:
    assert await out.places.get(SECOND) is None
    async with outward(out.teams, store, clock=clock):
        assert await out.channels.find(SECOND) is not None
    assert await asked(out.teams) == 0


@pytest.mark.usefixtures("hurry")
async def test_where_one_team_does_not_answer_the_others_are_looked_at(out: Outward, clock: MovingClock) -> None:
    await out.teams.add_team("Other", "kim", channels=("Other general", "elsewhere"))
    await out.teams.install("elsewhere", by="kim", tell=False)
    await out.learn("Other general", by="kim")
    await out.teams.fail("channels", status=502, times=99, conversation="General")
    assert await out.channels.find(channel_id("elsewhere")) is not None
    with pytest.raises(ChannelUnavailable) as caught:
        await out.channels.find(SECOND)
    assert caught.value.retry_after_seconds is not None
    assert 0 < caught.value.retry_after_seconds <= AGAIN_MS / 1000
    await out.teams.heal()
    clock.forward(seconds=AGAIN_MS / 1000)
    assert await out.channels.find(SECOND) is not None


async def test_a_long_wait_that_teams_asks_for_is_kept_to(out: Outward, clock: MovingClock) -> None:
    await out.teams.fail("channels", status=429, code="Throttled", retry_after="100", times=1)
    for _ in range(3):
        with pytest.raises(ChannelUnavailable) as caught:
            await out.channels.find(SECOND)
        assert caught.value.retry_after_seconds == 100
    assert await out.channels.why_not(f"teams:{SECOND}") == NOBODY_KNOWS
    assert await asked(out.teams) == 1
    clock.forward(seconds=100)
    assert await out.channels.why_not(f"teams:{SECOND}") == ""


async def test_a_clock_that_is_set_back_keeps_nobody_waiting(out: Outward, clock: MovingClock) -> None:
    assert await out.channels.find(LATE) is None
    clock.forward(seconds=-86_400)
    await out.teams.add_channel("late", tell=False)
    assert await out.channels.find(LATE) is not None


@pytest.mark.parametrize(
    ("status", "code"), [(403, "BotNotInConversationRoster"), (404, "ConversationNotFound"), (400, "BadSyntax")]
)
async def test_a_team_that_refuses_is_passed_over(out: Outward, status: int, code: str) -> None:
    await out.teams.fail("channels", status=status, code=code)
    assert await out.channels.find(SECOND) is None
    assert await out.channels.why_not(f"teams:{SECOND}") == NOT_THERE
    with pytest.raises(ChannelRefused, match="private and shared"):
        await out.connector.post(SECOND, {"type": "message", "text": "x"})


@pytest.mark.parametrize("sort", ["private", "shared"])
async def test_private_and_shared_channels_are_no_places(out: Outward, sort: str) -> None:
    await out.teams.add_channel("late", sort=sort, tell=False)
    assert await out.channels.find(LATE) is None
    assert await out.channels.find(SECOND) is not None


def event(activity: dict[str, Any], name: str, **data: Any) -> dict[str, Any]:
    given = {"tenant": activity["channelData"]["tenant"], "team": {"id": GENERAL}, "eventType": name, **data}
    return {**activity, "type": "conversationUpdate", "channelData": given}


async def test_events_of_a_team_are_about_its_channels(out: Outward) -> None:
    general = await out.teams.activity("message", "kim", "General")

    async def names() -> dict[str, str]:
        return {each.id: each.name for each in await out.places.all() if each.kind is ConversationKind.CHANNEL}

    known = {GENERAL: "Holdpoint › General", SECURITY: "Holdpoint › security"}
    assert await names() == known
    await out.places.learn(event(general, "channelCreated", channel={"id": LATE, "name": "late"}))
    assert await names() == {**known, LATE: "Holdpoint › late"}
    await out.places.learn(event(general, "channelRenamed", channel={"id": LATE, "name": "later"}))
    assert await names() == {**known, LATE: "Holdpoint › later"}
    await out.places.learn(event(general, "channelDeleted", channel={"id": LATE, "name": "later"}))
    assert await names() == known
    await out.places.learn(event(general, "channelRestored", channel={"id": LATE, "name": "later"}))
    await out.places.learn(event(general, "teamRenamed", team={"id": GENERAL, "name": "Gate › keepers"}))
    assert await names() == {
        GENERAL: "Gate > keepers › General", SECURITY: "Gate > keepers › security", LATE: "Gate > keepers › later"
    }  # fmt: skip


ODD: dict[str, Any] = {
    "no channel": {},
    "a channel that is a text": {"channel": "late"},
    "no id": {"channel": {"name": "late"}},
    "an id that is a number": {"channel": {"id": 19}},
    "an id with blanks": {"channel": {"id": "19:a b"}},
    "an id without end": {"channel": {"id": "19:" + "a" * 400}},
    "a chat's id": {"channel": {"id": "a:1"}},
    "a private channel": {"channel": {"id": LATE, "name": "late", "type": "private"}},
    "no team": {"channel": {"id": LATE}, "team": {}},
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
@pytest.mark.parametrize("name", ["channelCreated", "channelDeleted"])
async def test_odd_events_change_nothing(out: Outward, data: dict[str, Any], name: str) -> None:
    before = await out.places.all()
    await out.places.learn(event(await out.teams.activity("message", "kim", "General"), name, **data))
    assert await out.places.all() == before


async def test_odd_lists_change_nothing_but_what_they_say(out: Outward) -> None:
    team = await out.places.get(GENERAL)
    assert team is not None
    before = await out.places.all()
    entries = [each["channel"] for each in ODD.values() if isinstance(each.get("channel"), dict)]
    await out.places.has_channels(team, [each for each in entries if each.get("id") != LATE])
    await out.places.has_channels(team, [{"id": GENERAL, "name": None}, {"id": SECURITY, "name": None}])
    assert await out.places.all() == before
    await out.places.has_channels(team, [{"id": LATE, "name": 5}, {"id": SECURITY, "name": " new\nname "}])
    names = {each.id: each.name for each in await out.places.all()}
    assert (names[LATE], names[SECURITY], names[GENERAL]) == ("", "Holdpoint › new name", "Holdpoint › General")
    await out.places.learn(
        event(
            await out.teams.activity("message", "kim", "General"),
            "channelRenamed",
            channel={"id": GENERAL, "name": "Start"},
        )
    )
    await out.places.has_channels(team, [{"id": GENERAL, "name": None}])
    general = await out.places.get(GENERAL)
    assert general is not None
    assert general.name == "Holdpoint › Start", "the list never says what General is called"


async def test_a_list_that_comes_after_the_app_was_removed_is_of_no_use(out: Outward) -> None:
    team = await out.places.get(GENERAL)
    assert team is not None
    await out.places.forget(GENERAL)
    await out.places.has_channels(team, [{"id": LATE, "name": "late"}])
    assert LATE not in {each.id for each in await out.places.all()}


async def test_a_sample_finds_its_channel(out: Outward, clock: MovingClock) -> None:
    view = sample_view("contractors", now_ms=clock(), link_base="https://holdpoint.test")
    await TeamsSampler(out.connector, out.channels).sample(f"teams:{SECOND}", view)
    assert len(await out.teams.cards("second")) == 1


async def test_a_team_that_moves_takes_its_silent_channels_along(out: Outward, clock: MovingClock) -> None:
    assert await out.channels.find(SECOND) is not None
    moved = await out.teams.move("emea")
    await out.learn("security")
    clock.forward(seconds=FRESH_MS / 1000)
    urls = {each.id: each.service_url for each in await out.places.all()}
    assert (urls[SECURITY], urls[SECOND], urls[GENERAL]) == (moved, moved, moved)
    assert urls[group_id("huddle")] == out.teams.service_url
    await out.connector.post(SECOND, {"type": "message", "text": "x"})


async def test_a_team_without_a_name_has_channels_with_theirs(out: Outward, store: Store) -> None:
    for each in await out.places.all():
        await store.conversations.forget("teams", each.id)
    activity = await out.teams.activity("message", "kim", "security")
    activity["channelData"] = {"tenant": activity["channelData"]["tenant"], "team": {"id": GENERAL}}
    tasks = Tasks()
    fresh = Channels(out.connector, out.places, clock=out.places._clock)
    assert (await out.places.again(SECURITY), await out.places.again(GENERAL)) == (None, None)
    await fresh.learn(activity, tasks=tasks)

    async def done() -> Conversation | None:
        return await out.places.again(SECOND)

    second = await wait_until(done, "the list is there")
    assert second.name == "second"
    await tasks.aclose()
