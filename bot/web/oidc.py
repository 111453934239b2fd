"""Off to an OpenID provider, and ``GET /sign-in/oidc/callback``, back from it.

Both are links, and not forms: the page's policy lets no form lead to another site. Nothing changes by following one, but
that somebody signs in as themselves: the answer counts only in the browser that was sent off.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from bot.web.oidc_checks import Way
from bot.web.oidc_party import CALLBACK_PATH
from bot.web.site import Site, site_of
from bot.web.visitors import address_of, open_session
from holdpoint.errors import SignInFailed
from holdpoint.store.signing_in import LASTS_MS

_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")


async def leave(
    request: web.Request, way: Way, *, target: str, fresh_ms: int | None = None, acr: str = ""
) -> web.Response:
    """Send the browser to the provider of ``way``; it comes back to `came_back`.

    Raises:
        SignInFailed, StoreUnavailable: it cannot be sent off.
    """
    return await sent_off(
        request,
        lambda browser, address: site_of(request).party.begin(
            way, target=target, browser=browser, address=address, fresh_ms=fresh_ms, acr=acr
        ),
    )


async def sent_off(request: web.Request, begin: Callable[[str, str], Awaitable[str]]) -> web.Response:
    """Off to the address that ``begin(browser, address)`` gives; ``browser`` names this one, by a cookie, when it is back.

    Raises what ``begin`` raises.
    """
    site = site_of(request)
    cookie = request.cookies.get(_cookie_name(site), "")
    # One for all of the browser's windows, so that signing in in one of them does not spoil another one's.
    browser = cookie if _BROWSER.fullmatch(cookie) else secrets.token_urlsafe(32)
    url = await begin(browser, address_of(request))
    response = web.Response(status=303, headers={"Location": url})
    # Lax: it has to come along when the provider sends the browser back.
    response.set_cookie(
        _cookie_name(site), browser, max_age=LASTS_MS // 1000, httponly=True, samesite="Lax", secure=site.is_https,
        path="/",
    )  # fmt: skip
    return response


async def came_back(request: web.Request) -> web.Response:
    """Open a session for who has come back, and go on to where they wanted to.

    Raises:
        SignInFailed, StoreUnavailable: they are not signed in.
    """
    site, query, browser = site_of(request), request.query, browser_of(request)
    found = await site.party.finish({name: query.getall(name) for name in query}, browser=browser)
    response = web.Response(status=303, headers={"Location": found.target})
    await open_session(request, response, person=found.person, vouched=found.vouched)
    return response


def browser_of(request: web.Request) -> str:
    """The cookie of a browser that was sent off. Raises SignInFailed where there is none."""
    browser = request.cookies.get(_cookie_name(site_of(request)), "")
    if not browser:
        raise SignInFailed("This sign-in was begun in another browser, or cookies are switched off. Start again.")
    return browser


def _cookie_name(site: Site) -> str:
    return "__Host-holdpoint-signing-in" if site.is_https else "holdpoint_signing_in"


__all__ = ["CALLBACK_PATH", "browser_of", "came_back", "leave", "sent_off"]
