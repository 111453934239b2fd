"""Installing the app: the page on which somebody allows it, the exchange of the code, and taking it away again."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import web

from holdpoint.clock import Clock, now_ms
from tests.fakes.slack import payloads
from tests.fakes.slack.server import SlackServer
from tests.fakes.slack.things import Json, SlackSays, User
from tests.fakes.slack.vocabulary import BOT_SCOPES_KNOWN
from tests.fakes.slack.workspace import Workspace

CODE_MS = 10 * 60_000
PAGE = "/oauth/v2/authorize"


@dataclass
class _Code:
    workspace: Workspace
    user: User
    scopes: frozenset[str]
    redirect_uri: str
    expires_ms: int
    org_wide: bool


class InstallPages(SlackServer):
    """OAuth v2 of one app. ``redirect_urls``: those of its settings; a redirect must start with one of them."""

    def __init__(self, clock: Clock = now_ms) -> None:
        super().__init__(clock)
        self.client_id = "111.222"
        self.client_secret = "fake-client-secret"
        self.redirect_urls: list[str] = []
        self._codes: dict[str, _Code] = {}

    @property
    def authorize_url(self) -> str:
        return self.url.replace("/api/", PAGE)

    def _add_routes(self, app: web.Application) -> None:
        app.router.add_get(PAGE, self._page)

    async def _page(self, request: web.Request) -> web.Response:
        """What a browser sees: the question, or what is wrong with it."""
        try:
            scopes, _ = self._asked(dict(request.query))
        except SlackSays as says:
            return web.Response(status=400, text=f"<p>Invalid request: {says.error}</p>", content_type="text/html")
        return web.Response(text=f"<h1>Install Holdpoint</h1>{sorted(scopes)}", content_type="text/html")

    def _asked(self, query: dict[str, str]) -> tuple[frozenset[str], str]:
        """The scopes and the redirect that the page's address asks for."""
        if query.get("client_id") != self.client_id:
            raise SlackSays("invalid_client_id")
        scopes = frozenset(filter(None, query.get("scope", "").replace(" ", ",").split(",")))
        if not scopes:
            raise SlackSays("no_scopes")
        if not scopes <= BOT_SCOPES_KNOWN:
            raise SlackSays("invalid_scope")
        redirect = query.get("redirect_uri") or (self.redirect_urls[0] if self.redirect_urls else "")
        if not any(redirect.startswith(url) for url in self.redirect_urls):
            raise SlackSays("bad_redirect_uri")
        return scopes, redirect

    def allow(self, url: str, workspace: Workspace, user: User, *, org_wide: bool = False) -> str:
        """Press *Allow* on the page at ``url``: the address to which Slack sends the browser back.

        ``org_wide``: an admin of the organisation installs it for all of its workspaces.
        """
        query = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        scopes, redirect = self._asked(query)
        assert not org_wide or workspace.enterprise, "only an organisation can be installed into as a whole"
        code = secrets.token_hex(8)
        expires = self.workspace.now_ms() + CODE_MS
        self._codes[code] = _Code(workspace, user, scopes, redirect, expires, org_wide)
        return f"{redirect}?{urlencode({'code': code, 'state': query.get('state', '')})}"

    def deny(self, url: str) -> str:
        """Press *Cancel* there."""
        query = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        _, redirect = self._asked(query)
        return f"{redirect}?{urlencode({'error': 'access_denied', 'state': query.get('state', '')})}"

    def _carry_out_special(self, request: web.Request, method: str, arguments: Json, home: Workspace) -> Json | None:
        match method:
            case "oauth.v2.access":
                self._is_client(request, arguments)
                return {"ok": True, **self._exchange(arguments)}
            case "auth.revoke":
                if not arguments.get("test"):
                    self.take_away(home, _bearer(request, arguments))
                return {"ok": True, "revoked": not arguments.get("test")}
            case "apps.uninstall":
                self._is_client(request, arguments)
                for token in list(home.bot_tokens):
                    self.take_away(home, token)
                return {"ok": True}
            case _:
                return None

    def _is_client(self, request: web.Request, arguments: Json) -> None:
        """The app's own id and secret, as Basic authorisation or as arguments."""
        header = request.headers.get("Authorization", "")
        name, secret = str(arguments.get("client_id", "")), str(arguments.get("client_secret", ""))
        if header.startswith("Basic "):
            name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        if name != self.client_id:
            raise SlackSays("invalid_client_id")
        if secret != self.client_secret:
            raise SlackSays("bad_client_secret")

    def _exchange(self, arguments: Json) -> Json:
        code = self._codes.pop(str(arguments.get("code", "")), None)  # serves once
        if code is None or self.workspace.now_ms() > code.expires_ms:
            raise SlackSays("invalid_code")
        if arguments.get("redirect_uri", code.redirect_uri) != code.redirect_uri:
            raise SlackSays("bad_redirect_uri")
        ws = code.workspace
        token = next(iter(ws.bot_tokens), None) or f"xoxb-fake-{ws.team}-{secrets.token_hex(4)}"
        ws.bot_tokens[token] = code.scopes | ws.bot_tokens.get(token, frozenset())
        ws.revoked.pop(token, None)
        if code.org_wide:
            ws.org_wide.add(token)
            for other in self.workspaces.values():
                if other.enterprise == ws.enterprise:
                    other.bot_tokens[token] = ws.bot_tokens[token]
                    other.org_wide.add(token)
        enterprise = {"id": ws.enterprise, "name": "Grid"} if ws.enterprise else None
        return {
            "app_id": payloads.APP, "authed_user": {"id": code.user.id}, "scope": ",".join(sorted(code.scopes)),
            "token_type": "bot", "access_token": token, "bot_user_id": ws.bot_user,
            "team": None if code.org_wide else {"id": ws.team, "name": ws.name}, "enterprise": enterprise,
            "is_enterprise_install": code.org_wide,
        }  # fmt: skip

    def take_away(self, workspace: Workspace, token: str, word: str = "token_revoked") -> None:
        for ws in self.workspaces.values():
            if token in ws.bot_tokens and (ws is workspace or token in ws.org_wide):
                del ws.bot_tokens[token]
                ws.org_wide.discard(token)
                ws.revoked[token] = word


def _bearer(request: web.Request, arguments: Json) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ") or str(arguments.get("token") or "")
