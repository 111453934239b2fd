"""Passkeys in real Chromium, with its virtual authenticator: adding, confirming with one, and everything that must not work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.async_api import (
    APIResponse,
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Route,
    expect,
)

from holdpoint.errors import Conflict
from holdpoint.model import DecisionKind, EventKind, Factor, Hold, PartRole, ReviewTerms, State
from holdpoint.store.passkeys import Invitation
from tests.bot.world import Site, conversation, running_site
from tests.support.builders import make_decision
from tests.support.passkeys import Authenticator
from tests.support.ports import free_port
from tests.support.waiting import wait_until

SAM, KIM, ADA = (f"{name}@example.com" for name in ("sam", "kim", "ada"))
STEP_UP = ReviewTerms(step_up_ms=300_000)


@dataclass
class Person:
    """Somebody at a browser of their own, with a device. ``complaints`` are errors of the console, CSP violations among them."""

    site: Site
    base: str
    context: BrowserContext
    page: Page
    device: Authenticator
    complaints: list[str]

    async def sign_in(self, who: str, path: str = "/review") -> None:
        await self.page.goto(self.base + path)
        await self.page.get_by_label("Holdpoint key").fill(self.site.world.keys[who])
        await self.page.get_by_role("button", name="Sign in").click()

    async def add_passkey(self, who: str, name: str = "My phone") -> None:
        """By the invitation of an admin."""
        token = await self.site.world.store.passkeys.invite(Invitation(who, ADA))
        await self.page.goto(f"{self.base}/passkeys/{token}")
        await self.page.get_by_label("Name").fill(name)
        await self.page.get_by_role("button", name="Add a passkey").click()

    async def approve(self, hold: Hold) -> None:
        """From the hold's page, which leads to the one that asks for the proof."""
        await self.page.goto(f"{self.base}/review/{hold.id}")
        await self.page.get_by_role("button", name="Approve", exact=True).click()
        await expect(self.page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()

    async def use_passkey(self) -> None:
        await self.page.locator("#confirm-passkey").click()

    @property
    def said(self) -> str:
        return "[role=alert]:not([hidden])"


Make = Callable[[str], Awaitable[Person]]


@pytest.fixture
async def site(redis_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A bot that people reach as localhost: an address has no passkeys."""
    port = free_port()
    async with running_site(redis_url, tmp_path, bot_port=port, public_url=f"http://localhost:{port}") as running:
        await running.world.store.outbox.make_group("events", "watch")
        yield running


@pytest.fixture
async def people(site: Site, browser: Browser) -> AsyncIterator[Make]:
    """Makes signed-in people, each with a browser and a device of their own."""
    made: list[Person] = []

    async def make(who: str) -> Person:
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(20_000)
        page = await context.new_page()
        complaints: list[str] = []

        def note(message: ConsoleMessage) -> None:
            # What a page is refused, the browser says itself.
            if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
                complaints.append(message.text)

        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        base = site.bot.settings.link_base
        person = Person(site, base, context, page, await Authenticator.of(page), complaints)
        made.append(person)
        await person.sign_in(who)
        await page.wait_for_url(base + "/review")
        return person

    yield make
    for person in made:
        assert person.complaints == []
        await person.context.close()


async def held(site: Site, text: str = "what is the admin password", **changes: object) -> Hold:
    draft = conversation((PartRole.USER, text), terms=STEP_UP, **changes)  # type: ignore[arg-type]  # as a test says it
    return await site.world.hold_draft(draft)


async def events_of(site: Site, kind: EventKind) -> list[dict[str, object]]:
    events = await site.world.store.outbox.follow("events", after="0", block_ms=10)
    return [dict(event.data) for event in events if event.kind is kind]


async def state_of(site: Site, hold: Hold) -> Hold:
    return await site.world.store.holds.get(hold.id)


async def test_an_invited_person_adds_a_passkey_and_confirms_with_it(site: Site, people: Make) -> None:
    sam = await people(SAM)
    await sam.add_passkey(SAM)
    await expect(sam.page.locator(".keys-list")).to_contain_text("My phone")
    hold = await held(site)
    await sam.approve(hold)
    assert (await state_of(site, hold)).decisions == ()
    await expect(sam.page.locator("main")).to_contain_text("what is the admin password")
    await sam.use_passkey()
    await expect(sam.page.get_by_role("heading", name="You have confirmed that it was you")).to_be_visible()
    await expect(sam.page.locator("main")).to_contain_text("Approved by Sam from the web")
    decided = await state_of(site, hold)
    assert (decided.state, decided.decisions[0].factor) == (State.APPROVED, Factor.PASSKEY)
    (passkey,) = await site.world.store.passkeys.all(SAM)
    assert passkey.uses == (await sam.device.credentials())[0]["signCount"] > 0
    (added,) = await events_of(site, EventKind.PASSKEY_ADDED)
    assert (added["principal"], added["invited_by"]) == (SAM, ADA)
    assert len(await events_of(site, EventKind.HOLD_CONFIRMING)) == 1


async def test_without_its_user_verified_a_passkey_is_nothing(site: Site, people: Make) -> None:
    sam = await people(SAM)
    await sam.device.verifies(is_verified=False)
    await sam.add_passkey(SAM)
    await expect(sam.page.locator("[data-passkey-said]")).to_contain_text("cancelled, or took too long", timeout=20_000)
    assert await site.world.store.passkeys.all(SAM) == []
    await sam.device.verifies(is_verified=True)
    await sam.page.get_by_role("button", name="Add a passkey").click()  # the invitation was not used up
    await expect(sam.page.locator(".keys-list li")).to_have_count(1)
    hold = await held(site)
    await sam.approve(hold)
    await sam.device.verifies(is_verified=False)
    # A page that asks for less than ours does: the authenticator signs without having verified anybody.
    await sam.page.route("**/challenge", _weakened)
    await sam.use_passkey()
    await expect(sam.page.locator("#notice")).to_contain_text("The passkey was not accepted")
    assert (await state_of(site, hold)).decisions == ()


async def _weakened(route: Route) -> None:
    answer = await route.fetch()
    options = await answer.json()
    await route.fulfill(response=answer, json={**options, "userVerification": "discouraged"})


async def test_what_is_signed_counts_once_and_for_one_link_and_person(site: Site, people: Make) -> None:
    sam = await people(SAM)
    await sam.add_passkey(SAM)
    await expect(sam.page.locator(".keys-list li")).to_have_count(1)
    one, other = await held(site, "password one"), await held(site, "password other")
    await sam.approve(other)
    elsewhere = sam.page.url
    await sam.approve(one)
    here = sam.page.url
    sent: list[str] = []

    async def keep(route: Route) -> None:
        if route.request.method == "POST":
            sent.append(route.request.post_data or "")
            await route.abort()
        else:
            await route.continue_()

    await sam.page.route(here, keep)
    await sam.use_passkey()
    await wait_until(lambda: bool(sent), "the form was sent")
    await sam.page.unroute(here)
    for url, status in ((elsewhere, 403), (here, 403)):  # for another link; and then, as it was spent, for its own
        answer = await _send(sam, url, sent[0])
        assert answer.status == status
        assert "took too long, or was sent twice" in await answer.text()
    for hold in (one, other):
        assert (await state_of(site, hold)).decisions == ()
    await sam.page.goto(here)
    await sam.use_passkey()
    await expect(sam.page.get_by_role("heading", name="You have confirmed that it was you")).to_be_visible()


async def _send(person: Person, url: str, form: str) -> APIResponse:
    headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    return await person.context.request.post(url, data=form, headers=headers, max_redirects=0)


async def test_a_button_waits_for_its_script_and_a_form_that_is_drawn_anew_meanwhile_is_sent(
    site: Site, people: Make
) -> None:
    sam = await people(SAM)
    await sam.add_passkey(SAM)
    await expect(sam.page.locator(".keys-list li")).to_have_count(1)
    arrives = asyncio.Event()

    async def late(route: Route) -> None:
        await arrives.wait()
        await route.continue_()

    async def redrawn(route: Route) -> None:
        await sam.page.evaluate(
            """async () => {
                const drawn = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
                document.getElementById("decision").replaceWith(document.importNode(drawn.getElementById("decision"), true));
            }"""
        )
        await route.continue_()

    await sam.page.route("**/passkey.js", late)
    await sam.page.route("**/challenge", redrawn)
    await sam.approve(await held(site))
    await expect(sam.page.locator("#confirm-passkey")).to_be_disabled()
    arrives.set()
    await sam.device.verifies(is_verified=False)
    await sam.use_passkey()
    await expect(sam.page.locator("#decision [data-passkey-said]")).to_contain_text("cancelled, or took too long")
    await sam.device.verifies(is_verified=True)
    await sam.use_passkey()
    await expect(sam.page.get_by_role("heading", name="You have confirmed that it was you")).to_be_visible()


async def test_a_copied_passkey_is_refused_and_recorded(site: Site, people: Make) -> None:
    sam = await people(SAM)
    await sam.add_passkey(SAM)
    await expect(sam.page.locator(".keys-list li")).to_have_count(1)
    (copy,) = await sam.device.credentials()
    first, second = await held(site, "password one"), await held(site, "password two")
    await sam.approve(first)
    await sam.use_passkey()
    await expect(sam.page.get_by_role("heading", name="You have confirmed that it was you")).to_be_visible()
    await sam.device.clear()
    await sam.device.put(copy)  # on the thief's device, with the counter as it was
    await sam.approve(second)
    await sam.use_passkey()
    await expect(sam.page.locator("#notice")).to_contain_text("there may be a copy of it")
    assert (await state_of(site, second)).decisions == ()
    (refused,) = await events_of(site, EventKind.PASSKEY_REFUSED)
    assert (refused["principal"], refused["credential"]) == (SAM, (await site.world.store.passkeys.all(SAM))[0].id)


async def test_another_persons_passkey_confirms_nothing(site: Site, people: Make) -> None:
    sam, kim = await people(SAM), await people(KIM)
    await sam.add_passkey(SAM)
    await expect(sam.page.locator(".keys-list li")).to_have_count(1)
    await kim.add_passkey(KIM)
    await expect(kim.page.locator(".keys-list li")).to_have_count(1)
    (hers,) = await site.world.store.passkeys.all(KIM)
    hold = await held(site)
    await sam.approve(hold)
    await sam.device.clear()
    for credential in await kim.device.credentials():
        await sam.device.put(credential)

    async def with_hers(route: Route) -> None:
        answer = await route.fetch()
        options = await answer.json()
        await route.fulfill(
            response=answer, json={**options, "allowCredentials": [{"id": hers.id, "type": "public-key"}]}
        )

    await sam.page.route("**/challenge", with_hers)
    await sam.use_passkey()
    await expect(sam.page.locator("#notice")).to_contain_text("not one of yours")
    await site.world.store.talk.justify(await state_of(site, hold), text="It is urgent", by=hold.requester)
    await expect(sam.page.locator(".justification")).to_contain_text("It is urgent")  # a live update leaves the word
    await expect(sam.page.locator("#notice")).to_contain_text("not one of yours")
    assert (await state_of(site, hold)).decisions == ()
    # Where there is nothing to sign any more the page is asked for again, and what it had sent is not sent again.
    (his,) = await site.world.store.passkeys.all(SAM)
    await site.world.store.passkeys.remove(SAM, his.id)
    await sam.page.unroute("**/challenge")
    await sam.use_passkey()
    await expect(sam.page.locator("#confirm-passkey")).to_have_count(0)
    await expect(sam.page.locator("#notice")).to_have_count(0)
    # Nor can it be added as one of Sam's.
    known = replace(hers, principal=SAM)
    with pytest.raises(Conflict, match="known already"):
        await site.world.store.passkeys.add(known)


async def test_only_who_is_invited_adds_a_passkey_and_once(site: Site, people: Make) -> None:
    sam = await people(SAM)
    store = site.world.store.passkeys
    await sam.page.goto(f"{sam.base}/passkeys")
    await expect(sam.page.locator("main")).to_contain_text(f"/holdpoint passkey invite {SAM}")
    await expect(sam.page.locator("#add-passkey")).to_have_count(0)
    kims = await store.invite(Invitation(KIM, ADA))
    for token, words in ((kims, "for somebody else"), ("x" * 32, "was used, or has lapsed")):
        await sam.page.goto(f"{sam.base}/passkeys/{token}")
        await expect(sam.page.locator("#notice")).to_contain_text(words)
        await expect(sam.page.locator("#add-passkey")).to_have_count(0)
    own = await store.invite(Invitation(SAM, ADA))
    first, second = sam.page, await sam.context.new_page()
    device = await Authenticator.of(second)
    for page in (first, second):
        await page.goto(f"{sam.base}/passkeys/{own}")
    await first.bring_to_front()
    await first.locator("#add-passkey").click()
    await expect(first.locator(".keys-list li")).to_have_count(1)
    await second.bring_to_front()
    await second.locator("#add-passkey").click()  # the same invitation, in another tab
    await expect(second.locator("#notice")).to_contain_text("was used, or has lapsed")
    assert len(await store.all(SAM)) == 1
    assert await device.credentials() == []
    assert (await store.invitation(kims)).principal == KIM


async def test_a_passkey_is_removed_and_confirms_nothing_any_more(site: Site, people: Make) -> None:
    sam = await people(SAM)
    await sam.add_passkey(SAM, "<b>old</b> phone")
    await expect(sam.page.locator(".key-name")).to_have_text("<b>old</b> phone")
    hold = await held(site)
    await sam.approve(hold)
    await expect(sam.page.locator("#confirm-passkey")).to_be_visible()
    other = await sam.context.new_page()
    await other.goto(f"{sam.base}/passkeys")
    await other.get_by_role("button", name="Remove").click()
    await expect(other.locator(".keys-list li")).to_have_count(0)
    await sam.use_passkey()  # on the page that was open
    await expect(sam.page.locator("#confirm-passkey")).to_have_count(0)
    assert (await state_of(site, hold)).decisions == ()
    (removed,) = await events_of(site, EventKind.PASSKEY_REMOVED)
    assert (removed["principal"], removed["name"]) == (SAM, "<b>old</b> phone")


async def test_the_page_of_somebody_else_decides_lives(site: Site, people: Make) -> None:
    sam = await people(SAM)
    await sam.add_passkey(SAM)
    await expect(sam.page.locator(".keys-list li")).to_have_count(1)
    hold = await held(site)
    await sam.approve(hold)
    decision = make_decision(hold, DecisionKind.REJECT, KIM)
    await site.world.store.holds.decide(await state_of(site, hold), decision, state=State.REJECTED, body=None)
    await expect(sam.page.get_by_role("heading", name="There is nothing to confirm any more")).to_be_visible()
    await expect(sam.page.locator("main")).to_contain_text("Rejected by kim@example.com")
    await expect(sam.page.locator("#confirm-passkey")).to_have_count(0)
