"""`holdpoint up` (everything on one machine), `holdpoint gateway` and `holdpoint bot` (one process each).

::

    up ── embedded Redis (unless HOLDPOINT_REDIS_URL) ── gateway processes ── bot process
    gateway --workers 4 ── four gateway processes that share one address
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click
import uvloop

from holdpoint.cli.common import opened_store, settings_with_logs
from holdpoint.cli.pushing import push_initial
from holdpoint.cli.supervisor import Child, Supervisor
from holdpoint.embedded import EmbeddedRedis, attach_or_start
from holdpoint.settings import Settings

_AFTER_DRAINING_S = 5.0

Run = Callable[[Settings], Coroutine[Any, Any, None]]
"""One process until SIGINT or SIGTERM, after which it drains and cleans up."""


_workers = click.option("--workers", type=click.IntRange(1, 256), help="Gateway processes that share the address.")
_supervised = click.option("--supervised", is_flag=True, hidden=True, help="Stop when standard input closes.")


@click.command()
@_workers
def up(*, workers: int | None) -> int:
    """Run everything on this machine: Redis (unless HOLDPOINT_REDIS_URL names one), gateway and bot."""
    settings = _settings(workers)
    with ExitStack() as stack:
        if not settings.redis_url:
            redis = EmbeddedRedis(settings.data, settings.redis_fsync)
            redis.start()
            stack.callback(redis.stop)
            settings = settings.model_copy(update={"redis_url": redis.url})
        return asyncio.run(_supervise(settings, with_bot=True))


@click.command()
@_workers
@_supervised
@click.option("--worker", type=click.IntRange(1), hidden=True, help="Which one of several it is.")
@click.option("--siblings", type=click.Path(path_type=Path), hidden=True, help="Folder in which they find each other.")
@click.option("--inherited", type=int, hidden=True, help="Descriptor of the socket to listen on.")
def gateway(
    *, workers: int | None, supervised: bool, worker: int | None, siblings: Path | None, inherited: int | None
) -> int | None:
    """Run one gateway: the data path."""
    from gateway.app import run  # noqa: PLC0415 - this package starts the processes; nothing else here needs them
    from gateway.place import Worker  # noqa: PLC0415 - as above

    settings = _settings(workers)
    if not supervised and settings.gateway_workers > 1:
        with ExitStack() as stack:
            return asyncio.run(_supervise(_with_redis(settings, stack), with_bot=False))
    if worker is not None and siblings is not None:
        run = partial(run, worker=Worker(worker, settings.gateway_workers, siblings, inherited))
    _serve(run, settings, supervised=supervised)
    return None


@click.command()
@_supervised
def bot(*, supervised: bool) -> None:
    """Run one bot: cards, decisions, the web inbox, the review API, the ledger's recorder."""
    from bot.app import run  # noqa: PLC0415 - as above

    _serve(run, settings_with_logs(), supervised=supervised)


def _settings(workers: int | None) -> Settings:
    return settings_with_logs() if workers is None else settings_with_logs(gateway_workers=workers)


async def _supervise(settings: Settings, *, with_bot: bool) -> int:
    async with opened_store(settings) as store:
        await push_initial(store, settings.policy)
    with ExitStack() as stack:
        children = [_gateways(settings, stack)]
        if with_bot:
            children.append([Child("bot", {"HOLDPOINT_REDIS_URL": settings.redis_url})])
        return await Supervisor(children, stop_within_s=settings.drain_s + _AFTER_DRAINING_S).run()


def _gateways(settings: Settings, stack: ExitStack) -> list[Child]:
    """The gateway, or its workers in the place that is taken for them until ``stack`` ends."""
    environment = {"HOLDPOINT_REDIS_URL": settings.redis_url}
    if settings.gateway_workers == 1:
        return [Child("gateway", environment)]
    from gateway.place import shared_place  # noqa: PLC0415 - as above

    port, inherited = stack.enter_context(shared_place(settings))
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="holdpoint-"))
    environment["HOLDPOINT_GATEWAY_PORT"] = str(port)
    environment["HOLDPOINT_GATEWAY_WORKERS"] = str(settings.gateway_workers)
    socket = () if inherited is None else ("--inherited", str(inherited))
    return [
        Child(
            "gateway",
            environment,
            arguments=("--worker", str(number), "--siblings", folder, *socket),
            inherits=() if inherited is None else (inherited,),
        )
        for number in range(1, settings.gateway_workers + 1)
    ]


def _with_redis(settings: Settings, stack: ExitStack) -> Settings:
    """The settings with a Redis in them: the embedded one, until ``stack`` ends, if none is named."""
    if settings.redis_url:
        return settings
    redis = stack.enter_context(attach_or_start(settings.data, settings.redis_fsync))
    return settings.model_copy(update={"redis_url": redis.url})


def _serve(run: Run, settings: Settings, *, supervised: bool) -> None:
    if supervised:
        threading.Thread(target=_stop_with_parent, name="parent", daemon=True).start()
    with ExitStack() as stack:
        settings = _with_redis(settings, stack)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            # The supervisor has pushed the first policy already.
            runner.run(run(settings) if supervised else _first_policy_then(run, settings))


async def _first_policy_then(run: Run, settings: Settings) -> None:
    async with opened_store(settings) as store:
        await push_initial(store, settings.policy)
    await run(settings)


def _stop_with_parent() -> None:
    """Stop this process when the supervisor is gone, even if it was killed: then the pipe to it closes."""
    while os.read(sys.stdin.fileno(), 1024):  # not `sys.stdin.read`, whose lock would be held when the process ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)
