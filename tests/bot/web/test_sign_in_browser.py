"""Signing in at real identity providers in real Chromium."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from holdpoint.clock import now_ms
from holdpoint.model import State
from tests.bot.web.signing import CLIENT, SECRET, signing_site
from tests.bot.world import Site
from tests.conftest import MovingClock
from tests.identity.tools import HOW
from tests.openid.programs import HAS_NPM_PROVIDER, mock_provider, npm_provider
from tests.support.ports import free_port

PEOPLE = {
    "sam": {"email": "sam@example.com", "email_verified": True, "name": "Sam Person"},
    "lee": {"email": "lee@example.com", "email_verified": True, "name": "Lee", "groups": ["law"]},
}


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(20_000)
    yield await context.new_page()
    await context.close()


def entry(issuer: str) -> str:
    return f'{{issuer: "{issuer}", groups: groups, sign_in: {{client_id: {CLIENT}, client_secret: env:OIDC_SECRET}}}}'


async def approve(site: Site, page: Page, hold: str) -> None:
    await expect(page.locator("#live-word")).to_have_text("Live")
    await page.get_by_role("button", name="Approve", exact=True).click()
    await expect(page.locator("#decision")).to_contain_text("from the web")
    assert (await site.world.store.holds.get(hold)).state is State.APPROVED


async def test_by_oidc_provider_mock(
    redis_url: str, tmp_path: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OIDC_SECRET", SECRET)
    async with AsyncExitStack() as stack:
        issuer = await stack.enter_async_context(mock_provider(PEOPLE))
        site = await stack.enter_async_context(signing_site(redis_url, tmp_path, now_ms, entry(issuer)))
        complaints: list[str] = []
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type == "error" and message.location["url"].startswith(site.url)
                else None
            ),
        )
        hold = await site.world.hold()
        await page.goto(f"{site.url}/review/{hold.id}")
        await page.get_by_role("link", name="Continue with 127.0.0.1").click()
        await page.get_by_role("button", name="sam").click()
        await expect(page).to_have_url(f"{site.url}/review/{hold.id}")
        await approve(site, page, hold.id)
        await page.get_by_role("link", name="Sam Person").click()
        await expect(page.get_by_text("this browser")).to_be_visible()
        await page.get_by_role("button", name="Sign out everywhere").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.get_by_role("link", name="Continue with").click()
        await page.get_by_role("button", name="Deny").click()
        # Its version for Python 3.11 sends no state with its no, the one for later Pythons does.
        await expect(page.get_by_role("alert")).to_contain_text(re.compile("Start again|you stopped the sign-in"))
        assert [text for text in complaints if "403" not in text] == []


@pytest.mark.skipif(not HAS_NPM_PROVIDER, reason=f"no oidc-provider: {HOW}")
async def test_by_npms_oidc_provider(
    redis_url: str, tmp_path: Path, clock: MovingClock, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certified provider: PKCE, rotating refresh tokens, max_age, signing out there."""
    monkeypatch.setenv("OIDC_SECRET", SECRET)
    port = free_port()
    redirect = f"http://127.0.0.1:{port}/sign-in/oidc/callback"
    async with AsyncExitStack() as stack:
        issuer = await stack.enter_async_context(npm_provider(PEOPLE, [redirect]))
        site = await stack.enter_async_context(signing_site(redis_url, tmp_path, clock, entry(issuer), port=port))

        async def log_in(name: str) -> None:
            clock.ms = now_ms()  # the provider's, whose tokens may not be from a minute ahead
            await page.get_by_placeholder("Enter any login").fill(name)
            await page.get_by_placeholder("and password").fill("x")
            await page.get_by_role("button", name="Sign-in").click()

        hold = await site.world.hold()
        await page.goto(f"{site.url}/review/{hold.id}")
        await page.get_by_role("link", name="Continue with 127.0.0.1").click()
        await log_in("sam")
        await page.get_by_role("button", name="Continue").click()
        await expect(page).to_have_url(f"{site.url}/review/{hold.id}")
        await approve(site, page, hold.id)
        (first,) = await site.world.store.sessions.of("sam@example.com")
        assert first.person is not None
        assert first.person.issuer == issuer
        assert first.person.auth_ms == 0, "it says so only when it is asked"

        await page.goto(f"{site.url}/sign-in?next=/review&fresh=0")  # signed in there already, and yet asked again
        await page.get_by_role("link", name="Continue with").click()
        await log_in("sam")
        await expect(page).to_have_url(f"{site.url}/review")
        (second,) = await site.world.store.sessions.of("sam@example.com")
        assert second.person is not None
        assert second.id != first.id
        assert abs(second.person.auth_ms - now_ms()) < 60_000

        for _ in range(2):  # its refresh tokens work once
            clock.forward(seconds=301)
            await page.goto(f"{site.url}/review")
            await expect(page.locator("#live-word")).to_have_text("Live")
            (now,) = await site.world.store.sessions.of("sam@example.com")
            assert (now.id, now.checked_ms, now.person) == (second.id, clock(), second.person)

        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("link", name="Sign out at 127.0.0.1").click()
        await page.get_by_role("button", name="Yes, sign me out").click()
        await expect(page).to_have_url(f"{site.url}/sign-in")
