"""Promises 5 to 8 where people talk before a decision: who may say what, when, how often, and what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from bot.conversation import (
    CLAIM_MS,
    LONGEST_ANSWER,
    LONGEST_JUSTIFICATION,
    LONGEST_QUESTION,
    MOST_QUESTIONS,
    Conversation,
)
from holdpoint.clock import now_ms
from holdpoint.errors import BadText, MayNotDecide, NotFound, StoreUnavailable, TooLate, WrongDigest
from holdpoint.lifecycle import claim_at
from holdpoint.model import DecisionKind, Edit, EventKind, Hold, Requester, Reviewer, ReviewTerms, State
from holdpoint.store import Store
from tests.bot.world import World, make_world
from tests.conftest import MovingClock
from tests.support.builders import hold_in, make_draft, make_evaluation
from tests.support.redis_server import RedisServer

SAM, KIM, LENA, PAT, DANA = (f"{name}@example.com" for name in ("sam", "kim", "lena", "pat", "dana"))
ADA, CARA, EVE = (f"{name}@example.com" for name in ("ada", "cara", "eve"))
PAUSE = make_evaluation(terms=ReviewTerms(question_pauses=True))


@pytest.fixture
def talk(world: World) -> Conversation:
    return Conversation(world.store, world.live, clock=world.clock)


async def events_of(world: World, kind: EventKind) -> int:
    return sum(event.kind is kind for event in await world.store.outbox.follow("events", after="0-0", block_ms=1))


Act = Callable[[Conversation, Hold, Reviewer], Awaitable[object]]
REVIEWER_ACTS: dict[str, Act] = {
    "claim": lambda talk, hold, who: talk.claim(hold.id, who),
    "unclaim": lambda talk, hold, who: talk.unclaim(hold.id, who),
    "ask": lambda talk, hold, who: talk.ask(hold.id, who, "why?"),
    "reveal": lambda talk, hold, who: talk.reveal(hold.id, who, hold.digest),
}
REQUESTER_ACTS: dict[str, Act] = {
    "answer": lambda talk, hold, who: talk.answer(hold.id, "q1", who, "because"),
    "justify": lambda talk, hold, who: talk.justify(hold.id, who, "a demo"),
}
DANA_SENT = Requester(DANA, frozenset({"contractors"}), name="Dana")
AGENT = Requester("build-agent", frozenset({"agents"}), owner=KIM)
MAY_ACT = [
    # who, requester, may they act as a reviewer, as the requester
    (SAM, DANA_SENT, True, False),
    (KIM, DANA_SENT, True, False),
    (LENA, DANA_SENT, False, False),
    (PAT, DANA_SENT, False, False),
    (ADA, DANA_SENT, False, False),
    (CARA, DANA_SENT, False, False),
    (EVE, DANA_SENT, False, False),
    ("robot", DANA_SENT, False, False),
    (DANA, DANA_SENT, False, True),
    (SAM, AGENT, True, False),
    (KIM, AGENT, False, True),
    (DANA, AGENT, True, False),
    (SAM, Requester(SAM, frozenset({"security"})), False, True),
]


@pytest.mark.promise(5)
@pytest.mark.parametrize(("who", "requester", "as_reviewer", "as_requester"), MAY_ACT)
async def test_who_may_say_what(
    world: World, talk: Conversation, who: str, requester: Requester, as_reviewer: bool, as_requester: bool
) -> None:
    person = await world.who(who)
    for acts, allowed in ((REVIEWER_ACTS, as_reviewer), (REQUESTER_ACTS, as_requester)):
        for act in acts.values():
            hold = await world.hold(requester=requester)
            hold = await talk.ask(
                hold.id, Reviewer("x@example.com", frozenset({"security"}), frozenset(), "api"), "what for?"
            )
            if allowed:
                await act(talk, hold, person)
                continue
            with pytest.raises(MayNotDecide):
                await act(talk, hold, person)
            assert await world.store.holds.get(hold.id) == hold
    assert await events_of(world, EventKind.CARD_REVEALED) == int(as_reviewer)


@pytest.mark.promise(5)
async def test_the_agent_itself_may_answer(world: World, talk: Conversation) -> None:
    hold = await world.hold(requester=AGENT)
    await talk.ask(hold.id, await world.who(SAM), "why?")
    agent = Reviewer("build-agent", frozenset({"agents"}), frozenset(), "api", owner=KIM)
    assert (await talk.answer(hold.id, "q1", agent, "because")).questions[0].answered_by == "build-agent"


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING], ids=lambda s: s.value)
async def test_who_comes_late_is_told_what_happened(world: World, talk: Conversation, state: State) -> None:
    hold = await hold_in(world.store, state, gateway="gateway#1")
    sam, dana = await world.who(SAM), await world.who(DANA)
    for act in REVIEWER_ACTS.values():
        with pytest.raises(TooLate, match=r"^Already "):
            await act(talk, hold, sam)
    with pytest.raises(TooLate, match=r"^Already "):
        await talk.justify(hold.id, dana, "a demo")
    assert await world.store.holds.get(hold.id) == hold
    await talk.read(hold.id, sam, hold.digest)  # looking back is always possible


async def test_after_the_deadline_nothing_is_said_though_no_timer_was_there(
    world: World, talk: Conversation, clock: MovingClock
) -> None:
    hold = await world.hold()
    sam, dana = await world.who(SAM), await world.who(DANA)
    await talk.ask(hold.id, sam, "what for?")
    clock.forward(seconds=600)
    for act, person in (
        *((act, sam) for act in REVIEWER_ACTS.values() if act is not REVIEWER_ACTS["ask"]),
        (lambda t, h, p: t.ask(h.id, p, "another"), sam),
        *((act, dana) for act in REQUESTER_ACTS.values()),
    ):
        with pytest.raises(TooLate, match="deadline has passed"):
            await act(talk, hold, person)


@pytest.mark.parametrize("act", [*REVIEWER_ACTS.values(), *REQUESTER_ACTS.values()])
async def test_there_is_no_such_hold(world: World, talk: Conversation, act: Act) -> None:
    unknown = replace(await world.hold(), id="h0")
    with pytest.raises(NotFound):
        await act(talk, unknown, await world.who(SAM))
    with pytest.raises(NotFound):
        await talk.read("h0", await world.who(SAM), unknown.digest)


# Claims


async def test_a_claim_stands_for_ten_minutes_and_may_be_taken_over(
    world: World, talk: Conversation, clock: MovingClock
) -> None:
    hold = await world.hold()
    claimed = await talk.claim(hold.id, await world.who(SAM))
    assert claimed.claim is not None
    assert (claimed.claim.by, claimed.claim.name, claimed.claim.until_ms) == (SAM, "Sam", clock.ms + CLAIM_MS)
    over = await talk.claim(hold.id, await world.who(KIM))
    assert over.claim is not None
    assert over.claim.by == KIM
    assert await events_of(world, EventKind.HOLD_CLAIMED) == 2


async def test_a_double_click_claims_once_and_a_later_one_renews(
    world: World, talk: Conversation, clock: MovingClock
) -> None:
    hold, sam = await world.hold(), await world.who(SAM)
    first = await talk.claim(hold.id, sam)
    clock.forward(seconds=2)
    assert await talk.claim(hold.id, sam) == first
    clock.forward(seconds=120)
    renewed = await talk.claim(hold.id, sam)
    assert renewed.claim is not None
    assert renewed.claim.until_ms == clock.ms + CLAIM_MS


async def test_a_claim_is_given_back_by_who_made_it(world: World, talk: Conversation) -> None:
    hold, sam, kim = await world.hold(), await world.who(SAM), await world.who(KIM)
    assert (await talk.unclaim(hold.id, sam)).rev == hold.rev, "there is nothing to give back"
    await talk.claim(hold.id, sam)
    with pytest.raises(MayNotDecide, match="Sam is on it"):
        await talk.unclaim(hold.id, kim)
    freed = await talk.unclaim(hold.id, sam)
    assert freed.claim is None
    assert await talk.unclaim(hold.id, sam) == freed


async def test_a_claim_that_has_lapsed_is_no_claim(world: World, talk: Conversation, clock: MovingClock) -> None:
    long = make_evaluation(timeout_ms=3_600_000)
    hold, sam = await world.hold(evaluation=long), await world.who(SAM)
    claimed = await talk.claim(hold.id, await world.who(KIM))
    assert claim_at(claimed, clock.ms + CLAIM_MS - 1) == claimed.claim
    clock.forward(seconds=CLAIM_MS / 1000)
    assert claim_at(claimed, clock.ms) is None
    assert (await talk.unclaim(hold.id, sam)).rev == claimed.rev


async def test_a_claim_keeps_nobody_from_deciding(world: World, talk: Conversation) -> None:
    hold = await world.hold()
    claimed = await talk.claim(hold.id, await world.who(SAM))
    decided = await world.decider.decide(hold.id, await world.who(KIM), DecisionKind.APPROVE, digest=hold.digest)
    assert decided.state is State.APPROVED
    assert claimed.claim is not None
    assert claim_at(decided, claimed.claim.until_ms - 1) is None, "a decision ends its display"


# Questions and answers


async def test_a_question_goes_out_and_its_answer_comes_back(
    world: World, talk: Conversation, clock: MovingClock
) -> None:
    hold = await world.hold(evaluation=PAUSE)
    asked = await talk.ask(hold.id, await world.who(SAM), "  What is it for?\n")
    (question,) = asked.questions
    assert (question.id, question.by, question.name, question.text) == ("q1", SAM, "Sam", "What is it for?")
    assert asked.paused_ms == clock.ms
    clock.forward(seconds=700)
    answered = await talk.answer(hold.id, "q1", await world.who(DANA), " The migration ")
    (question,) = answered.questions
    assert (question.answer, question.answered_by, question.answered_ms) == ("The migration", DANA, clock.ms)
    assert (answered.paused_ms, answered.paused_for_ms) == (None, 600_000), "never longer than the timeout"


async def test_the_clock_runs_unless_the_rules_pause_it(world: World, talk: Conversation) -> None:
    asked = await talk.ask((await world.hold()).id, await world.who(SAM), "why?")
    assert asked.paused_ms is None


async def test_while_the_clock_stands_nothing_is_late(world: World, talk: Conversation, clock: MovingClock) -> None:
    hold = await world.hold(evaluation=PAUSE)
    clock.forward(seconds=590)
    await talk.ask(hold.id, await world.who(SAM), "why?")
    clock.forward(seconds=60)
    await talk.ask(hold.id, await world.who(KIM), "and who else?")
    await talk.answer(hold.id, "q1", await world.who(DANA), "because")
    clock.forward(seconds=60)
    decided = await world.decider.decide(hold.id, await world.who(SAM), DecisionKind.APPROVE, digest=hold.digest)
    assert decided.state is State.APPROVED


async def test_asking_and_answering_twice_is_once(world: World, talk: Conversation) -> None:
    hold, sam, dana = await world.hold(), await world.who(SAM), await world.who(DANA)
    asked = await talk.ask(hold.id, sam, "why?")
    assert await talk.ask(hold.id, sam, "why? ") == asked
    assert len((await talk.ask(hold.id, await world.who(KIM), "why?")).questions) == 2, "another one's question"
    answered = await talk.answer(hold.id, "q1", dana, "because")
    assert await talk.answer(hold.id, "q1", dana, "because") == answered
    with pytest.raises(TooLate, match=r"Already answered by dana@example\.com 0\.0 s ago"):
        await talk.answer(hold.id, "q1", dana, "on second thoughts")
    assert len((await talk.ask(hold.id, sam, "why?")).questions) == 3, "an answered question may be asked again"


async def test_a_repeated_answer_is_no_error_after_the_decision(world: World, talk: Conversation) -> None:
    hold, sam, dana = await world.hold(), await world.who(SAM), await world.who(DANA)
    await talk.ask(hold.id, sam, "why?")
    await talk.answer(hold.id, "q1", dana, "because")
    await world.decider.decide(hold.id, sam, DecisionKind.APPROVE, digest=hold.digest)
    assert (await talk.answer(hold.id, "q1", dana, "because")).state is State.APPROVED
    with pytest.raises(TooLate):
        await talk.justify(hold.id, dana, "a demo")


@pytest.mark.parametrize("question", ["", "q0", "q2", "q1 ", "messages/0/content"])
async def test_an_unknown_question_has_no_answer(world: World, talk: Conversation, question: str) -> None:
    hold = await world.hold()
    await talk.ask(hold.id, await world.who(SAM), "why?")
    with pytest.raises(NotFound, match="no question"):
        await talk.answer(hold.id, question, await world.who(DANA), "because")


async def test_questions_have_an_end(world: World, talk: Conversation) -> None:
    hold, sam = await world.hold(), await world.who(SAM)
    for number in range(MOST_QUESTIONS):
        await talk.ask(hold.id, sam, f"question {number}")
    with pytest.raises(BadText, match="10 questions"):
        await talk.ask(hold.id, sam, "one more")


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "empty"), (" \n\t\u2003", "empty"), ("\ud800", "Unicode"), ("x" * 4_001, "longer than [24],000 characters")],
)
async def test_bad_texts_have_a_clear_error(world: World, talk: Conversation, text: str, words: str) -> None:
    hold, sam, dana = await world.hold(), await world.who(SAM), await world.who(DANA)
    before = await talk.ask(hold.id, sam, "why?")
    for attempt in (
        talk.ask(hold.id, sam, text),
        talk.answer(hold.id, "q1", dana, text),
        talk.justify(hold.id, dana, text),
    ):
        with pytest.raises(BadText, match=words):
            await attempt
    assert await world.store.holds.get(hold.id) == before


@pytest.mark.promise(7)
async def test_the_longest_texts_come_back_as_they_were(world: World, talk: Conversation) -> None:
    hold, sam, dana = await world.hold(), await world.who(SAM), await world.who(DANA)
    strange = '<!channel> \u202e\u200b" \\ \x00 ```'
    texts = [strange + "é" * (n - len(strange)) for n in (LONGEST_QUESTION, LONGEST_ANSWER, LONGEST_JUSTIFICATION)]
    await talk.ask(hold.id, sam, texts[0])
    await talk.answer(hold.id, "q1", dana, texts[1])
    await talk.justify(hold.id, dana, texts[2])
    stored = await world.store.holds.get(hold.id)
    assert [stored.questions[0].text, stored.questions[0].answer, stored.justification] == texts
    last = (await world.store.outbox.follow("events", after="0-0", block_ms=1))[-1]
    assert last.data["justification"] == texts[2]


async def test_a_justification_may_be_written_anew(world: World, talk: Conversation) -> None:
    hold = await world.hold_draft(replace(make_draft(), justification="as sent"))
    dana = await world.who(DANA)
    assert (await talk.justify(hold.id, dana, "as sent")).rev == hold.rev
    again = await talk.justify(hold.id, dana, "better")
    assert (again.justification, again.rev) == ("better", hold.rev + 1)


async def test_everybody_may_talk_at_the_same_moment(world: World, talk: Conversation) -> None:
    hold, sam, kim, dana = await world.hold(), await world.who(SAM), await world.who(KIM), await world.who(DANA)
    await asyncio.gather(
        talk.claim(hold.id, sam),
        talk.ask(hold.id, kim, "why?"),
        talk.ask(hold.id, sam, "what for?"),
        talk.justify(hold.id, dana, "a demo"),
    )
    stored = await world.store.holds.get(hold.id)
    assert sorted(each.id for each in stored.questions) == ["q1", "q2"]
    assert stored.claim is not None
    assert stored.justification == "a demo"


# Reading and revealing


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("who", "may"),
    [(SAM, True), (ADA, True), (CARA, True), (LENA, False), (EVE, False), (DANA, True), ("robot", True)],
)
async def test_who_may_see_may_read(world: World, talk: Conversation, who: str, may: bool) -> None:
    hold = await world.hold()
    person = await world.who(who)
    if not may:
        with pytest.raises(MayNotDecide):
            await talk.read(hold.id, person, hold.digest)
    else:
        await talk.read(hold.id, person, hold.digest)
    assert await world.store.talk.has_read(hold.id, by=who, digest=hold.digest) is may


@pytest.mark.promise(2)
async def test_what_was_read_or_revealed_is_the_text_that_is_held_now(world: World, talk: Conversation) -> None:
    hold, sam = await world.hold(), await world.who(SAM)
    await talk.read(hold.id, sam, hold.digest)
    edits = [Edit("messages/0/content", "what is the weather")]
    draft = replace(
        make_draft(), evaluation=make_evaluation(requirements=(replace(hold.requirements[0], approvals=2),))
    )
    two = await world.hold_draft(draft)
    await world.decider.decide(two.id, await world.who(KIM), DecisionKind.APPROVE, digest=two.digest, edits=edits)
    with pytest.raises(WrongDigest, match="edited since"):
        await talk.read(two.id, sam, two.digest)
    with pytest.raises(WrongDigest, match="edited since"):
        await talk.reveal(two.id, sam, two.digest)
    assert not await world.store.talk.has_read(two.id, by=SAM, digest=two.digest)
    assert await events_of(world, EventKind.CARD_REVEALED) == 0


@pytest.mark.promise(8)
async def test_nothing_is_revealed_before_it_is_recorded(redis_server: RedisServer) -> None:
    store = await Store.open(redis_server.url, clock=now_ms)
    world = await make_world(store, now_ms)
    talk = Conversation(store, world.live, clock=now_ms)
    hold, sam = await world.hold(), await world.who(SAM)
    assert await talk.reveal(hold.id, sam, hold.digest) == hold
    assert await events_of(world, EventKind.CARD_REVEALED) == 1
    redis_server.kill()
    with pytest.raises(StoreUnavailable):
        await talk.reveal(hold.id, sam, hold.digest)
    await store.aclose()
