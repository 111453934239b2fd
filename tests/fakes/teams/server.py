"""The process: one port for the Bot Framework's OpenID, Entra's login, the Bot Connector, and the tests' control.

``python -m tests.fakes.teams`` prints its URL in one line, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from functools import partial
from typing import Any

from aiohttp import web

from tests.fakes.teams import login as doors
from tests.fakes.teams.clients import Clients
from tests.fakes.teams.connector import Connector
from tests.fakes.teams.control import Control
from tests.fakes.teams.delivery import Post
from tests.fakes.teams.faults import Faults, error_body, suffer
from tests.fakes.teams.graph import check_member_groups
from tests.fakes.teams.installs import Installs
from tests.fakes.teams.keys import KeyRing, private_key
from tests.fakes.teams.login import Login
from tests.fakes.teams.rates import Rates
from tests.fakes.teams.things import CannotBeDone, Says
from tests.fakes.teams.world import World

ROUTES = (
    ("POST", "/v3/conversations", "create"),
    ("POST", "/v3/conversations/{conversation}/activities", "post"),
    ("POST", "/v3/conversations/{conversation}/activities/{message}", "reply"),
    ("PUT", "/v3/conversations/{conversation}/activities/{message}", "update"),
    ("DELETE", "/v3/conversations/{conversation}/activities/{message}", "delete"),
    ("GET", "/v3/conversations/{conversation}/members/{member}", "member"),
    ("GET", "/v3/conversations/{conversation}/members", "members"),
    ("GET", "/v3/conversations/{conversation}/pagedmembers", "pagedmembers"),
    ("GET", "/v3/teams/{conversation}/conversations", "channels"),
)


class Microsoft:
    """Everything of one test; `forget` starts anew."""

    def __init__(self) -> None:
        self.base = ""
        self.forget()

    def forget(self) -> None:
        """An empty world."""
        self.world, self.ring, self.login = World(), KeyRing(), Login()
        self.login.scopes.add(self.base)  # as Microsoft Graph
        self.faults, self.rates, self.fetches = Faults(), Rates(), Counter[str]()
        self.connector = Connector(self.world, self.login, self.faults, self.rates)
        self.post = Post(self.ring)
        self.clients = Clients(self.world, self.post, self.base)
        self.installs = Installs(self.world, self.clients)
        self.control = Control(self)

    async def door(self, request: web.Request, operation: str) -> web.Response:
        """Metadata, keys and tokens, with what goes wrong there."""
        self.fetches[operation] += 1
        fault = self.faults.take(operation, "")
        if fault is not None:
            instead = await suffer(self.faults, fault, request, None)
            if instead is not None:
                return instead
        match operation:
            case "openid":
                return web.json_response(doors.metadata(self.base))
            case "keys":
                return web.json_response(self.ring.jwks())
            case "tenant":
                return web.json_response(doors.tenant_metadata(self.base, request.match_info["tenant"]))
            case "graph":
                return await self._graph(request)
            case _:
                form = await doors.form_of(request)
                status, body = self.login.grant(request.match_info["tenant"], form, self.world.now_s())
                return web.json_response(body, status=status)

    async def _graph(self, request: web.Request) -> web.Response:
        try:
            self.login.check(request.headers.get("Authorization"), self.base, self.world.now_s())
        except Says:
            return web.json_response(error_body("InvalidAuthenticationToken", "Access token is invalid."), status=401)
        status, body = check_member_groups(self.world, request.match_info["user"], await request.json())
        return web.json_response(body, status=status)

    async def connect(self, request: web.Request, operation: str) -> web.Response:
        return await self.connector.handle(request, operation)

    async def controlled(self, request: web.Request) -> web.Response:
        """``POST /_fake/<verb>`` with the verb's arguments as JSON."""
        arguments: dict[str, Any] = await request.json()
        try:
            result = await self.control.do(request.match_info["verb"], arguments)
        except (CannotBeDone, Says) as refused:
            return web.json_response({"refused": str(refused)}, status=409)
        return web.json_response({"result": result})

    async def reset(self, _request: web.Request) -> web.Response:
        self.faults.clear()
        await self.post.stop()
        self.forget()
        return web.json_response({"result": None})

    def app(self) -> web.Application:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        for method, path, operation in ROUTES:
            app.router.add_route(method, "/{region}" + path, partial(self.connect, operation=operation))
        for method, path, operation in (
            ("GET", doors.OPENID, "openid"),
            ("GET", doors.JWKS, "keys"),
            ("GET", "/{tenant}/v2.0/.well-known/openid-configuration", "tenant"),
            ("POST", "/{tenant}/oauth2/v2.0/token", "token"),
            ("POST", "/v1.0/users/{user}/checkMemberGroups", "graph"),
        ):
            app.router.add_route(method, path, partial(self.door, operation=operation))
        app.router.add_post("/_fake/reset", self.reset)
        app.router.add_post("/_fake/{verb}", self.controlled)
        return app


async def run() -> None:
    microsoft = Microsoft()
    private_key("k1"), private_key(doors.ENTRA_KEY)
    runner = web.AppRunner(microsoft.app(), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    microsoft.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    microsoft.forget()
    sys.stdout.write(microsoft.base + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await microsoft.post.stop()
    await runner.cleanup()
