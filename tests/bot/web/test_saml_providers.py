"""Signing in at a provider that nobody here wrote, pysaml2's: over HTTP, and in real Chromium from another site."""

from __future__ import annotations

import base64
import shutil
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Page, expect

pytest.importorskip("signxml", reason="no signxml: pip install 'holdpoint[saml]'")

from holdpoint.clock import now_ms
from tests.bot.web.signing import signing_site, tab
from tests.bot.web.test_sign_in_browser import approve, page
from tests.bot.world import Site
from tests.support.chromium import CHROMIUM, HOW
from tests.support.ports import free_port
from tests.support.saml import key_pair

__all__ = ["page"]  # a fixture

XMLSEC = shutil.which("xmlsec1")
pytestmark = pytest.mark.skipif(XMLSEC is None, reason="no xmlsec1, with which pysaml2 signs: apt-get install xmlsec1")
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
METHOD = "urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken"
SIGNS = {
    "the assertion": {"sign_assertion": True, "sign_response": False},
    "the response": {"sign_assertion": False, "sign_response": True},
    "both": {"sign_assertion": True, "sign_response": True},
}


class PySaml:
    """Its page asks nothing and signs Sam in. ``metadata`` are those of Holdpoint, ``signs`` is one of `SIGNS`."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.signs = "both"
        self.metadata = ""
        self.forced: list[str | None] = []
        self._key, self._certificate = folder / "idp.key", folder / "idp.crt"
        self._key.write_text(key_pair().key)
        self._certificate.write_text(key_pair().certificate)

    @property
    def entry(self) -> str:
        """Its entry in the policy."""
        certificate = "".join(key_pair().certificate.splitlines()[1:-1])
        return (
            f'{{entity_id: "{self.url}/metadata", sso_url: "{self.url}/sso", certificates: [{certificate}],'
            ' requester: "urn:oid:0.9.2342.19200300.100.1.3", name: "urn:oid:2.16.840.1.113730.3.1.241"}'
        )

    def form(self, query: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Where its page posts, and what."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it names parts of its libraries that have moved
            from saml2.config import IdPConfig  # noqa: PLC0415
            from saml2.saml import NAMEID_FORMAT_EMAILADDRESS, NameID  # noqa: PLC0415
            from saml2.server import Server  # noqa: PLC0415

            server = Server(config=IdPConfig().load(self._config))
            asked = server.parse_authn_request(query["SAMLRequest"], REDIRECT).message
            self.forced.append(asked.force_authn)
            to = server.response_args(asked)
            response = server.create_authn_response(
                {"mail": ["Sam@Example.com"], "displayName": ["Sam Person"]},
                in_response_to=asked.id, destination=to["destination"], sp_entity_id=to["sp_entity_id"],
                name_id=NameID(format=NAMEID_FORMAT_EMAILADDRESS, text="sam@example.com"), authn={"class_ref": METHOD},
                sign_alg="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                digest_alg="http://www.w3.org/2001/04/xmlenc#sha256", **SIGNS[self.signs],
            )  # fmt: skip
        packed = base64.b64encode(str(response).encode()).decode()
        return to["destination"], {"SAMLResponse": packed, "RelayState": query["RelayState"]}

    async def page(self, request: web.Request) -> web.Response:
        to, fields = self.form(dict(request.query))
        inputs = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in fields.items())
        html = f'<title>Provider</title><form id="f" method="post" action="{to}">{inputs}</form><script>f.submit()</script>'
        return web.Response(text=html, content_type="text/html")

    @property
    def _config(self) -> dict[str, Any]:
        return {
            "entityid": f"{self.url}/metadata", "xmlsec_binary": XMLSEC, "key_file": str(self._key),
            "cert_file": str(self._certificate), "metadata": {"inline": [self.metadata]},
            "service": {
                "idp": {
                    "endpoints": {"single_sign_on_service": [(f"{self.url}/sso", REDIRECT)]},
                    "policy": {"default": {"lifetime": {"minutes": 5}, "attribute_restrictions": None}},
                }
            },
        }  # fmt: skip


@asynccontextmanager
async def pysaml(folder: Path) -> AsyncIterator[PySaml]:
    """By the name ``localhost``, which is another site than Holdpoint's 127.0.0.1."""
    port = free_port()
    provider = PySaml(folder, f"http://localhost:{port}")
    app = web.Application()
    app.router.add_get("/sso", provider.page)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "localhost", port).start()
    yield provider
    await runner.cleanup()


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[PySaml]:
    async with pysaml(tmp_path) as running:
        yield running


@pytest.fixture
async def site(redis_url: str, tmp_path: Path, provider: PySaml) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        more = f"saml:\n  - {provider.entry}\n"
        running = await stack.enter_async_context(signing_site(redis_url, tmp_path, now_ms, more=more))
        who = await stack.enter_async_context(tab(running))
        provider.metadata = await who.get("/sign-in/saml/metadata")
        yield running


@pytest.mark.parametrize("signs", SIGNS)
async def test_whatever_it_signs(site: Site, provider: PySaml, signs: str) -> None:
    provider.signs = signs
    async with tab(site) as sam:
        await sam.sign_in(follow=False)
        async with site.client.get(sam.trail[-1]) as answer:
            query = dict(answer.url.query)
        to, fields = provider.form(query)
        assert to == f"{site.url}/sign-in/saml/acs"
        async with site.client.post(to, data=fields, allow_redirects=False) as answer:
            await sam.get(answer.headers["Location"])
        assert (sam.is_in, sam.url) == (True, f"{site.url}/review")
        (session,) = await site.world.store.sessions.of("sam@example.com")
        assert session.person is not None
        assert (session.person.name, session.person.subject, session.person.acr) == (
            "Sam Person", "sam@example.com", METHOD,
        )  # fmt: skip
        assert abs(session.person.auth_ms - now_ms()) < 60_000


@pytest.mark.skipif(CHROMIUM is None, reason=HOW)
async def test_in_chromium_and_from_another_site(site: Site, provider: PySaml, page: Page) -> None:
    posts: list[dict[str, str]] = []
    page.on("request", lambda request: posts.append(request.headers) if request.url.endswith("/acs") else None)
    hold = await site.world.hold()
    await page.goto(f"{site.url}/review/{hold.id}")
    await page.get_by_role("link", name="Continue with localhost").click()
    await expect(page).to_have_url(f"{site.url}/review/{hold.id}")
    assert [headers["origin"] for headers in posts] == [provider.url], "it was posted from the provider's site"
    await approve(site, page, hold.id)
    (first,) = await site.world.store.sessions.of("sam@example.com")
    await page.goto(f"{site.url}/sign-in?next=/review&fresh=60")
    await page.get_by_role("link", name="Continue with").click()
    await expect(page).to_have_url(f"{site.url}/review")
    assert provider.forced[-1] == "true"
    (second,) = await site.world.store.sessions.of("sam@example.com")
    assert second.id != first.id
    await page.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_url(f"{site.url}/sign-in")
