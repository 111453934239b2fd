"""Wiring: settings → store, live, ledger, timer, web, platforms; start, and stop in the opposite order. No behaviour here.

Whatever is started here either works or is looked after: a background task that dies ends the process, so that it is
started again, rather than lets it run on half blind.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from bot.commands import Commands
from bot.confirmation import Verify
from bot.decide import Decider
from bot.directory import Directory
from bot.email import KIND as EMAIL
from bot.email.app import EmailApp
from bot.history import History
from bot.notify import consumer_group
from bot.slack import KIND as SLACK
from bot.slack.app import SlackApp
from bot.slack.routes import install_routes
from bot.teams import KIND as TEAMS
from bot.teams.app import TeamsApp
from bot.timer import Timer
from bot.web.feed import Feed
from bot.web.oidc_party import RelyingParty
from bot.web.saml_party import ServiceProvider
from bot.web.server import Route, WebServer
from bot.web.site import Check, Site
from bot.web.slack_door import slack_routes
from bot.web.teams_door import teams_routes
from holdpoint.clock import Clock, now_ms
from holdpoint.ledger.recorder import Recorder
from holdpoint.ledger.sql import Ledger
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.settings import Settings
from holdpoint.stopping import stop_signals, until_stopped
from holdpoint.store import Store
from holdpoint.store.key_use import UsedKeys
from holdpoint.tasks import Tasks

_log = logging.getLogger("bot.app")

T = TypeVar("T")


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


class Build(Protocol):
    """Makes one platform's part out of what all of them are given."""

    def __call__(self, app: Callable[..., T]) -> T: ...


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
    async with AsyncExitStack() as stack:
        store = await Store.from_settings(settings, clock=clock)
        stack.push_async_callback(store.aclose)

        def on_death(_name: str, _error: BaseException) -> None:
            died.set()

        live = Live(store, clock=clock, on_death=on_death)
        stack.push_async_callback(live.stop)
        await live.start()
        tasks = Tasks(on_death=on_death)
        stack.push_async_callback(tasks.aclose)

        await _prepare_outbox(settings, store)
        recorder, ledger = await _start_recorder(settings, store, stack, tasks, clock=clock)
        history = History(ledger, store, clock=clock, masks=lambda: live.snapshot.policy.masks)
        stack.push_async_callback(history.aclose)
        decider = Decider(store, live, clock=clock, metrics=metrics, link_base=settings.link_base)
        used_keys = await stack.enter_async_context(UsedKeys(store.key_use, on_death=on_death))
        directory = Directory(live, clock=clock, used_keys=used_keys, links=store.links)
        commands = Commands(
            store, live, clock=clock, link_base=settings.link_base, decider=decider, metrics=metrics, history=history
        )
        timer = Timer(store, clock=clock, metrics=metrics, abandon_grace_ms=int(settings.abandon_grace_s * 1000))
        tasks.start("timer", timer.run())
        feed = Feed(store)
        tasks.start("feed", feed.run())

        def build(app: Callable[..., T]) -> T:
            return app(
                settings, store, live, directory=directory, decider=decider, commands=commands, clock=clock,
                metrics=metrics, history=history, on_death=on_death,
            )  # fmt: skip

        platforms = _platforms(settings, build)
        for platform in platforms:
            await platform.app.start()
            stack.push_async_callback(platform.app.stop)

        metrics.policy_version = lambda: live.snapshot.policy.version
        metrics.recorder_lag_seconds = lambda: recorder.lag_seconds
        checks = _checks(recorder, platforms, died)
        party = RelyingParty(settings, store, live, clock=clock, on_death=on_death)
        stack.push_async_callback(party.aclose)
        await party.start()
        saml = ServiceProvider(settings, store, live, clock=clock)
        site = Site(
            settings,
            store,
            live,
            decider,
            directory,
            metrics,
            clock,
            feed,
            history,
            party,
            saml,
            checks,
            _verifiers(platforms),
        )
        server = WebServer(site, extra=[route for platform in platforms for route in platform.routes])
        stack.push_async_callback(server.stop)
        await server.start(settings.bot_host, settings.bot_port)
        yield Bot(f"http://{_in_url(settings.bot_host)}:{server.port}", settings, metrics, died)


def _platforms(settings: Settings, build: Build) -> list[Platform]:
    """Those that are switched on. Add one here, and in `_kinds`."""
    found: list[Platform] = []
    if settings.slack_is_on:
        slack = build(SlackApp)
        installing = install_routes(slack.installer) if slack.installer is not None else []
        found.append(Platform(SLACK, slack, [*slack_routes(slack), *installing], slack.verify))
    if settings.teams_is_on:
        teams = build(TeamsApp)
        found.append(Platform(TEAMS, teams, teams_routes(teams), teams.verify))
    if settings.email_is_on:
        found.append(Platform(EMAIL, build(EmailApp)))
    return found


def _kinds(settings: Settings) -> Mapping[str, bool]:
    """Every platform, and whether it is switched on."""
    return {SLACK: settings.slack_is_on, TEAMS: settings.teams_is_on, EMAIL: settings.email_is_on}


async def _prepare_outbox(settings: Settings, store: Store) -> None:
    """Each channel has its group before the recorder trims for the first time; one that is off holds nothing back."""
    for kind, is_on in _kinds(settings).items():
        if is_on:
            await store.outbox.make_group("events", consumer_group(kind))
        else:
            await store.outbox.drop_group(consumer_group(kind))


async def _start_recorder(
    settings: Settings, store: Store, stack: AsyncExitStack, tasks: Tasks, *, clock: Clock
) -> tuple[Recorder, Ledger]:
    if not settings.ledger_url:
        await asyncio.to_thread(settings.data.mkdir, parents=True, exist_ok=True)
    ledger = await asyncio.to_thread(Ledger.open, settings.ledger)
    recorder = Recorder(store, ledger, clock=clock, holder=f"bot-{secrets.token_hex(6)}")
    recording = tasks.start("recorder", recorder.run())

    async def close() -> None:
        # The recorder ends before the ledger that it writes to.
        recording.cancel()
        await asyncio.wait({recording})
        await asyncio.to_thread(ledger.close)

    stack.push_async_callback(close)
    return recorder, ledger


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
