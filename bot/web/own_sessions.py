"""Where one is signed in: all sessions of a person, each of which they may end."""

from __future__ import annotations

from aiohttp import web

from bot.web.forms import BadForm
from bot.web.pages import html, see_other
from bot.web.site import site_of
from bot.web.visitors import small_form_of, visitor


def routes() -> list[web.RouteDef]:
    return [web.get("/sessions", page), web.post("/sessions", end)]


async def page(request: web.Request) -> web.Response:
    """The open sessions, the newest first."""
    site, who = site_of(request), await visitor(request)
    found = await site.store.sessions.of(who.reviewer.principal)
    return html("web/sessions.html", site, who, sessions=found, own=who.session.id)


async def end(request: web.Request) -> web.Response:
    """End one of them, or all: also the one that this comes from, if it is among them."""
    site, (who, form) = site_of(request), await small_form_of(request)
    sessions, principal = site.store.sessions, who.reviewer.principal
    match form.get("end", ""):
        case "":
            raise BadForm("no session")
        case "all":
            await sessions.end_all(principal, by="", reason="signed out everywhere")
        case session_id:
            await sessions.end_one(principal, session_id, by="", reason="signed out elsewhere")
    return see_other("/sessions")
