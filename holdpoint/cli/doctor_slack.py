"""`holdpoint doctor slack`: the settings of Slack, then what Slack itself says (bot/slack/checkup.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from bot.slack.checkup import check_up
from bot.slack.client import SlackClient
from bot.slack.listeners import quiet_logger
from bot.slack.workspaces import Workspaces
from holdpoint.cli.common import opened_store
from holdpoint.clock import now_ms
from holdpoint.errors import ConfigurationError, StoreUnavailable
from holdpoint.findings import Finding, Grade
from holdpoint.live import Live
from holdpoint.settings import Settings
from holdpoint.store import Store
from holdpoint.store.safe import Safe


async def examine_slack(settings: Settings) -> list[Finding]:
    """Everything about Slack, as seen from this machine."""
    if not settings.slack_is_on:
        return [Finding("slack", Grade.OK, "not set up; cards appear in the web inbox")]
    wrong = _settings(settings)
    if wrong:
        return wrong
    try:
        async with opened_store(settings) as store:
            live = Live(store, clock=now_ms)
            await live.look()
            async with _clients(settings, store) as (client, app_client):
                return [*_way_in(settings), *await check_up(client, live, app_client=app_client)]
    except (ConfigurationError, StoreUnavailable) as error:
        return [Finding("slack", Grade.FAIL, str(error), "the routes are in Redis: holdpoint doctor")]


def _settings(settings: Settings) -> list[Finding]:
    """What is missing so that nothing else can be looked at."""
    findings: list[Finding] = []
    if settings.slack_app_token is None and settings.slack_signing_secret is None:
        advice = "set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP)"
        findings.append(Finding("slack", Grade.FAIL, "no way for clicks to come back", advice))
    if settings.slack_client_id:
        if settings.slack_client_secret is None:
            findings.append(
                Finding("slack", Grade.FAIL, "SLACK_CLIENT_ID without SLACK_CLIENT_SECRET", "set both, or neither")
            )
        if not settings.public_url:
            advice = "set it to the address at which browsers reach the bot"
            findings.append(Finding("slack", Grade.FAIL, "no HOLDPOINT_PUBLIC_URL for installations", advice))
        try:
            Safe(settings.secret_key)
        except ConfigurationError as error:
            findings.append(Finding("slack", Grade.FAIL, str(error), "openssl rand -base64 32"))
    return findings


def _way_in(settings: Settings) -> list[Finding]:
    findings: list[Finding] = []
    if settings.slack_app_token is None:
        said = f"callbacks are expected at {settings.link_base}/slack/events, signed"
        findings.append(Finding("slack callbacks", Grade.OK, said))
    if settings.slack_client_id and not settings.trusted_teams:
        advice = "set SLACK_TRUSTED_TEAMS to the ids of the workspaces whose people may decide"
        findings.append(Finding("slack installations", Grade.WARN, "no other workspace is trusted", advice))
    return findings


@asynccontextmanager
async def _clients(settings: Settings, store: Store) -> AsyncIterator[tuple[Workspaces, SlackClient | None]]:
    async with AsyncExitStack() as stack:
        client = Workspaces(
            token=settings.slack_bot_token, api_url=settings.slack_api_url, clock=now_ms, logger=quiet_logger(),
            installations=store.installations, safe=Safe(settings.secret_key) if settings.slack_client_id else None,
            trusted=settings.trusted_teams,
        )  # fmt: skip
        stack.push_async_callback(client.aclose)
        await client.start()
        if settings.slack_app_token is None:
            yield client, None
            return
        app_client = SlackClient(
            token=settings.slack_app_token, api_url=settings.slack_api_url, clock=now_ms, logger=quiet_logger()
        )
        stack.push_async_callback(app_client.aclose)
        await app_client.start()
        yield client, app_client
