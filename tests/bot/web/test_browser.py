"""The web inbox in real Chromium: live updates, edit with a diff, keyboard, phone, and that hostile text stays inert."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Route, expect

from bot.app import running_bot
from holdpoint.model import DecisionKind, Edit, Hold, PartRole, Question, Requirement, State
from tests.bot.world import Site, conversation, settings_for
from tests.support.builders import OUTCOME
from tests.support.ports import free_port
from tests.support.waiting import wait_until

SAM, KIM, LENA = (f"{name}@example.com" for name in ("sam", "kim", "lena"))


class Person:
    """Somebody at a browser of their own. ``complaints`` are errors of the console, CSP violations among them."""

    def __init__(self, site: Site, context: BrowserContext, page: Page) -> None:
        self.site, self.context, self.page = site, context, page
        self.complaints: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def sign_in(self, who: str, path: str = "/review") -> None:
        await self.page.goto(self.site.url + path)
        await self.page.get_by_label("Holdpoint key").fill(self.site.world.keys[who])
        await self.page.get_by_role("button", name="Sign in").click()
        await expect(self.page.locator("#live-word")).to_have_text("Live")

    async def open(self, hold: Hold) -> None:
        await self.page.goto(f"{self.site.url}/review/{hold.id}")
        await expect(self.page.locator("#live-word")).to_have_text("Live")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@pytest.fixture
async def person(site: Site, browser: Browser) -> AsyncIterator[Person]:
    made = await new_person(site, browser)
    yield made
    assert made.complaints == []
    await made.context.close()


async def new_person(site: Site, browser: Browser, width: int = 1280, height: int = 800, **more: object) -> Person:
    context = await browser.new_context(viewport={"width": width, "height": height}, **more)  # type: ignore[arg-type]
    context.set_default_timeout(20_000)
    return Person(site, context, await context.new_page())


async def test_a_hold_appears_live_and_is_approved(site: Site, person: Person) -> None:
    await person.sign_in(SAM)
    await expect(person.page.get_by_text("Nothing waits for you.")).to_be_visible()
    hold = await site.world.hold()
    row = person.page.locator(f'[data-hold="{hold.id}"]')
    await expect(row).to_be_visible()
    await row.click()
    await person.page.get_by_role("button", name="Approve", exact=True).click()
    await expect(person.page.locator("#decision")).to_contain_text("Approved by Sam from the web")
    await expect(person.page.locator("#approve")).to_have_count(0)
    assert (await site.world.store.holds.get(hold.id)).state is State.APPROVED


async def test_edit_with_a_live_diff(site: Site, person: Person) -> None:
    hold = await site.world.hold("keep this\nthe admin password\u202e please")
    await person.sign_in(SAM, f"/review/{hold.id}")
    await person.page.get_by_role("link", name="Edit, then approve").click()
    area = person.page.get_by_label("User · message 1")
    await expect(area).to_be_focused()
    await expect(area).to_have_value("keep this\nthe admin password⟨U+202E⟩ please")
    await area.fill("keep this\nthe weather please")
    diff = person.page.locator("#diff")
    await expect(diff.locator(".removed .line")).to_have_text("the admin password⟨U+202E⟩ please")
    await expect(diff.locator(".added .line")).to_have_text("the weather please")
    await expect(diff.locator(".same .line")).to_have_text("keep this")
    await person.page.get_by_role("button", name="Approve with these edits").click()
    await expect(person.page.locator("#edits .added .line")).to_have_text("the weather please")
    stored = await site.world.store.holds.get(hold.id)
    assert (stored.state, stored.query.parts[0].text) == (State.APPROVED, "keep this\nthe weather please")


async def test_reject_with_a_reason(site: Site, person: Person) -> None:
    hold = await site.world.hold()
    await person.sign_in(SAM, f"/review/{hold.id}")
    await person.page.locator("#reject").click()
    await person.page.get_by_label("Reason (the requester sees it)").fill("use the vault")
    await person.page.locator("#reject-send").click()
    await expect(person.page.locator("#timeline")).to_contain_text("use the vault")
    stored = await site.world.store.holds.get(hold.id)
    assert (stored.state, stored.decisions[0].reason) == (State.REJECTED, "use the vault")


async def test_a_decision_made_elsewhere_shows_and_the_buttons_vanish(
    site: Site, person: Person, browser: Browser
) -> None:
    hold = await site.world.hold()
    kim = await new_person(site, browser)
    await person.sign_in(SAM, f"/review/{hold.id}")
    await kim.sign_in(KIM, "/review")
    await expect(kim.page.locator(f'[data-hold="{hold.id}"]')).to_be_visible()
    await site.decide(hold, "reject", by=KIM)
    await expect(person.page.locator("#decision")).to_contain_text("Rejected by Kim through the API")
    await expect(person.page.get_by_role("button", name="Approve")).to_have_count(0)
    await expect(person.page.locator("#claim")).to_have_count(0)
    await expect(person.page.locator("#announce")).to_contain_text("Rejected by Kim")
    await expect(kim.page.get_by_text("Nothing waits for you.")).to_be_visible()
    assert kim.complaints == []
    await kim.context.close()


async def test_the_outcome_follows(site: Site, person: Person) -> None:
    hold = await site.world.hold()
    await person.sign_in(SAM, f"/review/{hold.id}")
    await site.decide(hold)
    store = site.world.store
    released = await store.holds.release(hold.id, gateway="gateway#1")
    await store.holds.close(released, state=State.COMPLETED, outcome=OUTCOME, response=None)
    await expect(person.page.locator("#summary")).to_contain_text("Answered with 200")
    await expect(person.page.locator(".pill")).to_have_text("completed")


async def test_typing_is_not_lost_when_the_page_updates(site: Site, person: Person) -> None:
    requirements = (Requirement("security", 1), Requirement("legal", 1))
    hold = await site.world.hold_draft(conversation((PartRole.USER, "the password"), requirements=requirements))
    await person.sign_in(SAM, f"/review/{hold.id}")
    await person.page.locator("#reject").click()  # which is open, and drawn anew
    await expect(person.page.locator("#reason")).to_be_focused()
    await person.page.locator("#edit").click()
    await person.page.locator("#edit-1").fill("half a sen")
    await site.decide(hold, by=LENA)
    await expect(person.page.locator("#decision")).to_contain_text("1 of 1 from legal: Lena")
    await person.page.keyboard.type("tence")
    await expect(person.page.locator("#edit-1")).to_have_value("half a sentence")
    await expect(person.page.locator("#edit-1")).to_be_focused()


async def test_what_is_typed_into_a_form_that_is_drawn_anew_stays_while_it_is_about_the_same(
    site: Site, person: Person
) -> None:
    requirements = (Requirement("security", 2), Requirement("legal", 1))
    hold = await site.world.hold_draft(conversation((PartRole.USER, "the password"), requirements=requirements))
    await person.sign_in(SAM, f"/review/{hold.id}")
    page, decision = person.page, person.page.locator("#decision")
    await page.locator("#edit").click()
    await page.locator("#edit-1").fill("half an ed")
    await page.locator("#ask-open").click()
    await page.locator("#question").fill("half a quest")
    await page.locator("#reject").click()
    await page.locator("#reason").fill("half a reas")
    await page.locator("#reason").evaluate("field => field.setSelectionRange(2, 4)")
    asked = Question("q1", LENA, "Lena", "Why?", site.world.clock())
    await site.world.store.talk.ask(await site.world.store.holds.get(hold.id), asked, pauses=False)
    await site.decide(hold, by=LENA)
    await expect(decision).to_contain_text("1 of 1 from legal: Lena")
    await expect(page.locator("#reason")).to_have_value("half a reas")
    await expect(page.locator("#reason")).to_be_focused()
    assert await page.locator("#reason").evaluate("field => [field.selectionStart, field.selectionEnd]") == [2, 4]
    await expect(page.locator("#talk")).to_contain_text("Why?")
    await expect(page.locator("#question")).to_have_value("half a quest")
    await expect(page.locator("#question")).to_be_visible()
    # An edit is of one text: it is not carried into another one.
    by_kim = Edit("messages/0/content", "another password")
    kim, now = await site.world.who(KIM), await site.world.store.holds.get(hold.id)
    await site.world.decider.decide(hold.id, kim, DecisionKind.APPROVE, digest=now.digest, edits=(by_kim,))
    await expect(page.locator("#edit-1")).to_have_value("another password")


async def test_a_click_counts_though_the_page_is_drawn_anew_between_press_and_release(
    site: Site, person: Person
) -> None:
    hold = await site.world.hold()
    await person.sign_in(SAM)
    row = person.page.locator(f'[data-hold="{hold.id}"]')
    await row.hover()
    async with person.page.expect_response("**/review") as answered:
        await person.page.mouse.down()
        await site.world.hold("another password")
    await (await answered.value).finished()
    await person.page.evaluate("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")
    await person.page.mouse.up()
    await person.page.wait_for_url(f"**/review/{hold.id}")


async def test_a_page_that_could_not_be_had_is_asked_for_again(site: Site, browser: Browser) -> None:
    hold = await site.world.hold()
    person = await new_person(site, browser)
    await person.sign_in(SAM, f"/review/{hold.id}")
    refused: list[str] = []

    async def refuse(route: Route) -> None:
        refused.append(route.request.url)
        await route.fulfill(status=503)

    await person.page.route(f"**/review/{hold.id}", refuse)
    await site.decide(hold)
    await expect(person.page.locator("#live-word")).to_have_text("Reconnecting…")
    await wait_until(lambda: len(refused) > 4, "it is asked again and again, though nothing else happens", seconds=20)
    await person.page.unroute(f"**/review/{hold.id}")
    await expect(person.page.locator("#decision")).to_contain_text("Approved by Sam")
    await expect(person.page.locator("#live-word")).to_have_text("Live")
    await person.context.close()


@pytest.mark.promise(7)
async def test_hostile_text_is_inert(site: Site, person: Person) -> None:
    attack = (
        '</pre></textarea><script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">'
        '<a href="javascript:document.title=1">password</a>\u202e" autofocus onfocus="document.title=1'
    )
    hold = await site.world.hold(attack)
    await person.sign_in(SAM)
    await expect(person.page.locator(".row-text")).to_contain_text("<script>")
    await person.open(hold)
    await expect(person.page.locator("#request .text")).to_contain_text("onfocus")
    await person.page.locator("#edit").click()
    await person.page.locator("#edit-1").press_sequentially("<b>x</b>")
    await expect(person.page.locator("#diff .added").first).to_contain_text("<b>x</b>")
    assert await person.page.title() == "Credentials in a prompt · Holdpoint"
    assert await person.page.locator("main img, main script, main b, pre a").count() == 0
    assert "\u202e" not in await person.page.inner_text("body")


async def test_keyboard_only(site: Site, person: Person) -> None:
    await site.world.hold("first password")
    last = await site.world.hold("second password")
    await person.sign_in(SAM)
    page = person.page
    rows = page.locator(".row-link")
    await expect(rows).to_have_count(2)
    await page.keyboard.press("j")
    await expect(rows.nth(0)).to_be_focused()
    await page.keyboard.press("j")
    await expect(rows.nth(1)).to_be_focused()
    await page.keyboard.press("k")
    await page.keyboard.press("j")
    href = await rows.nth(1).get_attribute("href")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{href}")
    await page.keyboard.press("r")
    await expect(page.locator("#reason")).to_be_focused()
    await page.keyboard.type("a e r j k are letters here")
    await page.keyboard.press("Escape")
    await page.locator("#main").focus()
    await page.keyboard.press("a")
    await expect(page.locator("#approve")).to_be_focused()
    assert (await site.world.store.holds.get(last.id)).state is State.PENDING
    await page.keyboard.press("Enter")
    await expect(page.locator("#decision")).to_contain_text("Approved by Sam")


async def test_every_control_has_a_name_and_focus_is_seen(site: Site, person: Person) -> None:
    hold = await site.world.hold()
    await person.sign_in(SAM, f"/review/{hold.id}")
    await person.page.locator("#edit").click()
    nameless = await person.page.evaluate(
        """() => [...document.querySelectorAll("button, a, textarea, input:not([type=hidden]), summary")]
            .filter((e) => !e.textContent.trim() && !(e.labels || []).length && !e.getAttribute("aria-label"))
            .map((e) => e.outerHTML)"""
    )
    assert nameless == []
    for _ in range(12):
        await person.page.keyboard.press("Tab")
        tag, outline = await person.page.evaluate(
            "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert outline == "solid" or tag in ("BODY", "MAIN"), tag


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 390])
async def test_on_a_phone_nothing_sticks_out(site: Site, browser: Browser, width: int, scheme: str) -> None:
    hold = await site.world.hold("password " + "x" * 300 + "\n" + "<tag>" * 40)
    phone = await new_person(site, browser, width, 780, is_mobile=True, has_touch=True, color_scheme=scheme)
    await phone.sign_in(SAM)
    for path in ("/review", f"/review/{hold.id}", "/review?state=all"):
        await phone.page.goto(site.url + path)
        assert await phone.page.evaluate("document.documentElement.scrollWidth") <= width
    await phone.open(hold)
    await phone.page.get_by_role("link", name="Decide").click()
    await phone.page.get_by_role("button", name="Approve", exact=True).click()
    await expect(phone.page.locator("#decision")).to_contain_text("Approved by Sam")
    assert phone.complaints == []
    await phone.context.close()


async def test_without_javascript_everything_can_be_decided(site: Site, browser: Browser) -> None:
    hold, other = await site.world.hold(), await site.world.hold("another password")
    plain = await new_person(site, browser, java_script_enabled=False)
    await plain.page.goto(f"{site.url}/review/{hold.id}")
    await plain.page.get_by_label("Holdpoint key").fill(site.world.keys[SAM])
    await plain.page.get_by_role("button", name="Sign in").click()
    await expect(plain.page.locator(".countdown")).to_contain_text("left")
    await plain.page.locator("#approve").click()
    await expect(plain.page.locator("#decision")).to_contain_text("Approved by Sam")
    await plain.page.goto(f"{site.url}/review/{other.id}")
    await plain.page.locator("#reject").click()
    await plain.page.locator("#reason").fill("no")
    await plain.page.locator("#reject-send").click()
    await expect(plain.page.locator("#decision")).to_contain_text("Rejected by Sam")
    await plain.context.close()


async def test_a_page_survives_a_restart_of_the_bot(
    site: Site, browser: Browser, redis_url: str, tmp_path: Path
) -> None:
    """Against a second bot, which goes away and comes back on the same port."""
    settings = settings_for(redis_url, tmp_path / "second", bot_port=free_port())
    async with running_bot(settings) as bot:
        url = bot.url
        person = await new_person(site, browser)
        await person.page.goto(f"{url}/review")
        await person.page.get_by_label("Holdpoint key").fill(site.world.keys[SAM])
        await person.page.get_by_role("button", name="Sign in").click()
        await expect(person.page.locator("#live-word")).to_have_text("Live")
    await expect(person.page.locator("#live-word")).to_have_text("Reconnecting…")
    hold = await site.world.hold()
    async with running_bot(settings):
        await expect(person.page.locator(f'[data-hold="{hold.id}"]')).to_be_visible()
        await expect(person.page.locator("#live-word")).to_have_text("Live")
        await person.context.close()


@pytest.mark.promise(5)
async def test_who_is_too_late_is_told_on_the_page(site: Site, browser: Browser) -> None:
    hold = await site.world.hold()
    slow = await new_person(site, browser)
    await slow.sign_in(SAM, f"/review/{hold.id}")
    hears = asyncio.Event()

    async def late(route: Route) -> None:
        await hears.wait()
        with contextlib.suppress(Error):  # of the page before
            await route.continue_()

    await slow.page.route("**/review/events**", late)
    await slow.page.reload()  # a page that hears of nothing
    kim = await site.world.who(KIM)
    await site.world.decider.decide(hold.id, kim, DecisionKind.APPROVE, digest=hold.digest)
    await slow.page.locator("#approve").click()
    said = "Already approved by Kim (kim@example.com)"
    await expect(slow.page.locator("#notice")).to_contain_text(said)
    hears.set()
    await expect(slow.page.locator("#live-word")).to_have_text("Live")  # drawn anew, and the word stays
    await expect(slow.page.locator("#notice")).to_contain_text(said)
    released = await site.world.store.holds.release(hold.id, gateway="gateway#1")
    await site.world.store.holds.close(released, state=State.COMPLETED, outcome=OUTCOME, response=None)
    await expect(slow.page.locator("#summary")).to_contain_text("Answered with 200")
    await expect(slow.page.locator("#notice")).to_contain_text(said)
    await slow.context.close()


async def test_what_was_said_about_a_form_goes_with_the_form(site: Site, browser: Browser) -> None:
    hold = await site.world.hold()
    person = await new_person(site, browser)
    await person.sign_in(SAM, f"/review/{hold.id}")
    await person.page.locator("#reject").click()
    await person.page.locator("#reason").fill("  ")
    await person.page.locator("#reject-send").click()
    await expect(person.page.locator("#live-word")).to_have_text("Live")
    await expect(person.page.locator("#notice")).to_be_visible()
    kim = await site.world.who(KIM)
    await site.world.decider.decide(hold.id, kim, DecisionKind.APPROVE, digest=hold.digest)
    await expect(person.page.locator("#notice")).to_have_count(0)
    await person.context.close()
