"""``POST /api/messages``: hands Teams' callbacks to bot/teams, which knows nothing of this server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Protocol

from aiohttp import web

PATH = "/api/messages"
MOST_BYTES = 256 * 1024
READ_WITHIN_S = 10.0


class Callbacks(Protocol):
    """What bot/teams offers (`bot.teams.app.TeamsApp`)."""

    def handle(self, headers: Mapping[str, str], body: bytes) -> Awaitable[tuple[int, dict[str, str], bytes]]:
        """Status, headers and body of the answer to one callback."""
        ...


def teams_routes(teams: Callbacks) -> list[web.RouteDef]:
    """The one route that Teams calls."""

    async def messages(request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return web.Response(status=415)
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                body = await _read(request)
        except TimeoutError:
            return web.Response(status=408)
        if body is None:
            return web.Response(status=413)
        status, headers, content = await teams.handle(request.headers, body)
        return web.Response(status=status, headers=headers, body=content)

    return [web.post(PATH, messages)]


async def _read(request: web.Request) -> bytes | None:
    """The body; None as soon as it is known to be too long."""
    body = bytearray()
    while len(body) <= MOST_BYTES:
        piece = await request.content.read(MOST_BYTES)
        if not piece:
            return bytes(body)
        body += piece
    return None
