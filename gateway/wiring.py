"""Wiring: each part of a gateway is made here, once, of those that it uses. No behaviour of its own.

::

    started: store, live, recorder, forwarder ─▶ holding_of: what takes and awaits holds ─▶ proxy_of: the route

What has to be closed goes on the stack as it is made, so that it is closed after everything that uses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway.access import AccessLog
from gateway.act import Act
from gateway.arrival import Arrival
from gateway.decided import Decided
from gateway.evaluate import Evaluator
from gateway.forward import Forwarder
from gateway.grants import Grants
from gateway.guard import Guard
from gateway.held import Held
from gateway.holds import HoldsResource
from gateway.journal import Journal
from gateway.lane import Lane
from gateway.limits import running_limits
from gateway.place import Worker, upstream_tls
from gateway.proxy import Proxy
from gateway.record import Recorder
from gateway.release import Releases
from gateway.siblings import Siblings
from gateway.status import StatusPages
from gateway.taking import Taking
from gateway.transport.upstream import HttpUpstream
from gateway.wait import Waiting
from gateway.wake_ups import WakeUps
from holdpoint.clock import Clock
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.settings import Settings
from holdpoint.store import Store
from holdpoint.store.key_use import UsedKeys
from holdpoint.tasks import OnDeath
from holdpoint.tokens.providers import Providers

_AT_ONCE = 128  # on their way to Redis, so that a thousand holds decided together do not all have their bodies here


@dataclass(frozen=True, slots=True)
class Ground:
    """What all that serves requests stands on."""

    settings: Settings
    clock: Clock
    on_death: OnDeath
    metrics: Metrics
    store: Store
    live: Live
    recorder: Recorder
    journal: Journal
    used_keys: UsedKeys
    forwarder: Forwarder


@dataclass(frozen=True, slots=True)
class Holding:
    """The parts for requests that need a decision."""

    waiting: Waiting
    wake_ups: WakeUps
    taking: Taking
    decided: Decided
    held: Held


async def started(
    stack: AsyncExitStack, settings: Settings, *, clock: Clock, worker: Worker | None, on_death: OnDeath
) -> Ground:
    """Connect to Redis, read the policy and begin to record.

    Raises:
        ConfigurationError, StoreUnavailable.
    """
    upstream = _upstream_of(settings)
    store = await Store.from_settings(settings, clock=clock)
    stack.push_async_callback(store.aclose)
    live = Live(store, clock=clock, on_death=on_death)
    stack.push_async_callback(live.stop)
    await live.start()
    recorder = Recorder(store, on_death=on_death)
    stack.push_async_callback(recorder.stop)
    recorder.start()
    used_keys = await stack.enter_async_context(UsedKeys(store.key_use, on_death=on_death))
    stack.push_async_callback(upstream.aclose)
    metrics = Metrics(worker=str(worker.number) if worker is not None else "")
    metrics.policy_version = lambda: live.snapshot.policy.version
    return Ground(
        settings=settings,
        clock=clock,
        on_death=on_death,
        metrics=metrics,
        store=store,
        live=live,
        recorder=recorder,
        journal=Journal(recorder, clock),
        used_keys=used_keys,
        forwarder=Forwarder(upstream, recorder, metrics, settings),
    )


def _upstream_of(settings: Settings) -> HttpUpstream:
    return HttpUpstream(
        connect_timeout_s=settings.upstream_connect_timeout_s,
        read_timeout_s=settings.upstream_read_timeout_s,
        tls=upstream_tls(settings),
    )


def holding_of(ground: Ground) -> Holding:
    """What takes holds, waits for them and acts on them."""
    clock, store, recorder = ground.clock, ground.store, ground.recorder
    waiting = _waiting_of(ground.settings, clock)
    ground.metrics.waiting = lambda: len(waiting)
    wake_ups = WakeUps(
        store, waiting, recorder, abandon_grace_s=ground.settings.abandon_grace_s, on_death=ground.on_death
    )
    turn = asyncio.Semaphore(_AT_ONCE)
    releases = Releases(
        store=store,
        live=ground.live,
        wake_ups=wake_ups,
        forwarder=ground.forwarder,
        recorder=recorder,
        journal=ground.journal,
        clock=clock,
        turn=turn,
    )
    decided = Decided(
        store=store,
        waiting=waiting,
        wake_ups=wake_ups,
        releases=releases,
        forwarder=ground.forwarder,
        recorder=recorder,
        metrics=ground.metrics,
        clock=clock,
        turn=turn,
    )
    held = Held(store=store, waiting=waiting, wake_ups=wake_ups, decided=decided, clock=clock, turn=turn)
    return Holding(waiting, wake_ups, Taking(store, wake_ups, turn), decided, held)


def _waiting_of(settings: Settings, clock: Clock) -> Waiting:
    return Waiting(
        clock=clock, heartbeat_after_s=settings.heartbeat_after_s, heartbeat_every_s=settings.heartbeat_every_s
    )


def status_of(ground: Ground, siblings: Siblings | None) -> StatusPages:
    """The pages about this process; of its numbers, those of all workers."""
    numbers = siblings.render if siblings is not None else _own(ground.metrics)
    return StatusPages(store=ground.store, live=ground.live, numbers=numbers)


def _own(metrics: Metrics) -> Callable[[], Awaitable[bytes]]:
    """What `/metrics` says of a process that has no siblings."""

    async def render() -> bytes:
        return metrics.render()

    return render


async def proxy_of(
    stack: AsyncExitStack, ground: Ground, holding: Holding, status: StatusPages, access: AccessLog | None
) -> Proxy:
    """The route, and what only the route uses."""
    evaluator = Evaluator()
    stack.callback(evaluator.close)
    limits = await stack.enter_async_context(
        running_limits(ground.store, ground.journal, ground.metrics, on_death=ground.on_death)
    )
    providers = await stack.enter_async_context(Providers(clock=ground.clock, on_death=ground.on_death))
    guard = Guard(ground.metrics)
    arrival = Arrival(
        ground.live,
        providers=providers,
        forwarder=ground.forwarder,
        used_keys=ground.used_keys,
        clock=ground.clock,
    )
    grants = Grants(ground.store, holding.taking, metrics=ground.metrics, clock=ground.clock)
    act = Act(ground.journal, forwarder=ground.forwarder, taking=holding.taking, grants=grants, limits=limits)
    return Proxy(
        live=ground.live,
        arrival=arrival,
        evaluator=evaluator,
        guard=guard,
        lane=Lane(journal=ground.journal, forwarder=ground.forwarder, guard=guard),
        act=act,
        held=holding.held,
        limits=limits,
        holds=HoldsResource(ground.store, holding.decided),
        status=status,
        metrics=ground.metrics,
        clock=ground.clock,
        settings=ground.settings,
        access=access,
    )
