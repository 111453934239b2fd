"""Claims, questions, answers, prepared reasons: what reviewers say before a decision."""

from __future__ import annotations

import pytest

from bot import teams as names
from holdpoint.model import ReviewTerms, State
from tests.bot.teams.hands import call, press, stored, value_of
from tests.bot.teams.world import World

REASONS = ReviewTerms(reasons=("Not while the audit runs", "Ask the owner of these data first, and come back"))


async def test_a_claim_is_on_every_copy_until_it_is_given_back(world: World) -> None:
    hold = await world.hold()
    card, other, dm = await world.card(hold), await world.card(hold, "second"), await world.dm(hold)
    await world.teams.set(copies=2)
    seen = await world.user("sam").click(card, names.CLAIM)
    await world.teams.set(copies=1)
    assert "Sam Example" in seen.seen
    assert names.UNCLAIM in seen.verbs
    claim = (await stored(world, hold)).claim
    assert claim is not None
    assert claim.by == "sam@example.com"
    for copy in (card, other, dm):
        await world.shows(copy, "Sam Example")
    refused = await press(world, "kim", other, names.UNCLAIM, value_of(hold))
    assert "is on it" in refused.said
    assert (await stored(world, hold)).claim is not None
    for _ in range(2):
        assert (await press(world, "sam", other, names.UNCLAIM, value_of(hold))).kind == "card"
    assert (await stored(world, hold)).claim is None


async def test_a_claim_keeps_nobody_from_deciding(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.user("sam").click(card, names.CLAIM)
    await world.user("kim").click(card, names.APPROVE)
    await world.shows(card, "pproved by Kim")


async def test_a_question_is_asked_once_and_goes_to_the_requester(world: World) -> None:
    hold = await world.hold(terms=ReviewTerms(question_pauses=True))
    card, dm = await world.card(hold), await world.dm(hold)
    await world.teams.set(copies=2)
    seen = await world.user("sam").click(card, names.ASK, {"text.ask": "What for, <at>Dana</at> **now**?"})
    await world.teams.set(copies=1)
    assert "What for, <at>Dana</at> **now**?" in seen.seen
    after = await stored(world, hold)
    assert (len(after.questions), after.paused_ms is not None) == (1, True)
    for copy in (card, dm):
        now = await world.shows(copy, "What for, <at>Dana</at> **now**?")
        assert now.markup == []


async def test_the_same_in_a_dialog(world: World) -> None:
    hold = await world.hold(terms=ReviewTerms(question_pauses=True))
    card = await world.card(hold)
    opened = await call(world, "sam", card, "task/fetch", names.ASK, value_of(hold))
    assert "The clock stands" in opened.seen
    assert (await call(world, "sam", card, "task/submit", names.ASK, value_of(hold), text="What for?")).kind == "closed"
    assert (await stored(world, hold)).questions[0].text == "What for?"


async def test_a_prepared_reason_own_words_or_both(world: World) -> None:
    for given, reason in (
        ({"prepared.reject": "0"}, REASONS.reasons[0]),
        ({"prepared.reject": "1", "reason.reject": "Today."}, f"{REASONS.reasons[1]}\nToday."),
        ({"reason.reject": "Own words"}, "Own words"),
    ):
        hold = await world.hold(terms=REASONS)
        seen = await world.user("sam").click(await world.card(hold), names.REJECT, given)
        assert reason.splitlines()[0] in seen.seen
        after = await stored(world, hold)
        assert (after.state, after.decisions[0].reason) == (State.REJECTED, reason)


@pytest.mark.promise(5)
async def test_a_wrong_person_reads_why_before_a_dialog_opens(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    for key, words in (("ola", "Only "), ("dana", "own request")):
        for verb in (names.ASK, names.REJECT, names.EDIT, names.GRANT, names.REVEAL):
            seen = await call(world, key, card, "task/fetch", verb, value_of(hold))
            assert (seen.kind, words in seen.said) == ("message", True), (verb, seen.value)
            sent = await call(world, key, card, "task/submit", verb, value_of(hold), here=value_of(hold, "1"), text="x",
                              reason="x", scope="requester", uses="1", age="60000")  # fmt: skip
            assert (sent.kind, words in sent.said) == ("message", True), (verb, sent.value)
    assert (await call(world, "ola", card, "task/fetch", names.VIEW, value_of(hold))).kind == "message"
    own = await call(world, "dana", card, "task/fetch", names.VIEW, value_of(hold))
    assert "what is the admin password" in own.seen  # their own request: they may look
    assert (await stored(world, hold)).rev == hold.rev
