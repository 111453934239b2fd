"""The model of a soak: counts the marks that arrive, answers at once, or streams slowly for those who read slowly."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

MARK = re.compile(rb"soak-([a-z]+)-(\d+)-")
_PIECES = 40  # of a stream; each 4 KB
_PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 4_000 + b'"}}]}\n\n'
_PAUSE_S = 0.01
_KEEP_S = 2.0  # then it closes a connection that nobody uses, as many do, and often just when one is to be used


def mark(kind: str, number: int) -> str:
    return f"soak-{kind}-{number}-"


class Model:
    """``arrived`` counts (kind, number); ``strange`` are bodies that have no mark, and should not have come."""

    def __init__(self) -> None:
        self.arrived: Counter[tuple[str, int]] = Counter()
        self.strange: list[bytes] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        found = MARK.search(body)
        if found is None:
            self.strange.append(body[:200])
            return web.json_response({}, status=500)
        self.arrived[found[1].decode(), int(found[2])] += 1
        if b'"stream":true' in body:
            return await self._stream(request)
        message = {"role": "assistant", "content": "fine"}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return web.json_response(
            {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        with suppress(ConnectionError):  # its client may be a gateway that was killed
            await response.prepare(request)
            for _ in range(_PIECES):
                await response.write(_PIECE)
                await asyncio.sleep(_PAUSE_S)
            await response.write(b"data: [DONE]\n\n")
        return response


@asynccontextmanager
async def running_model() -> AsyncIterator[Model]:
    """On a port of its own, in this process."""
    model = Model()
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", model.answer)
    runner = web.AppRunner(app, shutdown_timeout=0, keepalive_timeout=_KEEP_S, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    model.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield model
    finally:
        await runner.cleanup()
