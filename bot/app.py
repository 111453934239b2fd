"""Wiring: settings → core, platforms, web; start, and stop in the opposite order. No behaviour here.

Whatever is started here either works or is looked after: a background task that dies ends the process, so that it is
started again, rather than lets it run on half blind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from bot.confirmation import Verify
from bot.core import Core, start_core
from bot.email import KIND as EMAIL
from bot.email.app import EmailApp
from bot.slack import KIND as SLACK
from bot.slack.app import SlackApp
from bot.slack.routes import install_routes
from bot.teams import KIND as TEAMS
from bot.teams.app import TeamsApp
from bot.web.oidc_party import RelyingParty
from bot.web.saml_party import ServiceProvider
from bot.web.server import Route, WebServer
from bot.web.site import Check, Site
from bot.web.slack_door import slack_routes
from bot.web.teams_door import teams_routes
from holdpoint.clock import Clock, now_ms
from holdpoint.ledger.recorder import Recorder
from holdpoint.metrics import Metrics
from holdpoint.settings import Settings
from holdpoint.stopping import stop_signals, until_stopped

_log = logging.getLogger("bot.app")


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot that runs. ``died`` is set when one of its background tasks has ended with an error."""

    url: str
    settings: Settings
    metrics: Metrics
    died: asyncio.Event


class Serves(Protocol):
    """One platform's part of the bot (`bot.slack.app.SlackApp`, `bot.teams.app.TeamsApp`, `bot.email.app.EmailApp`)."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def is_ready(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform that is switched on, the routes by which it calls, and who says whose its accounts are."""

    kind: str
    app: Serves
    routes: Sequence[Route] = ()
    verify: Verify | None = None


async def run(settings: Settings, *, clock: Clock = now_ms) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: an address, the ledger's URL or another setting is wrong.
        StoreUnavailable: Redis does not answer.
        LedgerError: the ledger cannot be opened.
        RuntimeError: a background task died; the log says which and why.
    """
    with stop_signals() as stop:
        async with running_bot(settings, clock=clock) as bot:
            _log.info("bot listens", extra={"url": bot.url})
            await until_stopped(stop, bot.died)
            _log.info("bot stops")


@asynccontextmanager
async def running_bot(settings: Settings, *, clock: Clock = now_ms) -> AsyncIterator[Bot]:
    """A bot that serves inside the block, and is stopped at its end.

    Raises:
        ConfigurationError, StoreUnavailable, LedgerError: see `run`.
    """
    metrics, died = Metrics(), asyncio.Event()

    def on_death(_name: str, _error: BaseException) -> None:
        died.set()

    async with AsyncExitStack() as stack:
        core = await start_core(settings, stack, clock=clock, metrics=metrics, on_death=on_death)
        platforms = _platforms(core)
        for platform in platforms:
            await platform.app.start()
            stack.push_async_callback(platform.app.stop)
        metrics.policy_version = lambda: core.live.snapshot.policy.version
        metrics.recorder_lag_seconds = lambda: core.recorder.lag_seconds
        server = await _start_web(core, platforms, _checks(core.recorder, platforms, died), stack)
        yield Bot(f"http://{_in_url(settings.bot_host)}:{server.port}", settings, metrics, died)


async def _start_web(
    core: Core, platforms: Sequence[Platform], checks: Mapping[str, Check], stack: AsyncExitStack
) -> WebServer:
    """Sign-in and the web server run; the last to start, and so the first to stop."""
    settings, store, live = core.settings, core.store, core.live
    party = RelyingParty(settings, store, live, clock=core.clock, on_death=core.on_death)
    stack.push_async_callback(party.aclose)
    await party.start()
    saml = ServiceProvider(settings, store, live, clock=core.clock)
    site = Site(
        settings, store, live, core.decider, core.directory, core.metrics, core.clock, core.feed, core.history,
        party, saml, checks, _verifiers(platforms),
    )  # fmt: skip
    server = WebServer(site, extra=[route for platform in platforms for route in platform.routes])
    stack.push_async_callback(server.stop)
    await server.start(settings.bot_host, settings.bot_port)
    return server


def _platforms(core: Core) -> list[Platform]:
    """Those that are switched on. Add one here, and in `bot.core`."""
    settings = core.settings
    found: list[Platform] = []
    if settings.slack_is_on:
        slack = core.build(SlackApp)
        installing = install_routes(slack.installer) if slack.installer is not None else []
        found.append(Platform(SLACK, slack, [*slack_routes(slack), *installing], slack.verify))
    if settings.teams_is_on:
        teams = core.build(TeamsApp)
        found.append(Platform(TEAMS, teams, teams_routes(teams), teams.verify))
    if settings.email_is_on:
        found.append(Platform(EMAIL, core.build(EmailApp)))
    return found


def _checks(recorder: Recorder, platforms: Sequence[Platform], died: asyncio.Event) -> Mapping[str, Check]:
    """What has to work before this bot is sent work."""

    async def tasks() -> str | None:
        return "a background task died" if died.is_set() else None

    async def ledger() -> str | None:
        return recorder.last_error

    async def chat(app: Serves) -> str | None:
        return None if await app.is_ready() else "not connected"

    checks: dict[str, Check] = {"tasks": tasks, "ledger": ledger}
    return checks | {platform.kind: partial(chat, platform.app) for platform in platforms}


def _verifiers(platforms: Sequence[Platform]) -> Mapping[str, Verify]:
    return {platform.kind: platform.verify for platform in platforms if platform.verify is not None}


def _in_url(host: str) -> str:
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - not bound here, but shown
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
