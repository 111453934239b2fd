"""The way out to Teams: credentials, places and connector, against the fake, with no way in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bot.teams.channels import Channels
from bot.teams.connector import Connector
from bot.teams.credentials import Credentials
from bot.teams.places import Places
from holdpoint.clock import Clock
from holdpoint.settings import Settings
from holdpoint.store import Store
from tests.fakes.teams import FakeTeams

PLACES = ("security", "second", "leads", "huddle")


def settings_of(teams: FakeTeams, **changes: Any) -> Settings:
    return Settings(_env_file=None, public_url="https://holdpoint.test", **{**teams.settings, **changes})


@dataclass
class Outward:
    teams: FakeTeams
    store: Store
    credentials: Credentials
    places: Places
    connector: Connector
    channels: Channels

    async def learn(self, place: str, *, by: str = "dana") -> str:
        """The bot hears from a place; the conversation's id."""
        learnt = await self.places.learn(await self.teams.activity("message", by, place))
        assert learnt is not None
        return learnt.id


@asynccontextmanager
async def outward(teams: FakeTeams, store: Store, *, clock: Clock, **changes: Any) -> AsyncIterator[Outward]:
    """The app is installed everywhere, and has heard from the usual places and from dana's chat."""
    credentials = Credentials(settings_of(teams, **changes), clock=clock)
    places = Places(store.conversations, clock=clock, is_trusted=lambda tenant: tenant == teams.tenant)
    connector = Connector(credentials, places, clock=clock)
    await connector.start()
    out = Outward(teams, store, credentials, places, connector, Channels(connector, places, clock=clock))
    await teams.install_everywhere(tell=False)
    for place in (*PLACES, teams.user("dana").chat):
        await out.learn(place)
    try:
        yield out
    finally:
        await connector.aclose()
