"""Wiring: settings → credentials, connector, places, people, channel, notifier, desk, listener; callbacks over HTTP.

::

    HTTP ─▶ handle ─ intake ─ tokens (openid) ─▶ adapter ─ listener ─▶ actions | dialogs | commands | places
    notifier ─▶ drawer ─▶ channel ─▶ connector ─▶ the Bot Connector
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from functools import partial

from bot.commands import Commands
from bot.decide import Decider
from bot.directory import Directory, VoidLink
from bot.drawer import Drawer
from bot.history import History
from bot.notify import Notifier
from bot.teams import CONFIRM, KIND, actions, arrived, commands, dialogs
from bot.teams.adapter import Adapter
from bot.teams.arrived import Activity, Click
from bot.teams.channel import TeamsChannel
from bot.teams.channels import Channels
from bot.teams.checkup import Parts, check_up
from bot.teams.connector import Connector
from bot.teams.credentials import Credentials
from bot.teams.desk import Desk
from bot.teams.graph import Graph
from bot.teams.intake import RETRY_AFTER_S, Intake
from bot.teams.listener import Handlers, Listener
from bot.teams.openid import SigningKeys
from bot.teams.people import People, trusts
from bot.teams.personal import TeamsPersonal
from bot.teams.places import Places
from bot.teams.reactions import Reaction
from bot.teams.sample import TeamsSampler
from bot.teams.spot import notice
from bot.teams.tokens import Tokens
from bot.teams.welcome import welcome
from holdpoint.clock import Clock
from holdpoint.errors import ConfigurationError
from holdpoint.findings import Finding
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import Reviewer
from holdpoint.settings import Settings
from holdpoint.store import Store
from holdpoint.tasks import OnDeath, Tasks

_log = logging.getLogger(__name__)


class TeamsApp:
    """Teams for one bot process. `start`, `handle` while it runs, `stop`."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        live: Live,
        *,
        directory: Directory,
        decider: Decider,
        commands: Commands,
        clock: Clock,
        metrics: Metrics,
        history: History | None = None,
        on_death: OnDeath | None = None,
    ) -> None:
        """Connects to nothing yet. ``on_death`` is told when a part that must run for ever has ended.

        Raises:
            ConfigurationError: a setting of the Azure bot is missing or wrong.
        """
        if not settings.teams_is_on:
            raise ConfigurationError("MicrosoftAppId: not set")
        self._commands = commands
        self._parts = Tasks(on_death=on_death)
        self._tasks = Tasks()  # what a click leaves to be done
        self._is_running = False
        home = settings.teams_tenant_id
        credentials = Credentials(settings, clock=clock)
        self.places = Places(store.conversations, clock=clock, is_trusted=trusts(home, live))
        self.connector = Connector(credentials, self.places, clock=clock)
        self._keys = SigningKeys(settings.teams_openid_url, clock=clock)
        self._graph = Graph(settings.teams_graph_url, credentials, clock=clock) if settings.teams_graph_url else None
        self.people = People(self.connector, self.places, live, home=home, clock=clock, entra=self._graph)
        self._channels = Channels(self.connector, self.places, clock=clock)
        channel = TeamsChannel(self.connector, self.people, self._channels, live, link_base=settings.link_base)
        self.drawer = Drawer(
            store, live, channel, clock=clock, prepare=history.note if history else None,
            personal=TeamsPersonal(self.people, self.places),
        )  # fmt: skip
        self.notifier = Notifier(store, live, self.drawer, holder=f"bot-{secrets.token_hex(6)}", clock=clock)
        self._desk = Desk(
            name=KIND, connector=self.connector, people=self.people, places=self.places, directory=directory,
            decider=decider, drawer=self.drawer, store=store, live=live, clock=clock, link_base=settings.link_base,
            tasks=self._tasks,
        )  # fmt: skip
        self._checked = Parts(settings, live, credentials, self._keys, self.connector, self._channels, self._graph)
        self._enrol()
        tokens = Tokens(self._keys, issuer=settings.teams_token_issuer, audience=settings.teams_app_id, clock=clock)
        listener = Listener(self._handlers(), store.seen, metrics=metrics, tasks=self._tasks)
        self._intake = Intake(tokens, Adapter(self.connector), listener, metrics=metrics)

    async def start(self) -> None:
        """Begin to draw cards and to take callbacks. Returns at once; Teams may be away."""
        await self.connector.start()
        await self._keys.start()
        if self._graph is not None:
            await self._graph.start()
        self._is_running = True
        self._parts.start("teams notifier", self.notifier.run())

    async def stop(self) -> None:
        """Stop taking callbacks, finish none, give back the lease."""
        self._is_running = False
        await self._tasks.aclose()
        await self._parts.aclose()
        await self._keys.aclose()
        if self._graph is not None:
            await self._graph.aclose()
        await self.connector.aclose()

    async def is_ready(self) -> bool:
        """Whether callbacks can arrive."""
        return self._is_running

    async def handle(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """One POST to ``/api/messages``: status, headers and body of the answer (see `Intake.handle`); 503 while starting."""
        if not self._is_running:
            return 503, {"Retry-After": str(RETRY_AFTER_S)}, b""
        return await self._intake.handle(headers, body)

    async def verify(self, account: str, principal: str) -> Reviewer:
        """Who ``account`` is, as a roster says now: for an approval that is being confirmed elsewhere.

        Raises:
            UnknownPerson, ChannelError, StoreUnavailable.
        """
        await self.people.meet(account, principal)
        return await self._desk.directory.by_platform(self.people, KIND, account, fresh=True)

    def _handlers(self) -> Handlers:
        desk = self._desk
        return Handlers(
            act=self._act,
            fetch=partial(dialogs.fetch, desk),
            submit=partial(dialogs.submit, desk),
            command=partial(commands.run, desk, self._commands),
            learn=partial(self._channels.learn, tasks=self._tasks),
            forget=self.places.forget,
            left=self._left,
            welcome=partial(welcome, self.connector),
            tell=self._tell,
        )

    async def _act(self, click: Click) -> Reaction:
        if click.verb == CONFIRM:
            return await commands.confirm(self._desk, self._commands, click)
        return await actions.act(self._desk, click)

    async def _left(self, conversation: str, members: Sequence[str]) -> None:
        for user in await self.people.left(conversation, members):
            try:
                await self._desk.directory.changed(self.people, KIND, user)
            except VoidLink as error:
                _log.info("a link has become void: %s", error)

    async def _tell(self, activity: Activity, sentence: str) -> None:
        """Say it where somebody clicked or wrote: in the thread, where there is one."""
        written = arrived.message(activity)
        if written.thread:
            await self.connector.reply(written.conversation, written.thread, notice(sentence))
        else:
            await self.connector.post(written.conversation, notice(sentence))

    def _enrol(self) -> None:
        """Teams' part of what commands do."""
        office = self._commands.office
        office.samplers[KIND] = TeamsSampler(self.connector, self._channels)
        office.lookups[KIND] = self._channels.why_not
        office.acquaintances[KIND] = self.people.knows
        office.checkups.append(self._check_up)

    async def _check_up(self) -> list[Finding]:
        """For ``/holdpoint doctor``."""
        return await check_up(self._checked)
