"""The requester's own message: withdraw, justify, answer, and how much of it they want."""

from __future__ import annotations

import pytest

from bot import slack as names
from holdpoint.model import Hold, Question, Requester, State
from holdpoint.store.quiet import Quiet
from tests.bot.slack.conftest import World
from tests.bot.slack.hands import modal_of, press, stored
from tests.support.builders import make_decision

AGENT = Requester("build-bot", frozenset({"contractors"}), owner="ola@example.com")


async def ask(world: World, hold: Hold, text: str = "What for?") -> Hold:
    hold = await stored(world, hold)
    number = len(hold.questions) + 1
    question = Question(f"q{number}", by="sam@example.com", name="sam", text=text, at_ms=world.clock())
    return await world.store.talk.ask(hold, question, pauses=False)


async def test_a_justification_goes_to_the_card_and_can_be_changed(world: World) -> None:
    hold = await world.hold()
    card, dm = await world.card(hold), await world.dm(hold)
    for text in ("The <!channel> audit needs it", "The *audit* of today"):
        assert (await world.slack.click(world.dana, dm, names.JUSTIFY)).acked
        modal = modal_of(world, world.dana)
        assert (await world.slack.submit(world.dana, modal, {"text": text}, copies=2)).acked
        assert (await stored(world, hold)).justification == text
        await world.shows(card, text)
        await world.shows(dm, text)
    assert card.seen.notified == dm.seen.notified == []


async def test_the_modal_shows_what_was_said_before(world: World) -> None:
    hold = await world.hold()
    dm = await world.dm(hold)
    await world.store.talk.justify(await stored(world, hold), text="As <@U1> said", by="dana@example.com")
    await world.slack.click(world.dana, dm, names.JUSTIFY)
    assert "As <@U1> said" in modal_of(world, world.dana).seen.text


async def test_the_owner_speaks_for_an_agent(world: World) -> None:
    hold = await world.hold(requester=AGENT)
    dm = await world.dm(hold, world.ola)
    await ask(world, hold)
    await world.shows(dm, "What for?")
    await world.slack.click(world.ola, dm, names.ANSWER)
    await world.slack.submit(world.ola, modal_of(world, world.ola), {"text": "For the nightly build"})
    question = (await stored(world, hold)).questions[0]
    assert (question.answer, question.answered_by) == ("For the nightly build", "ola@example.com")
    await world.shows(await world.card(hold), "For the nightly build")


async def test_the_newest_open_question_is_answered_first(world: World) -> None:
    hold = await world.hold()
    dm = await world.dm(hold)
    await ask(world, hold, "The first one?")
    await ask(world, hold, "The second one?")
    await world.shows(dm, "The second one?")
    for words, answer in (("The second one?", "b"), ("The first one?", "a")):
        await press(world, world.dana, dm, names.ANSWER, value=f"{hold.id} {hold.digest}")
        modal = modal_of(world, world.dana)
        assert words in modal.seen.text
        await world.slack.submit(world.dana, modal, {"text": answer})
    assert [question.answer for question in (await stored(world, hold)).questions] == ["a", "b"]
    await press(world, world.dana, dm, names.ANSWER, value=f"{hold.id} {hold.digest}")
    await world.told(world.dana, "answered already")


@pytest.mark.promise(5)
@pytest.mark.parametrize("button", [names.CANCEL, names.JUSTIFY, names.ANSWER])
@pytest.mark.parametrize("who", ["sam", "ola", "lee"])
async def test_nobody_else_speaks_for_the_requester(world: World, button: str, who: str) -> None:
    hold = await world.hold()
    card, user = await world.card(hold), getattr(world, who)
    before = await ask(world, hold)
    assert (await press(world, user, card, button, value=f"{hold.id} {hold.digest}")).acked
    await world.told(user, "Only")
    assert world.slack.workspace.modals(user) == []
    assert (await stored(world, hold)).rev == before.rev


@pytest.mark.promise(5)
async def test_a_modal_in_strange_hands_says_nothing(world: World) -> None:
    """A payload of another person with the metadata of the requester's modal."""
    hold = await world.hold()
    await world.slack.click(world.dana, await world.dm(hold), names.JUSTIFY)
    modal = modal_of(world, world.dana)
    modal.user = world.kim.id
    await world.slack.submit(world.kim, modal, {"text": "It is fine"})
    assert "Only who sent this request" in modal.errors["text"]
    assert (await stored(world, hold)).justification == ""


@pytest.mark.parametrize("button", [names.JUSTIFY, names.ANSWER, names.CANCEL])
async def test_too_late_is_said(world: World, button: str) -> None:
    hold = await world.hold()
    dm = await world.dm(hold)
    hold = await ask(world, hold)
    await world.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    await press(world, world.dana, dm, button, value=f"{hold.id} {hold.digest}")
    await world.told(world.dana, "pproved by sam@example.com")
    assert world.slack.workspace.modals(world.dana) == []


async def test_how_much_to_hear_of_is_ones_own_wish(world: World) -> None:
    hold = await world.hold()
    dm = await world.dm(hold)
    for level in Quiet:
        assert (await world.slack.click(world.dana, dm, names.QUIET, value=level.value)).acked
        assert await world.store.quiet.get("dana@example.com") is level
    await press(world, world.sam, await world.card(hold), names.QUIET, value="none")
    assert await world.store.quiet.get("dana@example.com") is Quiet.NONE  # the last of the loop
    assert await world.store.quiet.get("sam@example.com") is Quiet.NONE
    await press(world, world.dana, dm, names.QUIET, value="everything")
    await world.told(world.dana, "no such")
