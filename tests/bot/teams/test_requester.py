"""The requester's own message: withdraw, justify, answer, and how much of it they want."""

from __future__ import annotations

import pytest

from bot import teams as names
from holdpoint.model import Hold, Question, Requester, State
from holdpoint.store.quiet import Quiet
from tests.bot.teams.hands import call, dialog, press, stored, value_of
from tests.bot.teams.world import World
from tests.support.builders import make_decision

AGENT = Requester("build-bot", frozenset({"contractors"}), owner="ola@example.com")


async def ask(world: World, hold: Hold, text: str = "What for?") -> Hold:
    hold = await stored(world, hold)
    number = len(hold.questions) + 1
    question = Question(f"q{number}", by="sam@example.com", name="sam", text=text, at_ms=world.clock())
    return await world.store.talk.ask(hold, question, pauses=False)


async def test_withdrawing_is_seen_at_once_and_on_every_card(world: World) -> None:
    hold = await world.hold()
    card, dm = await world.card(hold), await world.dm(hold)
    await world.teams.set(copies=2)
    seen = await world.user("dana").click(dm, names.CANCEL)
    assert (seen.kind, seen.verbs) == ("card", [])
    assert (await stored(world, hold)).state is State.CANCELLED
    await world.teams.set(copies=1)
    for copy in (card, dm):
        await world.shows(copy, "ancelled")
    again = await press(world, "dana", dm, names.CANCEL, value_of(hold))
    assert again.kind == "card"


async def test_a_justification_goes_to_the_card_and_can_be_changed(world: World) -> None:
    hold = await world.hold()
    card, dm = await world.card(hold), await world.dm(hold)
    for text in ("The <at>Sam</at> audit needs it", "The **audit** of today"):
        await world.teams.set(copies=2)
        seen = await world.user("dana").click(dm, names.JUSTIFY, {"text.justify": text})
        await world.teams.set(copies=1)
        assert text in seen.seen
        assert names.CANCEL in seen.verbs  # it is their message still
        assert (await stored(world, hold)).justification == text
        await world.shows(card, text)
        dm = await world.shows(dm, text)


async def test_an_answer_goes_to_the_card_once(world: World) -> None:
    hold = await world.hold()
    card, dm = await world.card(hold), await world.dm(hold)
    await ask(world, hold)
    dm = await world.shows(dm, "What for?")
    await world.teams.set(copies=2)
    seen = await world.user("dana").click(dm, names.ANSWER, {"text.answer": "For <at>everyone</at> & the audit"})
    await world.teams.set(copies=1)
    assert "For <at>everyone</at> & the audit" in seen.seen
    question = (await stored(world, hold)).questions[0]
    assert (question.answer, question.answered_by) == ("For <at>everyone</at> & the audit", "dana@example.com")
    await world.shows(card, "For <at>everyone</at> & the audit")


async def test_the_owner_speaks_for_an_agent(world: World) -> None:
    hold = await world.hold(requester=AGENT)
    dm = await world.dm(hold, "ola")
    await ask(world, hold)
    dm = await world.shows(dm, "What for?")
    await world.user("ola").click(dm, names.ANSWER, {"text.answer": "For the nightly build"})
    question = (await stored(world, hold)).questions[0]
    assert (question.answer, question.answered_by) == ("For the nightly build", "ola@example.com")


async def test_the_newest_open_question_is_answered_first_in_a_dialog(world: World) -> None:
    hold = await world.hold()
    dm = await world.dm(hold)
    await ask(world, hold, "The first one?")
    await ask(world, hold, "The second one?")
    for words, answer in (("The second one?", "b"), ("The first one?", "a")):
        opened = await call(world, "dana", dm, "task/fetch", names.ANSWER, value_of(hold))
        assert words in opened.seen
        value = opened.action("Answer")["data"]["hold"]
        assert (await call(world, "dana", dm, "task/submit", names.ANSWER, value, text=answer)).kind == "closed"
    assert [question.answer for question in (await stored(world, hold)).questions] == ["a", "b"]
    opened = await call(world, "dana", dm, "task/fetch", names.ANSWER, value_of(hold))
    assert "answered already" in opened.said


async def test_the_dialog_shows_what_was_said_before(world: World) -> None:
    hold = await world.hold()
    dm = await world.dm(hold)
    await world.store.talk.justify(await stored(world, hold), text="As <at>Sam</at> said", by="dana@example.com")
    opened = await call(world, "dana", dm, "task/fetch", names.JUSTIFY, value_of(hold))
    assert "As <at>Sam</at> said" in opened.seen


@pytest.mark.promise(5)
async def test_nobody_else_speaks_for_the_requester(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    before = await ask(world, hold)
    for key in ("sam", "ola", "lee"):
        for verb in (names.CANCEL, names.JUSTIFY, names.ANSWER):
            seen = await press(world, key, card, verb, value_of(hold, "q1"), text="It is fine")
            assert "Only " in (seen.seen if seen.kind == "card" else seen.said)
        for verb in (names.JUSTIFY, names.ANSWER):
            assert "Only " in (await call(world, key, card, "task/fetch", verb, value_of(hold))).said
            assert "Only " in (await call(world, key, card, "task/submit", verb, value_of(hold), text="x")).said
    assert (await stored(world, hold)).rev == before.rev


async def test_too_late_is_said_above_the_message_as_it_is(world: World) -> None:
    hold = await world.hold()
    dm = await world.dm(hold)
    hold = await ask(world, hold)
    await world.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    for verb in (names.JUSTIFY, names.ANSWER, names.CANCEL):
        seen = await press(world, "dana", dm, verb, value_of(hold, "q1"), text="please")
        assert "pproved by sam@example.com" in seen.texts[0]
        assert seen.verbs == []


async def test_how_much_to_hear_of_is_ones_own_wish(world: World) -> None:
    hold = await world.hold()
    card, dm = await world.card(hold), await world.dm(hold)
    for level in Quiet:
        title = {"all": "everything", "decisions": "decisions", "none": "no messages"}[level.value]
        button = next(each for each in dm.titles if title in each)
        seen = await world.user("dana").click(dm, button)
        assert (seen.kind, seen.said != "") == ("message", True)
        assert await world.store.quiet.get("dana@example.com") is level
    await press(world, "sam", card, names.QUIET, value_of(hold, "none"))
    assert await world.store.quiet.get("sam@example.com") is Quiet.NONE
    for word in ("everything", "", "NONE", "none x"):
        assert "no such" in (await press(world, "dana", dm, names.QUIET, value_of(hold, word))).said


async def test_in_a_channel_the_requester_sees_their_own_status_and_no_buttons(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.user("dana").open(card)
    seen = await world.user("dana").look(card)
    assert (seen.refreshed, seen.verbs) == (True, [])
    with pytest.raises(AssertionError, match="no open dialog"):
        await dialog(world, "dana")
