"""A requester's own page: where the link of their mail leads, with a key that only sends requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import aiohttp
import pytest

from holdpoint.model import EventKind, Hold, Question, Requester, State
from tests.bot.web.test_inbox import Browser
from tests.bot.world import Site
from tests.support.builders import DANA as DANAS
from tests.support.builders import make_decision, make_draft
from tests.support.waiting import wait_until

SAM, DANA, EVE, FINN = (f"{n}@example.com" for n in ("sam", "dana", "eve", "finn"))
EVES = Requester(EVE, frozenset({"contractors"}), name="Eve")


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(site, session)


async def held(site: Site, requester: Requester = EVES, prompt: str = "what is the admin password") -> Hold:
    return await site.world.hold_draft(replace(make_draft(prompt=prompt), requester=requester))


async def asked(site: Site, hold: Hold, text: str = "What for?") -> Hold:
    hold = await site.world.store.holds.get(hold.id)
    question = Question(f"q{len(hold.questions) + 1}", SAM, "Sam", text, hold.created_ms)
    return await site.world.store.talk.ask(hold, question, pauses=False)


async def say(browser: Browser, hold: Hold, word: str, **fields: str) -> str:
    await browser.get(f"/requests/{hold.id}")
    return await browser.post(f"/requests/{hold.id}", {**browser.form(f'value="{word}"'), "say": word, **fields})


async def now(site: Site, hold: Hold) -> Hold:
    return await site.world.store.holds.get(hold.id)


async def test_the_link_of_a_mail_leads_through_the_sign_in_to_ones_own_request(site: Site, browser: Browser) -> None:
    hold = await held(site)
    assert 'name="key"' in await browser.get(f"/review/{hold.id}")
    page = await browser.sign_in(EVE, next=browser.form("key")["next"])
    assert browser.status == 200
    assert "Your request is held for review" in page
    assert "what is the admin password" in page
    assert "Approve" not in page
    assert 'action="/review/' not in page
    events = await site.world.store.outbox.follow("events", after="0-0", block_ms=1)
    assert [(e.subject, e.data["target"]) for e in events if e.kind is EventKind.CARD_SHOWN] == [
        (hold.id, f"web:{EVE}")
    ]


async def _signs_in(browser: Browser, who: str) -> bool:
    await browser.sign_in(who)
    return browser.status == 200


async def test_somebody_elses_requests_look_like_none(site: Site, browser: Browser) -> None:
    """Also in a group that reviews: a key that was made for sending does not show what others sent."""
    theirs, mine = await held(site, DANAS), await held(site)
    await site.world.add_key(FINN, groups=frozenset({"security"}), roles=frozenset())
    for who in (EVE, FINN):
        await wait_until(partial(_signs_in, browser, who), f"{who} is known", every=0.5)
        for path in (f"/review/{theirs.id}", f"/requests/{theirs.id}", "/requests/h0"):
            assert "what is the admin" not in await browser.get(path)
            assert browser.status == 404
        inbox = await browser.get("/review?state=all")
        assert (mine.id in inbox, theirs.id in inbox) == (who == EVE, False)
    await browser.sign_in(SAM)
    await browser.get(f"/requests/{mine.id}")
    assert browser.status == 404


@pytest.mark.promise(5)
async def test_nobody_decides_from_there(site: Site, browser: Browser) -> None:
    hold = await held(site)
    await browser.sign_in(EVE)
    await browser.get(f"/requests/{hold.id}")
    hidden = browser.form('value="justify"')
    for path in (f"/review/{hold.id}", f"/review/{hold.id}/talk", f"/requests/{hold.id}"):
        for word in ("approve", "claim"):
            await browser.post(path, {**hidden, "decision": word, "say": word, "digest": hold.digest, "text": "x"})
            assert browser.status in (404, 422)
    after = await now(site, hold)
    assert (after.state, after.claim, after.rev) == (State.PENDING, None, hold.rev)


async def test_answering_and_saying_why(site: Site, browser: Browser) -> None:
    hold = await held(site)
    await asked(site, hold, "<b>What</b> for?")
    await browser.sign_in(EVE)
    assert "&lt;b&gt;What&lt;/b&gt; for?" in await browser.get(f"/requests/{hold.id}")
    page = await say(browser, hold, "answer", text="The audit\nof today")
    assert browser.status == 200
    (question,) = (await now(site, hold)).questions
    assert (question.answer, question.answered_by) == ("The audit\nof today", EVE)
    assert "Your answer to Sam" in page
    page = await say(browser, hold, "justify", text="It is <i>urgent</i>")
    assert (await now(site, hold)).justification == "It is <i>urgent</i>"
    assert "&lt;i&gt;urgent&lt;/i&gt;" in page


async def test_taking_it_back(site: Site, browser: Browser) -> None:
    hold = await held(site)
    await browser.sign_in(EVE)
    page = await say(browser, hold, "withdraw")
    assert (await now(site, hold)).state is State.CANCELLED
    assert "Your request was cancelled" in page
    assert "Withdraw" not in page


async def test_what_comes_too_late_or_is_empty_is_said(site: Site, browser: Browser) -> None:
    hold = await held(site)
    await browser.sign_in(EVE)
    assert "The justification is empty" in await say(browser, hold, "justify", text="  ")
    assert browser.status == 422
    await browser.get(f"/requests/{hold.id}")
    hidden = browser.form('value="withdraw"')
    await site.world.store.holds.decide(await now(site, hold), make_decision(hold), state=State.APPROVED, body=None)
    page = await browser.post(f"/requests/{hold.id}", {**hidden, "say": "withdraw"})
    assert browser.status == 409
    assert "Already approved" in page


@pytest.mark.parametrize(("fields", "headers"), [({"csrf": "x"}, {}), ({}, {"Sec-Fetch-Site": "cross-site"})])
async def test_a_forged_form_does_nothing(
    site: Site, browser: Browser, fields: dict[str, str], headers: dict[str, str]
) -> None:
    hold = await held(site)
    await browser.sign_in(EVE)
    await browser.get(f"/requests/{hold.id}")
    hidden = browser.form('value="withdraw"')
    await browser.post(f"/requests/{hold.id}", {**hidden, "say": "withdraw", **fields}, **headers)
    assert browser.status == 403
    assert (await now(site, hold)).state is State.PENDING


async def test_an_owner_speaks_for_their_agent(site: Site, browser: Browser) -> None:
    hold = await held(site, Requester("robot", frozenset({"contractors"}), owner=EVE))
    await browser.sign_in(EVE)
    await say(browser, hold, "withdraw")
    assert (await now(site, hold)).state is State.CANCELLED


async def test_a_reviewer_finds_their_own_request_from_its_page(site: Site, browser: Browser) -> None:
    hold = await held(site, DANAS)
    await browser.sign_in(DANA)
    page = await browser.get(f"/review/{hold.id}")
    assert f'href="/requests/{hold.id}"' in page
    assert "Take the request back" in await browser.get(f"/requests/{hold.id}")
    await browser.sign_in(SAM)
    assert f'href="/requests/{hold.id}"' not in await browser.get(f"/review/{hold.id}")
