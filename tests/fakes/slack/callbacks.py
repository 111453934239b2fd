"""How the fake reaches the app: signed HTTP, or an envelope over a WebSocket. Both must be acknowledged within 3 s.

A frame of more than `MOST_FRAME_BYTES` ends its connection, with WebSocket's 1009. Not documented; Slack's server says so
itself when it closes: "Max frame length of 20480 has been exceeded."
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import aiohttp
from aiohttp import web

from tests.fakes.slack.things import Json
from tests.fakes.slack.wire import SIGNING_SECRET, Delivery, encode, signature
from tests.fakes.slack.workspace import Workspace
from tests.support.waiting import within

ACK_SECONDS = 3.0
MOST_SOCKETS = 10
MOST_FRAME_BYTES = 20_480


class Callbacks:
    """Socket Mode connections, and deliveries to them or to ``request_url``."""

    workspace: Workspace

    def __init__(self) -> None:
        self.request_url: str | None = None  # set: callbacks go over HTTP; None: over Socket Mode
        self.sockets: list[web.WebSocketResponse] = []
        self.envelopes: list[Json] = []  # what the app sent over its connections
        self.mute = False  # new connections are frozen after their hello
        self._frozen: set[web.WebSocketResponse] = set()
        self._tickets: set[str] = set()
        self._acks: dict[str, asyncio.Future[Json]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._port = 0

    def new_link(self) -> str:
        """A WebSocket URL that serves once."""
        ticket = secrets.token_hex(8)
        self._tickets.add(ticket)
        return f"ws://127.0.0.1:{self._port}/link?ticket={ticket}&app_id=A0APP"

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """GET /link: one connection, for as long as it lasts."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=401)
        self._tickets.remove(ticket)
        socket = web.WebSocketResponse(autoping=False, max_msg_size=MOST_FRAME_BYTES)
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
        if self.mute:
            self._frozen.add(socket)
        try:
            async for frame in socket:
                await self._frame(socket, frame)
        finally:
            self.sockets.remove(socket)
            self._frozen.discard(socket)
        return socket

    async def _frame(self, socket: web.WebSocketResponse, frame: aiohttp.WSMessage) -> None:
        if socket in self._frozen:
            return  # it never arrived
        if frame.type is aiohttp.WSMsgType.PING:
            await socket.pong(frame.data)
        elif frame.type is aiohttp.WSMsgType.TEXT:
            answer = json.loads(frame.data)
            self.envelopes.append(answer)
            waiting = self._acks.get(answer.get("envelope_id", ""))
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)

    def freeze(self, *sockets: web.WebSocketResponse) -> None:
        """The network swallows everything on these connections (without any: all): no answer, no close."""
        self._frozen.update(sockets or self.sockets)

    def cut(self) -> None:
        """Every connection is gone without a goodbye."""
        for socket in self.sockets:
            request = socket._req
            assert request is not None
            assert request.transport is not None
            request.transport.abort()

    async def disconnect(self, reason: str) -> None:
        """What Slack sends before it closes the newest connection: ``warning``, ``refresh_requested``, ``link_disabled``."""
        await self.sockets[-1].send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "fake"}})

    async def deliver(
        self, kind: str, payload: Json, *, copies: int = 1, headers: dict[str, str] | None = None
    ) -> Delivery:
        """One callback: ``interactive``, ``slash_commands`` or ``events_api``. ``copies``: sent so often at once."""
        async with within(2 * ACK_SECONDS) as patience:
            if self.request_url is None:
                results = await self._over_socket(kind, payload, copies, headers or {})
            else:
                raw, content_type = encode(kind, payload)
                sends = [
                    self.exchange(raw, {"Content-Type": content_type, **self.sign(raw), **(headers or {})})
                    for _ in range(copies)
                ]
                results = await asyncio.gather(*sends)
        status, body, answered = results[0]
        return Delivery(status == 200, status, body, patience.felt_s, answered)

    async def _over_socket(
        self, kind: str, payload: Json, copies: int, headers: dict[str, str]
    ) -> list[tuple[int, Any, dict[str, str]]]:
        if not self.sockets:
            return [(0, None, {})]
        envelope = secrets.token_hex(8)
        accepts = kind != "events_api"
        message = {"type": kind, "envelope_id": envelope, "payload": payload, "accepts_response_payload": accepts}
        if kind == "events_api":
            message |= {
                "retry_attempt": int(headers.get("x-slack-retry-num", "0")),
                "retry_reason": headers.get("x-slack-retry-reason", ""),
            }
        waiting = self._acks[envelope] = asyncio.get_running_loop().create_future()
        to = self.sockets[-1]
        for _ in range(copies if to not in self._frozen else 0):
            await to.send_json(message)
        try:
            async with within(ACK_SECONDS):
                answer = await waiting
        except TimeoutError:
            return [(0, None, {})]
        finally:
            del self._acks[envelope]
        return [(200, answer.get("payload"), {})]

    async def post(self, raw: str, headers: dict[str, str]) -> tuple[int, Any]:
        """A POST to the request URL: status and body; status 0 when there was no answer within 3 s."""
        status, body, _ = await self.exchange(raw, headers)
        return status, body

    async def exchange(self, raw: str, headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        """The same, with the headers of the answer by lower-case name."""
        assert self._session is not None
        assert self.request_url is not None
        try:
            async with (
                within(ACK_SECONDS),
                self._session.post(self.request_url, data=raw.encode(), headers=headers) as got,
            ):
                text = await got.text()
                body = json.loads(text) if got.content_type == "application/json" and text else text
                return got.status, body, {name.lower(): value for name, value in got.headers.items()}
        except (TimeoutError, aiohttp.ClientError):
            return 0, None, {}

    def sign(self, raw: str, *, timestamp: str | None = None, secret: str = SIGNING_SECRET) -> dict[str, str]:
        """The two headers of v0 signatures."""
        return signature(raw, timestamp if timestamp is not None else str(self.workspace.now_ms() // 1000), secret)
