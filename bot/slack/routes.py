"""``GET /slack/install`` and ``GET /slack/oauth_redirect``: the browser's side of an installation."""

from __future__ import annotations

from aiohttp import web

from bot.slack.install import COOKIE, INSTALL_PATH, REDIRECT_PATH, STATE_S, Installer, Page, safely

_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


def install_routes(installer: Installer) -> list[web.RouteDef]:
    """The two routes. Their answers are plain text."""

    async def begin(_request: web.Request) -> web.Response:
        return _answer(await safely(installer.begin()), is_secure=installer.is_secure)

    async def finish(request: web.Request) -> web.Response:
        step = installer.finish(dict(request.query), request.cookies.get(COOKIE, ""))
        response = _answer(await safely(step), is_secure=installer.is_secure)
        response.del_cookie(COOKIE, path="/slack")
        return response

    return [web.get(INSTALL_PATH, begin), web.get(REDIRECT_PATH, finish)]


def _answer(page: Page, *, is_secure: bool) -> web.Response:
    response = web.Response(status=page.status, text=page.words, headers=_HEADERS)
    if page.location:
        response.headers["Location"] = page.location
    if page.cookie:
        # Lax: it has to come along when Slack sends the browser back.
        response.set_cookie(
            COOKIE, page.cookie, max_age=STATE_S, httponly=True, samesite="Lax", secure=is_secure, path="/slack"
        )
    return response
