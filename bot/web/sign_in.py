"""Signing in to the web inbox with a Holdpoint key, and who is signed in.

The key is looked up, never kept: the cookie names a session in Redis, and at every request the session's key is looked
up again, so that a revoked key ends the session at once. Every POST carries the session's CSRF token, and browsers must
not say that it comes from another site. Failed attempts are counted per address.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from bot.conversation import is_requester
from bot.directory import UnknownKey
from bot.templates import render
from bot.visibility import may_see
from bot.web import reading
from bot.web.site import Site, site_of
from holdpoint import apikey
from holdpoint.model import Hold, Reviewer, Role
from holdpoint.store.sessions import Session

SESSION_MS = 12 * 3_600_000
_MOST_FAILURES = 10
_NEXT = re.compile(r"/review(?:/[a-z0-9]{1,64})?(?:\?state=[a-z]{1,12})?|/requests/[a-z0-9]{1,64}")
_READERS = frozenset({Role.REVIEWER, Role.ADMIN, Role.AUDITOR})


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in, as of this request."""

    reviewer: Reviewer
    session: Session
    cookie: str

    @property
    def may_decide(self) -> bool:
        return Role.REVIEWER in self.reviewer.roles

    @property
    def may_read(self) -> bool:
        """Whether they signed in as more than a requester: a key that only sends requests shows no others."""
        return bool(_READERS & self.reviewer.roles)

    def may_see(self, hold: Hold) -> bool:
        """Whether ``hold`` is theirs to look at as a reviewer."""
        return self.may_read and may_see(hold, self.reviewer)

    def lists(self, hold: Hold) -> bool:
        """Whether ``hold`` is in their inbox: a requester's has their own requests."""
        return self.may_see(hold) if self.may_read else is_requester(hold, self.reviewer.principal)


class SignInFirst(Exception):
    """Nobody is signed in. The server answers with a redirect to the sign-in page."""


class Forged(Exception):
    """A POST that did not come from our own page."""


def routes() -> list[web.RouteDef]:
    return [web.get("/sign-in", page), web.post("/sign-in", sign_in), web.post("/sign-out", sign_out)]


async def visitor(request: web.Request) -> Visitor:
    """Who is signed in.

    Raises:
        SignInFirst: nobody, or not any more.
        StoreUnavailable: the truth cannot be had.
    """
    site = site_of(request)
    cookie = request.cookies.get(_cookie_name(site), "")
    session = await site.store.sessions.get(cookie) if cookie else None
    if session is None:
        raise SignInFirst
    try:
        reviewer = await site.directory.by_key_digest(session.key_digest, channel="web", address=address_of(request))
    except UnknownKey:
        await site.store.sessions.end(cookie)
        raise SignInFirst from None
    return Visitor(reviewer, session, cookie)


def check_origin(request: web.Request) -> None:
    """Refuse what another site made the browser send. Clients that are no browser do not say, and have no cookie.

    Raises:
        Forged
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Forged


def check_token(who: Visitor, token: str) -> None:
    """Refuse a form without the session's token.

    Raises:
        Forged
    """
    if not hmac.compare_digest(who.session.csrf.encode(), token.encode("utf-8", "replace")):
        raise Forged


def address_of(request: web.Request) -> str:
    """The network address of the client, for the record."""
    return request.remote or ""


def to_sign_in(request: web.Request) -> web.Response:
    """A redirect that comes back here after signing in."""
    target = request.path_qs if request.method == "GET" and _NEXT.fullmatch(request.path_qs) else ""
    return web.Response(status=303, headers={"Location": f"/sign-in?next={quote(target)}" if target else "/sign-in"})


async def page(request: web.Request) -> web.Response:
    """The sign-in page."""
    return _page(_next(request.query.get("next", "")), "", status=200)


async def sign_in(request: web.Request) -> web.Response:
    """Open a session: reviewers, admins and auditors see what they may see, everybody else their own requests."""
    check_origin(request)
    site, address = site_of(request), address_of(request)
    form = await reading.small_form(request)
    text, target = form.get("key", "").strip(), _next(form.get("next", ""))
    if await site.store.sessions.failures(address) >= _MOST_FAILURES:
        return _page(target, "Too many attempts. Wait a minute, then try again.", status=429)
    try:
        await site.directory.by_key(text, channel="web", address=address)
    except UnknownKey:
        await site.store.sessions.failed(address)
        mistyped = apikey.key_id(text) is None
        return _page(target, "This is not a whole Holdpoint key." if mistyped else "This key is not valid.", status=403)
    cookie, _ = await site.store.sessions.start(apikey.digest(text), ttl_ms=SESSION_MS)
    response = web.Response(status=303, headers={"Location": target})
    # Lax, not Strict: people come here from links in chat. Every POST carries a token anyway.
    response.set_cookie(
        _cookie_name(site),
        cookie,
        max_age=SESSION_MS // 1000,
        httponly=True,
        samesite="Lax",
        secure=site.is_https,
        path="/",
    )
    return response


async def sign_out(request: web.Request) -> web.Response:
    """End the session."""
    check_origin(request)
    site = site_of(request)
    who = await visitor(request)
    form = await reading.small_form(request)
    check_token(who, form.get("csrf", ""))
    await site.store.sessions.end(who.cookie)
    response = web.Response(status=303, headers={"Location": "/sign-in"})
    response.del_cookie(_cookie_name(site), path="/", secure=site.is_https, httponly=True, samesite="Lax")
    return response


def _page(target: str, problem: str, *, status: int) -> web.Response:
    html = render("web/sign_in.html", next=target, problem=problem)
    return web.Response(text=html, status=status, content_type="text/html")


def _next(target: str) -> str:
    """A path of ours to go to after signing in; never another site's."""
    return target if _NEXT.fullmatch(target) else "/review"


def _cookie_name(site: Site) -> str:
    return "__Host-holdpoint" if site.is_https else "holdpoint_session"
