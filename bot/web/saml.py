"""``/sign-in/saml…``: off to an identity provider by SAML 2.0, its post, and back in our own browser.

The post comes from the provider's site and carries no cookie of ours; the redirect after it does (see `saml_party`).
"""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from bot.web import oidc, reading
from bot.web.saml_party import ACS_PATH, METADATA_PATH, SamlWay
from bot.web.site import site_of
from bot.web.visitors import open_session

_FINISH_PATH = "/sign-in/saml/finish"
_MOST_BYTES = 600_000


def routes() -> list[web.RouteDef]:
    return [web.post(ACS_PATH, posted), web.get(_FINISH_PATH, finish), web.get(METADATA_PATH, metadata)]


async def leave(
    request: web.Request, way: SamlWay, *, target: str, fresh_ms: int | None = None, acr: str = ""
) -> web.Response:
    """Send the browser to the provider of ``way``. Raises SignInFailed, StoreUnavailable: it cannot be sent off."""
    return await oidc.sent_off(
        request,
        lambda browser, address: site_of(request).saml.begin(
            way, target=target, browser=browser, address=address, fresh_ms=fresh_ms, acr=acr
        ),
    )


async def posted(request: web.Request) -> web.Response:
    """Take what the provider's page posts. Raises SignInFailed, StoreUnavailable."""
    form = await reading.small_form(request, _MOST_BYTES)
    # Some pages post what their button is called, too.
    ticket = await site_of(request).saml.posted(form.get("SAMLResponse", ""), form.get("RelayState", ""))
    return web.Response(status=303, headers={"Location": f"{_FINISH_PATH}?{urlencode({'ticket': ticket})}"})


async def finish(request: web.Request) -> web.Response:
    """Open a session for who has come back, and go on to where they wanted to. Raises SignInFailed, StoreUnavailable."""
    found = await site_of(request).saml.finish(request.query.get("ticket", ""), browser=oidc.browser_of(request))
    response = web.Response(status=303, headers={"Location": found.target})
    await open_session(request, response, person=found.person, vouched=found.vouched)
    return response


async def metadata(request: web.Request) -> web.Response:
    """What an identity provider has to know of us."""
    return web.Response(text=site_of(request).saml.metadata(), content_type="application/samlmetadata+xml")
