"""The web inbox as plain HTTP, the way a browser without script uses it: sign-in, forms, headers, refusals."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from holdpoint import apikey
from holdpoint.model import DecisionKind, EventKind, Hold, PartRole, Requirement, State
from tests.bot.world import Site, conversation, running_site
from tests.support.waiting import wait_until

SAM, KIM, LENA, CARA, DANA = (f"{n}@example.com" for n in ("sam", "kim", "lena", "cara", "dana"))


@dataclass
class Browser:
    """Cookies and forms, no script."""

    site: Site
    session: aiohttp.ClientSession
    status: int = 0
    page: str = ""
    headers: Mapping[str, str] = None  # type: ignore[assignment]

    async def get(self, path: str) -> str:
        return await self._take(self.session.get(self.site.url + path))

    async def post(self, path: str, fields: Mapping[str, str], **headers: str) -> str:
        return await self._take(self.session.post(self.site.url + path, data=fields, headers=headers))

    async def sign_in(self, who: str = SAM, **fields: str) -> str:
        return await self.post("/sign-in", {"key": self.site.world.keys[who], **fields})

    def form(self, containing: str) -> dict[str, str]:
        """The hidden fields of the form in which ``containing`` stands."""
        form = next(f for f in re.findall(r"<form.*?</form>", self.page, re.DOTALL) if containing in f)
        return {n: unescape(v) for n, v in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form)}

    async def decide(self, hold: Hold, decision: str, **fields: str) -> str:
        await self.get(f"/review/{hold.id}")
        hidden = self.form('id="approve"' if decision == "approve" else 'id="reject-send"')
        return await self.post(f"/review/{hold.id}", {**hidden, "decision": decision, **fields})

    @property
    def cookie(self) -> str:
        return next(iter(self.session.cookie_jar)).value

    async def _take(self, request: Any) -> str:
        async with request as answer:
            self.status, self.headers, self.page = answer.status, answer.headers, await answer.text()
            return self.page


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(site, session)


@pytest.mark.parametrize("path", ["/review", "/review/h0", "/review/events", "/"])
async def test_without_a_session_there_is_only_the_sign_in(browser: Browser, path: str) -> None:
    await browser.site.world.hold()
    assert "Sign in to review" in await browser.get(path)
    assert "password" not in browser.page.replace('type="password"', "").replace("current-password", "")


async def test_signing_in_leads_back_to_where_one_wanted_to_go(browser: Browser) -> None:
    hold = await browser.site.world.hold()
    await browser.get(f"/review/{hold.id}")
    await browser.sign_in(next=browser.form("key")["next"])
    assert browser.status == 200
    assert "what is the admin" in browser.page


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/review/../sign-out", "javascript:alert(1)", "/review?x=\n"]
)
async def test_signing_in_never_leads_elsewhere(browser: Browser, target: str) -> None:
    data = {"key": browser.site.world.keys[SAM], "next": target}
    async with browser.session.post(f"{browser.site.url}/sign-in", data=data, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/review")


async def test_the_cookie_is_out_of_reach_and_holds_no_key(browser: Browser) -> None:
    data = {"key": browser.site.world.keys[SAM]}
    async with browser.session.post(f"{browser.site.url}/sign-in", data=data, allow_redirects=False) as answer:
        cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert browser.site.world.keys[SAM] not in cookie


async def test_behind_https_the_cookie_is_for_https_only(redis_url: str, tmp_path: Path) -> None:
    async with running_site(redis_url, tmp_path, public_url="https://holdpoint.example") as site:
        data = {"key": site.world.keys[SAM]}
        async with site.client.post(f"{site.url}/sign-in", data=data, allow_redirects=False) as answer:
            assert answer.headers["Set-Cookie"].startswith("__Host-holdpoint=")
            assert "Secure" in answer.headers["Set-Cookie"]
            assert answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    ("key", "said"),
    [("nonsense", "not a whole Holdpoint key"), ("", "not a whole"), ("hp_", "not a whole")],
)
async def test_a_wrong_key_is_refused(browser: Browser, key: str, said: str) -> None:
    await browser.post("/sign-in", {"key": key})
    assert browser.status == 403
    assert said in browser.page


async def test_too_many_wrong_keys_have_to_wait(browser: Browser) -> None:
    for _ in range(10):
        await browser.post("/sign-in", {"key": apikey.create().text})
    await browser.sign_in()
    assert browser.status == 429


async def test_signing_out_ends_the_session(browser: Browser) -> None:
    await browser.sign_in()
    cookie = browser.cookie
    await browser.post("/sign-out", browser.form("Sign out"))
    assert "Sign in to review" in browser.page
    browser.session.cookie_jar.update_cookies({"holdpoint_session": cookie})
    assert "Sign in to review" in await browser.get("/review")


@pytest.mark.promise(5)
async def test_a_revoked_key_ends_the_session(browser: Browser) -> None:
    await browser.sign_in()
    await browser.site.world.store.config.revoke_key(browser.site.world.keys[SAM].split("_")[1], by="test")

    async def is_out() -> bool:
        return "Sign in to review" in await browser.get("/review")

    await wait_until(is_out, "the session is over", seconds=1)


async def test_the_list_shows_what_waits_for_this_person(browser: Browser) -> None:
    await browser.site.world.hold("mine password")
    requirements = (Requirement("legal", 1),)
    await browser.site.world.hold_draft(conversation((PartRole.USER, "theirs"), requirements=requirements))
    page = await browser.sign_in()
    assert "mine password" in page
    assert "theirs" not in page


async def test_a_hold_for_others_looks_like_none(browser: Browser) -> None:
    hold = await browser.site.world.hold()
    await browser.sign_in(LENA)
    hidden = await browser.get(f"/review/{hold.id}")
    assert browser.status == 404
    assert hidden == await browser.get("/review/h000000000000")


async def test_approve_with_a_plain_form(browser: Browser) -> None:
    hold = await browser.site.world.hold()
    await browser.sign_in()
    page = await browser.decide(hold, "approve")
    assert "Approved by Sam from the web" in page
    assert 'id="approve"' not in page
    stored = await browser.site.world.store.holds.get(hold.id)
    assert (stored.state, stored.decisions[0].channel, stored.decisions[0].by) == (State.APPROVED, "web", SAM)


async def test_reject_with_a_reason(browser: Browser) -> None:
    hold = await browser.site.world.hold()
    await browser.sign_in()
    page = await browser.decide(hold, "reject", reason="use the <vault>\r\nplease")
    assert "Rejected by Sam from the web" in page
    assert "use the &lt;vault&gt;\nplease" in page
    assert (await browser.site.world.store.holds.get(hold.id)).decisions[0].reason == "use the <vault>\nplease"


async def test_edit_and_preview_with_plain_forms(browser: Browser) -> None:
    hold = await browser.site.world.hold("one\npassword\u202e two")
    await browser.sign_in()
    page = await browser.get(f"/review/{hold.id}")
    assert "one\npassword⟨U+202E⟩ two</textarea>" in page
    form = browser.form("edit-form") | {"edit:messages/0/content": "one\r\ncode⟨U+202E⟩ two"}
    page = await browser.post(f"/review/{hold.id}", {**form, "preview": "1"})
    assert "one\ncode⟨U+202E⟩ two</textarea>" in page
    assert '<span class="line">code⟨U+202E⟩ two</span>' in page
    assert (await browser.site.world.store.holds.get(hold.id)).rev == hold.rev
    await browser.post(f"/review/{hold.id}", form)
    stored = await browser.site.world.store.holds.get(hold.id)
    assert (stored.state, stored.query.parts[0].text) == (State.APPROVED, "one\ncode\u202e two")


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("what is the admin password", 422, "not changed anything"),
        ("BEGIN PRIVATE KEY", 422, "blocks the edited text (rule forbidden)"),
    ],
)
async def test_a_bad_edit_keeps_what_was_typed(browser: Browser, text: str, status: int, said: str) -> None:
    hold = await browser.site.world.hold()
    await browser.sign_in()
    await browser.get(f"/review/{hold.id}")
    form = browser.form("edit-form") | {"edit:messages/0/content": text, "reason": "typed this"}
    page = await browser.post(f"/review/{hold.id}", form)
    assert browser.status == status
    assert said in unescape(page)
    assert f"{text}</textarea>" in page
    assert 'value="typed this"' in page


@pytest.mark.promise(5)
@pytest.mark.parametrize(("who", "said"), [(DANA, "your own request"), (CARA, "your key has no reviewer role")])
async def test_who_may_not_decide_gets_no_buttons_and_no_way_around(browser: Browser, who: str, said: str) -> None:
    hold = await browser.site.world.hold()
    await browser.sign_in(who)
    page = await browser.get(f"/review/{hold.id}")
    assert said in page
    assert not re.search(r'name="decision"', page)
    fields = browser.form("Sign out") | {"decision": "approve", "digest": hold.digest}
    await browser.post(f"/review/{hold.id}", fields)
    assert browser.status == 403
    assert (await browser.site.world.store.holds.get(hold.id)).state is State.PENDING


@pytest.mark.promise(5)
async def test_who_comes_late_is_told(browser: Browser) -> None:
    hold = await browser.site.world.hold()
    await browser.sign_in()
    await browser.get(f"/review/{hold.id}")
    form = browser.form('id="approve"')
    kim = await browser.site.world.who(KIM)
    await browser.site.world.decider.decide(hold.id, kim, DecisionKind.REJECT, digest=hold.digest)
    page = await browser.post(f"/review/{hold.id}", form | {"decision": "approve"})
    assert browser.status == 409
    assert "Already rejected by Kim (kim@example.com)" in page


@pytest.mark.promise(2)
async def test_a_page_of_another_text_decides_nothing(browser: Browser) -> None:
    hold = await browser.site.world.hold()
    await browser.sign_in()
    await browser.get(f"/review/{hold.id}")
    form = browser.form('id="approve"') | {"digest": "0" * 64, "decision": "approve"}
    await browser.post(f"/review/{hold.id}", form)
    assert browser.status == 409
    assert (await browser.site.world.store.holds.get(hold.id)).state is State.PENDING


@pytest.mark.promise(5)
@pytest.mark.parametrize("path", ["/review/{id}", "/review/{id}/preview", "/sign-out"])
@pytest.mark.parametrize("token", [None, "", "wrong", "😀"])
async def test_a_form_without_the_token_does_nothing(browser: Browser, path: str, token: str | None) -> None:
    hold = await browser.site.world.hold()
    await browser.sign_in()
    fields = {"decision": "approve", "digest": hold.digest} | ({} if token is None else {"csrf": token})
    await browser.post(path.format(id=hold.id), fields)
    assert browser.status == 403
    assert (await browser.site.world.store.holds.get(hold.id)).state is State.PENDING
    assert "Sign in" not in await browser.get("/review")


async def test_a_form_from_another_site_does_nothing(browser: Browser) -> None:
    hold = await browser.site.world.hold()
    await browser.sign_in()
    await browser.get(f"/review/{hold.id}")
    form = browser.form('id="approve"') | {"decision": "approve"}
    for site in ("cross-site", "same-site"):
        await browser.post(f"/review/{hold.id}", form, **{"Sec-Fetch-Site": site})
        assert browser.status == 403
    assert (await browser.site.world.store.holds.get(hold.id)).state is State.PENDING


@pytest.mark.parametrize("fields", [{}, {"decision": "maybe"}])
async def test_a_form_that_is_not_ours(browser: Browser, fields: dict[str, str]) -> None:
    hold = await browser.site.world.hold()
    await browser.sign_in()
    await browser.get(f"/review/{hold.id}")
    csrf = {"csrf": browser.form('id="approve"')["csrf"]}
    await browser.post(f"/review/{hold.id}", csrf | fields)
    assert browser.status == 422


async def test_identical_holds_are_one_row_and_one_decision_covers_those_shown(browser: Browser) -> None:
    world = browser.site.world
    holds = [await world.hold("same password") for _ in range(3)]
    page = await browser.sign_in()
    assert page.count('class="row-link"') == 1
    assert "× 3" in page
    await browser.get(f"/review/{holds[0].id}")
    form = browser.form('id="approve"')
    later = await world.hold("same password")
    await browser.post(f"/review/{holds[0].id}", form | {"decision": "approve"})
    states = [(await world.store.holds.get(hold.id)).state for hold in (*holds, later)]
    assert states == [State.APPROVED] * 3 + [State.PENDING]


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_one_of_identical_holds_that_is_taken_back_leaves_the_others_decided(browser: Browser, gone: int) -> None:
    world = browser.site.world
    holds = [await world.hold("same password") for _ in range(3)]
    await browser.sign_in()
    await browser.get(f"/review/{holds[0].id}")
    form = browser.form('id="approve"')
    await world.store.holds.cancel(holds[gone], by="dana@example.com", reason="withdrawn")
    page = await browser.post(f"/review/{holds[0].id}", form | {"decision": "approve"})
    states = [(await world.store.holds.get(hold.id)).state for hold in holds]
    assert [*states[:gone], *states[gone + 1 :]] == [State.APPROVED] * 2
    assert states[gone] is State.CANCELLED
    assert browser.status == 409, "the person learns that one of them was not decided"
    assert 'id="notice">2 of 3 approved. ' in page


@pytest.mark.promise(4)
async def test_what_a_page_showed_is_on_the_record_once(browser: Browser) -> None:
    world = browser.site.world
    hold = await world.hold("what is the password of 4111 1111 1111 1111")
    await browser.sign_in()
    for _ in range(3):
        await browser.get(f"/review/{hold.id}")
    events = []
    while batch := await world.store.outbox.read("events", group="test", block_ms=1, count=100) or (
        not events and await world.store.outbox.read("events", group="test", block_ms=1, count=100)
    ):
        events += batch
    shown = [event for event in events if event.kind is EventKind.CARD_SHOWN]
    assert len(shown) <= 1
    (place,) = (await world.store.cards.all(hold.id)).values()
    assert (place.channel, place.shown_rev) == ("web", hold.rev)
    if shown:  # the ledger's recorder may have been faster, and had it trimmed
        assert shown[0].data["digest"] == hold.digest
        assert "⟦card number 1⟧" in shown[0].data["view"]


@pytest.mark.promise(7)
async def test_markup_in_a_request_is_text(browser: Browser) -> None:
    attack = '</textarea></pre><script>alert(1)</script><img src=x onerror=alert(2)> password " onfocus="alert(3)'
    hold = await browser.site.world.hold(attack)
    await browser.sign_in()
    for path in ("/review", f"/review/{hold.id}"):
        page = await browser.get(path)
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "&lt;script&gt;alert(1)" in page


async def test_a_very_long_prompt_is_cut_and_can_be_seen_whole(browser: Browser) -> None:
    hold = await browser.site.world.hold("password " + "x" * 250_000 + "END")
    await browser.sign_in()
    page = await browser.get(f"/review/{hold.id}")
    assert "characters are not shown" in page
    whole = await browser.get(f"/review/{hold.id}?whole")
    assert "characters are not shown" not in whole


HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@pytest.mark.parametrize(
    "path", ["/sign-in", "/review", "/review/nope", "/static/page.js", "/nothing", "/api/v1/holds", "/healthz"]
)
async def test_every_answer_carries_the_security_headers(browser: Browser, path: str) -> None:
    await browser.sign_in()
    await browser.get(path)
    assert {name: browser.headers.get(name) for name in HEADERS} == HEADERS
    assert "aiohttp" not in browser.headers.get("Server", "").lower()


async def test_pages_are_not_kept_by_caches(browser: Browser) -> None:
    await browser.sign_in()
    assert browser.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["style.css", "page.js", "icon.svg"])
async def test_static_files(browser: Browser, name: str) -> None:
    await browser.get(f"/static/{name}")
    assert browser.status == 200


@pytest.mark.parametrize("name", ["base.html", "nope", "..%2fweb%2fbase.html", "%2e%2e%2fslack"])
async def test_nothing_else_of_the_folder_is_served(browser: Browser, name: str) -> None:
    await browser.get(f"/static/{name}")
    assert browser.status == 404


async def test_wrong_queries(browser: Browser) -> None:
    await browser.sign_in()
    await browser.get("/review?state=nope")
    assert browser.status == 404
    await browser.get("/review?cursor=²-x")
    assert browser.status == 200
