"""A real mail server (aiosmtpd), a store, and e-mail apps on it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import pytest

from bot.commands import Commands
from bot.decide import Decider
from bot.email import KIND
from bot.email.app import EmailApp
from bot.notify import consumer_group
from holdpoint.clock import Clock, now_ms
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import Hold, Requester
from holdpoint.settings import Settings
from holdpoint.store import Store
from tests.fakes.smtp import FakeMailServer, Received
from tests.support.builders import DANA, make_draft, make_evaluation
from tests.support.waiting import wait_until

FROM = "Holdpoint <holdpoint@corp.test>"
TEAM, LEADS = "security@corp.test", "leads@corp.test"
POLICY = f"""
version: 1
defaults: {{verdict: allow, uninspectable: review, timeout: 10m, on_timeout: reject}}
connections:
  demo: {{upstream: "http://127.0.0.1:9000", protocol: openai, environment: production}}
groups:
  contractors: {{members: [dana@example.com]}}
  security: {{members: [sam@example.com]}}
  platform-leads: {{members: [lee@example.com]}}
roles: {{admins: [platform-leads]}}
masks:
  - {{name: ticket, matches: ['tkt-[0-9]+']}}
routes:
  - {{group: contractors, channels: ["email:{TEAM}"]}}
  - {{group: platform-leads, channels: ["email:{LEADS}"]}}
"""
_numbers = itertools.count(1)


@dataclass
class World:
    """A mail server, a store, and the e-mail apps of as many bots as a test starts."""

    server: FakeMailServer
    store: Store
    live: Live
    clock: Clock
    # A chat is on, so that requesters are not written to unless it could not reach them.
    chats: dict[str, str] = field(default_factory=lambda: {"SLACK_BOT_TOKEN": "xoxb-x"})
    apps: list[EmailApp] = field(default_factory=list)

    def settings(self, **changes: str) -> Settings:
        url = f"smtp://127.0.0.1:{self.server.port}"
        wanted = {"smtp_url": url, "email_from": FROM, "public_url": "https://holdpoint.test", **self.chats, **changes}
        return Settings(_env_file=None, **wanted)

    def app(self) -> EmailApp:
        """One that is not started: its drawer draws when it is told to."""
        settings, metrics = self.settings(), Metrics()
        decider = Decider(self.store, self.live, clock=self.clock, metrics=metrics, link_base=settings.link_base)
        commands = Commands(
            self.store, self.live, clock=self.clock, link_base=settings.link_base, decider=decider, metrics=metrics
        )
        return EmailApp(settings, self.store, self.live, commands=commands, clock=self.clock)

    async def start(self) -> EmailApp:
        app = self.app()
        await app.start()
        self.apps.append(app)
        return app

    async def hold(self, prompt: str = "", *, requester: Requester = DANA, **evaluation: object) -> Hold:
        """A hold that is like no other one, unless it has a prompt."""
        draft = make_draft(prompt=prompt or f"password {next(_numbers)}", evaluation=make_evaluation(**evaluation))
        return await self.store.holds.hold(replace(draft, requester=requester), gateway="g1", idempotency_key=None)

    def mails(self, to: str = TEAM) -> list[Received]:
        return [mail for mail in self.server.mails if mail.to == [to]]

    async def mailed(self, count: int, to: str = TEAM) -> list[Received]:
        """All mails to this address, once there are so many."""
        await wait_until(lambda: len(self.mails(to)) >= count, f"{count} mails to {to} are there", seconds=15)
        return self.mails(to)

    async def noted(self) -> None:
        """Return once everything that has happened was dealt with."""

        async def done() -> bool:
            return await self.store.outbox.lag("events", group=consumer_group(KIND)) == 0

        await wait_until(done, "every event is acknowledged", seconds=15)

    async def close(self) -> None:
        for app in self.apps:
            await app.stop()


class _Reader(HTMLParser):
    """What a reader sees: rows of tables on a line each."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self._in_head = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._in_head |= tag == "head"
        if tag in ("tr", "p", "div", "h1", "br"):
            self.seen.append("\n")
        if tag == "td" and self.seen[-1:] != ["\n"]:
            self.seen.append(": ")
        self.links += [
            value or "" for name, value in attrs if name in ("href", "src", "background", "action", "srcset")
        ]

    def handle_endtag(self, tag: str) -> None:
        if tag == "head":
            self._in_head = False

    def handle_data(self, data: str) -> None:
        if not self._in_head and data != "\n":
            self.seen.append(data)


def page_text(html: str) -> str:
    """What stands on the page."""
    reader = _Reader()
    reader.feed(html)
    return "".join(reader.seen)


def tags_and_links(html: str) -> tuple[list[str], list[str]]:
    """Every element that the page has, and everything that it refers to."""
    reader = _Reader()
    reader.feed(html)
    return reader.tags, reader.links


@pytest.fixture
def mail_server() -> Iterator[FakeMailServer]:
    server = FakeMailServer().start()
    yield server
    server.stop()


@pytest.fixture
async def world(redis_url: str, mail_server: FakeMailServer) -> AsyncIterator[World]:
    """With the real clock, nothing started."""
    async for made in make_world(redis_url, mail_server, now_ms):
        yield made


async def make_world(redis_url: str, server: FakeMailServer, clock: Clock) -> AsyncIterator[World]:
    store = await Store.open(redis_url, clock=clock)
    await store.config.push_policy(POLICY, expect=0, by="test")
    live = Live(store, clock=clock)
    await live.look()
    made = World(server, store, live, clock)
    yield made
    await made.close()
    await live.stop()
    await store.aclose()
