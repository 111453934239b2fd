"""A model that does what a test tells it to: it counts, waits at a gate, streams, stalls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class Upstream:
    """``bodies`` are the requests that arrived. While ``gate`` is cleared, answers wait in front of it.

    A stream sends its first chunk before the gate and the rest behind it.
    """

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.credentials: list[str | None] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.credentials.append(request.headers.get("Authorization"))
        if body.get("stream"):
            return await self._stream(request)
        await self.gate.wait()
        return web.json_response(
            {
                "id": "c1", "object": "chat.completion", "created": 1, "model": body.get("model"),
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
            }
        )  # fmt: skip

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for index, word in enumerate(("fi", "ne")):
            if index:
                await self.gate.wait()
            chunk = {
                "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "demo",
                "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}],
            }  # fmt: skip
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response


@asynccontextmanager
async def running_upstream() -> AsyncIterator[Upstream]:
    """An upstream on a port of its own."""
    upstream = Upstream()
    app = web.Application()
    app.router.add_post("/{path:.*}", upstream.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield upstream
    finally:
        upstream.gate.set()
        await runner.cleanup()
