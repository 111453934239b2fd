"""What goes wrong on demand: a fault is asked for beforehand, and hits the next calls that it fits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.teams.things import Json, bare

KINDS = frozenset({"error", "html", "garbage", "empty", "reset", "gate", "slow"})


@dataclass
class Fault:
    """``operation``: one of the operations in calls, or "*". ``committed``: only after the call had its effect.

    ``kind``: error (``status`` with ``code`` as the connector words it), html (a proxy's page), garbage (200 and no
    JSON), empty (``status`` without a body), reset (the connection breaks), gate (waits until it is opened) or slow
    (``seconds`` late).
    """

    operation: str
    kind: str
    status: int = 502
    code: str = "ServiceError"
    retry_after: str | None = None
    seconds: float = 0.0
    conversation: str = ""
    committed: bool = False
    times: int = 1
    name: str = ""  # of a gate


@dataclass
class Faults:
    """The asked-for ones, in order."""

    waiting: list[Fault] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)  # how many calls wait at a gate

    def add(self, fault: Fault) -> None:
        assert fault.kind in KINDS, fault.kind
        if fault.kind == "gate":
            self.gates[fault.name] = asyncio.Event()
        self.waiting.append(fault)

    def take(self, operation: str, conversation: str) -> Fault | None:
        """The fault that this call meets, if any."""
        for fault in self.waiting:
            fits = fault.operation in {"*", operation} and fault.conversation in {"", bare(conversation)}
            if fits:
                fault.times -= 1
                if fault.times == 0:
                    self.waiting.remove(fault)
                return fault
        return None

    def open(self, name: str) -> None:
        self.gates[name].set()

    async def pass_gate(self, name: str) -> None:
        self.held[name] = self.held.get(name, 0) + 1
        await self.gates[name].wait()
        self.held[name] -= 1

    def clear(self) -> None:
        self.waiting.clear()
        for gate in self.gates.values():
            gate.set()


async def suffer(faults: Faults, fault: Fault, request: web.Request, real: web.Response | None) -> web.Response | None:
    """What the caller gets instead; None: nothing instead, go on."""
    match fault.kind:
        case "error":
            headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
            return web.json_response(error_body(fault.code, "planned"), status=fault.status, headers=headers)
        case "html":
            page = "<html><body>The service is unavailable.</body></html>"
            return web.Response(status=fault.status, text=page, content_type="text/html")
        case "garbage":
            return web.Response(text='{"keys": [', content_type="application/json")
        case "empty":
            return web.Response(status=fault.status)
        case "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        case "slow":
            await asyncio.sleep(fault.seconds)
            return real
        case _:
            await faults.pass_gate(fault.name)
            return real


def error_body(code: str, message: str) -> Json:
    return {"error": {"code": code, "message": message}}


def as_fault(given: dict[str, Any]) -> Fault:
    return Fault(**given)
