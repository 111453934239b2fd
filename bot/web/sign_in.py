"""Signing in to the web inbox, and out: by an identity provider of the policy's, or with a Holdpoint key.

The key is looked up, never kept; failed attempts are counted per address. `visitors` knows who is signed in then.

::

    page ─┬─ key ──────────────────────────────────┐
          └─ oidc, saml: leave ─▶ provider ─▶ back ┴─▶ visitors.open_session
    begin: the same from another page, also for who is signed in and has to show again that it is them
    signed_in: the end of another way to sign in
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from bot.directory import UnknownKey
from bot.templates import render
from bot.web import oidc, reading, saml
from bot.web.oidc_checks import Way
from bot.web.saml_party import SamlWay
from bot.web.site import Site, site_of
from bot.web.visitors import (
    SignInFirst,
    address_of,
    check_origin,
    forget_cookie,
    open_session,
    small_form_of,
    visitor,
)
from holdpoint import apikey
from holdpoint.errors import SignInFailed
from holdpoint.store.sessions import SignedIn, Vouched

_MOST_FAILURES = 10
_NEXT = re.compile(
    r"/review(?:/[a-z0-9]{1,64})?(?:\?state=[a-z]{1,12})?|/(?:requests|confirm|link|passkeys|sessions)(?:/[A-Za-z0-9_-]{1,64}){0,2}"
)
_FRESH = re.compile(r"[0-9]{1,5}")  # seconds
_ACR = re.compile(r"[A-Za-z0-9:/._ -]{1,200}")
_KNOWN = {"accounts.google.com": "Google", "login.microsoftonline.com": "Microsoft"}


def routes() -> list[web.RouteDef]:
    return [
        web.get("/sign-in", page), web.post("/sign-in", sign_in), web.post("/sign-out", sign_out),
        web.get("/sign-in/at", leave), web.get(oidc.CALLBACK_PATH, oidc.came_back), *saml.routes(),
    ]  # fmt: skip


async def begin(
    request: web.Request, *, target: str, fresh_ms: int | None = None, acr: str = ""
) -> web.Response:  # fmt: skip
    """Off to the identity provider, and back to our own path ``target``. Only in answer to a GET.

    Who is signed in goes to the provider that they came from. With ``fresh_ms``, whoever comes back has shown it at
    most so long ago that it is them (``session.person.auth_ms``), and in the way ``acr`` where that is not empty; the
    session may be another person's then, or one by key: the caller looks.

    Raises:
        SignInFailed: the provider cannot be asked. The server shows the sentence on the sign-in page.
        StoreUnavailable
    """
    site = site_of(request)
    await site.live.ensure_fresh()
    way = await _way_of(request, site)
    if way is not None:
        return await _leave(request, way, target=_next(target), fresh_ms=fresh_ms, acr=acr)
    fresh = str(fresh_ms // 1000) if fresh_ms is not None else ""
    return _redirect("/sign-in?" + urlencode(_given(_next(target), fresh, acr)))


async def signed_in(
    request: web.Request, person: SignedIn, *, target: str, vouched: Vouched
) -> web.Response:  # fmt: skip
    """Open a session for ``person``, with a new cookie and on the record, and go on to our own path ``target``.

    Raises:
        StoreUnavailable
    """
    response = _redirect(_next(target))
    await open_session(request, response, person=person, vouched=vouched)
    return response


def to_sign_in(request: web.Request) -> web.Response:
    """A redirect that comes back here after signing in."""
    target = request.path_qs if request.method == "GET" and _NEXT.fullmatch(request.path_qs) else ""
    return _redirect("/sign-in?" + urlencode({"next": target}, safe="/") if target else "/sign-in")


async def page(request: web.Request) -> web.Response:
    """The sign-in page."""
    site = site_of(request)
    await site.live.ensure_fresh()
    query = request.query
    return _page(site, _next(query.get("next", "")), fresh=query.get("fresh", ""), acr=query.get("acr", ""))


def failed(request: web.Request, error: SignInFailed) -> web.Response:
    """The sign-in page, with what went wrong."""
    return _page(site_of(request), "/review", str(error), status=error.status)


async def leave(request: web.Request) -> web.Response:
    """Off to the provider that was chosen on the page. Raises as `begin`."""
    site, query = site_of(request), request.query
    await site.live.ensure_fresh()
    way = _way(site, query.get("way", ""))
    if way is None:
        raise SignInFailed("The policy does not offer this way to sign in any more.")
    fresh, acr = query.get("fresh", ""), query.get("acr", "")
    return await _leave(
        request,
        way,
        target=_next(query.get("next", "")),
        fresh_ms=int(fresh) * 1000 if _FRESH.fullmatch(fresh) else None,
        acr=acr if _ACR.fullmatch(acr) else "",
    )


async def sign_in(request: web.Request) -> web.Response:
    """Open a session by a key: reviewers, admins and auditors see what they may see, everybody else their own requests."""
    check_origin(request)
    site, address = site_of(request), address_of(request)
    form = await reading.small_form(request)
    text, target = form.get("key", "").strip(), _next(form.get("next", ""))
    if apikey.key_id(text) is None:  # it can be nobody's, so it is no attempt, and Redis is not asked
        return _page(site, target, "This is not a whole Holdpoint key.", status=403)
    if await site.store.sessions.failures(address) >= _MOST_FAILURES:
        return _page(site, target, "Too many attempts. Wait a minute, then try again.", status=429)
    try:
        reviewer = await site.directory.by_key(text, channel="web", address=address)
    except UnknownKey:
        await site.store.sessions.failed(address)
        return _page(site, target, "This key is not valid here.", status=403)
    response = _redirect(target)
    await open_session(request, response, key_digest=apikey.digest(text), principal=reviewer.principal)
    return response


async def sign_out(request: web.Request) -> web.Response:
    """End the session, and offer to end the one at the provider."""
    site, (who, _) = site_of(request), await small_form_of(request)
    elsewhere = await site.party.sign_out_url(who.session)
    await site.store.sessions.end(who.cookie, reason="signed out")
    if elsewhere and who.session.person is not None:
        # A link, and no redirect: no form may lead to another site, and not everybody wants to be signed out of all.
        response = _html(render("web/signed_out.html", url=elsewhere, name=_name(who.session.person.issuer)), 200)
    else:
        response = _redirect("/sign-in")
    forget_cookie(request, response)
    return response


async def _way_of(request: web.Request, site: Site) -> Way | SamlWay | None:
    """Where a person who is signed in came from; else the only way there is."""
    try:
        vouched = (await visitor(request)).session.vouched
    except SignInFirst:
        vouched = None
    if vouched is not None and (way := _way(site, vouched.way)) is not None:
        return way
    ways = _ways(site)
    return ways[0] if len(ways) == 1 else None


def _ways(site: Site) -> Sequence[Way | SamlWay]:
    """Every way to sign in that the policy offers now."""
    return [*site.party.ways(), *site.saml.ways()]


def _way(site: Site, way_id: str) -> Way | SamlWay | None:
    return site.party.way(way_id) or site.saml.way(way_id)


async def _leave(
    request: web.Request, way: Way | SamlWay, *, target: str, fresh_ms: int | None, acr: str
) -> web.Response:  # fmt: skip
    if isinstance(way, SamlWay):
        return await saml.leave(request, way, target=target, fresh_ms=fresh_ms, acr=acr)
    return await oidc.leave(request, way, target=target, fresh_ms=fresh_ms, acr=acr)


def _page(
    site: Site, target: str, problem: str = "", *, status: int = 200, fresh: str = "", acr: str = ""
) -> web.Response:  # fmt: skip
    given = _given(target, fresh if _FRESH.fullmatch(fresh) else "", acr if _ACR.fullmatch(acr) else "")
    ways = _ways(site)
    labels = _labels(ways)
    links = [
        {"label": label, "href": "/sign-in/at?" + urlencode({"way": way.id, **given})}
        for way, label in zip(ways, labels, strict=True)
    ]
    return _html(render("web/sign_in.html", next=target, problem=problem, ways=links), status)


def _given(target: str, fresh: str, acr: str) -> dict[str, str]:
    """What a link to a way to sign in carries on."""
    return {name: value for name, value in (("next", target), ("fresh", fresh), ("acr", acr)) if value}


def _labels(ways: Sequence[Way | SamlWay]) -> list[str]:
    """Names of providers; with the address where two would be called the same."""
    issuers = [way.provider.entity_id if isinstance(way, SamlWay) else way.issuer.issuer for way in ways]
    names = [_name(issuer) for issuer in issuers]
    return [name if names.count(name) == 1 else issuer for issuer, name in zip(issuers, names, strict=True)]


def _name(issuer: str) -> str:
    host = urlsplit(issuer).hostname or issuer
    return _KNOWN.get(host, host)


def _html(html: str, status: int) -> web.Response:
    return web.Response(text=html, status=status, content_type="text/html")


def _redirect(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})


def _next(target: str) -> str:
    """A path of ours to go to after signing in; never another site's."""
    return target if _NEXT.fullmatch(target) else "/review"
