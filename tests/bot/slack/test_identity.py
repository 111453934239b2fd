"""Who counts as somebody: full members of this workspace, asked of Slack, remembered for a minute (promise 5)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from bot import slack as names
from bot.slack.client import Installation, SlackClient
from bot.slack.directory import People, refusal
from holdpoint.errors import ChannelUnavailable
from holdpoint.live import Live
from holdpoint.model import Requirement, State
from holdpoint.store import Store
from tests.bot.slack.conftest import POLICY, MakeWorld, World, quiet
from tests.conftest import MovingClock
from tests.fakes.slack import FakeSlack, Fault
from tests.support.waiting import wait_until

STRANGERS: list[tuple[str, dict[str, Any], str]] = [
    ("a bot", {"is_bot": True}, "Apps and bots"),
    ("a deactivated account", {"deleted": True}, "deactivated"),
    ("a guest", {"is_restricted": True}, "Guests"),
    ("a single-channel guest", {"is_ultra_restricted": True}, "Guests"),
    ("a stranger", {"is_stranger": True}, "another Slack workspace"),
    ("another team", {"team": "T0OTHER"}, "another Slack workspace"),
    ("another organisation", {"team": "T0OTHER", "enterprise": "E0OTHER"}, "another Slack workspace"),
    ("nobody's e-mail", {"email": None}, "no e-mail"),
]


@pytest.fixture
async def http(make_world: MakeWorld) -> World:
    return await make_world("http")


@pytest.mark.promise(5)
@pytest.mark.parametrize(("flags", "words"), [row[1:] for row in STRANGERS], ids=[row[0] for row in STRANGERS])
async def test_who_is_no_full_member_decides_nothing(http: World, flags: dict[str, Any], words: str) -> None:
    for name, value in flags.items():
        setattr(http.sam, name, value)
    hold = await http.hold()
    card = await http.card(hold)
    for button in (names.APPROVE, names.REJECT, names.EDIT):
        http.slack.workspace.ephemerals.clear()
        await http.slack.click(http.sam, card, button)
        await http.told(http.sam, words)
    assert http.slack.workspace.modals(http.sam) == []
    assert (await http.store.holds.get(hold.id)).state is State.PENDING


@pytest.mark.parametrize(
    "flags", [row[1] for row in STRANGERS if "email" not in row[1]], ids=[row[0] for row in STRANGERS[:-1]]
)
async def test_who_is_no_full_member_gets_no_message(http: World, flags: dict[str, Any]) -> None:
    for name, value in flags.items():
        setattr(http.dana, name, value)
    hold = await http.hold()
    await http.card(hold)
    place = await wait_until(lambda: _dm_place(http, hold.id), "the message is given up")
    assert "nobody" in place
    assert not [c for c in http.slack.workspace.channels.values() if c.id.startswith("D")]


async def _dm_place(world: World, hold_id: str) -> str:
    place = (await world.store.cards.all(hold_id)).get("slack:dm:dana@example.com")
    return place.refused if place else ""


def test_within_one_organisation_every_workspace_is_ours() -> None:
    grid = Installation("T1", "E1", "B1", "U1")
    member = {"id": "U2", "team_id": "T2", "enterprise_user": {"enterprise_id": "E1"}}
    assert refusal(member, grid) == ""
    assert refusal(member, Installation("T1", None, "B1", "U1"))
    assert refusal({**member, "enterprise_user": {"enterprise_id": "E2"}}, grid)
    assert refusal({"id": "U2", "team_id": "T1", "is_email_confirmed": False}, grid)
    assert refusal({"id": "USLACKBOT", "team_id": "T1"}, grid)


async def test_an_answer_of_slack_lasts_a_minute(redis_url: str, clock: MovingClock) -> None:
    people, slack, close = await a_directory(redis_url, clock)
    sam = slack.workspace.add_user("Sam", "Sam@Example.com")
    slack.workspace.usergroups["S0ONCALL"] = [sam.id]
    first = await people.look_up(sam.id)
    assert first is not None
    assert (first.email, first.groups) == ("sam@example.com", {"oncall"})
    sam.email = "other@example.com"
    slack.workspace.usergroups["S0ONCALL"] = []
    clock.forward(seconds=59)
    assert await people.look_up(sam.id) == first
    clock.forward(seconds=2)
    later = await people.look_up(sam.id)
    assert later is not None
    assert (later.email, later.groups) == ("other@example.com", frozenset())
    assert slack.count("users.info") == 2
    await close()


async def test_a_failure_is_not_remembered_and_a_group_that_cannot_be_asked_has_no_members(
    redis_url: str, clock: MovingClock
) -> None:
    people, slack, close = await a_directory(redis_url, clock)
    sam = slack.workspace.add_user("Sam", "sam@example.com")
    slack.workspace.usergroups["S0ONCALL"] = [sam.id]
    slack.fault("users.info", Fault("status", status=500))
    with pytest.raises(ChannelUnavailable):
        await people.look_up(sam.id)
    slack.fault("usergroups.users.list", Fault("status", status=500))
    alone = await people.look_up(sam.id)
    assert alone is not None
    assert alone.groups == frozenset()
    found = await people.look_up(sam.id)
    assert found is not None
    assert found.groups == {"oncall"}
    assert await people.look_up("U9999") is None
    await close()


async def a_directory(redis_url: str, clock: MovingClock) -> Any:
    store = await Store.open(redis_url, clock=clock)
    await store.config.push_policy(POLICY, expect=0, by="test")
    live = Live(store, clock=clock)
    await live.look()
    slack = FakeSlack(clock)
    await slack.start()
    client = SlackClient(token=SecretStr("xoxb-fake-bot"), api_url=slack.url, clock=clock, logger=quiet())
    await client.start()

    async def close() -> None:
        await client.aclose()
        await slack.stop()
        await store.aclose()

    return People(client, live, clock=clock), slack, close


@pytest.mark.promise(5)
async def test_membership_counts_as_it_is_at_the_decision(http: World) -> None:
    hold = await http.hold(requirements=(Requirement("security", 2),))
    card = await http.card(hold)
    await http.slack.click(http.sam, card, names.APPROVE)
    stored = await http.store.config.policy()
    assert stored is not None
    text = stored.text.replace("sam@example.com, kim@example.com", "sam@example.com")
    await http.store.config.push_policy(text, expect=stored.version, by="test")
    await wait_until(lambda: http.live.snapshot.policy.version == 2, "the policy is live")
    await http.slack.click(http.kim, card, names.APPROVE)
    await http.told(http.kim, "security")
    assert len((await http.store.holds.get(hold.id)).decisions) == 1
