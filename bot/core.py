"""Wiring of what runs whether or not a platform is on: store, live, recorder and ledger, timer, feed. No behaviour here."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

from bot.commands import Commands
from bot.decide import Decider
from bot.directory import Directory
from bot.email import KIND as EMAIL
from bot.history import History
from bot.notify import consumer_group
from bot.slack import KIND as SLACK
from bot.teams import KIND as TEAMS
from bot.timer import Timer
from bot.web.feed import Feed
from holdpoint.clock import Clock
from holdpoint.ledger.recorder import Recorder
from holdpoint.ledger.sql import Ledger
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.settings import Settings
from holdpoint.store import Store
from holdpoint.store.key_use import UsedKeys
from holdpoint.tasks import OnDeath, Tasks

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Core:
    """What runs, and what platforms and web are made of."""

    settings: Settings
    store: Store
    live: Live
    directory: Directory
    decider: Decider
    commands: Commands
    clock: Clock
    metrics: Metrics
    history: History
    on_death: OnDeath
    recorder: Recorder
    feed: Feed

    def build(self, app: Callable[..., T]) -> T:
        """One platform's part, out of what all of them are given."""
        return app(
            self.settings, self.store, self.live, directory=self.directory, decider=self.decider, commands=self.commands,
            clock=self.clock, metrics=self.metrics, history=self.history, on_death=self.on_death,
        )  # fmt: skip


async def start_core(
    settings: Settings, stack: AsyncExitStack, *, clock: Clock, metrics: Metrics, on_death: OnDeath
) -> Core:
    """Store, live, recorder, timer and feed run; ``stack`` ends them in the opposite order.

    Raises:
        ConfigurationError, StoreUnavailable, LedgerError: see `bot.app.run`.
    """
    store = await Store.from_settings(settings, clock=clock)
    stack.push_async_callback(store.aclose)
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
    return Core(
        settings, store, live, directory, decider, commands, clock, metrics, history, on_death, recorder, feed
    )  # fmt: skip


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
