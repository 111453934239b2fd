"""Holds become mails: each once, in one thread, for what matters; with several bots, crashes and servers that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.drawer import Drawer
from bot.email.sender import Sender
from holdpoint.errors import ChannelUnavailable
from holdpoint.model import Hold, Question, Requirement, State
from holdpoint.store.events import EventKind
from tests.bot.email.conftest import LEADS, TEAM, World, make_world, page_text
from tests.conftest import MovingClock
from tests.fakes.smtp import DROP, KEEP_AND_DROP, FakeMailServer
from tests.support.builders import OUTCOME, hold_in, make_decision, make_draft
from tests.support.waiting import wait_until

SAM = "sam@example.com"
TARGET = f"email:{TEAM}"


@pytest.fixture
async def still(redis_url: str, mail_server: FakeMailServer, clock: MovingClock) -> AsyncIterator[World]:
    """A world whose clock is moved by hand, and whose drawers draw when they are told to."""
    async for made in make_world(redis_url, mail_server, clock):
        yield made


def moves(still: World) -> MovingClock:
    assert isinstance(still.clock, MovingClock)
    return still.clock


async def test_a_hold_is_one_mail_and_its_end_a_reply_in_the_thread(world: World) -> None:
    await world.start()
    hold = await world.hold("what is the admin password, tkt-47114711?")
    (first,) = await world.mailed(1)
    await world.store.holds.decide(hold, make_decision(hold, by=SAM), state=State.APPROVED, body=None)
    first, second = await world.mailed(2)
    assert first.message["Subject"] == f"[Holdpoint] High risk: request {hold.id}"
    assert second.message["Subject"] == f"Re: {first.message['Subject']}"
    assert second.message["In-Reply-To"] == second.message["References"] == first.message["Message-ID"]
    assert second.message["Message-ID"] != first.message["Message-ID"]
    for mail in (first, second):
        assert mail.to == [TEAM]
        assert mail.message["From"] == "Holdpoint <holdpoint@corp.test>"
        assert mail.message["To"] == TEAM
        assert mail.message["Auto-Submitted"] == "auto-generated"
        assert mail.message["X-Auto-Response-Suppress"] == "All"
        assert mail.message["Precedence"] == "bulk"
        assert mail.message["List-Id"] == "Holdpoint <holdpoint.corp.test>"
        assert mail.message["Message-ID"].endswith("@corp.test>")
        assert mail.message.get_content_type() == "multipart/alternative"
        assert [part.get_content_type() for part in mail.message.iter_parts()] == ["text/plain", "text/html"]
        for kind in ("plain", "html"):
            assert f"https://holdpoint.test/review/{hold.id}" in mail.part(kind)
            assert "47114711" not in mail.part(kind)
            assert "Nothing is decided by e-mail" in mail.part(kind)
    assert "Waiting for 1 approval from security" in first.part("plain")
    assert "Approved by sam" in second.part("plain")


async def test_what_is_no_news_is_no_mail(still: World) -> None:
    drawer = still.app().drawer
    hold = await still.hold()
    await drawer.draw(hold.id)
    hold = await still.store.talk.claim(hold, by=SAM, name="Sam", until_ms=still.clock() + 60_000)
    hold = await still.store.talk.justify(hold, text="a demo", by="dana@example.com")
    hold = await still.store.talk.unclaim(hold, by=SAM)
    await still.store.talk.told(hold.id, channel="slack", reached=True)
    moves(still).forward(seconds=10)
    await drawer.draw(hold.id)
    assert len(still.mails()) == 1
    hold = await still.store.holds.get(hold.id)
    hold = await still.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    await drawer.draw(hold.id)
    assert len(still.mails()) == 2
    hold = await still.store.holds.release(hold.id, gateway="g1")
    await still.store.holds.close(hold, state=State.COMPLETED, outcome=OUTCOME, response=None)
    moves(still).forward(seconds=10)
    await drawer.draw(hold.id)
    assert len(still.mails()) == 2
    shown = await still.store.outbox.follow("events", after="0-0", block_ms=1)
    assert sum(event.kind is EventKind.CARD_SHOWN for event in shown) == 2


async def _ask(world: World, hold: Hold) -> Hold:
    question = Question("q1", SAM, "Sam", "why?", hold.created_ms)
    return await world.store.talk.ask(hold, question, pauses=False)


async def _answer(world: World, hold: Hold) -> Hold:
    return await world.store.talk.answer(hold, question="q1", text="because", by="dana@example.com")


async def _remind(world: World, hold: Hold) -> Hold:
    return await world.store.talk.remind(hold)


async def _one_of_two(world: World, hold: Hold) -> Hold:
    return await world.store.holds.decide(hold, make_decision(hold, by="kim"), state=State.PENDING, body=None)


async def _escalate(world: World, hold: Hold) -> Hold:
    return await world.store.holds.escalate(hold)


async def _expire(world: World, hold: Hold) -> Hold:
    return await world.store.holds.expire(hold, reason="nobody decided in time")


async def test_each_thing_that_matters_is_one_more_mail(still: World) -> None:
    drawer = still.app().drawer
    hold = await still.hold(requirements=(Requirement("security", 2),))
    said = [
        "Waiting for 2 approvals from security", "Sam asked: why?", "dana@example[.]com answered: because",
        "Half of the time is over.", "Approvals: 1 of 2", "Escalated: platform-leads may decide, too.", "Expired after",
    ]  # fmt: skip
    await drawer.draw(hold.id)
    for change in (_ask, _answer, _remind, _one_of_two, _escalate, _expire):
        hold = await change(still, hold)
        moves(still).forward(seconds=6)
        for _ in range(2):
            await drawer.draw(hold.id)
    mails = still.mails()
    assert len(mails) == 7
    for number, words in enumerate(said):
        assert words in mails[number].part("plain"), number
        assert words.replace("[.]", ".") in page_text(mails[number].part("html")), number
    assert len({mail.message["Message-ID"] for mail in mails}) == 7
    assert {mail.message["References"] for mail in mails[1:]} == {mails[0].message["Message-ID"]}
    assert len(still.mails(LEADS)) == 2, "who joined by escalation, and the end"


async def test_two_bots_send_each_mail_once(world: World) -> None:
    await asyncio.gather(*(world.start() for _ in range(3)))
    hold = await world.hold()
    await world.mailed(1)
    await world.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    await world.mailed(2)
    await world.noted()  # a mail that nobody has noted is sent again, with the same Message-ID
    leader = next(app for app in world.apps if app.notifier.leading)
    await leader.stop()
    world.apps.remove(leader)
    await wait_until(lambda: any(app.notifier.leading for app in world.apps), "another one leads")
    other = await world.hold()
    await world.mailed(3)
    ids = [mail.message["Message-ID"] for mail in world.mails()]
    assert (len(ids), len(set(ids))) == (3, 3)
    assert other.id in world.mails()[2].message["Subject"]


async def test_a_mail_whose_answer_was_lost_comes_again_under_the_same_id(still: World) -> None:
    """The first and the reply: programs that know the id show one."""
    drawer = still.app().drawer
    hold = await still.hold()
    still.server.on_data = [KEEP_AND_DROP]
    with pytest.raises(ChannelUnavailable):
        await drawer.draw(hold.id)
    moves(still).forward(seconds=6)
    await drawer.draw(hold.id)
    hold = await still.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    still.server.on_data = [KEEP_AND_DROP]
    moves(still).forward(seconds=6)
    with pytest.raises(ChannelUnavailable):
        await drawer.draw(hold.id)
    moves(still).forward(seconds=16)
    await still.app().drawer.draw(hold.id)  # another bot
    ids = [mail.message["Message-ID"] for mail in still.mails()]
    assert len(ids) == 4
    assert ids[0] == ids[1] != ids[2] == ids[3]


async def test_a_bot_that_died_before_it_noted_its_mail(still: World) -> None:
    hold = await still.hold()
    await still.store.cards.intend(hold.id, TARGET, intent="of-the-dead")
    with pytest.raises(ChannelUnavailable):  # it may still be at it
        await still.app().drawer.draw(hold.id)
    moves(still).forward(seconds=16)
    await still.app().drawer.draw(hold.id)
    await still.app().drawer.draw(hold.id)
    assert len(still.mails()) == 1


async def test_an_address_that_the_server_refuses_is_remembered(still: World) -> None:
    still.server.refused[TEAM] = "550 5.1.1 no such user"
    drawer = still.app().drawer
    hold = await still.hold()
    for _ in range(3):
        await drawer.draw(hold.id)
    assert still.server.tried == [TEAM]
    assert "550 5.1.1" in (await still.store.cards.all(hold.id))[TARGET].refused
    assert [each.target for each in await still.store.cards.failing()] == [TARGET]


@pytest.mark.parametrize("fault", ["450 4.7.1 greylisted", DROP])
async def test_not_now_is_tried_again_later(still: World, fault: str) -> None:
    still.server.on_rcpt[TEAM] = [fault]
    drawer = still.app().drawer
    hold = await still.hold()
    with pytest.raises(ChannelUnavailable) as caught:
        await drawer.draw(hold.id)
    assert caught.value.retry_after_seconds
    await drawer.draw(hold.id)  # what was not sent has used up nothing
    assert len(still.mails()) == 1


async def test_a_server_that_comes_back_gets_what_waited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.notify.SECOND_S", 0.02)
    world.server.stop()
    await world.start()
    hold = await world.hold()

    async def is_intended() -> bool:
        return TARGET in await world.store.cards.all(hold.id)

    await wait_until(is_intended, "the bot has tried")
    again = FakeMailServer(port=world.server.port).start()
    world.server = again
    try:
        assert hold.id in (await world.mailed(1))[0].message["Subject"]
    finally:
        for app in world.apps:
            await app.stop()
        again.stop()


async def test_drawing_again_what_another_bot_may_have_overtaken_sends_nothing(still: World) -> None:
    """The hold moves while its mail is sent: a chat would get the card again."""
    drawer: Drawer = still.app().drawer
    hold = await still.hold()
    sent = Sender.send

    async def slowly(self: Sender, message: bytes, *, to: str) -> None:
        await sent(self, message, to=to)
        if len(still.mails()) == 1:
            await still.store.talk.claim(hold, by=SAM, name="Sam", until_ms=still.clock() + 60_000)

    channel = drawer.channel
    channel._sender.send = slowly.__get__(channel._sender)  # type: ignore[attr-defined]
    await drawer.draw(hold.id)
    assert (await still.store.holds.get(hold.id)).claim is not None
    assert len(still.mails()) == 1


async def test_identical_requests_share_a_thread_and_joining_is_no_news(still: World) -> None:
    drawer = still.app().drawer
    holds = [await still.hold("the same password") for _ in range(3)]
    for hold in holds:
        moves(still).forward(seconds=6)
        await drawer.draw(hold.id)
    assert len(still.mails()) == 1
    await still.store.holds.decide(holds[1], make_decision(holds[1]), state=State.APPROVED, body=None)
    moves(still).forward(seconds=6)
    await drawer.draw(holds[1].id)
    first, second = still.mails()
    assert second.message["Subject"] == f"Re: {first.message['Subject']}"
    assert "3 identical requests: 2 wait, 1 approved" in second.part("plain")
    for hold in (holds[0], holds[2]):
        await still.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    for hold in holds:
        moves(still).forward(seconds=6)
        await drawer.draw(hold.id)
    assert len(still.mails()) == 3


async def test_a_flood_is_few_mails_that_list_every_hold(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.email.pace.GAP_MS", 300)
    monkeypatch.setattr("bot.notify.SECOND_S", 0.3)
    await world.start()
    holds = [await world.hold() for _ in range(40)]

    def listed() -> bool:
        text = "".join(mail.part("plain") for mail in world.mails())
        return all(hold.id in text for hold in holds)

    await wait_until(listed, "every hold is in a mail", seconds=40, every=0.1)
    assert len(world.mails()) <= 20
    digest = next(mail for mail in world.mails() if "Several requests" in mail.message["Subject"])
    assert "share a mail" in digest.part("plain")
    assert digest.part("html").count("<a ") == 1


async def test_a_hold_that_ended_before_its_mail_could_be_sent_is_no_mail(still: World) -> None:
    hold = await hold_in(still.store, State.CANCELLED, gateway="g1", draft=replace(make_draft(), asynchronous=True))
    await still.app().drawer.draw(hold.id)
    assert still.mails() == []
