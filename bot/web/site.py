"""What every handler of the bot's web server may reach, as one typed value under one key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from bot.confirmation import Confirmations, Verify
from bot.conversation import Conversation
from bot.decide import Decider
from bot.directory import Directory
from bot.grants import Grants
from bot.history import History
from bot.web.feed import Feed
from bot.web.oidc_party import RelyingParty
from bot.web.oidc_recheck import Rechecks
from bot.web.saml_party import ServiceProvider
from holdpoint.clock import Clock
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.settings import Settings
from holdpoint.store import Store

Check = Callable[[], Awaitable[str | None]]
"""Asks one part whether it is ready: None, or what is wrong, in a few words."""


@dataclass(frozen=True, slots=True)
class Site:
    """``history`` reads the ledger. ``party`` and ``saml`` sign people in at identity providers. ``checks`` are what ``/readyz`` asks, by the part's name.

    ``verifiers`` ask the chat platforms that this bot serves who an account is (see `bot.confirmation`).
    """

    settings: Settings
    store: Store
    live: Live
    decider: Decider
    directory: Directory
    metrics: Metrics
    clock: Clock
    feed: Feed
    history: History
    party: RelyingParty
    saml: ServiceProvider
    checks: Mapping[str, Check] = field(default_factory=dict)
    verifiers: Mapping[str, Verify] = field(default_factory=dict)

    @property
    def conversation(self) -> Conversation:
        """What people say before a decision."""
        return Conversation(self.store, self.live, clock=self.clock)

    @property
    def rechecks(self) -> Rechecks:
        """Asks identity providers about who is signed in."""
        return Rechecks(self.party, self.saml, self.store.sessions, self.live)

    @property
    def confirmations(self) -> Confirmations:
        """What becomes of approvals that people confirm."""
        grants = Grants(self.store, self.live, self.decider, clock=self.clock)
        return Confirmations(self.store, self.decider, grants, verifiers=self.verifiers)

    @property
    def is_https(self) -> bool:
        """Whether people reach the inbox over TLS, so that cookies may insist on it."""
        return self.settings.link_base.startswith("https://")


SITE = web.AppKey("site", Site)


def site_of(request: web.Request) -> Site:
    """The site that serves ``request``."""
    return request.config_dict[SITE]
