"""`holdpoint up` (everything on one machine), `holdpoint gateway` and `holdpoint bot` (one process each).

::

    up ── embedded Redis (unless HOLDPOINT_REDIS_URL) ── gateway process ── bot process
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any

import click
import uvloop

from holdpoint.cli.common import opened_store, settings_with_logs
from holdpoint.cli.pushing import push_initial
from holdpoint.cli.supervisor import Supervisor
from holdpoint.embedded import EmbeddedRedis, attach_or_start
from holdpoint.settings import Settings

_AFTER_DRAINING_S = 5.0

Run = Callable[[Settings], Coroutine[Any, Any, None]]
"""One process until SIGINT or SIGTERM, after which it drains and cleans up."""


@click.command()
def up() -> int:
    """Run everything on this machine: Redis (unless HOLDPOINT_REDIS_URL names one), gateway and bot."""
    settings = settings_with_logs()
    with ExitStack() as stack:
        if not settings.redis_url:
            redis = EmbeddedRedis(settings.data, settings.redis_fsync)
            redis.start()
            stack.callback(redis.stop)
            settings = settings.model_copy(update={"redis_url": redis.url})
        return asyncio.run(_supervise(settings))


@click.command()
@click.option("--supervised", is_flag=True, hidden=True, help="Stop when standard input closes.")
def gateway(*, supervised: bool) -> None:
    """Run one gateway: the data path."""
    from gateway.app import run  # noqa: PLC0415 - this package starts the processes; nothing else here needs them

    _serve(run, supervised=supervised)


@click.command()
@click.option("--supervised", is_flag=True, hidden=True, help="Stop when standard input closes.")
def bot(*, supervised: bool) -> None:
    """Run one bot: cards, decisions, the web inbox, the review API, the ledger's recorder."""
    from bot.app import run  # noqa: PLC0415 - as above

    _serve(run, supervised=supervised)


async def _supervise(settings: Settings) -> int:
    async with opened_store(settings) as store:
        await push_initial(store, settings.policy)
    environment = {"HOLDPOINT_REDIS_URL": settings.redis_url}
    children = {"gateway": environment, "bot": environment}
    return await Supervisor(children, stop_within_s=settings.drain_s + _AFTER_DRAINING_S).run()


def _serve(run: Run, *, supervised: bool) -> None:
    settings = settings_with_logs()
    if supervised:
        threading.Thread(target=_stop_with_parent, name="parent", daemon=True).start()
    with ExitStack() as stack:
        if not settings.redis_url:
            redis = stack.enter_context(attach_or_start(settings.data, settings.redis_fsync))
            settings = settings.model_copy(update={"redis_url": redis.url})
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
