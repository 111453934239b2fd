"""What Bolt calls for what: buttons, modals, the command, App Home; and what a listener that fails comes to.

Bolt acknowledges after the listener has returned (``process_before_response``), so that a decision is in Redis first.
The SDK's log lines quote what they were sent; here they are reduced to where they come from (promise 8).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from bot.commands import Commands
from bot.directory import VoidLink
from bot.slack import COMMAND, CONFIRM, KIND, actions, commands, views
from bot.slack.client import SlackClient
from bot.slack.desk import Ack, Act, Body, Desk, NotTold, sentence
from bot.slack.home import Homes
from bot.slack.intake import Intake
from bot.slack.later import write_to
from holdpoint.errors import ChannelError, StoreUnavailable
from holdpoint.metrics import Metrics

_log = logging.getLogger(__name__)

Listener = Callable[..., Awaitable[None]]


def build_bolt(
    desk: Desk, typed: Commands, homes: Homes, *, intake: Intake, metrics: Metrics, logger: logging.Logger
) -> AsyncApp:
    """Bolt with everything that it listens to."""
    bolt = AsyncApp(
        logger=logger, name="holdpoint", client=desk.client.web, authorize=_authorizer(desk.client),
        process_before_response=True, request_verification_enabled=False, ssl_check_enabled=False,
    )  # fmt: skip

    intake.register(bolt)

    async def command(desk: Desk, ack: Ack, body: Any) -> None:
        await commands.run(desk, typed, ack, body)

    async def confirm(desk: Desk, ack: Ack, body: Any) -> None:
        await commands.confirm(desk, typed, ack, body)

    for name, action in actions.TABLE.items():
        bolt.action(name)(_listener(desk, action))
    for name, view in views.TABLE.items():
        bolt.view(name)(_listener(desk, view))
    bolt.command(COMMAND)(_listener(desk, command))
    bolt.action(CONFIRM)(_listener(desk, confirm))
    bolt.event("app_home_opened")(_listener(desk, homes.opened))
    bolt.event("user_change")(_listener(desk, changed))
    bolt.event("subteam_updated")(_listener(desk, group_changed))
    bolt.event("subteam_members_changed")(_listener(desk, group_changed))
    bolt.error(_failed(metrics, intake))
    return bolt


async def changed(desk: Desk, ack: Ack, body: Body) -> None:
    """Slack says that something about somebody has changed: their address, their status, or what they have for lunch."""
    await ack()
    user = (body.get("event") or {}).get("user") or {}
    user_id = str(user.get("id") or "") if isinstance(user, dict) else str(user)
    if not user_id:
        return
    desk.people.forget(user_id)
    try:
        await desk.directory.changed(desk.people, KIND, user_id)
    except VoidLink as error:
        await _tell(desk, user_id, sentence(error))
    except (ChannelError, StoreUnavailable) as error:
        _log.warning("a linked account was not looked at: %s", error)


async def group_changed(desk: Desk, ack: Ack, body: Body) -> None:
    """Slack says that a user group has other members now."""
    await ack()
    event = body.get("event") or {}
    subteam = event.get("subteam")
    named = event.get("subteam_id") or (subteam.get("id") if isinstance(subteam, dict) else "")
    desk.people.forget_group(str(named or ""))


async def _tell(desk: Desk, user_id: str, text: str) -> None:
    try:
        await write_to(desk.client, user_id, text)
    except ChannelError as error:
        _log.warning("nobody was told that their link is void: %s", error)


def quiet_logger() -> logging.Logger:
    """The logger that Bolt and the SDK are given, and that Bolt copies for its parts."""
    logger = logging.getLogger("bot.slack.sdk")
    logger.setLevel(logging.WARNING)
    if not logger.filters:
        logger.addFilter(_OnlyWhere())
    return logger


def _listener(desk: Desk, act: Act) -> Listener:
    async def listen(ack: Ack, body: dict[str, Any]) -> None:
        await act(desk, ack, body)

    return listen


def _authorizer(client: SlackClient) -> Callable[[], Awaitable[AuthorizeResult]]:
    """For Bolt: listeners find the token of a workspace by its ids, and what is known of home is not asked at every click."""

    async def authorize() -> AuthorizeResult:
        if not client.has_home:
            return AuthorizeResult(enterprise_id=None, team_id=None)
        installation = await client.installation()
        return AuthorizeResult(
            enterprise_id=installation.enterprise_id,
            team_id=installation.team_id,
            bot_token=client.web.token,
            bot_id=installation.bot_id,
            bot_user_id=installation.bot_user_id,
        )

    return authorize


def _failed(metrics: Metrics, intake: Intake) -> Callable[[Exception, dict[str, Any]], Awaitable[None]]:
    async def failed(error: Exception, body: dict[str, Any]) -> None:
        """A listener raised: Slack gets a 500 (over a socket: silence), so the person sees an error."""
        await intake.failed(body)
        if isinstance(error, NotTold):
            _log.warning("a click was not recorded, and Slack shows an error")
            return
        mark = secrets.token_hex(4)
        metrics.errors["slack"] += 1
        _log.error("a Slack callback failed", extra={"error_id": mark}, exc_info=error)

    return failed


class _OnlyWhere(logging.Filter):
    """Keeps from a log record of the SDK only its level and place."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.funcName == "__init__":
            return False  # advice about how Bolt could be given its token
        kind = type(record.exc_info[1]).__name__ if record.exc_info and record.exc_info[1] else ""
        record.msg, record.args = f"Slack's SDK, {record.funcName} line {record.lineno} {kind}".rstrip(), ()
        record.exc_info = record.exc_text = None
        return True
