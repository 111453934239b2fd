"""A whole Slack side: real store, live policy, real Bolt, the strict fake; over HTTP and over Socket Mode."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import web

from bot.commands import Commands
from bot.decide import Decider
from bot.directory import Directory
from bot.slack.app import SlackApp
from holdpoint.clock import Clock, now_ms
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import Hold, Requester
from holdpoint.settings import Settings
from holdpoint.store import Store
from tests.fakes.slack import Channel, FakeSlack, Message, User
from tests.fakes.slack.server import SIGNING_SECRET
from tests.support.builders import make_draft, make_evaluation
from tests.support.waiting import wait_until

POLICY = """
version: 1
defaults: {verdict: allow, uninspectable: review, timeout: 10m, on_timeout: reject}
connections:
  demo: {upstream: "http://127.0.0.1:9000", protocol: openai, environment: production}
groups:
  contractors: {members: [dana@example.com]}
  security: {members: [sam@example.com, kim@example.com]}
  oncall: {slack_usergroup: S0ONCALL}
  platform-leads: {members: [lee@example.com]}
roles: {admins: [platform-leads]}
masks:
  - {name: ticket, matches: ['tkt-[0-9]+']}
rules:
  - id: secrets
    description: Credentials or customer data in a prompt
    when: {prompt: {matches: ['password']}}
    verdict: review
    risk: high
    reviewers: [{group: security, approvals: 1}]
    timeout: 10m
    grants: {uses: 20, for: 8h, to: [requester, group]}
  - id: never
    description: Not even with approval
    when: {prompt: {matches: ['launch codes']}}
    verdict: block
routes:
  - {group: contractors, channels: ["slack:C0SECURITY", "slack:C0SECOND"]}
  - {group: platform-leads, channels: ["slack:C0LEADS"]}
"""


@dataclass
class World:
    """Everything that a scenario needs."""

    slack: FakeSlack
    store: Store
    live: Live
    mode: str
    clock: Clock = now_ms
    apps: list[SlackApp] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)  # on top of the usual ones
    home_token: str | None = "xoxb-fake-bot"
    _runners: list[web.ServerRunner] = field(default_factory=list)
    _holds: int = 0

    def __post_init__(self) -> None:
        ws = self.slack.workspace
        self.dana, self.sam, self.kim, self.lee, self.ola = (
            ws.add_user(f"{name.capitalize()} Example", f"{name}@example.com")
            for name in ("dana", "sam", "kim", "lee", "ola")
        )
        everybody = (self.dana, self.sam, self.kim, self.lee, self.ola)
        self.security = ws.add_channel("security", *everybody, channel_id="C0SECURITY")
        self.second = ws.add_channel("second", *everybody, channel_id="C0SECOND")
        self.leads = ws.add_channel("leads", *everybody, channel_id="C0LEADS")

    @property
    def app(self) -> SlackApp:
        return self.apps[-1]

    async def start_app(self) -> SlackApp:
        """One more bot process on the same store."""
        settings = Settings(
            _env_file=None, public_url="https://holdpoint.test", SLACK_BOT_TOKEN=self.home_token,
            SLACK_SIGNING_SECRET=SIGNING_SECRET, SLACK_APP_TOKEN="xapp-fake-app" if self.mode == "socket" else None,
            SLACK_API_URL=self.slack.url, **self.settings,
        )  # fmt: skip
        metrics = Metrics()
        decider = Decider(self.store, self.live, clock=self.clock, metrics=metrics, link_base=settings.link_base)
        app = SlackApp(
            settings, self.store, self.live,
            directory=Directory(self.live, clock=self.clock, links=self.store.links),
            decider=decider,
            commands=Commands(
                self.store, self.live, clock=self.clock, link_base=settings.link_base, decider=decider, metrics=metrics
            ),
            clock=self.clock, metrics=metrics,
        )  # fmt: skip
        await app.start()
        self.apps.append(app)
        if self.mode == "socket":
            await wait_until(lambda: len(self.slack.sockets) >= 2 * len(self.apps), "the app is connected")
        else:
            self.slack.request_url = await self._serve(app)
        return app

    async def _serve(self, app: SlackApp) -> str:
        async def events(request: web.BaseRequest) -> web.StreamResponse:
            status, headers, body = await app.handle(request.headers, await request.read())
            return web.Response(status=status, headers=headers, body=body)

        runner = web.ServerRunner(web.Server(events), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"

    async def close(self) -> None:
        for app in self.apps:
            await app.stop()
        for runner in self._runners:
            await runner.cleanup()

    async def hold(
        self, prompt: str | None = None, *, requester: Requester | None = None, **evaluation: object
    ) -> Hold:
        """A new pending hold. Without a prompt it is like no other one, so that it has a card of its own."""
        self._holds += 1
        number = f" {self._holds}" if self._holds > 1 else ""
        draft = make_draft(
            prompt=prompt or f"what is the admin password{number}", evaluation=make_evaluation(**evaluation)
        )
        if requester is not None:
            draft = replace(draft, requester=requester)
        return await self.store.holds.hold(draft, gateway="g1", idempotency_key=None)

    async def card(self, hold: Hold, channel: Channel | None = None) -> Message:
        """The one card of ``hold`` in ``channel``, once it is there."""
        return await wait_until(lambda: self.find(hold, channel), "the card is posted")

    def find(self, hold: Hold, channel: Channel | None = None) -> Message | None:
        found = [m for m in self.slack.workspace.messages((channel or self.security).id) if hold.id in str(m.blocks)]
        assert len(found) <= 1, "posted twice"
        return found[0] if found else None

    async def dm(self, hold: Hold, user: User | None = None) -> Message:
        direct = self.slack.workspace.direct((user or self.dana).id)
        return await self.card(hold, direct)

    async def shows(self, message: Message, words: str) -> None:
        await wait_until(
            lambda: words in message.seen.text, f"the card shows {words!r} instead of {message.seen.text!r}"
        )

    async def told(self, user: User, words: str) -> None:
        await wait_until(lambda: any(words in text for text in self.slack.told(user)), f"{user.name} reads {words!r}")


MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def make_world(redis_url: str) -> AsyncIterator[MakeWorld]:
    """Build a world: ``await make_world("http")``; ``url`` names another Redis than the shared one."""
    opened: list[World] = []

    async def make(
        mode: str = "http", *, url: str = redis_url, start: bool = True, clock: Clock = now_ms
    ) -> World:  # fmt: skip
        store = await Store.open(url, clock=clock)
        await store.config.push_policy(POLICY, expect=0, by="test")
        live = Live(store, clock=clock)
        await live.start()
        slack = FakeSlack(clock)
        await slack.start()
        world = World(slack, store, live, mode, clock)
        opened.append(world)
        if start:
            await world.start_app()
        return world

    yield make
    for world in opened:
        await world.close()
        await world.live.stop()
        await world.slack.stop()
        await world.store.aclose()


@pytest.fixture(params=["http", "socket"])
async def world(request: pytest.FixtureRequest, make_world: MakeWorld) -> World:
    """The same scenario over HTTP and over Socket Mode."""
    return await make_world(request.param)


def quiet() -> logging.Logger:
    """A logger for the SDK that stays below what tests look at."""
    return logging.getLogger("bot.slack.sdk")
