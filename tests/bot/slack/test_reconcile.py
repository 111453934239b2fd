"""Every way in which Slack's cards and our records can come apart has a defined end, and a line for the admin."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from bot import slack as names
from bot.timer import Timer
from holdpoint.metrics import Metrics
from holdpoint.model import DecisionKind, Hold, Requirement, State
from tests.bot.slack.conftest import MakeWorld, World
from tests.fakes.slack import Fault, Message
from tests.support.builders import make_decision
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until, within

TWO = (Requirement("security", 2),)
AT_ONCE_S = 2.0  # promised: on every copy within two seconds


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("http")


async def noted(world: World, hold: Hold) -> None:
    async def all_known() -> bool:
        places = (await world.store.cards.all(hold.id)).values()
        return len(places) == 3 and all(place.message for place in places)

    await wait_until(all_known, "all copies are noted")


async def shown(world: World, **evaluation: object) -> tuple[Hold, Message, Message]:
    hold = await world.hold(**evaluation)
    cards = await world.card(hold), await world.card(hold, world.second)
    await noted(world, hold)
    return hold, *cards


async def failing(world: World) -> dict[str, str]:
    return {each.target: each.text for each in await world.store.cards.failing()}


async def refused(world: World, target: str, word: str) -> None:
    async def listed() -> bool:
        return word in (await failing(world)).get(target, "")

    await wait_until(listed, f"{target} is listed as failing with {word}")


async def restart(world: World) -> None:
    await world.apps.pop().stop()
    await world.start_app()


@pytest.mark.promise(4)
@pytest.mark.parametrize("way", ["another channel", "api", "timer", "requester"])
async def test_a_decision_made_anywhere_is_on_every_copy_within_two_seconds(world: World, way: str) -> None:
    hold, first, second = await shown(world)
    async with within(AT_ONCE_S):
        match way:
            case "another channel":
                await world.slack.click(world.sam, second, names.APPROVE)
            case "api":
                await world.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
            case "requester":
                await world.store.holds.cancel(hold, by="dana@example.com", reason="changed my mind")
            case _:
                late = Timer(
                    world.store, clock=lambda: hold.deadline_ms + 1, metrics=Metrics(), abandon_grace_ms=60_000
                )  # fmt: skip
                world.store.holds._clock = lambda: hold.deadline_ms + 1
                await late.look()
        for card in (first, second, await world.dm(hold)):
            await wait_until(lambda c=card: "held for review" not in c.seen.text, "it is decided on every copy")  # type: ignore[misc]
            assert card.button(names.APPROVE) is None


async def test_a_decision_made_while_slack_was_away_is_there_once_it_is_back(world: World) -> None:
    hold, first, second = await shown(world)
    world.slack.outage = True
    await world.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    await wait_until(lambda: any(c.answer == "status" for c in world.slack.calls), "the bot has tried")
    world.slack.clear_faults()
    for card in (first, second):
        await world.shows(card, "Approved by sam@example.com")


async def test_what_was_decided_while_no_bot_ran_is_shown_after_the_start(world: World) -> None:
    hold, first, second = await shown(world)
    await world.apps.pop().stop()
    await world.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    # Nobody will read this event: only the comparison can find it.
    for _ in range(2):
        events = await world.store.outbox.read("events", group="cards:slack", block_ms=1, count=100)
        await world.store.outbox.ack("events", group="cards:slack", events=events)
    await world.start_app()
    for card in (first, second):
        await world.shows(card, "Approved by sam@example.com")


async def test_after_redis_was_away_every_card_is_true(make_world: MakeWorld, redis_server: RedisServer) -> None:
    world = await make_world("http", url=redis_server.url)
    hold, first, _ = await shown(world)
    redis_server.kill()
    await wait_until(lambda: not world.app.notifier.leading, "the bot notices")
    redis_server.start()
    await wait_until(lambda: world.app.notifier.leading, "it leads again")
    await world.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    await world.shows(first, "Approved by sam@example.com")


async def test_a_second_message_of_the_same_card_is_taken_away(world: World) -> None:
    hold, first, _ = await shown(world)
    stray = replace(first, ts=f"{first.ts[:-6]}{int(first.ts[-6:]) + 500:06}")
    world.security.messages[stray.ts] = stray
    await restart(world)
    await wait_until(lambda: stray.ts not in world.security.messages, "the stray is gone")
    assert world.find(hold) is first


async def test_a_deleted_card_comes_back_after_a_restart_without_any_event(world: World) -> None:
    hold, first, _ = await shown(world)
    world.slack.delete(first)
    await restart(world)
    again = await world.card(hold)
    assert again.ts != first.ts
    await world.slack.click(world.sam, again, names.APPROVE)
    await world.shows(again, "Approved by sam")


async def test_a_bot_that_was_removed_from_the_channel_says_so_and_draws_when_it_is_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.slack.kick(world.security)
    hold = await world.hold(requirements=TWO)
    other = await world.card(hold, world.second)
    await refused(world, "slack:C0SECURITY", "not_in_channel")
    assert [r for r in caplog.records if "not_in_channel" in r.getMessage() and r.levelno == logging.ERROR]
    world.slack.invite(world.security)
    await restart(world)
    card = await world.card(hold)
    await world.slack.click(world.sam, other, names.APPROVE)
    await world.shows(card, "1 of 2")
    assert await failing(world) == {}


async def test_a_channel_that_is_archived_later_is_listed_and_the_other_copies_go_on(world: World) -> None:
    hold, _first, second = await shown(world, requirements=TWO)
    world.slack.archive(world.security)
    await world.slack.click(world.sam, second, names.APPROVE)
    await world.shows(second, "1 of 2")
    await refused(world, "slack:C0SECURITY", "is_inactive")
    new = await world.hold()
    await world.card(new, world.second)
    await refused(world, "slack:C0SECURITY", "is_archived")
    world.slack.archive(world.security, archived=False)
    await restart(world)
    await world.card(new)
    await world.shows(await world.card(hold), "1 of 2")


async def test_a_channel_that_does_not_exist_is_listed(world: World) -> None:
    await world.store.config.add_route("contractors", "slack:C0NOWHERE", by="test")
    hold = await world.hold()
    await world.card(hold)
    await refused(world, "slack:C0NOWHERE", "channel_not_found")


async def test_where_late_edits_are_forbidden_the_thread_tells_the_outcome(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bot.reconcile")
    hold, first, second = await shown(world)
    world.slack.workspace.edit_window_s = 0
    world.slack.workspace.forward(seconds=5)
    await world.slack.click(world.sam, second, names.APPROVE)
    await wait_until(
        lambda: any("Approved by sam" in reply.seen.text for reply in world.slack.thread(first)), "the thread says so"
    )
    await refused(world, "slack:C0SECURITY", "edit_window_closed")
    assert (await world.store.holds.get(hold.id)).state is State.APPROVED
    calls = world.slack.count("chat.update")
    caplog.clear()
    await restart(world)
    await wait_until(lambda: "cards were compared with the records" in caplog.messages, "the next bot has compared")
    assert world.slack.count("chat.update") == calls  # what cannot be done is not tried for ever


async def test_a_revoked_token_loses_no_card(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.copies.SETTLED_AFTER_MS", 3_000)
    hold, first, _ = await shown(world)
    world.slack.fault("chat.update", Fault("error", error="token_revoked"), times=1000)
    world.slack.fault("chat.postMessage", Fault("error", error="token_revoked"), times=1000)
    missed = await world.hold()
    await world.store.holds.decide(hold, make_decision(hold, DecisionKind.REJECT), state=State.REJECTED, body=None)
    await refused(world, "slack", "token_revoked")
    assert any("token_revoked" in record.getMessage() for record in caplog.records)
    assert all(not place.refused for place in (await world.store.cards.all(missed.id)).values())
    world.slack.clear_faults()  # installed again
    await restart(world)
    await world.shows(first, "Rejected by sam@example.com")
    # The next bot cannot know whether the former one's post is still on its way.
    await wait_until(lambda: world.find(missed), "the missed card is posted", seconds=20)
    await world.store.holds.decide(missed, make_decision(missed), state=State.APPROVED, body=None)

    async def all_well() -> bool:
        return await failing(world) == {}

    await wait_until(all_well, "nothing is listed as failing any more")


async def test_an_unknown_error_of_slack_is_remembered_with_its_word(world: World) -> None:
    world.slack.fault("chat.postMessage", Fault("error", error="restricted_action"), times=3)
    await world.hold()
    await refused(world, "slack:C0SECURITY", "restricted_action")
