"""`holdpoint doctor email`: the settings of e-mail, then what the mail server says (bot/email/checkup.py). No mail is sent."""

from __future__ import annotations

from bot.email.checkup import check_up
from bot.email.sender import Sender
from bot.email.server import mail_server
from holdpoint.cli.common import opened_store
from holdpoint.clock import now_ms
from holdpoint.errors import ConfigurationError, StoreUnavailable
from holdpoint.findings import Finding, Grade
from holdpoint.live import Live
from holdpoint.settings import Settings


async def examine_email(settings: Settings) -> list[Finding]:
    """Everything about e-mail, as seen from this machine."""
    if not settings.email_is_on:
        return [Finding("email", Grade.OK, "not set up")]
    try:
        server = mail_server(settings)
    except ConfigurationError as error:
        return [Finding("email", Grade.FAIL, str(error), "see docs/email.md")]
    try:
        async with opened_store(settings) as store:
            live = Live(store, clock=now_ms)
            await live.look()
            return await check_up(server, Sender(server), live, link_base=settings.link_base)
    except (ConfigurationError, StoreUnavailable) as error:
        return [Finding("email", Grade.FAIL, str(error), "the routes are in Redis: holdpoint doctor")]
