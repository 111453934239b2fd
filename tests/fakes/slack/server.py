"""The fake's HTTP and WebSocket server, and how it delivers callbacks to the app under test.

``POST|GET /api/<method>`` is the Web API (tokens, scopes, arguments, rates, faults), ``POST /response/<key>`` the
response URLs, ``GET /link?ticket=…`` a Socket Mode connection. `deliver` sends one callback the way that the app is
connected: signed HTTP, or an envelope over a WebSocket; both must be acknowledged within 3 s.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from holdpoint.clock import Clock, now_ms
from tests.fakes.slack.methods import Methods
from tests.fakes.slack.rules import message_problems
from tests.fakes.slack.vocabulary import METHODS, knows
from tests.fakes.slack.workspace import RESPONSE_URL_USES, Ephemeral, Json, SlackSays, Workspace

ACK_SECONDS = 3.0
MOST_SOCKETS = 10
SIGNING_SECRET = "fake-signing-secret"


@dataclass(frozen=True)
class Call:
    """One call of the Web API as it arrived. ``answer`` is ``ok``, an error, or what happened to the connection."""

    method: str
    arguments: Json
    answer: str


@dataclass(frozen=True)
class Fault:
    """What happens to a call instead. ``committed``: after the method had its effect."""

    kind: str  # "error", "status", "html", "reset", "limited", "gate"
    error: str = ""
    status: int = 500
    retry_after: int = 1
    committed: bool = False
    gate: asyncio.Event | None = None


@dataclass(frozen=True)
class Delivery:
    """How the app answered a callback. ``acked`` is False when the person would see an error."""

    acked: bool
    status: int
    body: Any
    seconds: float


class SlackServer:
    """``url`` ends in ``/api/``, as AsyncWebClient's base_url."""

    def __init__(self, clock: Clock = now_ms) -> None:
        self.workspace = Workspace(clock)
        self.methods = Methods(self.workspace, self._new_link)
        self.calls: list[Call] = []
        self.outage = False
        self.rates: dict[str, tuple[int, float]] = {}  # method → so many in so many seconds (per channel for a post)
        self.request_url: str | None = None  # set: callbacks go over HTTP; None: over Socket Mode
        self.sockets: list[web.WebSocketResponse] = []
        self.envelopes: list[Json] = []
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._spent: dict[tuple[str, str], deque[int]] = defaultdict(deque)
        self._tickets: set[str] = set()
        self._acks: dict[str, asyncio.Future[Json]] = {}
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._port = 0

    async def start(self) -> None:
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post("/response/{key}", self._response)
        app.router.add_get("/link", self._socket)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self._session = aiohttp.ClientSession()

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

    def enforce_rates(self) -> None:
        """The published tiers, by the fake's clock."""
        self.rates = {name: (m.per_minute, 60.0) for name, m in METHODS.items() if m.per_minute}
        self.rates["chat.postMessage"] = (1, 1.0)

    def count(self, method: str) -> int:
        """Calls of ``method`` that Slack carried out."""
        return sum(call.method == method and call.answer == "ok" for call in self.calls)

    # Web API

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        arguments = await _arguments(request)
        fault = self._faults[method].popleft() if self._faults.get(method) else None
        if self.outage:
            fault = Fault("status", status=503)
        if fault is not None and not fault.committed:
            return await self._suffer(request, fault, method, arguments, None)
        status, answer, headers = 200, {}, {}
        try:
            answer = self._carry_out(request, method, arguments)
        except _Limited as limited:
            status, answer, headers = 429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(limited.seconds)}
        except SlackSays as says:
            if method in METHODS and not knows(method, says.error):
                raise AssertionError(f"the fake said {says.error} to {method}, which Slack never says") from says
            answer = {"ok": False, "error": says.error, "response_metadata": {"messages": list(says.messages)}}
        response = web.json_response(answer, status=status, headers=headers)
        if fault is not None:
            return await self._suffer(request, fault, method, arguments, response)
        self.calls.append(Call(method, arguments, "ok" if answer["ok"] else answer["error"]))
        return response

    def _carry_out(self, request: web.Request, method: str, arguments: Json) -> Json:
        if method not in METHODS:
            raise SlackSays("unknown_method")
        known = METHODS[method]
        scopes = self._scopes(request, arguments, app_token=known.app_token)
        if not known.scopes <= scopes:
            raise SlackSays("missing_scope", ", ".join(sorted(known.scopes - scopes)))
        unknown = arguments.keys() - known.arguments - {"token"}
        if unknown:
            raise SlackSays("invalid_arg_name", *sorted(unknown))
        missing = [name for name in sorted(known.required) if arguments.get(name) in (None, "")]
        if missing:
            raise SlackSays("invalid_arguments", *[f"[ERROR] missing required field: {name}" for name in missing])
        self._spend(method, str(arguments.get("channel", "")))
        return self.methods(method, arguments, scopes)

    def _scopes(self, request: web.Request, arguments: Json, *, app_token: bool) -> frozenset[str]:
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ") or arguments.get("token")
        if not token:
            raise SlackSays("not_authed")
        ours, theirs = self.workspace.bot_tokens, self.workspace.app_tokens
        right, wrong = (theirs, ours) if app_token else (ours, theirs)
        if token in wrong:
            raise SlackSays("not_allowed_token_type")
        if token not in right:
            raise SlackSays("invalid_auth")
        return right[token]

    def _spend(self, method: str, channel: str) -> None:
        if method not in self.rates:
            return
        most, seconds = self.rates[method]
        spent = self._spent[method, channel if method == "chat.postMessage" else ""]
        now = self.workspace.now_ms()
        while spent and spent[0] <= now - seconds * 1000:
            spent.popleft()
        if len(spent) >= most:
            raise _Limited(max(1, -int((now - spent[0] - seconds * 1000) // 1000)))
        spent.append(now)

    async def _suffer(
        self, request: web.Request, fault: Fault, method: str, arguments: Json, response: web.Response | None
    ) -> web.StreamResponse:
        self.calls.append(Call(method, arguments, f"{fault.kind}{' after commit' if response else ''}"))
        match fault.kind:
            case "error":
                return web.json_response({"ok": False, "error": fault.error})
            case "status":
                return web.Response(status=fault.status, text="upstream connect error", content_type="text/plain")
            case "html":
                return web.Response(
                    status=fault.status, text="<html>Slack is having trouble</html>", content_type="text/html"
                )
            case "limited":
                return web.json_response(
                    {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": str(fault.retry_after)}
                )
            case "gate":
                assert fault.gate is not None
                await fault.gate.wait()
                return response or web.Response(status=504)
            case "reset":
                assert request.transport is not None
                request.transport.abort()
                return response or web.Response(status=500)
            case _:
                raise AssertionError(fault.kind)

    # response URLs

    async def _response(self, request: web.Request) -> web.Response:
        known = self.workspace.response_urls.get(request.match_info["key"])
        body = await request.json()
        if known is None or self.workspace.now_ms() > known.expires_ms:
            return web.json_response({"ok": False, "error": "expired_url"}, status=404)
        if known.uses >= RESPONSE_URL_USES:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        problems = message_problems(body.get("blocks") or [])
        if problems or not (body.get("text") or body.get("blocks") or body.get("delete_original")):
            return web.json_response({"ok": False, "error": "invalid_blocks" if problems else "no_text"}, status=400)
        known.uses += 1
        self.workspace.ephemerals.append(
            Ephemeral(known.channel, known.user, body.get("text", ""), body.get("blocks") or [])
        )
        return web.json_response({"ok": True})

    # Socket Mode

    def _new_link(self) -> str:
        ticket = secrets.token_hex(8)
        self._tickets.add(ticket)
        return f"ws://127.0.0.1:{self._port}/link/?ticket={ticket}&app_id=A0APP".replace("/link/", "/link")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=401)
        self._tickets.remove(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if len(self.sockets) >= MOST_SOCKETS:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets", "debug_info": {}})
            await socket.close()
            return socket
        self.sockets.append(socket)
        await socket.send_json({
            "type": "hello", "num_connections": len(self.sockets), "connection_info": {"app_id": "A0APP"},
            "debug_info": {"host": "fake", "approximate_connection_time": 3600},
        })  # fmt: skip
        try:
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    answer = json.loads(frame.data)
                    self.envelopes.append(answer)
                    waiting = self._acks.get(answer.get("envelope_id", ""))
                    if waiting is not None and not waiting.done():
                        waiting.set_result(answer)
        finally:
            self.sockets.remove(socket)
        return socket

    async def disconnect(self, reason: str) -> None:
        """What Slack sends before it closes the newest connection: ``warning``, ``refresh_requested``, ``link_disabled``."""
        await self.sockets[-1].send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "fake"}})

    # callbacks

    async def deliver(
        self, kind: str, payload: Json, *, copies: int = 1, headers: dict[str, str] | None = None
    ) -> Delivery:
        """One callback: ``interactive``, ``slash_commands`` or ``events_api``. ``copies``: sent so often at once."""
        started = time.monotonic()
        if self.request_url is None:
            results = await self._over_socket(kind, payload, copies)
        else:
            raw, content_type = encode(kind, payload)
            sends = [
                self.post(raw, {"Content-Type": content_type, **self.sign(raw), **(headers or {})})
                for _ in range(copies)
            ]
            results = await asyncio.gather(*sends)
        status, body = results[0]
        return Delivery(status == 200, status, body, time.monotonic() - started)

    async def _over_socket(self, kind: str, payload: Json, copies: int) -> list[tuple[int, Any]]:
        envelope = secrets.token_hex(8)
        accepts = kind != "events_api"
        message = {"type": kind, "envelope_id": envelope, "payload": payload, "accepts_response_payload": accepts}
        if kind == "events_api":
            message |= {"retry_attempt": 0, "retry_reason": ""}
        waiting = self._acks[envelope] = asyncio.get_running_loop().create_future()
        for _ in range(copies):
            await self.sockets[-1].send_json(message)
        try:
            answer = await asyncio.wait_for(waiting, ACK_SECONDS)
        except TimeoutError:
            return [(0, None)]
        finally:
            del self._acks[envelope]
        return [(200, answer.get("payload"))]

    async def post(self, raw: str, headers: dict[str, str]) -> tuple[int, Any]:
        """A POST to the request URL: status and body; status 0 when there was no answer within 3 s."""
        assert self._session is not None
        assert self.request_url is not None
        try:
            timeout = aiohttp.ClientTimeout(total=ACK_SECONDS)
            async with self._session.post(
                self.request_url, data=raw.encode(), headers=headers, timeout=timeout
            ) as response:
                text = await response.text()
                return response.status, json.loads(
                    text
                ) if response.content_type == "application/json" and text else text
        except (TimeoutError, aiohttp.ClientError):
            return 0, None

    def sign(self, raw: str, *, timestamp: str | None = None, secret: str = SIGNING_SECRET) -> dict[str, str]:
        """The two headers of v0 signatures."""
        stamp = timestamp if timestamp is not None else str(self.workspace.now_ms() // 1000)
        digest = hmac.new(secret.encode(), f"v0:{stamp}:{raw}".encode(), hashlib.sha256).hexdigest()
        return {"X-Slack-Signature": f"v0={digest}", "X-Slack-Request-Timestamp": stamp}


class _Limited(Exception):
    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


def encode(kind: str, payload: Json) -> tuple[str, str]:
    """The body and content type of a callback over HTTP."""
    if kind == "interactive":
        return urlencode({"payload": json.dumps(payload)}), "application/x-www-form-urlencoded"
    if kind == "slash_commands":
        return urlencode(payload), "application/x-www-form-urlencoded"
    return json.dumps(payload), "application/json"


async def _arguments(request: web.Request) -> Json:
    """GET and POST; query, form and JSON, as Slack takes them. Empty values count as not given."""
    arguments: Json = dict(request.query)
    if request.content_type == "application/json":
        arguments |= await request.json()
    elif request.method == "POST":
        for key, value in (await request.post()).items():
            is_json = key in ("blocks", "view", "metadata", "attachments")
            arguments[key] = json.loads(str(value)) if is_json else str(value)
    return {key: value for key, value in arguments.items() if value is not None}
