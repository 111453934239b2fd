"""Wiring: settings → store, live, upstream, server; start, drain, stop. No behaviour of its own.

Stopping: no new connections; waiting requests are sent away to come back elsewhere; running answers get
``drain_s``; then whatever is left is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.evaluate import Evaluator
from gateway.forward import Forwarder
from gateway.grants import Grants
from gateway.held import Held
from gateway.holds import HoldsResource
from gateway.journal import Journal
from gateway.proxy import Proxy
from gateway.record import Recorder
from gateway.status import StatusPages
from gateway.transport.server import HttpServer
from gateway.transport.upstream import HttpUpstream
from gateway.wait import Waiting
from holdpoint.clock import Clock, now_ms
from holdpoint.errors import ConfigurationError
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.settings import Settings
from holdpoint.stopping import stop_signals, until_stopped
from holdpoint.store import Store

# A request leaves few cycles behind, and the objects of thousands of waiting ones are not worth a look every 700
# allocations, Python's default.
_GC_THRESHOLDS = (20_000, 20, 50)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs. ``died`` is set when one of its background tasks has ended with an error."""

    url: str
    name: str
    metrics: Metrics
    died: asyncio.Event


async def run(settings: Settings, *, clock: Clock = now_ms) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: the address is in use or cannot be used, or a setting is wrong.
        StoreUnavailable: Redis does not answer.
        RuntimeError: a background task died; the log says which and why.
    """
    with stop_signals() as stop:
        async with running_gateway(settings, clock=clock) as gateway:
            _log.info("gateway listens", extra={"url": gateway.url, "gateway": gateway.name})
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_GC_THRESHOLDS)
            await until_stopped(stop, gateway.died)
            _log.info("gateway stops")


@asynccontextmanager
async def running_gateway(settings: Settings, *, clock: Clock = now_ms) -> AsyncIterator[Gateway]:
    """A gateway that serves inside the block, and is drained and stopped at its end.

    Raises:
        ConfigurationError, StoreUnavailable: see `run`.
    """
    _allow_many_connections()
    async with AsyncExitStack() as stack:
        store = await Store.from_settings(settings, clock=clock)
        stack.push_async_callback(store.aclose)
        died = asyncio.Event()

        def on_death(_name: str, _error: BaseException) -> None:
            died.set()

        live = Live(store, clock=clock, on_death=on_death)
        stack.push_async_callback(live.stop)
        await live.start()
        recorder = Recorder(store, on_death=on_death)
        stack.push_async_callback(recorder.stop)
        recorder.start()
        upstream = HttpUpstream(
            connect_timeout_s=settings.upstream_connect_timeout_s, read_timeout_s=settings.upstream_read_timeout_s
        )
        stack.push_async_callback(upstream.aclose)
        waiting = Waiting(
            store,
            clock=clock,
            heartbeat_after_s=settings.heartbeat_after_s,
            heartbeat_every_s=settings.heartbeat_every_s,
            on_death=on_death,
        )
        metrics = Metrics()
        metrics.waiting = lambda: len(waiting)
        metrics.policy_version = lambda: live.snapshot.policy.version
        forwarder = Forwarder(upstream, recorder, metrics, settings)
        journal = Journal(recorder, clock)
        held = Held(
            store=store,
            live=live,
            waiting=waiting,
            forwarder=forwarder,
            recorder=recorder,
            journal=journal,
            metrics=metrics,
            clock=clock,
            settings=settings,
        )
        status = StatusPages(store=store, live=live, metrics=metrics)
        evaluator = Evaluator()
        stack.callback(evaluator.close)
        proxy = Proxy(
            live=live,
            evaluator=evaluator,
            journal=journal,
            forwarder=forwarder,
            held=held,
            grants=Grants(store, held, metrics=metrics, clock=clock),
            holds=HoldsResource(store, held),
            status=status,
            metrics=metrics,
            clock=clock,
            settings=settings,
        )
        server = await _open(settings, proxy)
        stack.push_async_callback(server.aclose, settings.drain_s)
        name = f"{socket.gethostname()}:{server.port}"
        await waiting.start(name)
        stack.push_async_callback(waiting.stop)
        await server.start_accepting()
        try:
            yield Gateway(url=f"http://{_in_url(server.host)}:{server.port}", name=name, metrics=metrics, died=died)
        finally:
            status.draining = True
            await server.stop_accepting()
            waiting.dismiss()
            await server.aclose(settings.drain_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await recorder.settled()


async def _open(settings: Settings, proxy: Proxy) -> HttpServer:
    where = f"HOLDPOINT_GATEWAY_HOST/PORT: cannot listen on {settings.gateway_host}:{settings.gateway_port}"
    try:
        return await HttpServer.open(
            settings.gateway_host, settings.gateway_port, proxy.handle, write_timeout_s=settings.write_timeout_s
        )
    except OSError as error:
        raise ConfigurationError(f"{where}: {error.strerror or type(error).__name__}") from None


def _in_url(host: str) -> str:
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - not bound here, but shown
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _allow_many_connections() -> None:
    """A waiting request is an open socket: use all that the system grants."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
