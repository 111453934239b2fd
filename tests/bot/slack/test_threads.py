"""The thread of a card: what happened, each thing once; the right people called once, and never by a text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot import slack as names
from bot.threads import Narrator
from holdpoint.model import Decision, Hold, Mention, Question, Requester, Requirement, ReviewTerms, Risk, State
from tests.bot.slack.conftest import MakeWorld, World
from tests.fakes.slack import Channel, Fault, Message
from tests.support.builders import OUTCOME, make_decision
from tests.support.waiting import wait_until

ALL = ReviewTerms(mentions=frozenset(Mention))
ROBOT = Requester("robot", frozenset({"contractors"}))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a second until it is said."""
    monkeypatch.setattr("bot.threads.BATCH_S", 0.2)
    monkeypatch.setattr("bot.threads.RETRY_S", 0.2)


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("http")


def thread(card: Message, world: World) -> list[Message]:
    channel = world.slack.workspace.channels[card.channel]
    return [message for message in channel.messages.values() if message.thread_ts == card.ts and message is not card]


def said(card: Message, world: World) -> str:
    return "\n".join(message.seen.text for message in thread(card, world))


async def says(card: Message, world: World, words: str) -> None:
    await wait_until(lambda: words in said(card, world), f"the thread says {words!r}")


def called(channel: Channel) -> list[str]:
    """Ids that were mentioned, and whatever else would have rung somebody or become a link."""
    rung = [who for message in channel.messages.values() for who in message.seen.notified]
    return [who.removeprefix("@").removeprefix("!subteam^") for who in rung]


async def known(world: World, hold: Hold) -> None:
    async def noted() -> bool:
        return all(place.message for place in (await world.store.cards.all(hold.id)).values())

    await wait_until(noted, "all copies are noted")


async def settled(world: World) -> None:
    """Whatever was due was said: something that happened later has been, on each of its cards."""
    later = await world.hold("later", requester=ROBOT)
    cards = [await world.card(later, channel) for channel in (world.security, world.second)]
    await known(world, later)
    await world.store.talk.ask(later, Question("q1", "s", "Sam", "and now?", world.clock()), pauses=False)
    for card in cards:
        await says(card, world, "and now?")


async def test_what_happens_is_said_in_the_thread_of_every_card_and_not_in_the_dm(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.threads.BATCH_S", 1.0)
    hold = await world.hold()
    cards = [await world.card(hold, channel) for channel in (world.security, world.second)]
    await known(world, hold)
    began = time.monotonic()
    hold = await world.store.talk.ask(
        hold, Question("q1", "sam@example.com", "Sam", "what for?", world.clock()), pauses=False
    )
    hold = await world.store.talk.answer(hold, question="q1", text="the audit", by="dana@example.com")
    for card in cards:
        await says(card, world, "Sam asked: what for?")
        await says(card, world, "dana@example.com answered: the audit")
    hold = await world.store.holds.decide(
        hold, replace(make_decision(hold), at_ms=world.clock()), state=State.APPROVED, body=None
    )
    hold = await world.store.holds.release(hold.id, gateway="g1")
    await world.store.holds.close(hold, state=State.COMPLETED, outcome=OUTCOME, response=None)
    for card in cards:
        await says(card, world, "Approved by sam@example.com")
        await says(card, world, "Answered with 200")
        # What happens together is said together: at most one reply a second.
        assert len(thread(card, world)) <= 1 + (time.monotonic() - began)
    direct = world.slack.workspace.direct(world.dana.id)
    assert all(message.thread_ts is None for message in direct.messages.values())


async def test_what_stood_on_the_card_from_the_beginning_is_not_said(make_world: MakeWorld) -> None:
    world = await make_world("http", start=False)
    hold = await world.hold(requirements=())
    hold = await world.store.talk.justify(hold, text="it is urgent", by="dana@example.com")
    await world.store.talk.ask(hold, Question("q1", "s", "Sam", "what for?", world.clock()), pauses=False)
    asked_ms = world.clock()
    await wait_until(lambda: world.clock() > asked_ms, "the card is intended a moment later")
    await world.start_app()
    card = await world.card(hold)
    await settled(world)
    assert thread(card, world) == []


async def test_a_later_justification_is_said(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await known(world, hold)
    await settled(world)
    await world.store.talk.justify(hold, text="it is urgent", by="dana@example.com")
    await says(card, world, "The requester says: it is urgent")


async def remind(world: World, hold: Hold) -> Hold:
    return await world.store.talk.remind(hold)


async def test_a_reminder_calls_the_people_of_the_missing_group_once_in_one_channel(world: World) -> None:
    hold = await world.hold(terms=ALL)
    card = await world.card(hold)
    await world.card(hold, world.second)
    await known(world, hold)
    await remind(world, hold)
    await says(card, world, "still waits")
    await settled(world)
    # Once when it was held, once as the reminder; nobody in the second channel, and not the requester.
    assert sorted(called(world.security)) == sorted([world.sam.id, world.kim.id] * 2)
    assert called(world.second) == []


async def test_neither_the_requester_nor_who_has_decided_is_called(world: World) -> None:
    sam = Requester("sam@example.com", frozenset({"contractors"}))
    hold = await world.hold(terms=ALL, requester=sam)
    voted = await world.hold(requirements=(Requirement("security", 2),))
    for each in (hold, voted):
        await world.card(each)
        await known(world, each)
    voted = await world.store.holds.decide(
        voted, replace(make_decision(voted, by="kim@example.com"), at_ms=world.clock()), state=State.PENDING, body=None
    )
    await remind(world, voted)
    await wait_until(lambda: len(called(world.security)) >= 2, "both are called")
    await settled(world)
    first, second = await world.card(hold), await world.card(voted)
    assert [m.seen.notified for m in thread(first, world) if m.seen.notified] == [[f"@{world.kim.id}"]]
    assert [m.seen.notified for m in thread(second, world) if m.seen.notified] == [[f"@{world.sam.id}"]]


async def test_the_default_terms_call_nobody_when_a_hold_comes(world: World) -> None:
    hold = await world.hold()
    await world.card(hold)
    await settled(world)
    assert called(world.security) == []


async def test_an_escalation_calls_who_joins_in_their_own_channel(world: World) -> None:
    hold = await world.hold()
    await world.card(hold)
    await known(world, hold)
    await world.store.holds.escalate(hold)
    card = await world.card(hold, world.leads)
    await says(card, world, "You may decide on this, too")
    await settled(world)
    assert called(world.leads) == [world.lee.id]
    assert called(world.security) == []


async def test_who_cannot_be_looked_up_at_the_moment_is_called_a_moment_later(world: World) -> None:
    hold = await world.hold()
    await world.card(hold)
    await known(world, hold)
    world.slack.fault("users.lookupByEmail", Fault("status", status=503), times=1)
    await world.store.holds.escalate(hold)
    card = await world.card(hold, world.leads)
    await says(card, world, "You may decide on this, too")
    assert called(world.leads) == [world.lee.id]


async def test_an_escalation_waits_for_the_card_in_the_channel_of_who_joins(world: World) -> None:
    hold = await world.hold()
    await world.card(hold)
    await known(world, hold)
    gate = asyncio.Event()
    world.slack.fault("chat.postMessage", Fault("gate", committed=True, gate=gate), times=1)
    before = len(world.slack.calls)
    await world.store.holds.escalate(hold)
    await wait_until(lambda: any(each.method == "chat.postMessage" for each in world.slack.calls[before:]), "it posts")
    await settled(world)  # much later the new card is still on its way
    assert called(world.security) == []
    gate.set()
    await says(await world.card(hold, world.leads), world, "You may decide on this, too")
    assert called(world.leads) == [world.lee.id]


async def test_an_escalation_does_not_wait_for_ever_for_a_card_that_does_not_come(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sayings.PATIENCE_S", 1.0)
    hold = await world.hold()
    card = await world.card(hold)
    await known(world, hold)
    gate = asyncio.Event()
    world.slack.fault("chat.postMessage", Fault("gate", gate=gate), times=1)
    await world.store.holds.escalate(hold)
    await says(card, world, "You may decide on this, too")
    gate.set()


async def test_a_group_with_a_user_group_is_called_by_it(world: World) -> None:
    world.slack.workspace.usergroups["S0ONCALL"] = [world.sam.id]
    hold = await world.hold(terms=ALL, requirements=(Requirement("oncall", 1),))
    card = await world.card(hold)
    await says(card, world, "This waits for a decision")
    assert called(world.security) == ["S0ONCALL"]


async def test_where_nobody_can_be_called_nothing_is_said(world: World) -> None:
    hold = await world.hold(terms=ALL, requirements=(Requirement("nobody", 1),))
    card = await world.card(hold)
    await known(world, hold)
    await settled(world)
    assert thread(card, world) == []


@pytest.mark.promise(7)
async def test_no_text_calls_anybody(world: World) -> None:
    evil = "<!channel> <@U0001> @here <!subteam^S0ONCALL> *bold* http://evil.test ```x```"
    hold = await world.hold(f"{evil} password")
    card = await world.card(hold)
    await known(world, hold)
    hold = await world.store.talk.ask(hold, Question("q1", "s@example.com", evil, evil, world.clock()), pauses=False)
    await world.store.talk.answer(hold, question="q1", text=evil, by="dana@example.com")
    await says(card, world, "<!channel>")
    await settled(world)
    assert called(world.security) == []


async def test_two_bots_and_a_restart_say_and_call_once(make_world: MakeWorld) -> None:
    world = await make_world("http")
    second = await world.start_app()
    hold = await world.hold(terms=ALL)
    card = await world.card(hold)
    await known(world, hold)
    hold = await remind(world, hold)
    await says(card, world, "still waits")
    leader = world.apps[0] if world.apps[0].notifier.leading else second
    world.apps.remove(leader)
    await leader.stop()
    await wait_until(lambda: world.apps[0].notifier.leading, "the other one leads")
    await world.start_app()
    await settled(world)
    await settled(world)
    assert sorted(called(world.security)) == sorted([world.sam.id, world.kim.id] * 2)
    assert said(card, world).count("Half of the time is over.") == 1


async def test_a_bot_that_is_told_to_stop_says_what_it_has_taken_on(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world("http")
    holds = [await world.hold() for _ in range(2)]
    cards = [await world.card(hold) for hold in holds]
    for hold in holds:
        await known(world, hold)
    await settled(world)
    monkeypatch.setattr("bot.threads.BATCH_S", 1.0)  # both reminders are taken on together
    gate = asyncio.Event()
    world.slack.fault("chat.postMessage", Fault("gate", committed=True, gate=gate), times=1)
    before = len(world.slack.calls)
    await asyncio.gather(*(remind(world, hold) for hold in holds))
    await wait_until(lambda: any(call.method == "chat.postMessage" for call in world.slack.calls[before:]), "it speaks")
    stopping = asyncio.ensure_future(world.apps.pop().stop())
    await asyncio.wait({stopping}, timeout=0.2)
    gate.set()
    await stopping
    await world.start_app()
    await settled(world)
    for card in cards:
        await says(card, world, "Half of the time is over.")
        assert said(card, world).count("Half of the time is over.") == 1


async def test_a_bot_that_is_told_to_stop_says_what_waited_for_its_second(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world("http")
    hold = await world.hold()
    card = await world.card(hold)
    await known(world, hold)
    await settled(world)
    monkeypatch.setattr("bot.threads.BATCH_S", 600.0)
    edits = card.edits
    await remind(world, hold)
    await wait_until(lambda: card.edits > edits, "the card shows it, so the thread is about to")
    await world.apps.pop().stop()
    assert said(card, world).count("Half of the time is over.") == 1


async def test_a_reply_that_slack_did_not_take_is_said_later(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await known(world, hold)
    world.slack.fault("chat.postMessage", Fault("limited", retry_after=1), times=2)
    await remind(world, hold)
    await says(card, world, "Half of the time is over.")
    await says(card, world, "still waits")
    assert sorted(called(world.security)) == sorted([world.sam.id, world.kim.id])


async def test_a_reply_whose_answer_was_lost_is_not_said_twice(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await known(world, hold)
    world.slack.fault("chat.postMessage", Fault("reset", committed=True), times=1)
    await remind(world, hold)
    await says(card, world, "Half of the time is over.")
    await settled(world)
    await settled(world)
    assert said(card, world).count("Half of the time is over.") == 1


async def test_many_things_on_one_card_are_one_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[Narrator] = []
    tell = Narrator.tell

    async def counted(narrator: Narrator, hold_ids: Sequence[str]) -> set[str]:
        late = await tell(narrator, hold_ids)
        rounds.append(narrator)
        return late

    monkeypatch.setattr(Narrator, "tell", counted)
    holds = [await world.hold("the same password", requester=ROBOT, risk=Risk.MEDIUM) for _ in range(12)]
    card = await world.card(holds[-1])
    await world.shows(card, "× 12")
    await wait_until(lambda: rounds, "somebody speaks")
    monkeypatch.setattr("bot.threads.BATCH_S", 3.0)  # all of it happens within, once a shorter wait is over
    before = len(rounds)
    rounds[-1].soon(holds[0].id)
    await wait_until(lambda: len(rounds) > before, "the next wait is a long one")
    await world.slack.click(world.sam, card, names.BULK_APPROVE)
    await says(card, world, "(× 12)")
    monkeypatch.setattr("bot.threads.BATCH_S", 0.2)
    await settled(world)
    assert said(card, world).count("Approved by") == 1


def break_glass(hold: Hold, world: World) -> Decision:
    return replace(
        make_decision(hold, by="lee@example.com"), glass=True, reason="all systems down", at_ms=world.clock()
    )


async def test_broken_glass_is_said_in_every_channel_of_the_route_and_not_only_in_threads(world: World) -> None:
    hold = await world.hold()
    cards = [await world.card(hold, channel) for channel in (world.security, world.second)]
    await known(world, hold)
    await world.store.holds.decide(hold, break_glass(hold, world), state=State.APPROVED, body=None)
    for card in cards:
        await says(card, world, "breaking the glass")
        (reply,) = thread(card, world)
        assert reply.broadcast
        await world.shows(card, "all systems down")


async def test_glass_that_is_broken_before_the_card_could_be_posted_is_shown_all_the_same(world: World) -> None:
    world.slack.outage = True
    hold = await world.hold()
    await wait_until(lambda: any(call.answer == "status" for call in world.slack.calls), "the bot has tried")
    await world.store.holds.decide(hold, break_glass(hold, world), state=State.APPROVED, body=None)
    world.slack.clear_faults()
    for channel in (world.security, world.second):
        await world.shows(await world.card(hold, channel), "all systems down")
