"""A whole Teams side: real store, live policy, real bots with their door over HTTP, the strict fake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from bot.commands import Commands
from bot.decide import Decider
from bot.directory import Directory
from bot.notify import consumer_group
from bot.teams import KIND
from bot.teams.app import TeamsApp
from bot.web.teams_door import PATH, teams_routes
from holdpoint.clock import Clock, now_ms
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import Hold, Requester, State
from holdpoint.settings import Settings
from holdpoint.store import Store
from tests.fakes.teams import FakeTeams, Seen, TeamsUser, channel_id
from tests.support.builders import make_draft, make_evaluation
from tests.support.waiting import wait_until

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
masks:
  - {{name: ticket, matches: ['tkt-[0-9]+']}}
rules:
  - id: secrets
    description: Credentials or customer data in a prompt
    when: {{prompt: {{matches: ['password']}}}}
    verdict: review
    risk: high
    reviewers: [{{group: security, approvals: 1}}]
    timeout: 10m
    grants: {{uses: 20, for: 8h, to: [requester, group]}}
  - id: never
    description: Not even with approval
    when: {{prompt: {{matches: ['launch codes']}}}}
    verdict: block
routes:
  - {{group: contractors, channels: ["teams:{channel_id("security")}", "teams:{channel_id("second")}"]}}
  - {{group: platform-leads, channels: ["teams:{channel_id("leads")}"]}}
"""


@dataclass
class World:
    """Everything that a scenario needs. People are dana (who asks), sam, kim, lee (admin) and ola (nobody)."""

    teams: FakeTeams
    store: Store
    live: Live
    clock: Clock = now_ms
    settings: dict[str, Any] = field(default_factory=dict)  # on top of the usual ones
    apps: list[TeamsApp] = field(default_factory=list)
    metrics: list[Metrics] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    commands: list[Commands] = field(default_factory=list)
    _runners: list[web.AppRunner] = field(default_factory=list)
    _holds: int = 0

    @property
    def app(self) -> TeamsApp:
        return self.apps[-1]

    def user(self, key: str) -> TeamsUser:
        return self.teams.user(key)

    async def start_app(self) -> TeamsApp:
        """One more bot process on the same store; Teams calls this one from now on."""
        given = {"public_url": "https://holdpoint.test", **self.teams.settings, **self.settings}
        settings = Settings(_env_file=None, **given)
        metrics = Metrics()
        decider = Decider(self.store, self.live, clock=self.clock, metrics=metrics, link_base=settings.link_base)
        commands = Commands(
            self.store, self.live, clock=self.clock, link_base=settings.link_base, decider=decider, metrics=metrics
        )
        app = TeamsApp(
            settings, self.store, self.live, directory=Directory(self.live, clock=self.clock, links=self.store.links), decider=decider,
            commands=commands, clock=self.clock, metrics=metrics,
        )  # fmt: skip
        await app.start()
        self.apps.append(app)
        self.metrics.append(metrics)
        self.commands.append(commands)
        self.urls.append(await self._serve(app))
        await self.teams.connect(self.urls[-1])
        return app

    async def _serve(self, app: TeamsApp) -> str:
        served = web.Application()
        served.router.add_routes(teams_routes(app))
        runner = web.AppRunner(served, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"

    async def close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        for app in self.apps:
            await app.stop()

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

    async def card(self, hold: Hold, place: str = "security") -> Seen:
        """The one card of ``hold`` in a channel or chat, once it is there."""

        async def posted() -> Seen | None:
            return await self.find(hold, place)

        return await wait_until(posted, f"the card is posted in {place}", every=0.02)

    async def find(self, hold: Hold, place: str = "security") -> Seen | None:
        found = [each for each in await self.teams.cards(place) if hold.id in str(each.card)]
        assert len(found) <= 1, "posted twice"
        return found[0] if found else None

    async def dm(self, hold: Hold, key: str = "dana") -> Seen:
        """The one message about ``hold`` in the person's chat with the bot."""
        return await self.card(hold, self.user(key).chat)

    async def shows(self, message: Seen, words: str, *, to: str = "") -> Seen:
        """Until everybody (or the person ``to``) reads ``words`` on the card; the card as it is then."""

        async def shown() -> Seen | None:
            now = await (self.user(to).look(message) if to else self.teams.message(message))
            return now if words in now.seen else None

        return await wait_until(shown, f"the card shows {words!r}", every=0.02)

    async def told(self, key: str, words: str) -> None:
        """Until the person was told ``words`` in passing."""

        async def heard() -> bool:
            return any(words in text for text in await self.user(key).told())

        await wait_until(heard, f"{key} reads {words!r}", every=0.02)

    async def becomes(self, hold: Hold, state: State) -> Hold:
        """Until the hold is in ``state``."""

        async def reached() -> Hold | None:
            now = await self.store.holds.get(hold.id)
            return now if now.state is state else None

        return await wait_until(reached, f"the hold is {state.value}")

    async def settled(self) -> None:
        """Until every event is acknowledged: all copies show their holds."""

        async def none_left() -> bool:
            return await self.store.outbox.lag("events", group=consumer_group(KIND)) == 0

        await wait_until(none_left, "all cards are drawn", every=0.02)

    def errors(self) -> Sequence[int]:
        """The bugs that each bot has counted."""
        return [each.errors["teams"] for each in self.metrics]
