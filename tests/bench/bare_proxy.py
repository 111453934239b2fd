"""The bare aiohttp pass-through, the way anybody would write it: what the gateway's speed is measured against.

``python -m tests.bench.bare_proxy PORT UPSTREAM_URL``. It inspects, identifies and records nothing. uvloop, no access
log and no limit of connections, so that the comparison is fair.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web

from tests.bench.machine import allow_many_files

_OF_ONE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "host", "upgrade", "te"})
UPSTREAM = web.AppKey("UPSTREAM", str)
SESSION = web.AppKey("SESSION", aiohttp.ClientSession)


async def _pass(request: web.Request) -> web.StreamResponse:
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_ONE_CONNECTION}
    url = request.app[UPSTREAM] + request.raw_path
    async with request.app[SESSION].request(
        request.method, url, headers=headers, data=await request.read(), allow_redirects=False
    ) as answer:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_ONE_CONNECTION}
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        async for piece in answer.content.iter_any():
            await response.write(piece)
        await response.write_eof()
        return response


async def _session(app: web.Application) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        app[SESSION] = session
        yield


def _application(upstream: str) -> web.Application:
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app[UPSTREAM] = upstream
    app.cleanup_ctx.append(_session)
    app.router.add_route("*", "/{path:.*}", _pass)
    return app


if __name__ == "__main__":
    allow_many_files()
    asyncio.set_event_loop(loop := uvloop.new_event_loop())
    web.run_app(
        _application(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=loop,
        backlog=4096,
    )  # fmt: skip
