"""While somebody is signed in: their provider is asked again, and what it says counts (promise 5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from holdpoint.model import PartRole, Requirement
from tests.bot.web.signing import SESSION, Tab, entry, policy, signing_site, tab
from tests.bot.world import Site, conversation
from tests.conftest import MovingClock
from tests.support.oidc import OpenId
from tests.support.waiting import wait_until

MINUTE = 60.0
LAW = {"sub": "u-lee", "email": "lee@example.com", "name": "Lee", "groups": ["law"]}


@pytest.fixture
def person() -> dict[str, object]:
    """Who signs in at the provider."""
    return dict(LAW)


@pytest.fixture
async def lee(site: Site) -> AsyncIterator[Tab]:
    async with tab(site) as made:
        await made.sign_in()
        assert made.is_in
        yield made


def asked(provider: OpenId) -> int:
    return sum(form["grant_type"] == "refresh_token" for form in provider.exchanged)


async def groups(site: Site) -> frozenset[str]:
    (session,) = await site.world.store.sessions.of("lee@example.com")
    assert session.person is not None
    return session.person.groups


async def ended(site: Site) -> str:
    events = await site.world.store.outbox.follow("events", after="0", block_ms=10)
    return next((str(e.data["reason"]) for e in reversed(events) if e.kind.value == "session.ended"), "")


@pytest.mark.promise(5)
async def test_a_group_that_was_taken_away_is_gone_at_the_next_question(
    site: Site, lee: Tab, provider: OpenId, clock: MovingClock
) -> None:
    assert "law" in await groups(site) or "legal" in await groups(site)
    assert "All holds" in lee.page
    provider.person["groups"] = []
    await lee.get("/review")
    assert (asked(provider), "legal" in await groups(site)) == (0, True), "it is not asked all the time"
    clock.forward(seconds=5 * MINUTE)
    await lee.get("/review")
    assert (asked(provider), await groups(site)) == (1, frozenset())
    assert lee.is_in
    clock.forward(seconds=5 * MINUTE)
    provider.person["groups"] = ["law"]
    await lee.get("/review")
    assert (asked(provider), "legal" in await groups(site)) == (2, True)


async def test_what_was_shown_at_sign_in_does_not_get_younger(
    site: Site, lee: Tab, provider: OpenId, clock: MovingClock
) -> None:
    (before,) = await site.world.store.sessions.of("lee@example.com")
    clock.forward(seconds=6 * MINUTE)
    await lee.get("/review")
    (after,) = await site.world.store.sessions.of("lee@example.com")
    assert before.person is not None
    assert after.person is not None
    assert after.person.auth_ms == before.person.auth_ms
    assert (after.ends_ms, after.id, after.csrf) == (before.ends_ms, before.id, before.csrf)
    assert after.checked_ms == clock()


ENDS: dict[str, Callable[[OpenId], None]] = {
    "the account is closed": lambda p: p.tokens.clear(),
    "another subject": lambda p: p.person.update(sub="u-other"),
    "another address": lambda p: p.person.update(email="other@example.com"),
    "an address that is not verified any more": lambda p: p.says.update(email_verified=False),
    "another audience": lambda p: p.says.update(aud="another"),
    "another key": lambda p: p.says.update(iss="https://evil.example.com"),
    "an expired token": lambda p: p.says.update(exp=1),
    "another access token": lambda p: p.says.update(at_hash="x"),
    "groups elsewhere": lambda p: p.says.update(_claim_names={"groups": "src1"}),
    "we are not known any more": lambda p: setattr(p, "secret", "another"),
}


@pytest.mark.promise(5)
@pytest.mark.parametrize("what", ENDS)
async def test_who_is_not_vouched_for_any_more_is_out(
    site: Site, lee: Tab, provider: OpenId, clock: MovingClock, what: str
) -> None:
    ENDS[what](provider)
    clock.forward(seconds=5 * MINUTE)
    await lee.get("/review")
    assert not lee.is_in
    assert await site.world.store.sessions.of("lee@example.com") == []
    assert await ended(site) != ""


async def test_a_provider_that_is_away_is_waited_for_but_not_for_long(
    site: Site, lee: Tab, provider: OpenId, clock: MovingClock
) -> None:
    provider.away = True
    for _ in range(2):
        clock.forward(seconds=7 * MINUTE)
        await lee.get("/review")
        assert lee.is_in, "fourteen minutes after its last word"
        await site.world.store._client.command("DEL", *await _checks(site))
    provider.away = False
    await lee.get("/review")
    assert lee.is_in
    provider.away = True
    clock.forward(seconds=15 * MINUTE)
    await lee.get("/review")
    assert not lee.is_in
    assert "quarter of an hour" in await ended(site)


async def test_a_provider_whose_new_key_cannot_be_had_is_waited_for(
    site: Site, lee: Tab, provider: OpenId, clock: MovingClock
) -> None:
    """By then the refresh token is spent: the one that came in its place has to be the next one."""
    provider.key, provider.keys_away = "k2", True
    clock.forward(seconds=5 * MINUTE)
    await lee.get("/review")
    assert (lee.is_in, asked(provider)) == (True, 1)
    await site.world.store._client.command("DEL", *await _checks(site))
    provider.keys_away = False
    clock.forward(seconds=MINUTE)
    await lee.get("/review")
    assert (lee.is_in, asked(provider)) == (True, 2)
    (session,) = await site.world.store.sessions.of("lee@example.com")
    assert session.checked_ms == clock()


async def _checks(site: Site) -> list[str]:
    (session,) = await site.world.store.sessions.of("lee@example.com")
    return [f"hp:{{p00}}:session:check:{session.id}"]


async def test_a_provider_that_is_away_is_not_asked_at_every_click(
    lee: Tab, provider: OpenId, clock: MovingClock
) -> None:
    clock.forward(seconds=6 * MINUTE)
    provider.grants = 503
    for _ in range(5):
        await lee.get("/review")
        assert lee.is_in
    assert asked(provider) == 1


@pytest.mark.parametrize("minutes", [6, 40], ids=["soon", "after the provider's word has grown too old"])
async def test_many_windows_ask_once(lee: Tab, provider: OpenId, clock: MovingClock, minutes: int) -> None:
    """A refresh token that is used twice is a stolen one to many providers."""
    clock.forward(seconds=minutes * MINUTE)

    async def look() -> int:
        async with lee.client.get(f"{lee.site.url}/review", allow_redirects=False) as answer:
            return answer.status

    assert set(await asyncio.gather(*(look() for _ in range(25)))) == {200}
    assert asked(provider) == 1


async def test_a_provider_without_a_token_in_its_answer_vouches_for_an_hour(
    site: Site, lee: Tab, provider: OpenId, clock: MovingClock
) -> None:
    provider.refresh_says = None
    clock.forward(seconds=5 * MINUTE)
    await lee.get("/review")
    (session,) = await site.world.store.sessions.of("lee@example.com")
    assert session.ends_ms == session.started_ms + 3_600_000
    clock.forward(seconds=56 * MINUTE)
    await lee.get("/review")
    assert (lee.is_in, asked(provider)) == (False, 1)


@pytest.mark.parametrize("kept", ["no refresh token", "no key to lock one"])
async def test_where_nobody_can_be_asked_the_session_is_as_short_as_the_token(
    redis_url: str, tmp_path: Path, clock: MovingClock, provider: OpenId, kept: str
) -> None:
    provider.refreshes = kept != "no refresh token"
    key = None if kept == "no key to lock one" else "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    async with signing_site(redis_url, tmp_path, clock, entry(provider), secret_key=key) as site, tab(site) as lee:
        for lives_s, most_s in ((600, 600), (90_000, 3_600)):
            provider.lives_s = lives_s
            await lee.sign_in()
            (session,) = await site.world.store.sessions.of("lee@example.com")
            assert abs(session.ends_ms - clock() - most_s * 1000) < 1_000
            assert session.vouched is not None
            assert (session.vouched.refresh, session.vouched.hint) == ("", "")
        offline = [("offline_access" in each["scope"]) for each in provider.asked]
        assert offline == [key is not None] * 2
        clock.forward(seconds=3_599)
        await lee.get("/review")
        assert lee.is_in
        clock.forward(seconds=1)
        await lee.get("/review")
        assert not lee.is_in


@pytest.mark.promise(5)
async def test_claims_mean_what_the_policy_of_now_says(site: Site, lee: Tab, provider: OpenId) -> None:
    """A group that claims give no more is gone at once, also when the provider cannot be asked."""
    draft = conversation((PartRole.USER, "a contract"), requirements=[Requirement("legal", 1)])
    hold = await site.world.hold_draft(draft)
    await lee.get(f"/review/{hold.id}")
    assert lee.status == 200
    provider.grants = 503
    other = policy(entry(provider)).replace("claims: {groups: [law]}", "claims: {groups: [another]}")
    await site.world.store.config.push_policy(other, expect=2, by="test")

    async def is_hidden() -> bool:
        await lee.get(f"/review/{hold.id}")
        return lee.status == 404

    await wait_until(is_hidden, "the policy is in force")
    assert await groups(site) >= {"legal"}, "it is not forgotten, it counts for nothing"
    provider.grants = None
    await site.world.store._client.command("DEL", *await _checks(site))
    await lee.get("/review")
    assert lee.is_in
    assert "legal" not in await groups(site)


async def test_without_a_refresh_token_another_reading_of_claims_means_signing_in_again(
    site: Site, lee: Tab, provider: OpenId
) -> None:
    provider.refreshes = False
    await lee.sign_in()
    other = policy(entry(provider)).replace("claims: {groups: [law]}", "claims: {groups: [another]}")
    await site.world.store.config.push_policy(other, expect=2, by="test")

    async def is_out() -> bool:
        await lee.get("/review")
        return not lee.is_in

    await wait_until(is_out, "the session is over")
    assert "reads the claims" in await ended(site)


@pytest.mark.promise(5)
async def test_a_member_who_is_taken_off_the_policy_loses_the_right_at_once(
    site: Site, lee: Tab, provider: OpenId
) -> None:
    provider.person = {"sub": "u-sam", "email": "sam@example.com"}
    await lee.sign_in()
    hold = await site.world.hold()
    await lee.get(f"/review/{hold.id}")
    fields = {"csrf": lee.csrf, "decision": "approve", "digest": hold.digest}
    without = policy(entry(provider)).replace("[sam@example.com, kim@example.com]", "[kim@example.com]")
    assert without != policy(entry(provider))
    await site.world.store.config.push_policy(without, expect=2, by="test")

    async def is_refused() -> bool:
        await lee.get(f"/review/{hold.id}")
        return lee.status == 404

    await wait_until(is_refused, "the policy is in force")
    await lee.post(f"/review/{hold.id}", fields)
    assert lee.status in (403, 404)
    assert (await site.world.store.holds.get(hold.id)).decisions == ()


async def test_an_open_page_does_not_keep_a_session_alive(
    site: Site, lee: Tab, provider: OpenId, clock: MovingClock
) -> None:
    (session,) = await site.world.store.sessions.of("lee@example.com")
    (digest,) = await site.world.store._client.command("ZRANGE", "hp:{p00}:sessions:lee@example.com", 0, -1)
    name = f"hp:{{p00}}:session:{digest.decode()}"
    async with lee.client.get(f"{site.url}/review/events") as stream:
        await stream.content.readline()
        await site.world.store._client.command("PEXPIRE", name, 500_000)
        await site.world.hold()
        await stream.content.readuntil(b"changed")
        assert int(await site.world.store._client.command("PTTL", name)) <= 500_000
    await lee.get("/review")
    assert int(await site.world.store._client.command("PTTL", name)) > 3_000_000
    assert session.idle_ms == 3_600_000


async def test_nor_does_what_the_provider_says_while_the_page_is_open(
    site: Site, lee: Tab, provider: OpenId, clock: MovingClock
) -> None:
    store = site.world.store
    (digest,) = await store._client.command("ZRANGE", "hp:{p00}:sessions:lee@example.com", 0, -1)
    name = f"hp:{{p00}}:session:{digest.decode()}"
    async with lee.client.get(f"{site.url}/review/events") as stream:
        await stream.content.readline()
        await store._client.command("PEXPIRE", name, 500_000)
        clock.forward(seconds=5 * MINUTE)
        await site.world.hold()
        await stream.content.readuntil(b"changed")
        assert asked(provider) == 1
        assert int(await store._client.command("PTTL", name)) <= 500_000, "nobody has done anything"


async def test_nor_does_a_page_that_draws_itself_anew(site: Site, lee: Tab, browser: Browser) -> None:
    store = site.world.store
    (digest,) = await store._client.command("ZRANGE", "hp:{p00}:sessions:lee@example.com", 0, -1)
    name = f"hp:{{p00}}:session:{digest.decode()}"
    context = await browser.new_context()
    await context.add_cookies([{"name": SESSION, "value": lee.cookie(SESSION), "url": site.url}])
    page = await context.new_page()
    await page.goto(f"{site.url}/review")
    await expect(page.locator("#live-word")).to_have_text("Live")
    await store._client.command("PEXPIRE", name, 500_000)
    hold = await site.world.hold_draft(
        conversation((PartRole.USER, "a contract"), requirements=[Requirement("legal", 1)])
    )
    await expect(page.locator(f'a[href="/review/{hold.id}"]')).to_be_visible()
    assert int(await store._client.command("PTTL", name)) <= 500_000, "nobody has done anything"
    await page.reload()
    assert int(await store._client.command("PTTL", name)) > 3_000_000
    await context.close()


async def test_a_person_sees_and_ends_their_own_sessions(site: Site, lee: Tab) -> None:
    async with tab(site) as phone, tab(site) as sam:
        await phone.sign_in()
        await sam.post("/sign-in", {"key": site.world.keys["sam@example.com"]})
        await lee.get("/sessions")
        assert lee.page.count('name="end" value=') == 3, "two, and all of them"
        (other,) = [s for s in await site.world.store.sessions.of("lee@example.com") if s.id not in lee.page.split("this browser")[0].split("<li")[0] and f'value="{s.id}"' in lee.page and s.csrf != lee.csrf]  # fmt: skip
        foreign = (await site.world.store.sessions.of("sam@example.com"))[0]
        await lee.post("/sessions", {"csrf": "wrong", "end": "all"})
        assert lee.status == 403
        await lee.get("/sessions")
        csrf = lee.csrf
        await lee.post("/sessions", {"csrf": csrf, "end": "all"}, **{"Sec-Fetch-Site": "cross-site"})
        assert lee.status == 403
        await lee.post("/sessions", {"csrf": csrf})
        assert lee.status == 422
        await lee.post("/sessions", {"csrf": csrf, "end": foreign.id})
        await sam.get("/review")
        assert sam.is_in
        await lee.post("/sessions", {"csrf": csrf, "end": other.id})
        assert lee.is_in
        await phone.get("/review")
        assert not phone.is_in
        await phone.sign_in()
        await lee.post("/sessions", {"csrf": csrf, "end": "all"})
        assert not lee.is_in
        await phone.get("/review")
        assert not phone.is_in
        assert lee.cookie(SESSION) != "", "the cookie is worth nothing any more"
