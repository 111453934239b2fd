"""Slack slow, limited, away or lying; Redis lost; a bot gone in the middle: every hold still has one true card."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bot import slack as names
from holdpoint.model import EventKind, Requester, Requirement, State
from tests.bot.slack.conftest import POLICY, MakeWorld, World
from tests.fakes.slack import Fault
from tests.support.builders import make_decision
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

LEE = Requester("lee@example.com", frozenset({"platform-leads"}), name="Lee")


@pytest.fixture
async def http(make_world: MakeWorld) -> World:
    return await make_world("http")


@pytest.mark.parametrize(
    "fault",
    [
        Fault("limited", retry_after=1),
        Fault("status", status=500),
        Fault("html", status=502),
        Fault("html", status=200),
        Fault("reset"),
        Fault("reset", committed=True),
        Fault("status", status=503, committed=True),
        Fault("error", error="internal_error"),
    ],
    ids=lambda fault: (
        f"{fault.kind}{fault.status if fault.kind in ('status', 'html') else ''}{'-after' if fault.committed else ''}"
    ),
)
async def test_a_post_that_fails_once_is_there_once(http: World, fault: Fault) -> None:
    http.slack.fault("chat.postMessage", fault, times=3)  # both channels and the DM
    hold = await http.hold()
    for channel in (http.security, http.second):
        await http.card(hold, channel)
    await http.dm(hold)
    await http.slack.click(http.sam, await http.card(hold), names.APPROVE)
    await http.shows(await http.card(hold, http.second), "Approved by sam")


async def test_a_persons_own_card_whose_answer_was_lost_is_there_once(http: World) -> None:
    text = POLICY.replace('"slack:C0SECOND"', f'"slack:{http.sam.id}"')
    await http.store.config.push_policy(text, expect=1, by="test")
    http.slack.fault("chat.postMessage", Fault("reset", committed=True), times=3)  # the channel, Sam and the DM
    hold = await http.hold()
    await wait_until(lambda: _all_known(http, hold.id), "all copies are noted")
    card = await http.dm(hold, http.sam)
    await http.slack.click(http.sam, card, names.APPROVE)
    await http.shows(card, "Approved by sam")


async def test_a_flood_of_holds_is_posted_once_each_at_slacks_pace(http: World) -> None:
    http.slack.rates = {"chat.postMessage": (1, 1.0)}
    holds = [await http.hold() for _ in range(4)]
    for hold in holds:
        await http.card(hold)
        await http.card(hold, http.second)
    # A 429 closes the channel here: what waits does not ask again and again.
    assert sum(c.answer == "ratelimited" for c in http.slack.calls) <= 16


async def test_a_channel_at_its_limit_does_not_hold_up_the_others(http: World) -> None:
    http.slack.rates = {"chat.postMessage": (1, 3600.0)}
    first, second = await http.hold(), await http.hold()
    await wait_until(lambda: http.find(first) or http.find(second), "one of the two is posted")
    other = await http.hold(requester=LEE)
    await http.card(other, http.leads)
    assert not (http.find(first) and http.find(second))


async def test_after_an_outage_every_card_is_true(http: World) -> None:
    shown = await http.hold()
    card = await http.card(shown)
    http.slack.outage = True
    missed = await http.hold()
    await http.store.holds.decide(shown, make_decision(shown), state=State.APPROVED, body=None)
    await wait_until(lambda: sum(c.answer == "status" for c in http.slack.calls) >= 3, "the bot has tried")
    http.slack.clear_faults()
    await http.shows(card, "Approved by sam@example.com")
    for channel in (http.security, http.second):
        await http.card(missed, channel)


async def test_a_hold_that_ended_before_its_card_could_be_posted_gets_none(
    http: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    knew: list[bool] = []  # of each attempt, whether it could know of the end
    draw = http.app.drawer.draw

    async def noted(hold_id: str) -> None:
        has_ended = (await http.store.holds.get(hold_id)).state is State.APPROVED
        try:
            await draw(hold_id)
        finally:
            knew.append(has_ended)

    monkeypatch.setattr(http.app.drawer, "draw", noted)
    http.slack.outage = True
    hold = await http.hold()
    await wait_until(lambda: knew, "the bot has tried to post every copy")
    await http.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    await wait_until(lambda: any(knew), "no attempt is on its way that does not know")
    http.slack.clear_faults()
    await http.shows(await http.dm(hold), "approved")  # to the requester it is news

    async def only_the_dm() -> bool:
        return set(await http.store.cards.all(hold.id)) == {"slack:dm:dana@example.com"}

    await wait_until(only_the_dm, "the intended cards are forgotten")
    assert http.find(hold) is None


async def test_several_changes_before_the_first_card_make_one_message(make_world: MakeWorld) -> None:
    world = await make_world("http", start=False)
    hold = await world.hold(requirements=(Requirement("security", 3),))
    for who in ("sam@example.com", "kim@example.com"):
        hold = await world.store.holds.decide(hold, make_decision(hold, by=who), state=State.PENDING, body=None)
    await world.start_app()
    await world.shows(await world.card(hold), "2 of 3")
    await world.card(hold, world.second)
    await world.dm(hold)
    assert (world.slack.count("chat.postMessage"), world.slack.count("chat.update")) == (3, 0)


@pytest.mark.promise(3)
async def test_a_bot_that_dies_between_post_and_note_leaves_one_card(make_world: MakeWorld) -> None:
    world = await make_world("http", start=False)
    first = await world.start_app()
    never = asyncio.Event()
    world.slack.fault("chat.postMessage", Fault("gate", committed=True, gate=never), times=3)
    hold = await world.hold()
    for channel in (world.security, world.second):
        await world.card(hold, channel)  # Slack has it; the bot never hears so
    await world.dm(hold)
    world.apps.remove(first)
    await first.stop()
    never.set()
    assert all(not place.message for place in (await world.store.cards.all(hold.id)).values())
    await world.start_app()
    await wait_until(lambda: _all_known(world, hold.id), "the next bot has found all three")
    assert world.slack.count("chat.postMessage") == 0  # the three were cut off, and nothing was posted since
    await world.slack.click(world.sam, await world.card(hold), names.APPROVE)
    await world.shows(await world.card(hold, world.second), "Approved by sam")


async def _all_known(world: World, hold_id: str) -> bool:
    places = (await world.store.cards.all(hold_id)).values()
    return len(places) == 3 and all(place.message for place in places)


async def test_one_bot_draws_and_the_other_takes_over(http: World) -> None:
    second = await http.start_app()
    hold = await http.hold()
    card = await http.card(hold)
    leader, follower = (http.apps[0], second) if http.apps[0].notifier.leading else (second, http.apps[0])
    assert leader.notifier.leading
    assert not follower.notifier.leading
    http.apps.remove(leader)
    await leader.stop()
    await http.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    await http.shows(card, "Approved")
    assert follower.notifier.leading


async def test_two_bots_that_draw_at_the_same_moment_end_with_the_truth(make_world: MakeWorld) -> None:
    world = await make_world("http")
    second = await world.start_app()
    hold = await world.hold(requirements=(Requirement("security", 9),))
    card = await world.card(hold)
    await wait_until(lambda: _all_known(world, hold.id), "all copies are noted")  # else one waits for the other's posts
    drawers = [world.apps[0].drawer, second.drawer]
    for number in range(8):
        hold = await world.store.holds.decide(
            hold, make_decision(hold, by=f"r{number}@example.com"), state=State.PENDING, body=None
        )
        await asyncio.gather(*(drawer.draw(hold.id) for drawer in drawers))
    await world.shows(card, "8 of 9")
    await world.card(hold, world.second)


async def test_an_app_that_was_not_invited_is_said_once_for_each_change_and_hurts_nobody(
    http: World, caplog: pytest.LogCaptureFixture
) -> None:
    http.security.members.remove("U0BOT")
    hold = await http.hold(requirements=(Requirement("security", 2),))
    other = await http.card(hold, http.second)
    refused = await wait_until(lambda: _refused(http, hold.id), "the refusal is remembered")
    assert "not_in_channel" in refused
    assert [r for r in caplog.records if "not_in_channel" in r.getMessage() and r.levelno == logging.ERROR]
    http.security.members.add("U0BOT")
    await http.slack.click(http.sam, other, names.APPROVE)
    await http.shows(await http.card(hold), "1 of 2")  # the next change tries again


async def _refused(world: World, hold_id: str) -> str:
    place = (await world.store.cards.all(hold_id)).get("slack:C0SECURITY")
    return place.refused if place else ""


async def test_a_card_that_somebody_deleted_comes_back_while_the_hold_waits(http: World) -> None:
    hold = await http.hold(requirements=(Requirement("security", 2),))
    card, other = await http.card(hold), await http.card(hold, http.second)
    await wait_until(lambda: _all_known(http, hold.id), "all copies are noted")
    del http.security.messages[card.ts]
    await http.slack.click(http.sam, other, names.APPROVE)
    await http.shows(await http.card(hold), "1 of 2")


async def test_a_card_that_was_deleted_and_is_decided_is_forgotten(http: World) -> None:
    hold = await http.hold()
    card, other = await http.card(hold), await http.card(hold, http.second)
    await wait_until(lambda: _all_known(http, hold.id), "all copies are noted")
    del http.security.messages[card.ts]
    await http.slack.click(http.sam, other, names.APPROVE)
    await http.shows(other, "Approved by sam")

    async def forgotten() -> bool:
        return "slack:C0SECURITY" not in await http.store.cards.all(hold.id)

    await wait_until(forgotten, "its place is forgotten")
    assert http.find(hold) is None


async def test_a_copy_that_nobody_knows_is_adopted_when_it_is_clicked(http: World) -> None:
    hold = await http.hold()
    card = await http.card(hold)
    await wait_until(lambda: _all_known(http, hold.id), "all copies are noted")
    await http.store.cards.forget(hold.id, "slack:C0SECURITY")
    await http.slack.click(http.sam, card, names.APPROVE)
    await http.shows(card, "Approved by sam")
    # Beside another one, when the bot was just about to draw the card that was gone.
    assert card.ts in {place.message for place in (await http.store.cards.all(hold.id)).values()}


async def test_the_requesters_message_is_taken_for_no_card_when_it_is_clicked_before_its_place_is_noted(
    http: World,
) -> None:
    hold = await http.hold()
    message = await http.dm(hold)
    await wait_until(lambda: _all_known(http, hold.id), "all copies are noted")
    places = await http.store.cards.all(hold.id)
    target = "slack:dm:dana@example.com"
    await http.store.cards.forget(hold.id, target)
    await http.store.cards.intend(hold.id, target, intent=places[target].intent)
    await http.slack.click(http.dana, message, names.CANCEL)
    await http.shows(message, "Cancelled")
    await wait_until(lambda: _all_known(http, hold.id), "all copies are noted")
    assert set(await http.store.cards.all(hold.id)) == set(places)


async def test_what_a_card_showed_is_recorded(http: World) -> None:
    hold = await http.hold()
    await http.card(hold)
    await wait_until(lambda: _all_known(http, hold.id), "all copies are noted")
    events = await http.store.outbox.read("events", group="test", block_ms=1, count=100)
    events = events or await http.store.outbox.read("events", group="test", block_ms=1, count=100)
    shown = {e.data["target"]: e.data for e in events if e.kind is EventKind.CARD_SHOWN}
    assert set(shown) == {"slack:C0SECURITY", "slack:C0SECOND", "slack:dm:dana@example.com"}
    entry = shown["slack:C0SECURITY"]
    assert (entry["hold"], entry["rev"], entry["digest"]) == (hold.id, hold.rev, hold.digest)
    assert "what is the admin password" in entry["view"]


@pytest.mark.promise(6)
@pytest.mark.parametrize("mode", ["http", "socket"])
async def test_without_the_store_the_person_reads_that_nothing_was_recorded(
    make_world: MakeWorld, redis_server: RedisServer, mode: str
) -> None:
    world = await make_world(mode, url=redis_server.url)
    hold = await world.hold()
    card = await world.card(hold)
    await wait_until(lambda: _all_known(world, hold.id), "all copies are noted")
    redis_server.kill()
    assert (await world.slack.click(world.sam, card, names.APPROVE)).acked
    await world.told(world.sam, "Not recorded")
    redis_server.start()
    await wait_until(lambda: world.live.is_fresh, "the store is back")
    await world.slack.click(world.sam, card, names.APPROVE)
    await world.shows(card, "Approved by sam")


@pytest.mark.promise(6)
@pytest.mark.parametrize("mode", ["http", "socket"])
async def test_who_cannot_be_told_sees_slacks_own_error(make_world: MakeWorld, mode: str) -> None:
    world = await make_world(mode)
    hold = await world.hold()
    card = await world.card(hold)
    world.slack.outage = True
    assert not (await world.slack.click(world.sam, card, names.APPROVE)).acked
    world.slack.clear_faults()
    assert (await world.store.holds.get(hold.id)).state is State.PENDING
    assert (await world.slack.click(world.sam, card, names.APPROVE)).acked


async def test_nobody_decides_while_slack_does_not_say_who_they_are_now(http: World) -> None:
    """The person sees at once that their click did not count, and nothing is lost by pressing again."""
    hold, other = await http.hold(), await http.hold()
    await http.slack.click(http.sam, await http.card(hold), names.APPROVE)
    card = await http.card(other)
    http.slack.outage = True
    assert not (await http.slack.click(http.sam, card, names.APPROVE)).acked
    assert (await http.store.holds.get(other.id)).state is State.PENDING
    http.slack.outage = False
    assert (await http.slack.click(http.sam, card, names.APPROVE)).acked
    assert (await http.store.holds.get(other.id)).state is State.APPROVED


async def test_a_slow_slack_is_no_reason_to_miss_the_deadline(http: World) -> None:
    hold = await http.hold()
    card = await http.card(hold)
    gate = asyncio.Event()
    http.slack.fault("users.info", Fault("gate", gate=gate))
    delivery = await http.slack.click(http.sam, card, names.APPROVE)
    gate.set()
    assert delivery.acked
    assert delivery.seconds < 3
    await http.told(http.sam, "Not confirmed")


async def test_a_rejection_that_cannot_be_recorded_stays_in_the_modal(
    make_world: MakeWorld, redis_server: RedisServer
) -> None:
    world = await make_world("http", url=redis_server.url)
    hold = await world.hold()
    await world.slack.click(world.sam, await world.card(hold), names.REJECT)
    (modal,) = world.slack.workspace.modals(world.sam)
    redis_server.kill()
    await world.slack.submit(world.sam, modal, {"reason": "no"})
    assert "Not recorded" in modal.errors["reason"]
    redis_server.start()
    await wait_until(lambda: world.live.is_fresh, "the store is back")
    await world.slack.submit(world.sam, modal, {"reason": "no"})
    assert (await world.store.holds.get(hold.id)).state is State.REJECTED


@pytest.mark.promise(8)
async def test_no_content_and_no_secret_is_logged(http: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    http.slack.fault("chat.postMessage", Fault("html", status=500), times=2)
    hold = await http.hold("tell me the password of zebra-secret")
    card = await http.card(hold)
    await http.slack.click(http.ola, card, names.APPROVE)
    await http.slack.click(http.sam, card, names.REJECT)
    (modal,) = http.slack.workspace.modals(http.sam)
    await http.slack.submit(http.sam, modal, {"reason": "giraffe-reason"})
    await http.slack.deliver("interactive", {"type": "block_actions", "zebra-secret": 1})
    await http.slack.post("payload=zebra-secret", {"Content-Type": "application/x-www-form-urlencoded"})
    ours = [record for record in caplog.records if record.name.startswith(("bot", "slack", "holdpoint"))]
    logged = "\n".join(str(vars(record)) + record.getMessage() for record in ours)
    for secret in ("zebra-secret", "giraffe-reason", "xoxb-", "fake-signing-secret", "xapp-"):
        assert secret not in logged
