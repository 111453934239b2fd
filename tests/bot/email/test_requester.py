"""The requester's own mail: where no chat reaches them, once each, as often as they want; and noted on the hold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.drawer import Drawer
from bot.platform import AccessLost, NobodyThere
from holdpoint.errors import ChannelError, ChannelRefused, ChannelUnavailable
from holdpoint.model import EventKind, Hold, Question, Requester, State
from holdpoint.store import keys
from holdpoint.store.quiet import Quiet
from tests.bot.board import Board
from tests.bot.email.conftest import World, make_world, page_text
from tests.conftest import MovingClock
from tests.fakes.smtp import FakeMailServer
from tests.support.builders import DANA, hold_in, make_decision
from tests.support.waiting import wait_until

SAM, WHO = "sam@example.com", "dana@example.com"
TEAMS = {"MicrosoftAppId": "11111111-2222-3333-4444-555555555555"}
SLACK = {"SLACK_BOT_TOKEN": "xoxb-x"}
AGENT = Requester("build-bot", frozenset({"contractors"}), owner="ola@example.com")


class _Slack(Board):
    kind = "slack"


@pytest.fixture
async def still(redis_url: str, mail_server: FakeMailServer, clock: MovingClock) -> AsyncIterator[World]:
    async for made in make_world(redis_url, mail_server, clock):
        made.chats = TEAMS
        yield made


def chat(world: World, *errors: ChannelError, board: Board | None = None) -> Drawer:
    """The drawer of a chat, whose messages to Dana fail like this."""
    board = board or Board()
    board.fail[f"{board.kind}:dm:{WHO}"] = [error for error in errors for _ in range(9)]
    return Drawer(world.store, world.live, board, clock=world.clock)


async def told(world: World, hold: Hold) -> dict[str, bool]:
    return dict((await world.store.holds.get(hold.id)).told)


async def draw(world: World, hold: Hold, *drawers: Drawer) -> None:
    """Later: an address gets one mail in five seconds."""
    assert isinstance(world.clock, MovingClock)
    world.clock.forward(seconds=6)
    for drawer in drawers:
        await drawer.draw(hold.id)


async def test_whom_a_chat_reaches_gets_no_mail_and_nothing_is_noted(still: World) -> None:
    hold = await still.hold()
    await draw(still, hold, chat(still), still.app().drawer)
    await still.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    await draw(still, hold, chat(still), still.app().drawer)
    assert (still.mails(WHO), await told(still, hold)) == ([], {})
    events = await still.store.outbox.follow("events", after="0-0", block_ms=1)
    assert EventKind.HOLD_TOLD not in [event.kind for event in events]


@pytest.mark.parametrize("error", [NobodyThere("no account"), ChannelRefused("blocked")])
async def test_whom_no_chat_reaches_gets_a_mail(still: World, error: ChannelError) -> None:
    teams, email = chat(still, error), still.app().drawer
    hold = await still.hold()
    await draw(still, hold, email)
    assert still.mails(WHO) == []
    await draw(still, hold, teams, email, email)
    (mail,) = still.mails(WHO)
    assert await told(still, hold) == {"teams": False, "email": True}
    assert mail.message["Subject"] == f"[Holdpoint] Your request {hold.id}"
    assert "Your request is held for review" in mail.part("plain")
    assert "Your request is held for review" in page_text(mail.part("html"))
    assert f"https://holdpoint.test/review/{hold.id}" in mail.part("html")
    assert "Precedence" not in mail.message
    assert "List-Id" not in mail.message
    assert mail.message["Auto-Submitted"] == "auto-generated"


async def test_the_thread_tells_of_questions_and_the_end_alone(still: World) -> None:
    email = still.app().drawer
    hold = await still.hold()
    await draw(still, hold, chat(still, NobodyThere("no account")), email)
    hold = await still.store.holds.get(hold.id)
    hold = await still.store.talk.claim(hold, by=SAM, name="Sam", until_ms=still.clock() + 60_000)
    hold = await still.store.talk.ask(hold, Question("q1", SAM, "Sam", "What for?", hold.created_ms), pauses=True)
    await draw(still, hold, email, email)
    hold = await still.store.talk.answer(hold, question="q1", text="A demo", by=WHO)
    hold = await still.store.talk.remind(hold)
    await draw(still, hold, email)
    assert len(still.mails(WHO)) == 2
    await still.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    await draw(still, hold, email, email)
    first, asked, approved = still.mails(WHO)
    assert "A question about your request" in asked.part("plain")
    assert "What for?" in page_text(asked.part("html"))
    assert "Open and answer" in asked.part("html")
    assert "Your request was approved" in approved.part("plain")
    assert asked.message["References"] == approved.message["References"] == first.message["Message-ID"]


@pytest.mark.parametrize("first", ["slack", "teams"])
async def test_every_chat_that_is_on_has_to_fail(still: World, first: str) -> None:
    still.chats = {**TEAMS, **SLACK}
    nobody = NobodyThere("no account")
    chats = {"slack": chat(still, nobody, board=_Slack()), "teams": chat(still, nobody)}
    email = still.app().drawer
    hold = await still.hold()
    await draw(still, hold, chats.pop(first), email)
    assert still.mails(WHO) == []
    await draw(still, hold, *chats.values(), email)
    assert len(still.mails(WHO)) == 1


async def test_without_any_chat_mail_is_the_place(still: World) -> None:
    still.chats = {}
    hold = await still.hold()
    await draw(still, hold, still.app().drawer)
    assert len(still.mails(WHO)) == 1
    assert await told(still, hold) == {"email": True}


async def test_a_chat_that_is_away_has_not_failed_yet(still: World) -> None:
    hold = await still.hold()
    for error in (ChannelUnavailable("away"), AccessLost("token", retry_after_seconds=1)):
        with pytest.raises(ChannelUnavailable):
            await draw(still, hold, chat(still, error))
    await draw(still, hold, still.app().drawer)
    assert (still.mails(WHO), await told(still, hold)) == ([], {})


async def test_that_nobody_could_be_told_is_noted_without_email_too(still: World) -> None:
    nobody = NobodyThere("no account")
    hold = await still.hold()
    for _ in range(3):
        await draw(still, hold, chat(still, nobody))
    assert await told(still, hold) == {"teams": False}
    events = await still.store.outbox.follow("events", after="0-0", block_ms=1)
    assert [event.kind for event in events].count(EventKind.HOLD_TOLD) == 1


async def test_a_chat_that_reaches_them_after_all_is_noted(still: World) -> None:
    hold = await still.hold()
    await draw(still, hold, chat(still, NobodyThere("no account")))
    await still.store.holds.decide(
        await still.store.holds.get(hold.id), make_decision(hold), state=State.APPROVED, body=None
    )
    await draw(still, hold, chat(still))
    assert await told(still, hold) == {"teams": True}
    await draw(still, hold, still.app().drawer)
    assert still.mails(WHO) == []


@pytest.mark.parametrize("answer", ["550 5.1.1 no such user", ""])
async def test_whom_no_mail_reaches_either(still: World, answer: str, caplog: pytest.LogCaptureFixture) -> None:
    """Refused by the server, or no address at all. Nothing is wrong with e-mail as such."""
    still.chats = {}
    who = WHO if answer else "dana@b@example.com"
    still.server.refused[WHO] = answer
    hold = await still.hold(requester=replace(DANA, principal=who))
    await draw(still, hold, still.app().drawer)
    await draw(still, hold, still.app().drawer)
    assert await told(still, hold) == {"email": False}
    assert await still.store.cards.failing() == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_an_agent_has_an_owner_who_is_told(still: World) -> None:
    still.chats = {}
    hold = await still.hold(requester=AGENT)
    await draw(still, hold, still.app().drawer)
    assert len(still.mails("ola@example.com")) == 1
    alone = await still.hold(requester=replace(AGENT, owner=None))
    await draw(still, alone, still.app().drawer)
    assert len(still.server.mails) == 3, "two cards, and one mail to the owner"


@pytest.mark.parametrize("quiet", list(Quiet))
async def test_quiet_counts_for_mail_too(still: World, quiet: Quiet) -> None:
    still.chats = {}
    await still.store.quiet.set(WHO, quiet)
    email = still.app().drawer
    hold = await still.hold()
    await draw(still, hold, email)
    assert len(still.mails(WHO)) == (quiet is Quiet.ALL)
    hold = await still.store.holds.get(hold.id)
    await still.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    await draw(still, hold, email)
    assert len(still.mails(WHO)) == {Quiet.ALL: 2, Quiet.DECISIONS: 1, Quiet.NONE: 0}[quiet]


async def test_a_bot_that_died_between_mail_and_note(still: World) -> None:
    still.chats = {}
    email = still.app().drawer
    hold = await still.hold()
    await draw(still, hold, email)
    await still.store._client.command("HDEL", keys.hold(hold.id), "told:email")
    await draw(still, hold, still.app().drawer)
    assert await told(still, hold) == {"email": True}
    assert len(still.mails(WHO)) == 1


async def test_a_bot_that_died_between_refusal_and_note(still: World) -> None:
    hold = await still.hold()
    await draw(still, hold, chat(still, NobodyThere("no account")))
    await still.store._client.command("HDEL", keys.hold(hold.id), "told:teams")
    await draw(still, hold, chat(still, NobodyThere("no account")))
    assert await told(still, hold) == {"teams": False}


async def test_who_has_a_decision_at_once_gets_one_mail(still: World) -> None:
    still.chats = {}
    hold = await hold_in(still.store, State.REJECTED, gateway="g1")
    await draw(still, hold, still.app().drawer)
    assert ["Your request was rejected" in mail.part("plain") for mail in still.mails(WHO)] == [True]


async def test_three_bots_from_a_refusal_to_one_mail(world: World) -> None:
    """With notifiers and the real clock: what the chat notes is an event that brings the mail."""
    world.chats = TEAMS
    for _ in range(3):
        await world.start()
    hold = await world.hold()
    await world.mailed(1)
    await chat(world, NobodyThere("no account")).draw(hold.id)
    await world.mailed(1, WHO)

    async def is_noted() -> bool:
        return await told(world, hold) == {"teams": False, "email": True}

    await wait_until(is_noted, "it is noted")
    hold = await world.store.holds.get(hold.id)
    await world.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    assert len(await world.mailed(2, WHO)) == 2
    assert len(await world.mailed(2)) == 2
