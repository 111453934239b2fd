"""One bot with everything switched on, the fakes of both platforms, and people who have an account everywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import pytest

from bot.app import Bot, running_bot
from holdpoint import apikey
from holdpoint.clock import now_ms
from holdpoint.model import Hold, KeyRecord, Requester, Role
from holdpoint.settings import Settings
from holdpoint.store import Store
from tests.fakes.slack import FakeSlack
from tests.fakes.slack.server import SIGNING_SECRET
from tests.fakes.teams import FakeTeams, channel_id
from tests.fakes.teams.fixtures import teams, teams_process
from tests.scenarios.slack import SlackSurface
from tests.scenarios.surface import Surface, principal
from tests.scenarios.teams import TeamsSurface
from tests.scenarios.web import WebSurface
from tests.support.builders import DANA, make_draft, make_evaluation
from tests.support.waiting import wait_until

__all__ = ["surface", "teams", "teams_process", "world"]

POLICY = f"""
version: 1
defaults: {{verdict: allow, uninspectable: review, timeout: 10m, on_timeout: reject}}
connections:
  demo: {{upstream: "http://127.0.0.1:9000", protocol: openai, environment: production}}
groups:
  contractors: {{members: [dana@example.com]}}
  security: {{members: [sam@example.com, kim@example.com]}}
  platform-leads: {{members: [lee@example.com]}}
roles: {{admins: [platform-leads]}}
rules:
  - id: secrets
    description: Credentials or customer data in a prompt
    when: {{prompt: {{matches: ['password']}}}}
    verdict: review
    risk: high
    reviewers: [{{group: security, approvals: 1}}]
    timeout: 10m
  - id: never
    description: Not even with approval
    when: {{prompt: {{matches: ['launch codes']}}}}
    verdict: block
routes:
  - {{group: contractors, channels: ["slack:C0SECURITY", "teams:{channel_id("security")}", web]}}
"""

SURFACES = ("slack-http", "slack-socket", "teams", "web")


@dataclass
class World:
    """``surfaces`` by name."""

    store: Store
    settings: Settings
    slack: FakeSlack
    teams: FakeTeams
    web: WebSurface
    surfaces: dict[str, Surface]
    bot: Bot = field(init=False)
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)
    _holds: int = 0

    async def start(self) -> None:
        """Run the bot, and tell both platforms where it is."""
        self.bot = await self._running.enter_async_context(running_bot(self.settings))
        self.slack.request_url = f"{self.bot.url}/slack/events"
        await self.teams.connect(f"{self.bot.url}/api/messages")
        self.web.url = self.bot.url
        if self.settings.slack_app_token is not None:
            await wait_until(lambda: len(self.slack.sockets) >= 2, "Slack is connected")

    async def stop(self) -> None:
        await self._running.aclose()

    async def restart(self) -> None:
        """Another process in the place of the bot."""
        await self.stop()
        await wait_until(lambda: not self.slack.sockets, "Slack is disconnected")
        await self.start()

    async def hold(self, prompt: str | None = None, *, requester: Requester = DANA, **evaluation: object) -> Hold:
        """A new pending hold; without a prompt it is like no other one, so that it has cards of its own."""
        self._holds += 1
        draft = make_draft(
            prompt=prompt or f"what is the admin password of server {self._holds}",
            evaluation=make_evaluation(**evaluation),
        )
        return await self.store.holds.hold(replace(draft, requester=requester), gateway="g1", idempotency_key=None)

    def policy_in_force(self, version: int) -> Callable[[], Awaitable[bool]]:
        """Whether the bot works by this version, as its metrics say."""

        async def look() -> bool:
            async with aiohttp.request("GET", f"{self.bot.url}/metrics") as answer:
                return f"holdpoint_policy_version {version}.0" in await answer.text()

        return look

    async def stored(self, hold: Hold) -> Hold:
        return await self.store.holds.get(hold.id)


async def keys_for(store: Store) -> dict[str, str]:
    """A reviewer's key for everybody: that may do what the groups of its owner allow, and no more."""
    found: dict[str, str] = {}
    for person in ("dana", "sam", "kim", "lee", "ola"):
        new = apikey.create()
        await store.config.put_key(
            KeyRecord(
                id=new.id, digest=new.digest, principal=principal(person), groups=frozenset(),
                roles=frozenset({Role.REVIEWER}), created_ms=now_ms(), expires_ms=None, owner=None,
                name=person.capitalize(),
            )
        )  # fmt: skip
        found[person] = new.text
    return found


@pytest.fixture(params=SURFACES)
def acting(request: pytest.FixtureRequest) -> str:
    """The surface on which somebody acts. The other ones only look."""
    return str(request.param)


@pytest.fixture
async def world(redis_url: str, tmp_path: Path, acting: str, teams: FakeTeams) -> AsyncIterator[World]:
    mode = "socket" if acting == "slack-socket" else "http"
    async with AsyncExitStack() as stack:
        store = await Store.open(redis_url, clock=now_ms)
        stack.push_async_callback(store.aclose)
        await store.config.push_policy(POLICY, expect=0, by="test")
        keys = await keys_for(store)
        slack = FakeSlack(now_ms)
        await slack.start()
        stack.push_async_callback(slack.stop)
        slack_surface = SlackSurface(slack, mode=mode)
        settings = Settings(
            _env_file=None, redis_url=redis_url, data=tmp_path, bot_port=0, SLACK_BOT_TOKEN="xoxb-fake-bot",
            SLACK_SIGNING_SECRET=SIGNING_SECRET, SLACK_APP_TOKEN="xapp-fake-app" if mode == "socket" else None,
            SLACK_API_URL=slack.url, **teams.settings,
        )  # fmt: skip
        web = WebSurface(keys)
        stack.push_async_callback(web.close)
        surfaces = {surface.name: surface for surface in (slack_surface, TeamsSurface(teams), web)}
        world = World(store, settings, slack, teams, web, surfaces)
        stack.push_async_callback(world.stop)
        await world.start()
        await teams.install_everywhere(tell=True)
        yield world


@pytest.fixture
def surface(world: World, acting: str) -> Surface:
    """Where it happens."""
    return world.surfaces[acting]
