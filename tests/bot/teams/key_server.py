"""The Bot Framework's metadata and signing keys over HTTP, answering what a test asks for, and counting."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from tests.fakes.teams.keys import KeyRing


class KeyServer:
    """`start`, `stop`. ``metadata`` and ``keys`` replace an answer: a JSON value, bytes, a status, or status and value."""

    def __init__(self) -> None:
        self.ring = KeyRing()
        self.metadata: Any = None
        self.keys: Any = None
        self.fetched = 0
        self.waiting = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._runner: web.ServerRunner | None = None
        self._port = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"{self.base}/openid"

    @property
    def right_metadata(self) -> dict[str, str]:
        return {"issuer": "https://api.botframework.com", "jwks_uri": f"{self.base}/keys"}

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.gate.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/openid":
            self.fetched += 1
            self.waiting += 1
            await self.gate.wait()
            self.waiting -= 1
            return _response(self.right_metadata if self.metadata is None else self.metadata)
        return _response(self.ring.jwks() if self.keys is None else self.keys)


def _response(value: Any) -> web.Response:
    if isinstance(value, tuple):
        status, body = value
        return web.json_response(body, status=status)
    if isinstance(value, int):
        return web.Response(status=value, headers={"Location": "/openid"} if value // 100 == 3 else {})
    if isinstance(value, bytes):
        return web.Response(body=value)
    return web.json_response(value)
