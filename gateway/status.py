"""``/healthz``, ``/readyz``, ``/metrics``: for probes and scrapers, without a key and without any content."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson

from gateway.transport import Reply, Request
from holdpoint.errors import StoreUnavailable
from holdpoint.live import Live
from holdpoint.metrics import CONTENT_TYPE
from holdpoint.settings import resolve_credential
from holdpoint.store import Store

_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
_JSON = "application/json"


class StatusPages:
    """Says how the process does."""

    def __init__(self, *, store: Store, live: Live, numbers: Callable[[], Awaitable[bytes]]) -> None:
        """``numbers`` is what `/metrics` says: of this process, or of all workers."""
        self._store = store
        self._live = live
        self._numbers = numbers
        self.draining = False

    def serves(self, path: str) -> bool:
        """Whether ``path`` is one of these pages."""
        return path in _PATHS

    async def serve(self, request: Request, reply: Reply) -> None:
        """Answer a request for one of the pages."""
        if request.method not in ("GET", "HEAD"):
            await _answer(reply, 405, b"", _JSON, [("allow", "GET, HEAD")])
        elif request.path == "/healthz":
            await _answer(reply, 200, orjson.dumps({"status": "ok"}), _JSON, [])
        elif request.path == "/metrics":
            await _answer(reply, 200, await self._numbers(), CONTENT_TYPE, [])
        else:
            problems = await self._problems()
            body = orjson.dumps({"ready": not problems, "problems": problems})
            await _answer(reply, 503 if problems else 200, body, _JSON, [])

    async def _problems(self) -> list[str]:
        """Why this process should get no requests, one line each."""
        if self.draining:
            return ["this gateway is being stopped"]
        try:
            await self._store.ping()
            await self._live.ensure_fresh()
        except StoreUnavailable as error:
            return [str(error)]
        policy = self._live.snapshot.policy
        problems = [] if policy.version > 0 else ["no policy is loaded; every request is refused"]
        for connection in policy.connections.values():
            if connection.credential is not None and resolve_credential(connection.credential) is None:
                variable = connection.credential.removeprefix("env:")
                problems.append(f"connection {connection.name}: the environment variable {variable} is missing")
        return problems


async def _answer(reply: Reply, status: int, body: bytes, kind: str, headers: list[tuple[str, str]]) -> None:
    reply.start(
        status, [("content-type", kind), ("cache-control", "no-store"), *headers, ("content-length", str(len(body)))]
    )
    await reply.end(body)
