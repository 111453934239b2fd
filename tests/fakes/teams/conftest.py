"""A bot by hand, so that the fake is tested on its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from tests.fakes.teams import FakeTeams, Seen
from tests.fakes.teams.fixtures import teams, teams_process
from tests.fakes.teams.things import ADAPTIVE, APP_ID, APP_SECRET, TENANT, Json

__all__ = ["teams", "teams_process"]


@dataclass
class Bot:
    """Answers invokes with ``reply``, and calls the connector as told."""

    teams: FakeTeams
    session: aiohttp.ClientSession
    reply: Any = None
    status: int = 200
    got: list[tuple[str | None, Json]] = field(default_factory=list)
    gate: Any = None
    token: str = ""

    async def receive(self, request: web.Request) -> web.Response:
        self.got.append((request.headers.get("Authorization"), await request.json()))
        if self.gate is not None:
            await self.gate.wait()
        return web.json_response(self.reply, status=self.status) if self.reply is not None else web.Response()

    async def login(self, **changes: str) -> tuple[int, Json]:
        form = {"grant_type": "client_credentials", "client_id": APP_ID, "client_secret": APP_SECRET,
                "scope": "https://api.botframework.com/.default"} | changes  # fmt: skip
        url = f"{self.teams.url}/{form.pop('tenant', TENANT)}/oauth2/v2.0/token"
        async with self.session.post(url, data=form) as answer:
            return answer.status, await answer.json()

    async def call(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, Any]:
        """``path`` after the service URL's /v3."""
        if not self.token:
            self.token = (await self.login())[1]["access_token"]
        bearer = {"Authorization": f"Bearer {self.token if token is None else token}"}
        url = f"{self.teams.service_url}v3{path}"
        async with self.session.request(method, url, json=body, headers=bearer) as answer:
            raw = await answer.read()
            return answer.status, await answer.json() if raw else None

    async def post(self, place: str, activity: Any, *, thread: str = "") -> tuple[int, Any]:
        suffix = f";messageid={thread}" if thread else ""
        conversation = quote(self.teams.conversation(place) + suffix, safe="")
        return await self.call("POST", f"/conversations/{conversation}/activities", activity)

    async def put(self, place: str, message: str, activity: Any) -> tuple[int, Any]:
        conversation = quote(self.teams.conversation(place), safe="")
        return await self.call("PUT", f"/conversations/{conversation}/activities/{message}", activity)


def with_card(**card: Any) -> Json:
    """A message with a card of a text and what is given."""
    content = {"type": "AdaptiveCard", "version": "1.5", "body": [{"type": "TextBlock", "text": "Hello"}], **card}
    return {"type": "message", "attachments": [attached(content)]}


def attached(card: Any) -> Json:
    return {"contentType": ADAPTIVE, "content": card}


def card(text: str, **more: Any) -> Json:
    return {"type": "AdaptiveCard", "version": "1.5", "body": [{"type": "TextBlock", "text": text}], **more}


def shown(text: str, **more: Any) -> Json:
    return {"statusCode": 200, "type": ADAPTIVE, "value": card(text, **more)}


def execute(verb: str, **more: Any) -> Json:
    data = {"verb": verb, "hold": "h d"}
    fallback = {"type": "Action.Submit", "title": verb.capitalize(), "data": data}
    return {
        "type": "Action.Execute",
        "verb": verb,
        "title": verb.capitalize(),
        "data": data,
        "fallback": fallback,
        **more,
    }


async def posted(teams: FakeTeams, bot: Bot, *actions: Json, place: str = "security", **more: Any) -> Seen:
    status, answer = await bot.post(place, with_card(actions=list(actions), **more))
    assert status == 201, answer
    return (await teams.cards(place))[-1]


@pytest.fixture
async def bot(teams: FakeTeams) -> AsyncIterator[Bot]:
    """Connected, and installed everywhere; what it heard of that is forgotten."""
    async with aiohttp.ClientSession() as session:
        it = Bot(teams, session)
        app = web.Application()
        app.router.add_post("/api/messages", it.receive)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        await teams.connect(f"http://127.0.0.1:{runner.addresses[0][1]}/api/messages")
        await teams.install_everywhere()
        it.got.clear()
        yield it
        await runner.cleanup()
