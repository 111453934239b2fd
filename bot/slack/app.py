"""Wiring: settings → client, people, channel, notifier, Bolt; callbacks over signed HTTP or Socket Mode.

::

    HTTP ─▶ handle ─ signature ─▶ Bolt ─ listeners ─▶ actions | views | commands | home
    Socket Mode ─ two connections ─▶ Bolt      (Slack gives each callback to one of them)
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.commands import Commands
from bot.dashboard import Dashboards
from bot.decide import Decider
from bot.directory import Directory
from bot.drawer import Drawer
from bot.history import History
from bot.notify import Notifier
from bot.slack import KIND
from bot.slack.channel import SlackChannel
from bot.slack.checkup import check_up
from bot.slack.desk import HOME_CHARACTERS, Desk
from bot.slack.directory import People
from bot.slack.home import Homes
from bot.slack.install import Installer
from bot.slack.intake import Intake
from bot.slack.listeners import build_bolt, quiet_logger
from bot.slack.personal import SlackPersonal
from bot.slack.sample import SlackSampler
from bot.slack.signature import is_from_slack
from bot.slack.workspaces import Workspaces
from holdpoint.clock import Clock
from holdpoint.errors import ConfigurationError
from holdpoint.findings import Finding
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import Reviewer
from holdpoint.settings import Settings
from holdpoint.store import Store
from holdpoint.store.safe import Safe
from holdpoint.tasks import OnDeath, Tasks

CONNECTIONS = 2
PING_EVERY_S = 3.0  # how often each link is tried; one that stays silent is replaced within five seconds
MOST_BODY_BYTES = 1024 * 1024
_log = logging.getLogger(__name__)


class SlackApp:
    """Slack for one bot process. `start`, `handle` while it runs, `stop`."""

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
            ConfigurationError: no bot token, no way in for callbacks, or a setting for other workspaces is missing.
        """
        _refuse_incomplete(settings)
        self._settings = settings
        self._clock = clock
        self._live = live
        self._metrics = metrics
        self._commands = commands
        self._sdk_log = quiet_logger()
        self._parts = Tasks(on_death=on_death)
        self._tasks = Tasks()  # what a click leaves to be done
        self.client, self.installer = _workspaces(settings, store, clock=clock, logger=self._sdk_log)
        self._intake = Intake(self.client, store.seen)
        people = People(self.client, live, clock=clock)
        self._enrol(people)
        channel = SlackChannel(self.client, people, live, link_base=settings.link_base)
        self.drawer = Drawer(
            store, live, channel, clock=clock, prepare=history.note if history else None,
            personal=SlackPersonal(people, directory),
        )  # fmt: skip
        self.notifier = Notifier(store, live, self.drawer, holder=f"bot-{secrets.token_hex(6)}", clock=clock)
        self._desk = Desk(
            name=KIND, client=self.client, people=people, directory=directory, decider=decider, drawer=self.drawer,
            store=store, live=live, clock=clock, link_base=settings.link_base, tasks=self._tasks,
        )  # fmt: skip
        self.homes = _homes(settings, store, live, history, clock=clock)
        self._bolt: AsyncApp | None = None
        self._sockets: list[AsyncSocketModeHandler] = []

    async def start(self) -> None:
        """Begin to draw cards and to take callbacks. Returns at once; Slack may be away."""
        await self.client.start()
        self._bolt = build_bolt(
            self._desk, self._commands, self.homes, intake=self._intake, metrics=self._metrics, logger=self._sdk_log
        )  # fmt: skip
        if self._settings.slack_app_token is not None:
            token = self._settings.slack_app_token.get_secret_value()
            for number in range(CONNECTIONS):
                socket = AsyncSocketModeHandler(
                    self._bolt, token, logger=self._sdk_log, web_client=self.client.web, ping_interval=PING_EVERY_S
                )
                self._sockets.append(socket)
                self._parts.start(f"slack socket {number}", socket.connect_async())  # type: ignore[no-untyped-call]  # the SDK's
        self._parts.start("slack notifier", self.notifier.run())
        self._parts.start("slack homes follower", self.homes.follow(self._desk))
        self._parts.start("slack homes", self.homes.publish(self._desk))

    async def stop(self) -> None:
        """Stop taking callbacks, finish none, give back the lease."""
        for socket in self._sockets:
            await socket.close_async()  # type: ignore[no-untyped-call]  # the SDK's
        self._sockets.clear()
        await self._tasks.aclose()
        await self._parts.aclose()
        await self.client.aclose()

    async def is_ready(self) -> bool:
        """Whether callbacks can arrive."""
        if self._settings.slack_app_token is None:
            return self._bolt is not None
        return any([await socket.client.is_connected() for socket in self._sockets])

    async def verify(self, account: str, principal: str) -> Reviewer:  # noqa: ARG002 - Slack needs no more than the account
        """Who ``account`` is, as Slack says now: for an approval that is being confirmed elsewhere.

        Raises:
            UnknownPerson, ChannelError, StoreUnavailable.
        """
        return await self._desk.directory.by_platform(self._desk.people, KIND, account, fresh=True)

    def _enrol(self, people: People) -> None:
        """Slack's part of what commands do."""
        office = self._commands.office
        office.samplers[KIND] = SlackSampler(self.client)
        office.acquaintances[KIND] = people.knows
        office.checkups.append(self._check_up)

    async def _check_up(self) -> list[Finding]:
        """For ``/holdpoint doctor``."""
        return await check_up(self.client, self._live)

    async def handle(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """One POST to ``/slack/events``: status, headers and body of the answer.

        401 for what Slack did not sign, 413 for what is too long for it, 503 while starting.
        """
        if self._bolt is None:
            return 503, {}, b""
        if len(body) > MOST_BODY_BYTES:
            return 413, {}, b""
        secret = self._settings.slack_signing_secret
        lower = {name.lower(): value for name, value in headers.items()}
        if secret is None or not is_from_slack(
            lower, body, secret=secret.get_secret_value(), now_ms=self._clock()
        ):  # fmt: skip
            _log.warning("refused a callback that Slack did not sign")
            return 401, {}, b""
        try:
            request = AsyncBoltRequest(body=body.decode(), headers=dict(lower))
            answer = await self._bolt.async_dispatch(request)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            # Bolt takes the shape of a payload for granted; what our listeners raise goes to `_failed`.
            _log.warning("refused a callback that cannot be read")
            return 400, {}, b""
        return answer.status, answer.first_headers_without_set_cookie(), answer.body.encode()


def _refuse_incomplete(settings: Settings) -> None:
    if not settings.slack_is_on:
        raise ConfigurationError("SLACK_BOT_TOKEN: not set, nor SLACK_CLIENT_ID to be installed by")
    if settings.slack_app_token is None and settings.slack_signing_secret is None:
        raise ConfigurationError("SLACK_SIGNING_SECRET: needed for callbacks unless SLACK_APP_TOKEN is set")


def _workspaces(
    settings: Settings, store: Store, *, clock: Clock, logger: logging.Logger
) -> tuple[Workspaces, Installer | None]:
    """The way out to Slack, and what takes the app into other workspaces, where settings allow for that."""
    safe = Safe(settings.secret_key) if settings.slack_client_id else None
    client = Workspaces(
        token=settings.slack_bot_token, api_url=settings.slack_api_url, clock=clock, logger=logger,
        installations=store.installations, safe=safe, trusted=settings.trusted_teams,
    )  # fmt: skip
    if safe is None:
        return client, None
    return client, Installer(settings, store.installations, client, safe, clock=clock, logger=logger)


def _homes(settings: Settings, store: Store, live: Live, history: History | None, *, clock: Clock) -> Homes:
    dashboards = Dashboards(
        store, live, clock=clock, link_base=settings.link_base, characters=HOME_CHARACTERS,
        median_of=history.decision_median_ms if history else _no_median,
    )  # fmt: skip
    return Homes(dashboards, clock=clock)


async def _no_median(_days: int) -> int | None:
    return None
