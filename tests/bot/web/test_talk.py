"""What a reviewer says from a hold's page, as a browser without script does it; and what page and API show of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html import unescape

import aiohttp
import pytest

from bot.conversation import Conversation
from holdpoint.model import EventKind, Hold, PartRole, Reviewer, ReviewTerms, State
from tests.bot.web.test_inbox import Browser
from tests.bot.world import Site, conversation
from tests.support.builders import make_evaluation

SAM, KIM, CARA, DANA = (f"{n}@example.com" for n in ("sam", "kim", "cara", "dana"))
HOSTILE = '<script>alert(1)</script> <!channel> \u202e"'


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(site, session)


async def say(browser: Browser, hold: Hold, word: str, **fields: str) -> str:
    await browser.get(f"/review/{hold.id}")
    hidden = browser.form(f'value="{word}"')
    return await browser.post(f"/review/{hold.id}/talk", {**hidden, "say": word, **fields})


def talking(site: Site) -> Conversation:
    return Conversation(site.world.store, site.world.live, clock=site.world.clock)


async def answer(site: Site, hold: Hold, text: str) -> None:
    person = Reviewer(DANA, frozenset(), frozenset(), "slack", "Dana")
    await talking(site).answer(hold.id, "q1", person, text)


async def test_a_reviewer_claims_and_gives_back(site: Site, browser: Browser) -> None:
    hold = await site.world.hold()
    await browser.sign_in(SAM)
    page = await say(browser, hold, "claim")
    assert (browser.status, "is on it" in page) == (200, True)
    claim = (await site.world.store.holds.get(hold.id)).claim
    assert claim is not None
    assert claim.by == SAM
    page = await say(browser, hold, "unclaim")
    assert "is on it <" not in page
    assert (await site.world.store.holds.get(hold.id)).claim is None


async def test_somebody_else_takes_it_over(site: Site, browser: Browser) -> None:
    hold = await site.world.hold()
    await browser.sign_in(SAM)
    await say(browser, hold, "claim")
    await browser.sign_in(KIM)
    assert "Take it over" in await browser.get(f"/review/{hold.id}")
    await say(browser, hold, "claim")
    claim = (await site.world.store.holds.get(hold.id)).claim
    assert claim is not None
    assert claim.by == KIM


@pytest.mark.promise(7)
async def test_question_and_answer_are_on_the_page_as_text(site: Site, browser: Browser) -> None:
    hold = await site.world.hold(evaluation=make_evaluation(terms=ReviewTerms(question_pauses=True)))
    await browser.sign_in(SAM)
    page = await say(browser, hold, "ask", question=f"What for?\r\n{HOSTILE}")
    assert browser.status == 200
    stored = await site.world.store.holds.get(hold.id)
    assert stored.questions[0].text == f"What for?\n{HOSTILE}"
    assert "The clock stands" in page
    await answer(site, hold, f"A demo {HOSTILE}")
    page = await browser.get(f"/review/{hold.id}")
    assert "The clock stands" not in page
    for part in ("What for?", "A demo"):
        assert part in page
    assert "<script>alert(1)" not in page
    assert "\u202e" not in page


@pytest.mark.parametrize(("question", "said"), [("", "question is empty"), ("x" * 2_001, "longer than 2,000")])
async def test_a_bad_question_comes_back_with_what_was_typed(
    site: Site, browser: Browser, question: str, said: str
) -> None:
    hold = await site.world.hold()
    await browser.sign_in(SAM)
    page = await say(browser, hold, "ask", question=question)
    assert browser.status == 422
    assert said in page
    assert question in unescape(page)
    assert (await site.world.store.holds.get(hold.id)).questions == ()


@pytest.mark.promise(5)
async def test_who_may_only_look_says_nothing(site: Site, browser: Browser) -> None:
    hold = await site.world.hold()
    await browser.sign_in(SAM)
    await browser.get(f"/review/{hold.id}")
    await browser.sign_in(CARA)
    page = await browser.get(f"/review/{hold.id}")
    assert "Ask the requester" not in page
    token = browser.form("sign-out")["csrf"]
    for word in ("claim", "unclaim", "ask"):
        await browser.post(f"/review/{hold.id}/talk", {"csrf": token, "say": word, "question": "why?"})
        assert browser.status == 403
    assert (await site.world.store.holds.get(hold.id)).rev == hold.rev


async def test_without_the_token_or_a_word_nothing_is_said(site: Site, browser: Browser) -> None:
    hold = await site.world.hold()
    await browser.sign_in(SAM)
    await browser.get(f"/review/{hold.id}")
    token = browser.form('value="claim"')["csrf"]
    for fields, status in (({"say": "claim"}, 403), ({"csrf": token}, 422), ({"csrf": token, "say": "shout"}, 422)):
        await browser.post(f"/review/{hold.id}/talk", fields)
        assert browser.status == status
    assert (await site.world.store.holds.get(hold.id)).rev == hold.rev


async def test_a_late_word_is_told_what_happened(site: Site, browser: Browser) -> None:
    hold = await site.world.hold()
    await browser.sign_in(SAM)
    await browser.get(f"/review/{hold.id}")
    hidden = browser.form('value="ask"')
    await site.decide(hold, by=KIM)
    page = await browser.post(f"/review/{hold.id}/talk", {**hidden, "say": "ask", "question": "why?"})
    assert browser.status == 409
    assert "Already approved by Kim" in page


@pytest.mark.promise(2)
async def test_at_high_risk_a_page_that_was_cut_is_not_enough_to_approve(site: Site, browser: Browser) -> None:
    long = "the password " * 20_000
    hold = await site.world.hold_draft(conversation((PartRole.USER, long)))
    await browser.sign_in(SAM)
    page = await browser.decide(hold, "approve")
    assert (browser.status, "only a part of this text" in page) == (403, True)
    await browser.get(f"/review/{hold.id}?whole")
    kinds = [event.kind for event in await site.world.store.outbox.follow("events", after="0-0", block_ms=1)]
    assert kinds.count(EventKind.CARD_READ) == 1
    await browser.decide(hold, "approve")
    assert (await site.world.store.holds.get(hold.id)).state is State.APPROVED


async def test_the_api_tells_claim_questions_and_the_clock(site: Site) -> None:
    evaluation = make_evaluation(terms=ReviewTerms(question_pauses=True, confirm_edits=True))
    hold = await site.world.hold(evaluation=evaluation)
    talk, sam = talking(site), await site.world.who(SAM)
    await talk.claim(hold.id, sam)
    await talk.ask(hold.id, sam, "for 4111 1111 1111 1111?")
    _, asked = await site.api("GET", f"/holds/{hold.id}")
    assert (asked["claim"]["by"], asked["claim"]["name"]) == (SAM, "Sam")
    assert asked["paused_since"] is not None
    (question,) = asked["questions"]
    assert (question["id"], question["answer"], question["answered_at"]) == ("q1", None, None)
    assert "4111 1111" not in question["text"]
    await answer(site, hold, "yes, 4111 1111 1111 1111")
    status, edited = await site.decide(hold, edits=[{"part": "messages/0/content", "text": "the weather"}])
    assert (status, edited["state"], edited["needs_confirmation"]) == (201, "pending", True)
    assert (edited["paused_since"], edited["claim"]) == (None, None)
    assert edited["questions"][0]["answered_by"] == DANA
    assert "4111 1111" not in edited["questions"][0]["answer"]
    _, confirmed = await site.api(
        "POST", f"/holds/{hold.id}/decisions", by=KIM, json={"decision": "approve", "digest": edited["digest"]}
    )
    assert (confirmed["state"], confirmed["needs_confirmation"]) == ("approved", False)
