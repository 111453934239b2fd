"""Wiring: settings → mail server, sender, channel, drawer, notifier; sample and checkup. Nothing comes in by e-mail."""

from __future__ import annotations

import secrets

from bot import slack, teams
from bot.commands import Commands
from bot.drawer import Drawer
from bot.email import KIND
from bot.email.channel import EmailChannel
from bot.email.checkup import check_up
from bot.email.personal import EmailPersonal
from bot.email.sample import EmailSampler
from bot.email.sender import Sender
from bot.email.server import mail_server
from bot.history import History
from bot.notify import Notifier
from holdpoint.clock import Clock
from holdpoint.findings import Finding
from holdpoint.live import Live
from holdpoint.settings import Settings
from holdpoint.store import Store
from holdpoint.tasks import OnDeath, Tasks


class EmailApp:
    """E-mail for one bot process. `start`, `stop`."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        live: Live,
        *,
        commands: Commands,
        clock: Clock,
        history: History | None = None,
        on_death: OnDeath | None = None,
        **_others: object,
    ) -> None:
        """Connects to nothing yet. ``on_death`` is told when a part that must run for ever has ended.

        ``_others`` are what chats are given to take clicks and commands with.

        Raises:
            ConfigurationError: HOLDPOINT_SMTP_URL or HOLDPOINT_EMAIL_FROM is missing or wrong.
        """
        self._server = mail_server(settings)
        self._sender = Sender(self._server)
        self._live = live
        self._link_base = settings.link_base
        self._parts = Tasks(on_death=on_death)
        commands.office.samplers[KIND] = EmailSampler(self._server, self._sender, clock=clock)
        commands.office.checkups.append(self._check_up)
        channel = EmailChannel(self._server, self._sender, live, link_base=settings.link_base, clock=clock)
        self.drawer = Drawer(
            store, live, channel, clock=clock, prepare=history.note if history else None, instead_of=chats_of(settings),
            personal=EmailPersonal(),
        )  # fmt: skip
        self.notifier = Notifier(
            store, live, self.drawer, holder=f"bot-{secrets.token_hex(6)}", clock=clock, speaks=False
        )
        self._is_started = False

    async def start(self) -> None:
        """Begin to send mails. Returns at once; the mail server may be away."""
        self._parts.start("email notifier", self.notifier.run())
        self._is_started = True

    async def stop(self) -> None:
        """Stop; a mail on its way may have been sent. Give back the lease."""
        self._is_started = False
        await self._parts.aclose()

    async def is_ready(self) -> bool:
        """Whether mails are sent. Nothing can arrive, so the server's absence keeps nobody from working."""
        return self._is_started

    async def _check_up(self) -> list[Finding]:
        """For ``/holdpoint doctor``."""
        return await check_up(self._server, self._sender, self._live, link_base=self._link_base)


def chats_of(settings: Settings) -> frozenset[str]:
    """The chat platforms that are switched on: where all of them fail to reach a requester, a mail goes out."""
    on = {slack.KIND: settings.slack_is_on, teams.KIND: settings.teams_is_on}
    return frozenset(kind for kind, is_on in on.items() if is_on)
