"""Wiring: settings → client, people, channel, notifier, Bolt; callbacks over signed HTTP or Socket Mode.

::

    HTTP ─▶ handle ─ signature ─▶ Bolt ─▶ actions | views | commands
    Socket Mode ─ two connections ─▶ Bolt      (Slack gives each callback to one of them)

Bolt acknowledges after the listener has returned (``process_before_response``), so that a decision is in Redis first.
The SDK's log lines quote what they were sent; here they are reduced to where they come from (promise 8).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.commands import Commands
from bot.decide import Decider
from bot.directory import Directory
from bot.drawer import Drawer
from bot.notify import Notifier
from bot.slack import COMMAND, actions, commands, views
from bot.slack.channel import SlackChannel
from bot.slack.client import SlackClient
from bot.slack.desk import Desk, NotTold
from bot.slack.directory import People
from bot.slack.signature import is_from_slack
from bot.withdraw import Withdrawals
from holdpoint.clock import Clock
from holdpoint.errors import ConfigurationError
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.settings import Settings
from holdpoint.store import Store
from holdpoint.tasks import OnDeath, Tasks

CONNECTIONS = 2
PING_EVERY_S = 5.0  # also how soon a connection that is gone is noticed, and how often it is tried again
MOST_BODY_BYTES = 1024 * 1024
_log = logging.getLogger(__name__)

Listener = Callable[..., Awaitable[None]]


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
        on_death: OnDeath | None = None,
    ) -> None:
        """Connects to nothing yet. ``on_death`` is told when a part that must run for ever has ended.

        Raises:
            ConfigurationError: no bot token, or no way in for callbacks.
        """
        if settings.slack_bot_token is None:
            raise ConfigurationError("SLACK_BOT_TOKEN: not set")
        if settings.slack_app_token is None and settings.slack_signing_secret is None:
            raise ConfigurationError("SLACK_SIGNING_SECRET: needed for callbacks unless SLACK_APP_TOKEN is set")
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._commands = commands
        self._sdk_log = _quiet_logger()
        self._parts = Tasks(on_death=on_death)
        self._tasks = Tasks()  # what a click leaves to be done
        self.client = SlackClient(
            token=settings.slack_bot_token, api_url=settings.slack_api_url, clock=clock, logger=self._sdk_log
        )
        people = People(self.client, live, clock=clock)
        channel = SlackChannel(self.client, people, live, link_base=settings.link_base)
        self.drawer = Drawer(store, live, channel, clock=clock)
        self.notifier = Notifier(store, self.drawer, holder=f"bot-{secrets.token_hex(6)}")
        self._desk = Desk(
            client=self.client, people=people, directory=directory, decider=decider,
            withdrawals=Withdrawals(store, clock=clock), drawer=self.drawer, store=store, live=live, clock=clock,
            link_base=settings.link_base, tasks=self._tasks,
        )  # fmt: skip
        self._bolt: AsyncApp | None = None
        self._sockets: list[AsyncSocketModeHandler] = []

    async def start(self) -> None:
        """Begin to draw cards and to take callbacks. Returns at once; Slack may be away."""
        await self.client.start()
        self._bolt = self._build()
        if self._settings.slack_app_token is not None:
            token = self._settings.slack_app_token.get_secret_value()
            for number in range(CONNECTIONS):
                socket = AsyncSocketModeHandler(
                    self._bolt, token, logger=self._sdk_log, web_client=self.client.web, ping_interval=PING_EVERY_S
                )
                self._sockets.append(socket)
                self._parts.start(f"slack socket {number}", socket.connect_async())  # type: ignore[no-untyped-call]  # the SDK's
        self._parts.start("slack notifier", self.notifier.run())

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

    def _build(self) -> AsyncApp:
        bolt = AsyncApp(
            logger=self._sdk_log, name="holdpoint", client=self.client.web, authorize=self._authorizer(),
            process_before_response=True, request_verification_enabled=False, ssl_check_enabled=False,
        )  # fmt: skip
        for name, action in actions.TABLE.items():
            bolt.action(name)(self._listener(action))
        for name, view in views.TABLE.items():
            bolt.view(name)(self._listener(view))
        bolt.command(COMMAND)(self._command())
        bolt.error(self._failed)
        return bolt

    def _authorizer(self) -> Callable[[], Awaitable[AuthorizeResult]]:
        """For Bolt: there is one workspace, and what is known of it does not need asking at every click."""

        async def authorize() -> AuthorizeResult:
            installation = await self.client.installation()
            return AuthorizeResult(
                enterprise_id=installation.enterprise_id,
                team_id=installation.team_id,
                bot_token=self.client.web.token,
                bot_id=installation.bot_id,
                bot_user_id=installation.bot_user_id,
            )

        return authorize

    def _listener(self, function: Callable[[Desk, Any, Mapping[str, Any]], Awaitable[None]]) -> Listener:
        async def listen(ack: Callable[..., Awaitable[Any]], body: dict[str, Any]) -> None:
            await function(self._desk, ack, body)

        return listen

    def _command(self) -> Listener:
        async def listen(ack: Callable[..., Awaitable[Any]], body: dict[str, Any]) -> None:
            await commands.run(self._desk, self._commands, ack, body)

        return listen

    async def _failed(self, error: Exception) -> None:
        """A listener raised: Slack gets a 500 (over a socket: silence), so the person sees an error."""
        if isinstance(error, NotTold):
            _log.warning("a click was not recorded, and Slack shows an error")
            return
        mark = secrets.token_hex(4)
        self._metrics.errors["slack"] += 1
        _log.error("a Slack callback failed", extra={"error_id": mark}, exc_info=error)


class _OnlyWhere(logging.Filter):
    """Keeps from a log record of the SDK only its level and place."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.funcName == "__init__":
            return False  # advice about how Bolt could be given its token
        kind = type(record.exc_info[1]).__name__ if record.exc_info and record.exc_info[1] else ""
        record.msg, record.args = f"Slack's SDK, {record.funcName} line {record.lineno} {kind}".rstrip(), ()
        record.exc_info = record.exc_text = None
        return True


def _quiet_logger() -> logging.Logger:
    """The logger that Bolt and the SDK are given, and that Bolt copies for its parts."""
    logger = logging.getLogger("bot.slack.sdk")
    logger.setLevel(logging.WARNING)
    if not logger.filters:
        logger.addFilter(_OnlyWhere())
    return logger
