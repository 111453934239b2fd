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
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.access import AccessLog
from gateway.evaluate import Evaluator
from gateway.forward import Forwarder
from gateway.grants import Grants
from gateway.held import Held
from gateway.holds import HoldsResource
from gateway.journal import Journal
from gateway.limits import running_limits
from gateway.place import Worker, taken, upstream_tls
from gateway.proxy import Proxy
from gateway.record import Recorder
from gateway.siblings import Siblings
from gateway.status import StatusPages
from gateway.transport.server import HttpServer
from gateway.transport.upstream import HttpUpstream
from gateway.wait import Waiting
from holdpoint.clock import Clock, now_ms
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.settings import Settings
from holdpoint.stopping import stop_signals, until_stopped
from holdpoint.store import Store
from holdpoint.store.key_use import UsedKeys
from holdpoint.tokens.providers import Providers

# A request leaves few cycles behind, and the objects of thousands of waiting ones are not worth a look every 700
# allocations, Python's default.
_GC_THRESHOLDS = (20_000, 20, 50)
# How long a thread that compiles a policy may go on when the loop wants to run: ten times less than by default, because
# a request comes back from the system several times.
_TURN_S = 0.0005

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
    async with AsyncExitStack() as stack:
        place, tls = stack.enter_context(taken(settings, worker)), upstream_tls(settings)
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
        used_keys = await stack.enter_async_context(UsedKeys(store.key_use, on_death=on_death))
        upstream = HttpUpstream(
            connect_timeout_s=settings.upstream_connect_timeout_s,
            read_timeout_s=settings.upstream_read_timeout_s,
            tls=tls,
        )
        stack.push_async_callback(upstream.aclose)
        waiting = Waiting(
            store,
            clock=clock,
            heartbeat_after_s=settings.heartbeat_after_s,
            heartbeat_every_s=settings.heartbeat_every_s,
            on_death=on_death,
        )
        metrics = Metrics(worker=str(worker.number) if worker is not None else "")
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
        siblings = Siblings(worker, metrics) if worker is not None else None
        status = StatusPages(store=store, live=live, numbers=siblings.render if siblings is not None else _own(metrics))
        evaluator = Evaluator()
        stack.callback(evaluator.close)
        access = AccessLog() if settings.access_log else None
        proxy = Proxy(
            live=live,
            evaluator=evaluator,
            journal=journal,
            forwarder=forwarder,
            held=held,
            grants=Grants(store, held.taking, metrics=metrics, clock=clock),
            limits=await stack.enter_async_context(running_limits(store, journal, metrics, on_death=on_death)),
            holds=HoldsResource(store, held),
            status=status,
            providers=await stack.enter_async_context(Providers(clock=clock, on_death=on_death)),
            used_keys=used_keys,
            metrics=metrics,
            clock=clock,
            settings=settings,
            access=access,
        )
        server = HttpServer(
            place.sockets,
            proxy.handle,
            write_timeout_s=settings.write_timeout_s,
            door=place.door,
            watcher=access,
        )
        stack.push_async_callback(server.aclose, settings.drain_s)
        await waiting.start(place.name)
        stack.push_async_callback(waiting.stop)
        await server.start_accepting()
        if siblings is not None:  # last: a worker is up once it has taken its predecessor's place, and clients
            stack.push_async_callback(siblings.stop)
            await siblings.start()
        try:
            yield Gateway(url=place.url, name=place.name, metrics=metrics, died=died)
        finally:
            status.draining = True
            await server.stop_accepting()
            waiting.dismiss()
            await server.aclose(settings.drain_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await recorder.settled()


def _own(metrics: Metrics) -> Callable[[], Awaitable[bytes]]:
    """What `/metrics` says of a process that has no siblings."""

    async def render() -> bytes:
        return metrics.render()

    return render


def _allow_many_connections() -> None:
    """A waiting request is an open socket: use all that the system grants."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
