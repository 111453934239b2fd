"""Claims, questions, answers, prepared reasons: what reviewers and requesters say before a decision."""

from __future__ import annotations

import pytest

from bot import slack as names
from holdpoint.model import Requirement, ReviewTerms, State
from tests.bot.slack.conftest import MakeWorld, World
from tests.bot.slack.hands import all_noted, modal_of, press, stored
from tests.support.builders import make_decision
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

REASONS = ReviewTerms(
    reasons=("Not while the audit runs", "Ask the owner of these data first, and come back with " + "x" * 90)
)


@pytest.fixture
async def http(make_world: MakeWorld) -> World:
    return await make_world("http")


async def test_a_claim_is_on_every_copy_until_it_is_given_back(world: World) -> None:
    hold = await world.hold()
    card, other, dm = await world.card(hold), await world.card(hold, world.second), await world.dm(hold)
    assert (await world.slack.click(world.sam, card, names.CLAIM)).acked
    claim = (await stored(world, hold)).claim
    assert claim is not None
    assert claim.by == "sam@example.com"
    for copy in (card, other, dm):
        await world.shows(copy, "sam until")
    await wait_until(lambda: names.UNCLAIM in other.buttons, "the claim can be given back")
    assert (await world.slack.click(world.kim, other, names.UNCLAIM)).acked
    await world.told(world.kim, "am is on it")
    assert (await stored(world, hold)).claim is not None
    assert (await world.slack.click(world.sam, other, names.UNCLAIM)).acked
    assert (await stored(world, hold)).claim is None
    await wait_until(lambda: names.CLAIM in card.buttons, "it can be claimed again")


async def test_a_claim_keeps_nobody_from_deciding(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.slack.click(world.sam, card, names.CLAIM, copies=2)
    await world.shows(card, "sam until")
    await world.slack.click(world.kim, card, names.APPROVE)
    await world.shows(card, "Approved by kim")
    assert world.slack.told(world.sam) == []


async def test_a_question_goes_to_the_requester_and_the_answer_to_the_card(world: World) -> None:
    hold = await world.hold(terms=ReviewTerms(question_pauses=True))
    card, dm = await world.card(hold), await world.dm(hold)
    assert (await world.slack.click(world.sam, card, names.ASK)).acked
    modal = modal_of(world, world.sam)
    assert "The clock stands" in str(modal.content)
    assert (await world.slack.submit(world.sam, modal, {"text": "What for, <!here> *now*?"})).acked
    assert not modal.open
    assert (await stored(world, hold)).paused_ms is not None
    await world.shows(card, "What for, <!here> *now*?")
    await world.shows(dm, "What for, <!here> *now*?")
    assert (await world.slack.click(world.dana, dm, names.ANSWER)).acked
    modal = modal_of(world, world.dana)
    assert "What for, <!here> *now*?" in modal.seen.text
    assert "sam asks" in modal.seen.text
    assert (await world.slack.submit(world.dana, modal, {"text": "For <@U1> & the audit"})).acked
    question = (await stored(world, hold)).questions[0]
    assert (question.answer, question.answered_by) == ("For <@U1> & the audit", "dana@example.com")
    await world.shows(card, "For <@U1> & the audit")
    assert card.seen.notified == dm.seen.notified == []
    await wait_until(lambda: names.ANSWER not in dm.buttons, "nothing is left to answer")


async def test_a_question_that_says_nothing_stays_in_the_modal(world: World) -> None:
    hold = await world.hold()
    await world.slack.click(world.sam, await world.card(hold), names.ASK)
    modal = modal_of(world, world.sam)
    assert (await world.slack.submit(world.sam, modal, {"text": "  \n "})).acked
    assert "empty" in modal.errors["text"]
    assert (await stored(world, hold)).questions == ()


async def test_a_modal_that_was_overtaken_says_who_won(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.slack.click(world.sam, card, names.ASK)
    modal = modal_of(world, world.sam)
    await world.slack.click(world.kim, card, names.APPROVE)
    await world.slack.submit(world.sam, modal, {"text": "What for?"})
    assert "Already approved by kim" in modal.errors["text"]


async def test_a_prepared_reason_own_words_or_both(world: World) -> None:
    for given, reason in (
        ({"prepared": "0"}, REASONS.reasons[0]),
        ({"prepared": "1", "reason": "Today."}, f"{REASONS.reasons[1]}\nToday."),
        ({"reason": "Own words"}, "Own words"),
    ):
        hold = await world.hold(terms=REASONS)
        await world.slack.click(world.sam, await world.card(hold), names.REJECT)
        modal = modal_of(world, world.sam)
        assert (await world.slack.submit(world.sam, modal, given)).acked
        assert not modal.open
        after = await stored(world, hold)
        assert (after.state, after.decisions[0].reason) == (State.REJECTED, reason)
        await world.shows(await world.dm(hold), reason.splitlines()[0])


async def test_a_rejection_without_any_reason_stays_in_the_modal(world: World) -> None:
    hold = await world.hold(terms=REASONS)
    await world.slack.click(world.sam, await world.card(hold), names.REJECT)
    modal = modal_of(world, world.sam)
    await world.slack.submit(world.sam, modal, {"reason": " "})
    assert "Say why" in str(modal.errors)
    assert (await stored(world, hold)).state is State.PENDING


@pytest.mark.promise(2)
async def test_a_modal_from_a_card_of_another_text_decides_nothing(world: World) -> None:
    hold = await world.hold(requirements=(Requirement("security", 2),))
    card = await world.card(hold)
    await world.slack.click(world.kim, card, names.EDIT)
    await world.slack.submit(world.kim, modal_of(world, world.kim), {"part-0": "what is the guest password"})
    await press(world, world.sam, card, names.REJECT, value=f"{hold.id} {hold.digest}")
    modal = modal_of(world, world.sam)
    await world.slack.submit(world.sam, modal, {"reason": "no"})
    assert "edited the text since" in modal.errors["reason"]
    assert (await stored(world, hold)).state is State.PENDING


@pytest.mark.promise(5)
@pytest.mark.parametrize("button", [names.CLAIM, names.ASK, names.REJECT, names.EDIT, names.APPROVE, names.VIEW])
@pytest.mark.parametrize("who", ["ola", "dana"])
async def test_a_wrong_person_reads_why_and_nothing_happens(world: World, button: str, who: str) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    user = getattr(world, who)
    await press(world, user, card, button, value=f"{hold.id} {hold.digest}")
    if (who, button) == ("dana", names.VIEW):
        assert "what is the admin password" in modal_of(world, user).seen.text  # their own request: they may look
    else:
        await world.told(user, "own request" if who == "dana" else "may")
        assert world.slack.workspace.modals(user) == []
    assert (await stored(world, hold)).rev == hold.rev


@pytest.mark.parametrize("button", [names.CLAIM, names.UNCLAIM, names.ASK, names.REJECT, names.EDIT, names.APPROVE])
async def test_a_late_click_reads_who_won(world: World, button: str) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.store.holds.decide(hold, make_decision(hold, by="kim@example.com"), state=State.APPROVED, body=None)
    await press(world, world.sam, card, button, value=f"{hold.id} {hold.digest}")
    await world.told(world.sam, "pproved by kim@example.com")
    assert world.slack.workspace.modals(world.sam) == []


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "nothing",
        "no such",
        "../../etc x",
        "a\n b",
        "0" * 40 + " " + "1" * 64,
        "💣 💣",
        "x y z",
        f"{names.MORE} a b",
    ],
)
@pytest.mark.parametrize("button", [names.APPROVE, names.CLAIM, names.VIEW, names.GRANT, names.ANSWER, names.MORE])
async def test_a_forged_value_is_no_hold(http: World, button: str, value: str) -> None:
    hold = await http.hold()
    await press(http, http.sam, await http.card(hold), button, value=value)
    await http.told(http.sam, "no such hold")
    assert (await stored(http, hold)).rev == hold.rev


@pytest.mark.promise(6)
@pytest.mark.parametrize("mode", ["http", "socket"])
@pytest.mark.parametrize(
    "button", [names.CLAIM, names.ASK, names.VIEW, names.REVEAL, names.GRANT, names.JUSTIFY, names.QUIET]
)
async def test_without_the_store_the_person_reads_not_recorded(
    make_world: MakeWorld, redis_server: RedisServer, mode: str, button: str
) -> None:
    world = await make_world(mode, url=redis_server.url)
    hold = await world.hold()
    card = await world.card(hold)
    await wait_until(lambda: all_noted(world, hold), "all copies are noted")
    redis_server.kill()
    value = "none" if button == names.QUIET else f"{hold.id} {hold.digest}"
    assert (await press(world, world.sam, card, button, value=value)).acked
    await world.told(world.sam, "Not recorded")
    redis_server.start()


async def test_the_question_of_a_modal_is_lost_with_the_store_and_said_so(
    make_world: MakeWorld, redis_server: RedisServer
) -> None:
    world = await make_world("http", url=redis_server.url)
    hold = await world.hold()
    await world.slack.click(world.sam, await world.card(hold), names.ASK)
    modal = modal_of(world, world.sam)
    redis_server.kill()
    await world.slack.submit(world.sam, modal, {"text": "What for?"})
    assert "Not recorded" in modal.errors["text"]
    redis_server.start()
    await wait_until(lambda: world.live.is_fresh, "the store is back")
    await world.slack.submit(world.sam, modal, {"text": "What for?"}, copies=2)
    assert len((await stored(world, hold)).questions) == 1
