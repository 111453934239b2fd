"""The bot's HTTP server: routes, security headers, and the one outermost error handler.

Whatever a handler raises ends here: our own errors become the answers that the contract names, in JSON below
``/api/`` and as a page elsewhere; anything else is a 500 with an id, counted and logged, that tells the client nothing.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.templates import FOLDER, render
from bot.web import api, confirm, health, inbox, link, own, own_sessions, passkey_pages, sign_in, talk
from bot.web.clients import PROXIES, trusted_proxies
from bot.web.forms import BadForm
from bot.web.pages import OwnRequest, see_other
from bot.web.site import SITE, Site, site_of
from bot.web.visitors import Forged, SignInFirst
from holdpoint.errors import ConfigurationError, NotFound, SignInFailed, StoreUnavailable

Route: TypeAlias = web.RouteDef

_log = logging.getLogger("bot.web.server")

_SHUTDOWN_S = 2.0
_FORM_OVERHEAD = 4  # a text grows at most this much in a form: percent signs, and CR for every LF
_ASSETS: Final = {
    "style.css": "text/css",
    "page.js": "text/javascript",
    "passkey.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class WebServer:
    """Serves one `Site`. ``extra`` are routes of chat platforms (``/slack/events``)."""

    def __init__(self, site: Site, *, extra: Iterable[Route] = ()) -> None:
        self._site = site
        self._runner: web.AppRunner | None = None
        self._application = application(site, extra=extra)
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen. ``port`` 0 takes any free one; `port` says which.

        Raises:
            ConfigurationError: the address cannot be had.
        """
        # The access log would hold paths and addresses, and costs a third of the server's time.
        runner = web.AppRunner(self._application, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigurationError(f"HOLDPOINT_BOT_PORT: cannot listen on {host}:{port}: {error.strerror}") from error
        self._runner = runner
        self.port = runner.addresses[0][1]
        if self._site.settings.link_base.startswith("https://"):
            _log.info("cookies are for HTTPS only", extra={"public_url": self._site.settings.link_base})

    async def stop(self) -> None:
        """Stop listening, end the live streams, let running answers finish for a moment."""
        self._site.feed.stop()
        if self._runner is not None:
            await self._runner.cleanup()


def application(site: Site, *, extra: Iterable[Route] = ()) -> web.Application:
    """Everything that is served."""
    limit = site.settings.max_body_bytes * _FORM_OVERHEAD + 65_536
    app = web.Application(middlewares=[_outermost], client_max_size=limit)
    app[SITE] = site
    app[PROXIES] = trusted_proxies(site.settings)
    parts = (health, sign_in, inbox, talk, own, own_sessions, link, confirm, passkey_pages, api)
    app.router.add_routes([*(route for part in parts for route in part.routes()), *extra])
    app.router.add_get("/static/{name}", _static)
    app.on_response_prepare.append(_add_headers)
    return app


async def _static(request: web.Request) -> web.StreamResponse:
    """Style, script and icon; nothing else of the folder."""
    name = request.match_info["name"]
    content_type = _ASSETS.get(name)
    if content_type is None:
        raise web.HTTPNotFound
    # FileResponse answers If-None-Match by itself, so an unchanged file costs a 304.
    headers = {"Content-Type": f"{content_type}; charset=utf-8", "Cache-Control": "no-cache"}
    return web.FileResponse(FOLDER / "web" / name, headers=headers)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    if site_of(request).is_https:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    response.headers.pop("Server", None)


@web.middleware
async def _outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except SignInFirst:
        return sign_in.to_sign_in(request)
    except OwnRequest as own_request:
        return see_other(f"/requests/{own_request.hold_id}")
    except SignInFailed as error:
        return sign_in.failed(request, error)
    except Forged:
        return _problem(
            request, 403, "This form is out of date, or did not come from here. Go back and load the page again."
        )
    except BadForm:
        return _problem(request, 422, "The form is incomplete.")
    except NotFound:
        return _problem(request, 404, "There is no such hold, or it is not for you to see.")
    except StoreUnavailable as error:
        _log.warning("answered without the store: %s", error, extra={"path": _route(request)})
        return _problem(request, 503, "Redis does not answer at the moment. Nothing was changed. Try again soon.")
    except web.HTTPException as error:
        if error.status < 400:
            raise
        answer = _problem(request, error.status, HTTPStatus(error.status).description or error.reason)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except Exception:  # noqa: BLE001 - the outermost handler of the bot: refuse, count, log with an id
        incident = secrets.token_hex(6)
        site_of(request).metrics.errors["bot.web"] += 1
        _log.exception(
            "unexpected error", extra={"incident": incident, "path": _route(request), "method": request.method}
        )
        return _problem(request, 500, f"Something went wrong in Holdpoint. The log has it as {incident}.")


def _problem(request: web.Request, status: int, text: str) -> web.Response:
    """A page for people, JSON for programs."""
    if request.path.startswith("/api/"):
        return api.error_response(status, text)
    html = render("web/message.html", title=HTTPStatus(status).phrase, text=text)
    return web.Response(text=html, status=status, content_type="text/html")


def _route(request: web.Request) -> str:
    """The pattern of the path, for the log: the path itself may be anybody's text."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "(no such path)"
