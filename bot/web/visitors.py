"""Who is signed in, as of this request; the cookie that says so; and that a POST came from our own page.

The cookie names a session in Redis, and at every request the session's key or person is looked up again, so that a
revoked key, a group that was taken away or an ended session counts at once. Every POST carries the session's CSRF
token, and browsers must not say that it comes from another site.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.conversation import is_requester
from bot.directory import UnknownKey
from bot.visibility import may_see
from bot.web import reading
from bot.web.clients import client_address
from bot.web.site import Site, site_of
from holdpoint.model import Hold, Reviewer, Role
from holdpoint.store.sessions import Session, SignedIn, Vouched

_LIVE = "x-holdpoint-live"  # the header of a page that asks by itself for what has changed
_READERS = frozenset({Role.REVIEWER, Role.ADMIN, Role.AUDITOR})


Known = Callable[[web.Request], Awaitable["Visitor"]]
"""Asks who is signed in, as `visitor` does."""


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


async def visitor(request: web.Request, *, active: bool = True) -> Visitor:
    """Who is signed in. ``active``: a person does something, and it is not an open page that asks.

    Raises:
        SignInFirst: nobody, or not any more.
        StoreUnavailable: the truth cannot be had.
    """
    site = site_of(request)
    cookie = request.cookies.get(_cookie_name(site), "")
    active = active and _LIVE not in request.headers
    session = await site.store.sessions.get(cookie, active=active) if cookie else None
    if session is None:
        raise SignInFirst
    try:
        session = await site.rechecks.checked(cookie, session, now_ms=site.clock())
        reviewer = await site.directory.by_session(session, address=address_of(request))
    except UnknownKey as error:
        await site.store.sessions.end(cookie, by="policy", reason=str(error))
        raise SignInFirst from None
    return Visitor(reviewer, session, cookie)


async def open_session(
    request: web.Request,
    response: web.Response,
    *,
    key_digest: str = "",
    principal: str = "",
    person: SignedIn | None = None,
    vouched: Vouched | None = None,
) -> None:
    """A new session, whose cookie goes with ``response``. The one that the browser had is over: nobody can fix a session."""
    site = site_of(request)
    before = request.cookies.get(_cookie_name(site), "")
    cookie, session = await site.store.sessions.start(
        key_digest=key_digest, principal=principal, person=person, vouched=vouched, address=address_of(request)
    )
    if before:
        await site.store.sessions.end(before, reason="signed in again")
    # Lax, not Strict: people come here from links in chat. Every POST carries a token anyway.
    response.set_cookie(
        _cookie_name(site),
        cookie,
        max_age=(session.ends_ms - session.started_ms) // 1000,
        httponly=True,
        samesite="Lax",
        secure=site.is_https,
        path="/",
    )


def forget_cookie(request: web.Request, response: web.Response) -> None:
    """Take the session's cookie out of the browser."""
    site = site_of(request)
    response.del_cookie(_cookie_name(site), path="/", secure=site.is_https, httponly=True, samesite="Lax")


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


async def form_of(request: web.Request, *, by: Known = visitor) -> tuple[Visitor, Mapping[str, Any]]:
    """Who sent a form, which may carry long texts, from a page of ours; and what it says.

    ``by`` is who may: `visitor`, or what refuses some of them.

    Raises:
        Forged: another site sent it, or it lacks the session's token.
        SignInFirst, StoreUnavailable: see `visitor`.
        HTTPRequestEntityTooLarge, HTTPRequestTimeout
    """
    check_origin(request)
    who = await by(request)
    fields = await reading.form(request)
    check_token(who, str(fields.get("csrf", "")))
    return who, fields


async def small_form_of(request: web.Request, *, by: Known = visitor) -> tuple[Visitor, Mapping[str, str]]:
    """The same for a form of a few kilobytes.

    Raises:
        BadForm, and as `form_of`.
    """
    check_origin(request)
    who = await by(request)
    fields = await reading.small_form(request)
    check_token(who, fields.get("csrf", ""))
    return who, fields


def address_of(request: web.Request) -> str:
    """The network address of the client: for the record, for failed attempts, and for keys that have networks."""
    return client_address(request)


def _cookie_name(site: Site) -> str:
    return "__Host-holdpoint" if site.is_https else "holdpoint_session"
