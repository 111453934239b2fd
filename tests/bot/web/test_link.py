"""The page behind the address of ``/holdpoint link``: who may see it, what it says, and that it binds nothing by itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import expect

from bot.linking import Linking
from holdpoint.clock import now_ms
from holdpoint.linked import Link
from holdpoint.model import Account
from tests.bot.web.test_browser import Person, new_person
from tests.bot.web.test_inbox import Browser
from tests.bot.world import Site
from tests.support.waiting import wait_until

SAM, KIM, EVE = (f"{name}@example.com" for name in ("sam", "kim", "eve"))
ACCOUNT = Account("slack", "T0TEAM", "U0SAM", "Sam in chat", "sam@chat.example")
CODE = re.compile(r'id="code"[^>]*>/holdpoint link (\d{4}-\d{4})<')


@pytest.fixture
async def visitor(site: Site) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(site, session)


def linking(site: Site) -> Linking:
    return Linking(site.world.store, site.world.live, clock=now_ms)


async def begun(site: Site, account: Account = ACCOUNT) -> str:
    return await linking(site).begin(account)


async def until_live(site: Site, version: int) -> None:
    async def is_live() -> bool:
        async with site.client.get(f"{site.url}/metrics") as answer:
            return f"holdpoint_policy_version {version}.0" in await answer.text()

    await wait_until(is_live, "the policy is live")


async def links(site: Site) -> list[Link]:
    return await site.world.store.links.all()


async def test_through_the_sign_in_to_the_code_and_from_the_code_to_the_link(site: Site, visitor: Browser) -> None:
    path = await begun(site)
    assert 'name="key"' in await visitor.get(path)
    page = await visitor.sign_in(SAM, next=visitor.form("key")["next"])
    assert visitor.status == 200
    for word in ("Sam in chat", "sam@chat.example", "T0TEAM", SAM, "Slack"):
        assert word in page
    assert CODE.search(page) is None
    assert await links(site) == []
    page = await visitor.post(path, visitor.form("show the code"))
    code = CODE.search(page)
    assert code is not None
    assert visitor.headers["Cache-Control"] == "no-store"
    assert await links(site) == []
    link = await linking(site).finish(ACCOUNT, code[1])
    assert (link.principal, link.by[:4]) == (SAM, "key ")
    assert await links(site) == [link]


async def test_previews_and_second_looks_use_nothing_up_but_saying_yes_does(site: Site, visitor: Browser) -> None:
    path = await begun(site)
    await visitor.sign_in(SAM)
    for _ in range(3):
        assert "show the code" in await visitor.get(path)
    form = visitor.form("show the code")
    assert CODE.search(await visitor.post(path, form)) is not None
    for page in (await visitor.post(path, form), await visitor.get(path)):
        assert visitor.status == 404
        assert "was used already" in page
        assert CODE.search(page) is None


@pytest.mark.promise(5)
async def test_another_site_cannot_say_yes(site: Site, visitor: Browser) -> None:
    path = await begun(site)
    await visitor.sign_in(SAM)
    await visitor.get(path)
    form = visitor.form("show the code")
    for fields, headers in (
        ({}, {}), ({"csrf": ""}, {}), ({"csrf": form["csrf"][:-1]}, {}), (form, {"Sec-Fetch-Site": "cross-site"}),
        (form, {"Sec-Fetch-Site": "same-site"}),
    ):  # fmt: skip
        page = await visitor.post(path, fields, **headers)
        assert visitor.status == 403
        assert CODE.search(page) is None
    assert CODE.search(await visitor.post(path, form)) is not None


async def test_the_token_of_another_session_does_not_count(site: Site, visitor: Browser) -> None:
    path = await begun(site)
    await visitor.sign_in(KIM)
    await visitor.get(path)
    others = visitor.form("show the code")
    visitor.session.cookie_jar.clear()
    assert 'name="key"' in await visitor.post(path, others)
    await visitor.sign_in(SAM)
    assert CODE.search(await visitor.post(path, others)) is None
    assert visitor.status == 403


REFUSED: list[tuple[str, Account, str]] = [
    ("robot", ACCOUNT, "agent&#39;s key"),
    (SAM, replace(ACCOUNT, email=SAM), "you already"),
    ("pat@example.com", replace(ACCOUNT, user_id="U0LINKED"), "unlink first"),
    (EVE, ACCOUNT, "may do less"),
]


@pytest.mark.promise(5)
async def test_who_cannot_be_linked_reads_why(site: Site, visitor: Browser) -> None:
    store = site.world.store
    stored = await store.config.policy()
    assert stored is not None
    text = stored.text.replace("sam@example.com, kim", f"{EVE}, sam@example.com, kim")  # whose key sends requests only
    version = await store.config.push_policy(text, expect=stored.version, by="test")
    await until_live(site, version)
    for who, account, words in REFUSED:
        path = await begun(site, account)
        if account.user_id == "U0LINKED":
            await store.links.make(Link("slack", "T0TEAM", "U0LINKED", KIM, account.email, "", 1, "key 1"))
        await visitor.sign_in(who)
        page = await visitor.get(path)
        assert (visitor.status, words in page) == (403, True), words
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)
        assert csrf is not None
        page = await visitor.post(path, {"csrf": csrf[1]})
        assert (visitor.status, words in page, CODE.search(page)) == (403, True, None), words


async def test_an_address_that_never_was_one(site: Site, visitor: Browser) -> None:
    await visitor.sign_in(SAM)
    for path in ("x", "A" * 43, "..%2f..", "%00", "%E2%80%AE" * 20, "A" * 4_000):
        page = await visitor.get(f"/link/{path}")
        assert (visitor.status, "Nothing is linked" in page) == (404, True), path


@pytest.mark.promise(7)
async def test_in_a_real_browser_with_a_name_that_would_be_markup(site: Site, browser: Chromium) -> None:
    hostile = replace(ACCOUNT, name='<img src=x onerror="alert(1)">\u202egro.live')
    path = await begun(site, hostile)
    person: Person = await new_person(site, browser, 390, 800)
    await person.page.goto(site.url + path)
    await person.page.get_by_label("Holdpoint key").fill(site.world.keys[SAM])
    await person.page.get_by_role("button", name="Sign in").click()
    await expect(person.page.locator("#account")).to_have_text('<img src=x onerror="alert(1)">⟨U+202E⟩gro.live')
    await expect(person.page.locator("#principal")).to_have_text(SAM)
    await person.page.get_by_role("button", name="This is my account").click()
    await expect(person.page.get_by_text("Tell nobody this code")).to_be_visible()
    shown = await person.page.locator("#code").inner_text()
    width = await person.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]
    assert await links(site) == []
    link = await linking(site).finish(hostile, shown.removeprefix("/holdpoint link "))
    assert link.principal == SAM
    assert person.complaints == []
    await person.context.close()
