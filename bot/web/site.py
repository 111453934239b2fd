"""What every handler of the bot's web server may reach, as one typed value under one key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from bot.conversation import Conversation
from bot.decide import Decider
from bot.directory import Directory
from bot.history import History
from bot.web.feed import Feed
from holdpoint.clock import Clock
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.settings import Settings
from holdpoint.store import Store

Check = Callable[[], Awaitable[str | None]]
"""Asks one part whether it is ready: None, or what is wrong, in a few words."""


@dataclass(frozen=True, slots=True)
class Site:
    """``history`` reads the ledger. ``checks`` are what ``/readyz`` asks, by the part's name."""

    settings: Settings
    store: Store
    live: Live
    decider: Decider
    directory: Directory
    metrics: Metrics
    clock: Clock
    feed: Feed
    history: History
    checks: Mapping[str, Check] = field(default_factory=dict)

    @property
    def conversation(self) -> Conversation:
        """What people say before a decision."""
        return Conversation(self.store, self.live, clock=self.clock)

    @property
    def is_https(self) -> bool:
        """Whether people reach the inbox over TLS, so that cookies may insist on it."""
        return self.settings.link_base.startswith("https://")


SITE = web.AppKey("site", Site)


def site_of(request: web.Request) -> Site:
    """The site that serves ``request``."""
    return request.config_dict[SITE]
