"""A gateway's life: start, drain, stop. What it is made of is in `gateway.wiring`.

Stopping: no new connections; waiting requests are sent away to come back elsewhere; running answers get
``drain_s``; then whatever is left is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.access import AccessLog
from gateway.place import Worker, taken
from gateway.record import Recorder
from gateway.siblings import Siblings
from gateway.transport.server import HttpServer
from gateway.wait import Waiting
from gateway.wiring import holding_of, proxy_of, started, status_of
from holdpoint.clock import Clock, now_ms
from holdpoint.metrics import Metrics
from holdpoint.settings import Settings
from holdpoint.stopping import stop_signals, until_stopped

# A request leaves few cycles behind, and the objects of thousands of waiting ones are not worth a look every 700
# allocations, Python's default.
_GC_THRESHOLDS = (20_000, 20, 50)
# How long a thread that compiles a policy may go on when the loop wants to run: ten times less than by default, because
# a request comes back from the system several times.
_TURN_S = 0.0005
_SETTLES_IN_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs. ``died`` is set when one of its background tasks has ended with an error."""

    url: str
    name: str
    metrics: Metrics
    died: asyncio.Event


async def run(settings: Settings, *, clock: Clock = now_ms, worker: Worker | None = None) -> None:
    """Run until SIGTERM or SIGINT, alone or as one of several workers.

    Raises:
        ConfigurationError: the address is in use or cannot be used, or a setting is wrong.
        StoreUnavailable: Redis does not answer.
        RuntimeError: a background task died; the log says which and why.
    """
    with stop_signals() as stop:
        async with running_gateway(settings, clock=clock, worker=worker) as gateway:
            _log.info("gateway listens", extra={"url": gateway.url, "gateway": gateway.name})
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_GC_THRESHOLDS)
            sys.setswitchinterval(_TURN_S)
            await until_stopped(stop, gateway.died)
            _log.info("gateway stops")


@asynccontextmanager
async def running_gateway(
    settings: Settings, *, clock: Clock = now_ms, worker: Worker | None = None
) -> AsyncIterator[Gateway]:
    """A gateway that serves inside the block, and is drained and stopped at its end.

    Raises:
        ConfigurationError, StoreUnavailable: see `run`.
    """
    _allow_many_connections()
    died = asyncio.Event()
    async with AsyncExitStack() as stack:
        place = stack.enter_context(taken(settings, worker))
        ground = await started(stack, settings, clock=clock, worker=worker, on_death=lambda _name, _error: died.set())
        holding = holding_of(ground)
        siblings = Siblings(worker, ground.metrics) if worker is not None else None
        status = status_of(ground, siblings)
        access = AccessLog() if settings.access_log else None
        proxy = await proxy_of(stack, ground, holding, status, access)
        server = HttpServer(
            place.sockets, proxy.handle, write_timeout_s=settings.write_timeout_s, door=place.door, watcher=access
        )
        stack.push_async_callback(server.aclose, settings.drain_s)
        await holding.wake_ups.start(place.name)
        stack.push_async_callback(holding.wake_ups.stop)
        await server.start_accepting()
        if siblings is not None:  # last: a worker is up once it has taken its predecessor's place, and clients
            stack.push_async_callback(siblings.stop)
            await siblings.start()
        try:
            yield Gateway(url=place.url, name=place.name, metrics=ground.metrics, died=died)
        finally:
            status.draining = True
            await _drain(server, holding.waiting, ground.recorder, settings.drain_s)


async def _drain(server: HttpServer, waiting: Waiting, recorder: Recorder, drain_s: float) -> None:
    """Who waits is sent away; running answers get their time, and what is to be written of them a moment."""
    await server.stop_accepting()
    waiting.dismiss()
    await server.aclose(drain_s)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SETTLES_IN_S):
            await recorder.settled()


def _allow_many_connections() -> None:
    """A waiting request is an open socket: use all that the system grants."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
