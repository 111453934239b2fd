"""Signing in by SAML over real HTTP, with a provider that can be made to lie; what a response says is in test_saml_response."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis

pytest.importorskip("signxml", reason="no signxml: pip install 'holdpoint[saml]'")

from lxml import etree

from bot.web import saml_party
from holdpoint.model import PartRole, Requirement, State
from tests.bot.web.openid.test_oidc import kinds
from tests.bot.web.signing import BEGUN, SESSION, Tab, policy, signing_site, tab
from tests.bot.world import Site, conversation
from tests.conftest import MovingClock
from tests.support.saml import NAMES, PASSWORD, Asked, Idp, key_pair, stamp
from tests.support.waiting import wait_until

ACS, FINISH, METADATA = "/sign-in/saml/acs", "/sign-in/saml/finish", "/sign-in/saml/metadata"
GROUPS = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"
LINK = "http://schemas.microsoft.com/claims/groups.link"
UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
FIELDS = ", requester: mail, name: displayName, groups: groups"


@pytest.fixture
def idp(clock: MovingClock) -> Idp:
    return Idp(clock=clock)


@pytest.fixture
async def site(redis_url: str, tmp_path: Path, clock: MovingClock, idp: Idp) -> AsyncIterator[Site]:
    async with signing_site(redis_url, tmp_path, clock, more=saml(idp.entry())) as running:
        yield running


@pytest.fixture
async def sam(site: Site) -> AsyncIterator[Tab]:
    async with tab(site) as made:
        yield made


def saml(*entries: str) -> str:
    return "saml:\n" + "".join(f"  - {each}\n" for each in entries)


async def sent_off(who: Tab, *, target: str = "/review", number: int = 0, query: str = "") -> Asked:
    """Over the sign-in page to the provider, and what it is asked there."""
    await who.get(f"/sign-in?next={target}{query}")
    await who.get(who.links[number], follow=False)
    assert who.status == 303, who.problem
    return Asked.by(who.trail[-1])


async def posted(who: Tab, fields: object) -> str:
    """The browser posts from the provider's page, so without any cookie of ours: where it is sent then."""
    async with who.site.client.post(who.site.url + ACS, data=fields, allow_redirects=False) as answer:
        assert answer.cookies == {}
        who.status, who.page = answer.status, await answer.text()
        return answer.headers.get("Location", "")


async def sign_in(who: Tab, idp: Idp, *, target: str = "/review", query: str = "") -> None:
    """All the way, or until it fails."""
    ticket = await posted(who, idp.form(await sent_off(who, target=target, query=query)))
    if ticket:
        await who.get(ticket)


async def person(site: Site, principal: str = "sam@example.com") -> object:
    (session,) = await site.world.store.sessions.of(principal)
    return session.person


async def test_a_person_signs_in_decides_and_signs_out(site: Site, sam: Tab, idp: Idp) -> None:
    hold = await site.world.hold()
    await sign_in(sam, idp, target=f"/review/{hold.id}")
    assert (sam.status, sam.url) == (200, f"{site.url}/review/{hold.id}")
    await sam.post(f"/review/{hold.id}", {"csrf": sam.csrf, "decision": "approve", "digest": hold.digest})
    assert (await site.world.store.holds.get(hold.id)).state is State.APPROVED
    await sam.post("/sign-out", {"csrf": sam.csrf})
    assert sam.cookie(SESSION) == ""
    (opened, first), (ended, _) = await kinds(site)
    assert (opened, first["principal"], first["method"], first["issuer"]) == (
        "session.opened", "sam@example.com", "saml", idp.entity_id,
    )  # fmt: skip
    assert ended == "session.ended"


async def test_what_the_provider_is_asked_for(site: Site, sam: Tab, idp: Idp, clock: MovingClock) -> None:
    asked = await sent_off(sam)
    root = etree.fromstring(asked.xml.encode())
    assert dict(root.attrib) == {
        "ID": asked.id, "Version": "2.0", "IssueInstant": stamp(clock())[:19] + "Z", "Destination": idp.sso_url,
        "AssertionConsumerServiceURL": site.url + ACS, "ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
    }  # fmt: skip
    assert asked.audience == site.url + METADATA
    assert re.fullmatch(r"r[0-9a-f]{64}", asked.id)
    assert len(asked.relay_state) <= 80, "Bindings 3.4.3"
    assert (await sent_off(sam)).id != asked.id
    root = etree.fromstring((await sent_off(sam, query="&fresh=300&acr=urn:a+urn:b")).xml.encode())
    assert root.get("ForceAuthn") == "true"
    methods = root.findall("p:RequestedAuthnContext[@Comparison='exact']/a:AuthnContextClassRef", NAMES)
    assert [each.text for each in methods] == ["urn:a", "urn:b"]


async def test_what_a_provider_can_know_of_us(site: Site, sam: Tab) -> None:
    await sam.get(METADATA)
    root = etree.fromstring(sam.page.encode())
    assert root.get("entityID") == site.url + METADATA
    place = root.find(".//{urn:oasis:names:tc:SAML:2.0:metadata}AssertionConsumerService")
    assert place is not None
    assert place.get("Location") == site.url + ACS


async def test_who_it_is_and_their_groups_by_attributes(
    redis_url: str, tmp_path: Path, clock: MovingClock, idp: Idp
) -> None:
    """Lena's group is by `claims`; another one by its name; `members` count for both."""
    entry = saml(idp.entry(more=FIELDS))
    draft = conversation((PartRole.USER, "a contract"), requirements=[Requirement("legal", 1)])
    async with signing_site(redis_url, tmp_path, clock, more=entry) as site, tab(site) as who:
        hold = await site.world.hold_draft(draft)
        for name, groups, sees in (("lee", ["law"], True), ("lou", ["legal"], True), ("eve", ["sec"], False)):
            mail = f"{name.capitalize()}@Example.com"
            idp.attributes = {"mail": [mail], "displayName": [f"{name} \u202e&lt;b>"], "groups": groups, UPN: ["x@y.z"]}
            idp.attributes |= {"saml.requester": ["ada@example.com"], "saml.groups": ["legal"], "sub": ["x"]}
            idp.says = {"name_id": f"{name}@corp.example.com"}
            await sign_in(who, idp, target=f"/review/{hold.id}")
            assert (who.status == 200) is sees, name
            found = await person(site, f"{name}@example.com")
            assert (found.subject, found.method, found.acr, found.auth_ms) == (  # type: ignore[attr-defined]
                f"{name}@corp.example.com", "saml", PASSWORD, clock(),
            )  # fmt: skip
            assert found.aliases == {f"{name}@corp.example.com", "x@y.z"}  # type: ignore[attr-defined]
            assert found.name == f"{name} ⟨U+202E⟩<b>"  # type: ignore[attr-defined]
            assert "<b>" not in who.page


ADDRESS, GRAPH = ["sam@example.com"], ["https://graph.example.com"]
WRONG: dict[str, dict[str, list[str]]] = {
    "no address": {"groups": ["law"]},
    "two addresses": {"mail": ["sam@example.com", "ada@example.com"]},
    "a look-alike address": {"mail": ["s\u0430m@example.com"]},
    "a name and an address": {"mail": ["Sam &lt;sam@example.com>"]},
    "a name that is no address": {"mail": ["sam"]},
    "two addresses in one": {"mail": ["sam@example.com,ada@example.com"]},
    "an attribute of another name": {"Mail": ["sam@example.com"]},
}


@pytest.mark.promise(5)
async def test_a_response_has_to_name_one_person(redis_url: str, tmp_path: Path, clock: MovingClock, idp: Idp) -> None:
    entry = saml(idp.entry(more=FIELDS))
    async with signing_site(redis_url, tmp_path, clock, more=entry) as site, tab(site) as sam:
        for what, attributes in WRONG.items():
            idp.attributes = attributes
            await sign_in(sam, idp)
            assert (sam.status, "cannot be accepted" in sam.problem) == (403, True), what
        idp.attributes = {"mail": ADDRESS, "more": ["ada@example.com"]}
        idp.edits = lambda root: root.find(".//*[@Name='more']").set("Name", "mail")
        await sign_in(sam, idp)
        assert "cannot be accepted" in sam.problem, "an attribute that stands twice"
        idp.edits = lambda _: None
        idp.attributes = {"mail": ADDRESS, LINK: GRAPH}
        await sign_in(sam, idp)
        assert "more groups than" in sam.problem
        assert await kinds(site) == []
        idp.attributes = {"mail": ADDRESS, "groups": ["law"], LINK: GRAPH}
        await sign_in(sam, idp)
        assert sam.is_in, "the groups that count are there: it names others that are not"


async def test_groups_that_entra_leaves_out_count_where_the_policy_looks_for_them(
    redis_url: str, tmp_path: Path, clock: MovingClock, idp: Idp
) -> None:
    text = policy(more=saml(idp.entry())).replace("claims: {groups: [law]}", f'claims: {{"{GROUPS}": [law]}}')
    async with signing_site(redis_url, tmp_path, clock, more=saml(idp.entry())) as site, tab(site) as sam:
        idp.attributes = {LINK: GRAPH}
        await sign_in(sam, idp)
        assert sam.is_in, "nobody looks for groups there"
        await site.world.store.config.push_policy(text, expect=2, by="test")
        await wait_until(lambda: _is_out(sam), "what the policy reads has changed")
        await sign_in(sam, idp)
        assert "more groups than" in sam.problem


async def _is_out(who: Tab) -> bool:
    await who.get("/review")
    return not who.is_in


@pytest.mark.promise(5)
async def test_a_response_works_once_and_in_its_own_browser_alone(site: Site, sam: Tab, idp: Idp) -> None:
    async with tab(site) as eve:
        idp.says = {"name_id": "eve@example.com"}
        form = idp.form(await sent_off(eve))
        ticket = await posted(eve, form)
        assert re.fullmatch(re.escape(FINISH) + r"\?ticket=[\w-]{43}", ticket)
        await posted(eve, form)
        assert (eve.status, "used already" in eve.problem) == (403, True)
        await sent_off(sam)  # Sam has begun one, too
        await sam.get(ticket)  # … and a link foists Eve's on them
        assert (sam.status, sam.is_in, sam.cookie(SESSION)) == (403, False, "")
        await eve.get(ticket)
        assert (eve.status, eve.is_in) == (403, False), "a ticket that was seen in another browser is spent"
        await posted(eve, form)
        assert "Nobody here asked" in eve.problem
        ticket = await posted(eve, idp.form(await sent_off(eve)))
        await eve.get(ticket)
        assert eve.is_in
        await eve.get(ticket)
        assert eve.status == 403, "a ticket works once"
    async with tab(site) as other:
        idp.says = {}
        ticket = await posted(other, idp.form(await sent_off(other)))
        other.set_cookie(BEGUN, "x" * 43)
        await other.get(ticket)
        assert (other.status, other.is_in) == (403, False)


async def test_what_is_posted_without_being_asked_for(site: Site, sam: Tab, idp: Idp, clock: MovingClock) -> None:
    asked = await sent_off(sam)
    form = idp.form(asked)
    other = await sent_off(sam)
    spoilt: dict[str, object] = {
        "no state": {"SAMLResponse": form["SAMLResponse"]},
        "an empty state": form | {"RelayState": ""},
        "a made-up state": form | {"RelayState": "x" * 43},
        "a path": form | {"RelayState": "https://evil.example.com"},
        "the state of another sign-in": form | {"RelayState": other.relay_state},
        "no response": {"RelayState": asked.relay_state},
        "nothing": {},
    }
    for what, fields in spoilt.items():
        assert await posted(sam, fields) == "", what
        assert (sam.status, sam.problem != "") == (403, True), what
        assert "evil" not in sam.page, what
    for field in form:
        pairs = [*form.items(), (field, form[field])]
        assert await posted(sam, pairs) == ""
        assert sam.status == 422, f"{field} twice"
    assert await posted(sam, {f"x{each}": "1" for each in range(50)}) == ""
    assert sam.status == 422
    assert await posted(sam, form | {"SAMLResponse": "A" * 700_000}) == ""
    assert sam.status == 413
    assert await posted(sam, form | {"SAMLResponse": "A" * 400_000}) == ""
    assert sam.status == 403
    await sam.get(ACS)
    assert sam.status == 405
    ticket = await posted(sam, form | {"submit": "Continue"})
    assert ticket, "what a page calls its button does no harm"
    await sam.get(FINISH)
    assert sam.status == 403
    await sam.get(ticket + "x")
    assert sam.status == 403
    await sam.get(ticket)
    assert sam.is_in


async def test_one_provider_does_not_answer_for_another(
    redis_url: str, tmp_path: Path, clock: MovingClock, idp: Idp
) -> None:
    other = Idp("https://other.example.com", "https://other.example.com/sso?idpid=1", key_pair("other"), clock)
    entries = saml(idp.entry(), other.entry())
    async with signing_site(redis_url, tmp_path, clock, more=entries) as site, tab(site) as sam:
        asked = await sent_off(sam, number=1)
        assert sam.trail[-1].startswith("https://other.example.com/sso?idpid=1&SAMLRequest=")
        for issuer in (idp.entity_id, other.entity_id):
            idp.says = {"issuer": issuer}
            assert await posted(sam, idp.form(asked)) == ""
            assert "cannot be accepted" in sam.problem
        await sam.get(await posted(sam, other.form(asked)))
        assert sam.is_in


async def test_a_provider_that_the_policy_drops_or_that_has_a_new_certificate(
    site: Site, sam: Tab, idp: Idp, clock: MovingClock
) -> None:
    new = Idp(idp.entity_id, idp.sso_url, key_pair("new"), clock, count=100)
    push = site.world.store.config.push_policy
    await sign_in(sam, idp)
    assert sam.is_in
    begun = await sent_off(sam)
    both = policy(more=saml(idp.entry(idp.pair.certificate, new.pair.certificate)))
    await push(both, expect=2, by="test")
    await wait_until(lambda: _is_out(sam), "the session was opened under other terms")
    assert (await kinds(site))[-1][1]["by"] == "policy"
    assert await posted(sam, idp.form(begun)) == ""
    assert "does not offer" in sam.problem
    for each in (idp, new):
        await sign_in(sam, each)
        assert sam.is_in
    await push(policy(), expect=3, by="test")
    await wait_until(lambda: _is_out(sam), "the provider is gone")
    await sam.get("/sign-in")
    assert sam.links == []


async def test_a_fresh_sign_in_is_fresh(site: Site, sam: Tab, idp: Idp, clock: MovingClock) -> None:
    idp.says = {"auth": stamp(clock() - 400_000)}
    await sign_in(sam, idp, query="&fresh=300")
    assert "did not ask you to sign in again" in sam.problem
    await sign_in(sam, idp)
    assert sam.is_in
    assert (await person(site)).auth_ms == clock() - 400_000  # type: ignore[attr-defined]
    idp.says = {}
    await sign_in(sam, idp, query="&fresh=300&acr=urn:mfa")
    assert "in the way that is needed" in sam.problem
    idp.says = {"method": "urn:mfa"}
    await sign_in(sam, idp, query="&fresh=300&acr=urn:mfa+urn:other")
    assert (await person(site)).acr == "urn:mfa"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("said_s", "ends_s"), [(None, 3_600), (600, 600), (86_400, 3_600)])
async def test_sessions_are_short(
    site: Site, sam: Tab, idp: Idp, clock: MovingClock, said_s: int | None, ends_s: int
) -> None:
    if said_s is not None:
        idp.says = {"session": f' SessionNotOnOrAfter="{stamp(clock() + said_s * 1_000)}"'}
    await sign_in(sam, idp)
    (session,) = await site.world.store.sessions.of("sam@example.com")
    assert session.ends_ms == clock() + ends_s * 1_000
    clock.forward(seconds=ends_s)
    await sam.get("/review")
    assert not sam.is_in


async def test_times_are_those_of_the_bots_clock(site: Site, sam: Tab, idp: Idp, clock: MovingClock) -> None:
    form = idp.form(await sent_off(sam))
    clock.forward(seconds=361)
    assert await posted(sam, form) == ""
    assert "cannot be accepted" in sam.problem
    clock.forward(seconds=400 * 86_400)
    await sign_in(sam, idp)
    assert "cannot be accepted" in sam.problem, "the certificate is over"


async def test_a_response_is_remembered_as_long_as_it_is_valid(site: Site, sam: Tab, idp: Idp, redis_url: str) -> None:
    ticket = await posted(sam, idp.form(await sent_off(sam)))
    with redis.Redis.from_url(redis_url) as client:
        (key,) = [each for each in client.keys("*") if b"seen" in each and b"saml" in each]
        assert 355_000 < client.pttl(key) <= 360_000
        for name in client.keys("*"):
            for secret in (sam.cookie(BEGUN), ticket.partition("=")[2]):
                assert secret.encode() not in name + client.dump(name)
        await sam.get(ticket)
        assert client.keys("*arrived*") == []


async def test_logs_say_why_and_nothing_of_whom(
    site: Site, sam: Tab, idp: Idp, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await sign_in(sam, idp)
        idp.says = {"audience": "https://evil.example.com"}
        await sign_in(sam, idp)
    assert "for another audience" in caplog.text
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith(("bot", "holdpoint")))
    for said in ("sam@example.com", "evil", "PHA6U", sam.cookie(BEGUN), "ticket="):
        assert said not in ours


async def test_without_the_extra_nobody_is_offered_it(
    site: Site, sam: Tab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(saml_party, "_INSTALLED", False)
    for _ in range(2):
        await sam.get("/sign-in")
        assert (sam.status, sam.links) == (200, [])
    assert caplog.text.count("install holdpoint[saml]") == 1
