"""Teams' part of the bot, wired: callbacks of the fake come in by the door, cards and answers go out by the connector."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot import teams as verbs
from bot.app import running_bot
from bot.notify import consumer_group
from bot.teams import KIND
from holdpoint.clock import now_ms
from holdpoint.errors import ConfigurationError
from holdpoint.model import State
from holdpoint.store import Store
from tests.bot.teams.conftest import MakeWorld
from tests.bot.teams.world import POLICY, World
from tests.bot.world import running_site, settings_for
from tests.fakes.teams import FakeTeams, Seen, channel_id, group_id
from tests.fakes.teams.wrong_tokens import WRONG
from tests.support.waiting import wait_until


@pytest.mark.promise(6)
async def test_an_approval_is_recorded_before_it_is_answered_and_everybody_sees_it(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    answer = await world.user("kim").click(card, "approve")
    assert (await world.store.holds.get(hold.id)).state is State.APPROVED
    assert answer.kind == "card"
    await world.shows(card, "Approved")


async def test_the_whole_bot_with_teams(redis_url: str, tmp_path: Path, teams: FakeTeams) -> None:
    async with running_site(redis_url, tmp_path, **teams.settings) as site:
        await teams.connect(f"{site.url}/api/messages")
        await teams.install_everywhere()
        await site.world.store.config.add_route("*", f"teams:{channel_id('security')}", by="test")
        async with site.client.get(f"{site.url}/readyz") as ready:
            assert ready.status == 200
        hold = await site.world.hold()

        async def posted() -> Seen | None:
            return next((each for each in await teams.cards("security") if hold.id in str(each.card)), None)

        card = await wait_until(posted, "the card is posted", every=0.02)
        await teams.user("sam").click(card, "approve")
        assert (await site.world.store.holds.get(hold.id)).state is State.APPROVED


async def test_without_teams_its_events_do_not_pile_up(redis_url: str, tmp_path: Path) -> None:
    store = await Store.open(redis_url, clock=now_ms)
    await store.outbox.read("events", group=consumer_group(KIND), block_ms=1, count=1)  # when Teams was set up
    async with running_site(redis_url, tmp_path) as site:
        await site.world.hold()

        async def trimmed() -> bool:
            await store.outbox.trim("events")
            return await store.outbox.lag("events", group="no such group") == 0  # all that is in the stream

        await wait_until(trimmed, "the stream is empty, once the ledger has what it said")
    await store.aclose()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"MicrosoftAppPassword": None}, "MicrosoftAppPassword: must be set where MicrosoftAppId is"),
        ({"MicrosoftAppTenantId": None}, "MicrosoftAppTenantId: must be set for a SingleTenant bot"),
        (
            {"ToBotFromChannelOpenIdMetadataUrl": "http://login.example.com/"},
            "ToBotFromChannelOpenIdMetadataUrl: must begin with https://",
        ),
        (
            {"ToChannelFromBotLoginUrl": "http://login.example.com/"},
            "ToChannelFromBotLoginUrl: must begin with https://",
        ),
        ({"TEAMS_GRAPH_URL": "http://graph.example.com/"}, "TEAMS_GRAPH_URL: must begin with https://"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_missing_setting_is_one_line_that_names_it(
    redis_url: str, tmp_path: Path, teams: FakeTeams, changes: dict[str, str | None], line: str
) -> None:
    present = {name: value for name, value in {**teams.settings, **changes}.items() if value is not None}
    with pytest.raises(ConfigurationError) as caught:
        async with running_bot(settings_for(redis_url, tmp_path, **present)):
            pass
    assert str(caught.value) == line


async def test_nothing_is_taken_before_the_start_and_after_the_end(make_world: MakeWorld) -> None:
    world = await make_world(installed=False)
    assert await world.app.is_ready()
    await world.app.stop()
    assert not await world.app.is_ready()
    assert await world.app.handle({}, b"{}") == (503, {"Retry-After": "5"}, b"")


@pytest.mark.promise(5)
async def test_no_wrong_token_decides_anything(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    activity = await world.teams.activity("invoke", "kim", "security")
    action = {
        "type": "Action.Execute",
        "verb": "approve",
        "data": {"verb": "approve", "hold": f"{hold.id} {hold.digest}"},
    }
    activity |= {"name": "adaptiveCard/action", "value": {"action": action, "trigger": "manual"}, "replyToId": card.id}
    # What a key vouches for is known from its announcement, a day long: test_door.py begins with other announcements.
    wrong = {name: case for name, case in WRONG.items() if "vouch" not in name and "endorse" not in name}
    for name, case in wrong.items():
        answer = await world.teams.deliver(activity, token=name)
        assert (answer.status, answer.body) == (case.status, None), name
        assert (await world.store.holds.get(hold.id)).state is State.PENDING, name
    assert world.errors() == [0]
    assert (await world.teams.deliver(activity)).status == 200
    await world.becomes(hold, State.APPROVED)


async def test_a_moved_service_url_is_learnt_and_used_after_a_restart(make_world: MakeWorld) -> None:
    world = await make_world()
    first = await world.card(await world.hold())
    moved = await world.teams.move("emea")
    await world.user("kim").say("help", "security")
    second = await world.app.places.get(first.conversation)
    assert second is not None
    assert second.service_url == moved
    await world.start_app()
    third = await world.card(await world.hold())
    assert third.conversation == first.conversation


@pytest.mark.promise(3)
async def test_a_click_that_comes_twice_at_once_decides_once(make_world: MakeWorld) -> None:
    world = await make_world(bots=2)
    hold = await world.hold()
    card = await world.card(hold)
    await world.teams.set(copies=2)
    answer = await world.user("kim").click(card, "approve")
    assert [each["status"] for each in answer.answers] == [200, 200]
    decided = await world.store.holds.get(hold.id)
    assert (decided.state, len(decided.decisions)) == (State.APPROVED, 1)
    assert world.errors() == [0, 0]


@pytest.mark.promise(3)
async def test_a_client_that_tries_again_because_we_were_slow_decides_once(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.teams.set(invoke_s=0.3)
    for operation in ("pagedmembers", "member", "members"):
        await world.teams.fail(operation, "slow", seconds=1, times=9)
    answer = await world.user("kim").click(card, "approve")
    assert answer.attempts > 1, "the first answer came too late"
    decided = await world.becomes(hold, State.APPROVED)
    assert len(decided.decisions) == 1
    await world.teams.heal()
    await world.teams.take_problems()
    assert world.errors() == [0]


async def test_while_the_keys_cannot_be_had_nothing_is_decided_and_later_it_is(make_world: MakeWorld) -> None:
    world = await make_world(installed=False)
    await world.teams.fail("openid", "html", status=503, times=99)
    await world.teams.fail("keys", "html", status=503, times=99)
    late = await world.start_app()
    await world.teams.install_everywhere(tell=False)
    activity = await world.teams.activity("message", "kim", "security")
    assert (await world.teams.deliver(activity)).status == 503
    await world.teams.heal()
    assert await late.is_ready(), "the web inbox of this bot goes on"


@pytest.mark.promise(8)
async def test_no_token_and_no_text_of_a_person_is_in_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await world.user("kim").say("hold nonsense tkt-4711", "security")
    activity = await world.teams.activity("message", "kim", "security")
    for name in ("expired", "another audience", "for another service URL"):
        await world.teams.deliver({**activity, "text": "tkt-4712"}, token=name)
    ours = "\n".join(
        record.getMessage() + str(record.__dict__)
        for record in caplog.records
        if record.name.startswith(("bot", "holdpoint"))
    )
    assert "tkt-471" not in ours
    assert "eyJ" not in ours


@pytest.mark.parametrize("place", ["security", "huddle"])
async def test_an_old_client_reads_in_the_place_what_came_of_a_click(make_world: MakeWorld, place: str) -> None:
    policy = POLICY.replace(channel_id("security"), group_id("huddle")) if place == "huddle" else POLICY
    world = await make_world(policy=policy)
    hold = await world.hold()
    card = await world.card(hold, place)
    await world.user("ola").click(card, "Approve", old_client=True)

    async def said() -> bool:
        return any(
            "may not" in each.seen or "decide" in each.seen
            for each in await world.teams.cards(place)
            if each.id != card.id and hold.id not in str(each.card)
        )

    await wait_until(said, "ola is told why nothing happened", every=0.02)
    assert (await world.store.holds.get(hold.id)).state is State.PENDING
    await world.user("kim").click(card, "Approve", old_client=True)
    await world.becomes(hold, State.APPROVED)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=4,
)
ODD_FIELDS = st.sampled_from(
    ["value", "channelData", "membersAdded", "membersRemoved", "entities", "replyToId", "recipient"]
)
ODD_DATA = st.sampled_from(
    ["verb", "hold", "reason", "text", "scope", "uses", "age", "part-0", "prepared", "at", "msteams"]
)
VERBS = st.sampled_from([value for name, value in vars(verbs).items() if name.isupper() and name != "KIND"])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    kind=st.sampled_from(["invoke", "conversationUpdate", "messageReaction"]),
    name=st.sampled_from(["adaptiveCard/action", "task/fetch", "task/submit"]),
    verb=VERBS,
    data=st.dictionaries(ODD_DATA, VALUES, max_size=4),
    changes=st.dictionaries(ODD_FIELDS, VALUES, max_size=2),
)
async def test_odd_clicks_and_activities_are_no_bug(
    world: World, kind: str, name: str, verb: str, data: dict[str, Any], changes: dict[str, Any]
) -> None:
    activity = await world.teams.activity(kind, "kim", "security")
    given_data = {"verb": verb, "hold": "h0 d", **data}
    action = {"type": "Action.Execute", "verb": verb, "data": given_data}
    value = {"action": action} if name == "adaptiveCard/action" else {"data": given_data}
    answer = await world.teams.deliver({**activity, "name": name, "value": value, **changes})
    assert answer.status in {200, 400}
    assert world.errors() == [0]
