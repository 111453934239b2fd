"""The fake's HTTP server: ``POST|GET /api/<method>`` is the Web API (tokens, scopes, arguments, rates, faults),
``POST /response/<key>`` the response URLs, ``POST /upload/<file>`` where the bytes of files go, ``GET /link?ticket=…``
a Socket Mode connection, ``/oauth/v2/authorize`` the page on which an installation is allowed.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque

import aiohttp
from aiohttp import web

from holdpoint.clock import Clock, now_ms
from tests.fakes.slack.callbacks import ACK_SECONDS, MOST_SOCKETS, Callbacks
from tests.fakes.slack.methods import Methods
from tests.fakes.slack.responses import answer_response_url
from tests.fakes.slack.things import Json, SlackSays
from tests.fakes.slack.vocabulary import METHODS, knows
from tests.fakes.slack.wire import SIGNING_SECRET, Call, Delivery, Fault, Limited, arguments_of, encode, suffer
from tests.fakes.slack.workspace import Workspace

__all__ = [
    "ACK_SECONDS", "MOST_SOCKETS", "SIGNING_SECRET", "Call", "Delivery", "Fault", "SlackServer", "encode",
]  # fmt: skip
WORKSPACE_POSTS = 300  # a minute; Slack says "several hundred"


class SlackServer(Callbacks):
    """``url`` ends in ``/api/``, as AsyncWebClient's base_url."""

    def __init__(self, clock: Clock = now_ms) -> None:
        super().__init__()
        self._numbers = itertools.count(1)
        self.workspace = Workspace(clock, numbers=self._numbers)
        self.workspaces: dict[str, Workspace] = {self.workspace.team: self.workspace}
        self.calls: list[Call] = []
        self.outage = False
        self.rates: dict[str, tuple[int, float]] = {}  # method → so many in so many seconds (per channel for a post)
        self.methods = self._methods_of(self.workspace)
        self._methods = {self.workspace.team: self.methods}
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._spent: dict[tuple[str, str, str], deque[int]] = defaultdict(deque)
        self._runner: web.AppRunner | None = None

    def add_workspace(
        self, team: str, name: str = "Other", *, token: str | None = None, enterprise: str | None = None
    ) -> Workspace:
        """One more workspace on the same Slack; ``token``: the app is installed there."""
        added = Workspace(
            self.workspace.now_ms, team=team, name=name, token=token, enterprise=enterprise, numbers=self._numbers
        )
        self.workspaces[team] = added
        self._methods[team] = self._methods_of(added)
        return added

    def _methods_of(self, workspace: Workspace) -> Methods:
        return Methods(workspace, self.new_link, lambda file: f"http://127.0.0.1:{self._port}/upload/{file}")

    async def start(self) -> None:
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post("/response/{key}", self._response)
        app.router.add_post("/upload/{file}", self._upload)
        app.router.add_get("/link", self.socket)
        self._add_routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self._session = aiohttp.ClientSession()

    def _add_routes(self, app: web.Application) -> None:
        """For what is built on top."""

    async def stop(self) -> None:
        for socket in list(self.sockets):
            await socket.close()
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/api/"

    def fault(self, method: str, fault: Fault, *, times: int = 1) -> None:
        """The next ``times`` calls of ``method`` meet ``fault``; an error that Slack does not have is a mistake."""
        if fault.kind == "error" and not knows(method, fault.error):
            raise ValueError(f"{method} never answers {fault.error}")
        self._faults[method].extend([fault] * times)

    def clear_faults(self) -> None:
        self._faults.clear()
        self.outage = False

    def enforce_rates(self, *methods: str) -> None:
        """The published tiers, by the fake's clock; of all methods, or of these."""
        tiers = {name: (m.per_minute, 60.0) for name, m in METHODS.items() if m.per_minute}
        tiers |= {"chat.postMessage": (1, 1.0), "chat.postMessage *": (WORKSPACE_POSTS, 60.0)}
        chosen = tiers if not methods else {n: rate for n, rate in tiers.items() if n.removesuffix(" *") in methods}
        self.rates |= chosen

    def count(self, method: str) -> int:
        """Calls of ``method`` that Slack carried out."""
        return sum(call.method == method and call.answer == "ok" for call in self.calls)

    # Web API

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        arguments = await arguments_of(request)
        fault = self._faults[method].popleft() if self._faults.get(method) else None
        if self.outage:
            fault = Fault("status", status=503)
        if fault is not None and not fault.committed:
            self.calls.append(Call(method, arguments, fault.kind))
            return await suffer(request, fault, None)
        home = self.workspace
        status, answer, headers = 200, {}, {}
        try:
            home, scopes = self._authorised(request, method, arguments)
            headers = {"x-oauth-scopes": ",".join(sorted(scopes))}
            answer = self._carry_out(request, home, method, arguments, scopes)
        except Limited as limited:
            status, answer, headers = 429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(limited.seconds)}
        except SlackSays as says:
            if method in METHODS and not knows(method, says.error):
                raise AssertionError(f"the fake said {says.error} to {method}, which Slack never says") from says
            answer = {"ok": False, "error": says.error, "response_metadata": {"messages": list(says.messages)}}
        response = web.json_response(answer, status=status, headers=headers)
        if fault is not None:
            self.calls.append(Call(method, arguments, f"{fault.kind} after commit", home.team))
            return await suffer(request, fault, response)
        self.calls.append(Call(method, arguments, "ok" if answer["ok"] else answer["error"], home.team))
        return response

    def _authorised(self, request: web.Request, method: str, arguments: Json) -> tuple[Workspace, frozenset[str]]:
        """The workspace that the call is for, and what its token may do there."""
        if method not in METHODS:
            raise SlackSays("unknown_method")
        known = METHODS[method]
        if known.no_token:
            return self.workspace, frozenset()
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ") or str(arguments.get("token") or "")
        if not token:
            raise SlackSays("not_authed")
        for workspace in self._looked_through(arguments):
            right, wrong = workspace.bot_tokens, workspace.app_tokens
            if known.app_token:
                right, wrong = wrong, right
            if token in workspace.revoked:
                raise SlackSays(workspace.revoked[token])
            if token in right:
                return workspace, right[token]
            if token in wrong:
                raise SlackSays("not_allowed_token_type")
        raise SlackSays("invalid_auth")

    def _looked_through(self, arguments: Json) -> list[Workspace]:
        """The workspaces, the one that has what the arguments name first: a token of an organisation has several."""
        named = {
            str(arguments.get(key))
            for key in ("channel", "channel_id", "user", "users", "user_id", "view_id", "team_id")
        }
        return sorted(
            self.workspaces.values(),
            key=lambda w: not (named & {w.team, *w.channels, *w.users, *w.views}),
        )

    def _carry_out(
        self, request: web.Request, home: Workspace, method: str, arguments: Json, scopes: frozenset[str]
    ) -> Json:
        known = METHODS[method]
        if not known.scopes <= scopes:
            raise SlackSays("missing_scope", ", ".join(sorted(known.scopes - scopes)))
        unknown = arguments.keys() - known.arguments - {"token"}
        if unknown:
            raise SlackSays("invalid_arg_name", *sorted(unknown))
        missing = [name for name in sorted(known.required) if arguments.get(name) in (None, "")]
        if missing:
            raise SlackSays("invalid_arguments", *[f"[ERROR] missing required field: {name}" for name in missing])
        self._spend(home, method, str(arguments.get("channel", "")))
        special = self._carry_out_special(request, method, arguments, home)
        return special if special is not None else self._methods[home.team](method, arguments, scopes)

    def _carry_out_special(
        self, _request: web.Request, _method: str, _arguments: Json, _home: Workspace
    ) -> Json | None:
        """For methods that need more than the workspace and the scopes."""
        return None

    def _spend(self, home: Workspace, method: str, channel: str) -> None:
        """Limits are per method, workspace and app; posts are also counted per channel."""
        buckets = [(method, channel if method == "chat.postMessage" else ""), (f"{method} *", "")]
        now = self.workspace.now_ms()
        open_buckets = [
            (self.rates[name], self._spent[home.team, name, at]) for name, at in buckets if name in self.rates
        ]
        for (most, seconds), spent in open_buckets:
            while spent and spent[0] <= now - seconds * 1000:
                spent.popleft()
            if len(spent) >= most:
                raise Limited(max(1, -int((now - spent[0] - seconds * 1000) // 1000)))
        for _, spent in open_buckets:
            spent.append(now)

    # response URLs, files

    async def _response(self, request: web.Request) -> web.Response:
        status, answer = 404, {"ok": False, "error": "expired_url"}
        for workspace in self.workspaces.values():
            if request.match_info["key"] in workspace.response_urls:
                status, answer = answer_response_url(workspace, request.match_info["key"], await request.json())
        return web.json_response(answer, status=status)

    async def _upload(self, request: web.Request) -> web.Response:
        """The bytes, raw or as the one file of a form; as many as were announced."""
        for workspace in self.workspaces.values():
            file = workspace.files.get(request.match_info["file"])
            if file is None or file.content is not None:
                continue
            content = await request.read()
            if request.content_type == "multipart/form-data":
                part = next(iter((await request.post()).values()))
                content = part.encode() if isinstance(part, str) else part.file.read()  # type: ignore[union-attr]
            if len(content) != file.length:
                return web.Response(status=500, text="length mismatch")
            file.content = content
            return web.Response(text=f"OK - {len(content)}")
        return web.Response(status=404)
