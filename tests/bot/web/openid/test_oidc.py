"""Signing in by OpenID Connect over real HTTP, with a provider that can be made to lie at every step."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import redis

from holdpoint.model import EventKind, PartRole, Requirement, State
from tests.bot.web.signing import BEGUN, SECRET, SESSION, Tab, entry, policy, signing_site, tab
from tests.bot.world import Site, conversation
from tests.conftest import MovingClock
from tests.support.oidc import OpenId, half_hash, running_openid
from tests.support.waiting import wait_until

HUGE = b'{"id_token": "' + b"x" * 300_000 + b'"}'


async def kinds(site: Site) -> list[tuple[str, dict[str, object]]]:
    events = await site.world.store.outbox.follow("events", after="0", block_ms=10)
    return [(event.kind.value, dict(event.data)) for event in events if event.kind.value.startswith("session.")]


async def test_a_person_signs_in_decides_and_signs_out(site: Site, sam: Tab, provider: OpenId) -> None:
    hold = await site.world.hold()
    await sam.sign_in(target=f"/review/{hold.id}")
    assert (sam.status, sam.url) == (200, f"{site.url}/review/{hold.id}")
    assert "Sam Person" in sam.page
    fields = {"csrf": sam.csrf, "decision": "approve", "digest": hold.digest}
    await sam.post(f"/review/{hold.id}", fields)
    decided = await site.world.store.holds.get(hold.id)
    assert decided.state is State.APPROVED
    assert (decided.decisions[0].by, decided.decisions[0].channel) == ("sam@example.com", "web")
    old = sam.cookie(SESSION)
    await sam.post("/sign-out", {"csrf": sam.csrf})
    assert sam.cookie(SESSION) == ""
    sam.set_cookie(SESSION, old)
    await sam.get("/review")
    assert not sam.is_in
    (opened, first), (ended, last) = await kinds(site)
    assert (opened, first["principal"], first["method"], first["issuer"]) == (
        EventKind.SESSION_OPENED, "sam@example.com", "oidc", provider.url,
    )  # fmt: skip
    assert (ended, last["by"], last["reason"], last["session"]) == (
        EventKind.SESSION_ENDED, "sam@example.com", "signed out", first["session"],
    )  # fmt: skip


async def test_what_the_provider_is_asked_for(site: Site, sam: Tab, provider: OpenId) -> None:
    await sam.sign_in()
    asked = dict(provider.asked[0])
    assert asked.pop("redirect_uri") == f"{site.url}/sign-in/oidc/callback"
    assert len({asked.pop(name) for name in ("state", "nonce", "code_challenge")}) == 3
    assert asked == {
        "response_type": "code", "client_id": "holdpoint-web", "scope": "openid email profile groups offline_access",
        "code_challenge_method": "S256",
    }  # fmt: skip
    assert SECRET not in json.dumps(provider.asked)
    assert [form["grant_type"] for form in provider.exchanged] == ["authorization_code"]


@pytest.mark.parametrize(
    ("metadata", "secret"),
    [
        ({}, SECRET),
        ({"token_endpoint_auth_methods_supported": ["client_secret_post"]}, SECRET),
        ({"token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"]}, SECRET),
        ({}, None),
    ],
    ids=["basic by default", "post alone", "basic of both", "public client"],
)
async def test_every_way_to_say_who_we_are(
    redis_url: str, tmp_path: Path, clock: MovingClock, provider: OpenId, metadata: dict[str, object],
    secret: str | None,
) -> None:  # fmt: skip
    provider.metadata, provider.secret = metadata, secret
    issuer = entry(provider, secret=secret is not None)
    async with signing_site(redis_url, tmp_path, clock, issuer) as site, tab(site) as sam:
        await sam.sign_in()
        assert sam.is_in
        in_body = "client_secret" in provider.exchanged[0]
        assert in_body is (metadata.get("token_endpoint_auth_methods_supported") == ["client_secret_post"])


async def test_groups_are_those_of_the_token_and_those_of_the_policy(site: Site, sam: Tab, provider: OpenId) -> None:
    """Lena's group comes from her claims alone, Sam's from the policy; Eve has none, and sees her own requests only."""
    draft = conversation((PartRole.USER, "a contract"), requirements=[Requirement("legal", 1)])
    hold = await site.world.hold_draft(draft)
    for person, groups, sees in (("lee", ["law"], True), ("eve", ["sec"], False), ("sam", [], False)):
        provider.person = {"sub": f"u-{person}", "email": f"{person}@example.com", "groups": groups}
        await sam.sign_in(target=f"/review/{hold.id}")
        assert (sam.status == 200) is sees, person
    await sam.get("/review")
    assert sam.is_in


LIES: dict[str, Callable[[OpenId], None]] = {
    "another state": lambda p: setattr(p, "sends", lambda fields: fields | {"state": "made-up"}),
    "no state": lambda p: setattr(p, "sends", lambda fields: fields | {"state": None}),
    "two states": lambda p: setattr(p, "sends", lambda f: [*f.items(), ("state", f["state"])]),
    "two codes": lambda p: setattr(p, "sends", lambda f: [*f.items(), ("code", "x")]),
    "a huge code": lambda p: setattr(p, "sends", lambda f: f | {"code": "x" * 7_000}),
    "no code": lambda p: setattr(p, "sends", lambda f: f | {"code": None}),
    "another code": lambda p: setattr(p, "sends", lambda f: f | {"code": "made-up"}),
    "an expired code": lambda p: setattr(p, "grants", (400, {"error": "invalid_grant"})),
    "another issuer in the answer": lambda p: setattr(p, "sends", lambda f: f | {"iss": "https://evil.example.com"}),
    "no issuer in the answer where it is announced": lambda p: setattr(p, "sends", lambda f: f | {"iss": None}),
    "another nonce": lambda p: p.says.update(nonce="another"),
    "no nonce": lambda p: p.says.update(nonce=None),
    "a nonce that is no text": lambda p: p.says.update(nonce=["x"]),
    "another audience": lambda p: p.says.update(aud="another-client"),
    "several audiences without a party": lambda p: p.says.update(aud=["holdpoint-web", "another-client"]),
    "another party": lambda p: p.says.update(azp="another-client"),
    "another issuer in the token": lambda p: p.says.update(iss="https://evil.example.com"),
    "an expired token": lambda p: p.says.update(exp=1),
    "another access token": lambda p: p.says.update(at_hash=half_hash("another")),
    "a hash that is no text": lambda p: p.says.update(at_hash=1),
    "a time that is no time": lambda p: p.says.update(auth_time="now"),
    "no subject": lambda p: p.person.pop("sub"),
    "no address": lambda p: p.person.pop("email"),
    "an address that is not verified": lambda p: p.says.update(email_verified=False),
    "a look-alike address": lambda p: p.person.update(email="s\u0430m@example.com"),
    "a program": lambda p: p.says.update(use="program", owner="sam@example.com"),
    "groups elsewhere": lambda p: p.says.update(_claim_names={"groups": "src1"}),
    "another key": lambda p: setattr(p, "grants", {"id_token": "e30.e30.e30"}),
    "no tokens": lambda p: setattr(p, "grants", {}),
    "no JSON": lambda p: setattr(p, "grants", b"<html>"),
    "a huge answer": lambda p: setattr(p, "grants", HUGE),
    "a redirect": lambda p: setattr(p, "grants", 302),
    "it knows us no more": lambda p: setattr(p, "secret", "another"),
    "it is out of order": lambda p: setattr(p, "grants", 500),
    "it says no": lambda p: setattr(p, "sends", lambda f: {"error": "access_denied", "state": f["state"], "iss": p.url}),
}  # fmt: skip


@pytest.mark.promise(5)
async def test_whatever_is_wrong_in_an_answer_nobody_is_signed_in(
    site: Site, sam: Tab, provider: OpenId, caplog: pytest.LogCaptureFixture
) -> None:
    for what, lie in LIES.items():
        before = OpenId(clock=provider.clock)
        for name in ("sends", "grants", "secret"):
            setattr(provider, name, getattr(before, name))
        provider.says, provider.person = {}, dict(before.person)
        lie(provider)
        await sam.sign_in()
        assert sam.status in (403, 503), what
        assert sam.problem, what
        assert "made-up" not in sam.page, what
        assert sam.cookie(SESSION) == "", what
        await sam.get("/review")
        assert not sam.is_in, what
    assert await kinds(site) == []
    assert SECRET not in caplog.text
    for form in provider.exchanged:
        assert form.get("code_verifier", "x") not in caplog.text


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ("it says no", "you stopped the sign-in there"),
        ("an expired code", "has expired. Start again"),
        ("it is out of order", "does not answer at the moment"),
        ("another state", "Start again"),
        ("another nonce", "cannot be accepted"),
        ("groups elsewhere", "more groups than"),
        ("it knows us no more", "refuses Holdpoint (invalid_client)"),
    ],
)
async def test_what_goes_wrong_is_said_in_a_sentence(sam: Tab, provider: OpenId, lie: str, words: str) -> None:
    LIES[lie](provider)
    await sam.sign_in()
    assert words in sam.problem


async def test_a_description_of_an_error_is_data(sam: Tab, provider: OpenId) -> None:
    text = '<script>alert(1)</script>\u202e https://evil.example.com "' + "x" * 5_000
    provider.sends = lambda f: {"error": "login_required", "error_description": text, "state": f["state"], "iss": provider.url}  # fmt: skip
    await sam.sign_in()
    assert sam.status == 403
    assert "<script>" not in sam.page
    assert 'href="https://evil' not in sam.page
    assert "\u202e" not in sam.page
    assert "⟨U+202E⟩" in sam.problem
    assert len(sam.problem) < 400


@pytest.mark.promise(5)
async def test_a_callback_works_once_and_in_its_own_browser_alone(site: Site, sam: Tab, provider: OpenId) -> None:
    async with tab(site) as eve:
        provider.person = {"sub": "u-eve", "email": "eve@example.com"}
        await eve.sign_in()
        used = next(url for url in eve.trail if "/callback?" in url)
        for attempt in (eve, sam):  # replayed; and a sign-in as somebody else that a link foists on Sam
            await attempt.get(used)
            assert attempt.status == 403
        await eve.sign_in(follow=False)
        await eve.get(eve.trail[0], follow=False)
        fresh = eve.trail[0]
        assert "/callback?" in fresh
        await sam.sign_in(follow=False)  # Sam has begun one, too
        await sam.get(fresh)
        assert (sam.status, sam.is_in) == (403, False)
        assert sam.cookie(SESSION) == ""
        await eve.get(fresh)
        assert eve.status == 403, "a state that was seen in another browser is spent"


async def test_a_session_cannot_be_fixed(site: Site, sam: Tab, provider: OpenId) -> None:
    async with tab(site) as eve:
        provider.person = {"sub": "u-eve", "email": "eve@example.com"}
        await eve.sign_in()
        planted = eve.cookie(SESSION)
        sam.set_cookie(SESSION, planted)
        provider.person = {"sub": "u-sam", "email": "sam@example.com"}
        await sam.sign_in()
        assert sam.cookie(SESSION) not in ("", planted)
        await eve.get("/review")
        assert not eve.is_in, "the session that the browser had is over"
    first = sam.cookie(SESSION)
    await sam.sign_in()
    assert sam.cookie(SESSION) != first


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example.com", "//evil.example.com", "/\\evil.example.com", "/review/../../evil", "/review\n", "javascript:alert(1)",
        "/review/h1?state=all&x=1", "/sign-out", "/api/v1/holds", "/review//evil", "https:evil.example.com", "/%2f/evil", "@evil", "/review@evil",
    ],
)  # fmt: skip
async def test_nobody_is_sent_to_another_site(site: Site, sam: Tab, target: str) -> None:
    from urllib.parse import quote  # noqa: PLC0415

    await sam.get(f"/sign-in?next={quote(target)}")
    assert "evil" not in sam.page
    link = sam.links[0].partition("&next=")[0] + "&next=" + quote(target)
    await sam.get(link)
    assert sam.url == f"{site.url}/review"


async def test_a_way_to_sign_in_that_is_not_offered(sam: Tab, provider: OpenId) -> None:
    await sam.get("/sign-in")
    place = sam.links[0].partition("?")[0]
    for way in ("", "0123456789abcdef", "https://evil.example.com", "x" * 5_000):
        await sam.get(f"{place}?way={way}")
        assert (sam.status, sam.problem != "") == (403, True)
    assert provider.asked == []


async def test_a_provider_that_is_away_is_a_sentence_and_keys_still_work(
    site: Site, sam: Tab, provider: OpenId
) -> None:
    provider.away = True
    await sam.sign_in()
    assert sam.status == 503
    assert "does not answer" in sam.problem
    await sam.post("/sign-in", {"key": site.world.keys["sam@example.com"]})
    assert sam.is_in


async def test_several_providers_and_none_answers_for_another(
    redis_url: str, tmp_path: Path, clock: MovingClock, provider: OpenId
) -> None:
    async with running_openid(
        clock=clock, client="second", metadata={"authorization_response_iss_parameter_supported": None}
    ) as other:
        entries = entry(provider), entry(other, client="second"), entry(provider, client="third")
        async with signing_site(redis_url, tmp_path, clock, *entries) as site, tab(site) as sam:
            await sam.get("/sign-in")
            assert len(sam.links) == 3
            await sam.sign_in(number=0)
            assert sam.is_in
            # Mixed up: the honest provider's code comes back with the state of the other one, which says who it is.
            other.sends = lambda fields: fields | {"iss": provider.url}
            await sam.sign_in(number=1)
            assert "Another identity provider" in sam.problem
            other.sends = lambda fields: fields | {"iss": None}
            other.says = {"iss": provider.url}
            await sam.sign_in(number=1)
            assert "cannot be accepted" in sam.problem


async def test_a_missing_secret_takes_one_way_off_the_page(
    redis_url: str, tmp_path: Path, clock: MovingClock, provider: OpenId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OIDC_SECRET")
    async with signing_site(redis_url, tmp_path, clock, entry(provider)) as site, tab(site) as sam:
        await sam.get("/sign-in")
        assert sam.links == []
        assert "Holdpoint key" in sam.page


async def test_a_fresh_sign_in_is_fresh(site: Site, sam: Tab, provider: OpenId, clock: MovingClock) -> None:
    async def fresh(seconds: int, acr: str = "") -> None:
        await sam.get(f"/sign-in?next=/review&fresh={seconds}&acr={acr}")
        await sam.get(sam.links[0])

    await fresh(300, "mfa")
    assert (provider.asked[-1]["max_age"], provider.asked[-1]["acr_values"]) == ("300", "mfa")
    assert "in the way that is needed" in sam.problem
    provider.says = {"acr": "mfa"}
    await fresh(300, "mfa")
    (session,) = await site.world.store.sessions.of("sam@example.com")
    assert session.person is not None
    assert (session.person.auth_ms, session.person.acr) == (clock() // 1000 * 1000, "mfa")
    provider.authenticated_s = 400
    await fresh(300)
    assert "did not ask you to sign in again" in sam.problem
    provider.authenticated_s = None
    await fresh(300)
    assert "does not say when" in sam.problem
    await sam.sign_in()
    (session,) = await site.world.store.sessions.of("sam@example.com")
    assert session.person is not None
    assert session.person.auth_ms == 0, "never a recent one"


async def test_nothing_of_a_sign_in_stays_readable_in_redis(
    site: Site, sam: Tab, provider: OpenId, redis_url: str
) -> None:
    await sam.sign_in()
    token = next(iter(provider.tokens))
    with redis.Redis.from_url(redis_url) as client:
        for name in client.keys("*"):
            value = client.dump(name)
            # A JWT: its header, and its claims behind a dot. What is locked is long base64, in which "eyJ" happens.
            jwt = (b"eyJhbGci", b".eyJ")
            for secret in (token.encode(), sam.cookie(SESSION).encode(), sam.cookie(BEGUN).encode(), *jwt):
                assert secret not in name + value, name


async def test_cookies_keep_to_themselves(redis_url: str, tmp_path: Path, clock: MovingClock, provider: OpenId) -> None:
    async with signing_site(redis_url, tmp_path, clock, entry(provider), public_url="https://approvals.example.com") as site:  # fmt: skip
        async with tab(site) as sam:
            await sam.get("/sign-in")
            link = sam.links[0]
        async with site.client.get(site.url + link, allow_redirects=False) as answer:
            cookie = answer.headers["Set-Cookie"]
            query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert cookie.startswith("__Host-holdpoint-signing-in=")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=Lax", "Max-Age=600"} <= {part.strip() for part in cookie.split(";")}  # fmt: skip
    assert query["redirect_uri"] == ["https://approvals.example.com/sign-in/oidc/callback"]


async def test_the_callback_takes_no_posts(sam: Tab) -> None:
    await sam.post("/sign-in/oidc/callback", {"state": "x", "code": "y"})
    assert sam.status == 405


async def test_signing_out_at_the_provider_too(site: Site, sam: Tab, provider: OpenId) -> None:
    await sam.sign_in()
    await sam.post("/sign-out", {"csrf": sam.csrf})
    url = next(part for part in sam.page.split('"') if part.startswith(f"{provider.url}/out")).replace("&amp;", "&")
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert query.pop("id_token_hint").count(".") == 2
    assert query == {"client_id": "holdpoint-web", "post_logout_redirect_uri": f"{site.url}/sign-in"}


async def test_the_terms_of_the_policy_are_those_of_now(site: Site, sam: Tab, provider: OpenId) -> None:
    """A provider that the policy drops signs everybody out whom it vouched for."""
    await sam.sign_in()
    assert sam.is_in
    await site.world.store.config.push_policy(policy(entry(provider, client="another")), expect=2, by="test")

    async def is_out() -> bool:
        await sam.get("/review")
        return not sam.is_in

    await wait_until(is_out, "the session is over")
    assert (await kinds(site))[-1][1]["by"] == "policy"


async def test_logs_name_no_token(sam: Tab, provider: OpenId, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await sam.sign_in()
        provider.says = {"nonce": "another"}
        await sam.sign_in()
    assert "another nonce" in caplog.text
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith(("bot", "holdpoint")))
    for secret in (SECRET, provider.exchanged[0]["code"], provider.exchanged[0]["code_verifier"], "eyJ"):
        assert secret not in ours
