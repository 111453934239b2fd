"""The demo model: a small local server of the OpenAI protocol, streaming included.

::

    model = DemoModel();  await model.start(port=0);  model.url;  await model.stop()

``GET /v1/models`` · ``POST /v1/chat/completions`` · ``/v1/completions`` · ``/v1/responses`` · ``/v1/embeddings``
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from holdpoint.clock import now_ms
from holdpoint.demo import answers
from holdpoint.demo.answers import Answer, Json

_HOST = "127.0.0.1"
_LARGEST_BYTES = 32 * 1024 * 1024
_PAUSE_BETWEEN_WORDS_S = 0.02  # so that one can see it stream


class DemoModel:
    """One server on the loopback address, until `stop`."""

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self, *, port: int = 0) -> None:
        """Listen on ``port`` (0: any).

        Raises:
            OSError: the port is taken.
        """
        application = web.Application(client_max_size=_LARGEST_BYTES)
        application.add_routes(
            [
                web.get("/v1/models", _models),
                web.post("/v1/chat/completions", _chat),
                web.post("/v1/completions", _completions),
                web.post("/v1/responses", _responses),
                web.post("/v1/embeddings", _embeddings),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _HOST, port)
        await site.start()
        self.url = f"http://{_HOST}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()


async def _models(request: web.Request) -> web.Response:  # noqa: ARG001 - aiohttp's signature
    return web.json_response(answers.models(now_ms() // 1000))


async def _chat(request: web.Request) -> web.StreamResponse:
    body = await _body(request)
    answer = _answer(body, body.get("messages"), "chatcmpl")
    if not body.get("stream"):
        return web.json_response(answers.chat(answer))
    return await _stream(request, answers.chat_chunks(answer, with_usage=_wants_usage(body)))


async def _completions(request: web.Request) -> web.StreamResponse:
    body = await _body(request)
    answer = _answer(body, body.get("prompt"), "cmpl")
    if not body.get("stream"):
        return web.json_response(answers.completion(answer))
    return await _stream(request, answers.completion_chunks(answer, with_usage=_wants_usage(body)))


async def _responses(request: web.Request) -> web.StreamResponse:
    body = await _body(request)
    answer = _answer(body, body.get("input"), "resp")
    if not body.get("stream"):
        return web.json_response(answers.response(answer))
    return await _stream(request, answers.response_events(answer))


async def _embeddings(request: web.Request) -> web.Response:
    body = await _body(request)
    return web.json_response(answers.embeddings(body.get("input"), str(body.get("model", answers.MODEL))))


async def _body(request: web.Request) -> Json:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        message = json.dumps(answers.error("the body must be a JSON object"))
        raise web.HTTPBadRequest(text=message, content_type="application/json")
    return body


def _answer(body: Json, prompt: Any, prefix: str) -> Answer:
    asked = answers.last_text(prompt)
    return Answer(
        id=f"{prefix}_{secrets.token_hex(12)}" if prefix == "resp" else f"{prefix}-{secrets.token_hex(12)}",
        model=str(body.get("model", answers.MODEL)),
        text=answers.reply_to(asked),
        prompt_tokens=len(json.dumps(prompt).split()),
        created_s=now_ms() // 1000,
    )


def _wants_usage(body: Json) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


async def _stream(request: web.Request, events: Iterable[Json]) -> web.StreamResponse:
    """Server-sent events; typed ones (of ``/v1/responses``) with their name, the others closed by ``[DONE]``."""
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await stream.prepare(request)
    typed = False
    for event in events:
        typed = "type" in event
        name = f"event: {event['type']}\n" if typed else ""
        await stream.write(f"{name}data: {json.dumps(event)}\n\n".encode())
        await asyncio.sleep(_PAUSE_BETWEEN_WORDS_S)
    if not typed:
        await stream.write(b"data: [DONE]\n\n")
    await stream.write_eof()
    return stream
