"""Socket Mode: two connections, and a connection that Slack or the network ends is replaced."""

from __future__ import annotations

import asyncio

import pytest

from bot import slack as names
from bot.slack import app
from holdpoint.model import State
from tests.bot.slack.conftest import POLICY, MakeWorld, World
from tests.fakes.slack import Fault, Json
from tests.support.waiting import wait_until


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("socket")


async def approves(world: World) -> None:
    hold = await world.hold()
    delivery = await world.slack.click(world.sam, await world.card(hold), names.APPROVE)
    assert delivery.acked
    assert (await world.store.holds.get(hold.id)).state is State.APPROVED


async def test_there_are_two_connections_and_either_one_serves(world: World) -> None:
    assert len(world.slack.sockets) == 2
    assert await world.app.is_ready()
    await approves(world)
    world.slack.sockets.reverse()
    await approves(world)


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "link_disabled"])
async def test_a_connection_that_slack_wants_replaced_is_replaced(world: World, reason: str) -> None:
    before = list(world.slack.sockets)
    await world.slack.disconnect(reason)
    await wait_until(
        lambda: len(world.slack.sockets) == 2 and world.slack.sockets != before, "there is a new connection"
    )
    await approves(world)


async def test_a_connection_that_slack_closed_is_opened_again(world: World) -> None:
    before = list(world.slack.sockets)
    await world.slack.sockets[-1].close()
    await wait_until(
        lambda: len(world.slack.sockets) == 2 and world.slack.sockets != before, "there is a new connection"
    )
    await approves(world)


async def test_without_slack_the_bot_starts_and_connects_later(make_world: MakeWorld) -> None:
    world = await make_world("http", start=False)
    world.mode = "socket"
    world.slack.outage = True
    task = asyncio.create_task(world.start_app())
    await wait_until(lambda: any(c.method == "apps.connections.open" for c in world.slack.calls), "the app tries")
    world.slack.clear_faults()
    await task
    await approves(world)


async def test_stopping_leaves_nothing_behind(world: World) -> None:
    stopped = world.apps.pop()
    await stopped.stop()
    await wait_until(lambda: not world.slack.sockets, "the connections are closed")
    assert not await stopped.is_ready()


@pytest.mark.parametrize("how", ["no answers", "no answers from the start", "gone without a goodbye"])
async def test_a_silent_link_is_noticed_and_replaced(
    make_world: MakeWorld, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "PING_EVERY_S", 0.4)
    world = await make_world("socket", start=False)
    world.slack.mute = how == "no answers from the start"
    await world.start_app()
    before = list(world.slack.sockets)
    if how == "no answers":
        world.slack.freeze()
    elif how == "gone without a goodbye":
        world.slack.cut()
    world.slack.mute = False
    await wait_until(
        lambda: len([s for s in world.slack.sockets if s not in before]) >= 2, "both connections are new", seconds=5
    )
    world.slack.sockets.sort(key=lambda socket: socket not in before)
    await approves(world)


async def test_while_one_link_is_silent_the_other_one_serves(world: World) -> None:
    world.slack.freeze(world.slack.sockets[0])
    await approves(world)


@pytest.mark.parametrize("mode", ["http", "socket"])
async def test_two_bots_handle_an_event_once(make_world: MakeWorld, mode: str) -> None:
    world = await make_world(mode)
    addresses = [world.slack.request_url]
    await world.start_app()
    addresses.append(world.slack.request_url)

    async def deliver(event: Json) -> int:
        """To each bot twice, as if Slack did not hear the acknowledgements: how often it was handled."""
        asked = world.slack.count("auth.test")
        for address in [*addresses, *addresses]:
            world.slack.request_url = address
            world.slack.sockets.reverse()
            assert (await world.slack.deliver("events_api", event)).acked
        return world.slack.count("auth.test") - asked

    await deliver(world.slack.event_payload({"type": "app_uninstalled"}))  # each bot asks who it is, once
    assert await deliver(world.slack.event_payload({"type": "app_uninstalled"})) == 1


async def test_an_event_that_could_not_be_handled_is_new_again(world: World) -> None:
    await approves(world)  # who we are is known from here on
    asked = world.slack.count("auth.test")
    world.slack.fault("auth.test", Fault("status", status=503))
    deliveries = await world.slack.event({"type": "app_uninstalled", "event_ts": "1.1"})
    assert [delivery.acked for delivery in deliveries] == [False, True]
    assert world.slack.count("auth.test") - asked == 1


async def test_an_answer_that_is_too_long_for_the_socket_comes_by_the_response_url(world: World) -> None:
    await world.store.config.push_policy(POLICY + "# Что здесь сказано, решает совет.\n" * 200, expect=1, by="test")
    await world.live.catch_up()
    before = list(world.slack.sockets)
    assert (await world.slack.command(world.lee, world.leads, "policy show")).acked
    answers = world.slack.workspace.ephemerals
    await wait_until(lambda: answers and "решает совет" in answers[-1].seen.text, "the answer is there")
    assert world.slack.sockets == before


async def test_a_command_that_comes_twice_is_run_once(world: World) -> None:
    payload = world.slack.command_payload(world.lee, world.leads, "pending")
    first = await world.slack.deliver("slash_commands", payload)
    second = await world.slack.deliver("slash_commands", payload)
    assert (first.acked, second.acked) == (True, True)
    assert first.body
    assert not second.body
