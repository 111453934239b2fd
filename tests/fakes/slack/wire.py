"""How calls arrive at the fake and callbacks leave it: arguments, encodings, faults, signatures."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tests.fakes.slack.things import Json

SIGNING_SECRET = "fake-signing-secret"


@dataclass(frozen=True)
class Call:
    """One call of the Web API as it arrived. ``answer`` is ``ok``, an error, or what happened to the connection."""

    method: str
    arguments: Json
    answer: str
    team: str = "T0TEAM"  # whose token it came with


@dataclass(frozen=True)
class Fault:
    """What happens to a call instead. ``committed``: after the method had its effect."""

    kind: str  # "error", "status", "html", "reset", "limited", "gate"
    error: str = ""
    status: int = 500
    retry_after: int = 1
    committed: bool = False
    gate: asyncio.Event | None = None


@dataclass(frozen=True)
class Delivery:
    """How the app answered a callback. ``acked`` is False when the person would see an error."""

    acked: bool
    status: int
    body: Any
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)


class Limited(Exception):
    """429. ``seconds`` stands in Retry-After."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


async def suffer(request: web.Request, fault: Fault, response: web.Response | None) -> web.StreamResponse:
    """What the caller gets to see of a fault."""
    match fault.kind:
        case "error":
            return web.json_response({"ok": False, "error": fault.error})
        case "status":
            return web.Response(status=fault.status, text="upstream connect error", content_type="text/plain")
        case "html":
            page = "<html>Slack is having trouble</html>"
            return web.Response(status=fault.status, text=page, content_type="text/html")
        case "limited":
            headers = {"Retry-After": str(fault.retry_after)}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
        case "gate":
            assert fault.gate is not None
            await fault.gate.wait()
            return response or web.Response(status=504)
        case "reset":
            assert request.transport is not None
            request.transport.abort()
            return response or web.Response(status=500)
        case _:
            raise AssertionError(fault.kind)


def encode(kind: str, payload: Json) -> tuple[str, str]:
    """The body and content type of a callback over HTTP."""
    if kind == "interactive":
        return urlencode({"payload": json.dumps(payload)}), "application/x-www-form-urlencoded"
    if kind == "slash_commands":
        return urlencode(payload), "application/x-www-form-urlencoded"
    return json.dumps(payload), "application/json"


_JSON = frozenset({"blocks", "view", "metadata", "attachments", "files"})


async def arguments_of(request: web.Request) -> Json:
    """GET and POST; query, form and JSON, as Slack takes them. Empty values count as not given."""
    arguments = _decoded(dict(request.query))
    if request.content_type == "application/json":
        arguments |= await request.json()
    elif request.method == "POST":
        arguments |= _decoded({key: str(value) for key, value in (await request.post()).items()})
    return {key: value for key, value in arguments.items() if value is not None}


def _decoded(given: dict[str, str]) -> Json:
    """Form fields and query parameters are text; what has a structure is JSON in them."""
    return {key: json.loads(value) if key in _JSON else value for key, value in given.items()}


def signature(raw: str, stamp: str, secret: str) -> dict[str, str]:
    """The two headers of v0 signatures."""
    digest = hmac.new(secret.encode(), f"v0:{stamp}:{raw}".encode(), hashlib.sha256).hexdigest()
    return {"X-Slack-Signature": f"v0={digest}", "X-Slack-Request-Timestamp": stamp}
