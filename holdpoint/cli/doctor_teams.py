"""`holdpoint doctor teams`: the settings of Teams, then what Microsoft says (bot/teams/checkup.py)."""

from __future__ import annotations

from contextlib import AsyncExitStack

from bot.teams.channels import Channels
from bot.teams.checkup import Parts, check_up
from bot.teams.connector import Connector
from bot.teams.credentials import Credentials
from bot.teams.graph import Graph
from bot.teams.openid import SigningKeys
from bot.teams.people import trusts
from bot.teams.places import Places
from holdpoint.cli.common import opened_store
from holdpoint.clock import now_ms
from holdpoint.errors import ConfigurationError, StoreUnavailable
from holdpoint.findings import Finding, Grade
from holdpoint.live import Live
from holdpoint.settings import Settings


async def examine_teams(settings: Settings) -> list[Finding]:
    """Everything about Teams, as seen from this machine."""
    if not settings.teams_is_on:
        return [Finding("teams", Grade.OK, "not set up; cards appear in the web inbox")]
    try:
        async with opened_store(settings) as store, AsyncExitStack() as stack:
            live = Live(store, clock=now_ms)
            await live.look()
            credentials = Credentials(settings, clock=now_ms)
            places = Places(store.conversations, clock=now_ms, is_trusted=trusts(settings.teams_tenant_id, live))
            connector = Connector(credentials, places, clock=now_ms)
            channels = Channels(connector, places, clock=now_ms)
            keys = SigningKeys(settings.teams_openid_url, clock=now_ms)
            graph = Graph(settings.teams_graph_url, credentials, clock=now_ms) if settings.teams_graph_url else None
            parts: list[Connector | SigningKeys | Graph] = [connector, keys, *([graph] if graph is not None else [])]
            for part in parts:
                stack.push_async_callback(part.aclose)
                await part.start()
            return await check_up(Parts(settings, live, credentials, keys, connector, channels, graph))
    except ConfigurationError as error:
        return [Finding("teams", Grade.FAIL, str(error), "see docs/teams.md")]
    except StoreUnavailable as error:
        return [Finding("teams", Grade.FAIL, str(error), "routes and conversations are in Redis: holdpoint doctor")]
