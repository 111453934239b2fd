"""Socket Mode: two connections, and a connection that Slack or the network ends is replaced."""

from __future__ import annotations

import asyncio

import pytest

from bot import slack as names
from holdpoint.model import State
from tests.bot.slack.conftest import MakeWorld, World
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
    app = world.apps.pop()
    await app.stop()
    await wait_until(lambda: not world.slack.sockets, "the connections are closed")
    assert not await app.is_ready()
