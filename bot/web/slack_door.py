"""``POST /slack/events``: hands Slack's callbacks to bot/slack, which knows nothing of this server."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from aiohttp import web


class Callbacks(Protocol):
    """What bot/slack offers (`bot.slack.app.SlackApp`)."""

    def handle(self, headers: Mapping[str, str], body: bytes) -> Awaitable[tuple[int, dict[str, str], bytes]]:
        """Status, headers and body of the answer to one callback."""
        ...


def slack_routes(slack: Callbacks) -> list[web.RouteDef]:
    """The one route that Slack calls."""

    async def events(request: web.Request) -> web.Response:
        status, headers, body = await slack.handle(request.headers, await request.read())
        return web.Response(status=status, headers=headers, body=body)

    return [web.post("/slack/events", events)]
