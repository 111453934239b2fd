"""From a hold to its cards in Teams: a real store, the real notifier and drawer, the fake of Teams; no way in."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from bot.drawer import Drawer
from bot.notify import Notifier
from bot.teams.channel import TeamsChannel
from bot.teams.people import People
from holdpoint.clock import Clock, now_ms
from holdpoint.live import Live
from holdpoint.model import Hold, Requester, State
from holdpoint.store import Store
from holdpoint.tasks import Tasks
from tests.bot.teams.outward import Outward, outward
from tests.fakes.teams import FakeTeams, Seen, TeamsUser, channel_id
from tests.support.builders import make_decision, make_draft, make_evaluation
from tests.support.waiting import wait_until

SECURITY, SECOND, LEADS = (channel_id(name) for name in ("security", "second", "leads"))
POLICY = f"""
version: 1
defaults: {{verdict: allow, uninspectable: review, timeout: 10m, on_timeout: reject}}
connections:
  demo: {{upstream: "http://127.0.0.1:9000", protocol: openai, environment: production}}
groups:
  contractors: {{members: [dana@example.com]}}
  security: {{members: [sam@example.com, kim@example.com, nobody@example.com]}}
  platform-leads: {{members: [lee@example.com]}}
rules:
  - id: secrets
    when: {{prompt: {{matches: ['password']}}}}
    verdict: review
    risk: high
    reviewers: [{{group: security, approvals: 1}}]
    timeout: 10m
routes:
  - {{group: contractors, channels: ["teams:{SECURITY}", "teams:{SECOND}"]}}
  - {{group: platform-leads, channels: ["teams:{LEADS}"]}}
"""


@dataclass
class Chain:
    teams: FakeTeams
    store: Store
    live: Live
    clock: Clock
    stack: AsyncExitStack
    bots: list[Bot] = field(default_factory=list)
    _holds: int = 0

    async def start_bot(self) -> Bot:
        """One more bot process on the same store."""
        out = await self.stack.enter_async_context(outward(self.teams, self.store, clock=self.clock))
        people = People(out.connector, out.places, self.live, home=self.teams.tenant, clock=self.clock)
        channel = TeamsChannel(out.connector, people, out.channels, self.live, link_base="https://holdpoint.test")
        bot = Bot(out, people, channel, Drawer(self.store, self.live, channel, clock=self.clock))
        holder = f"bot-{secrets.token_hex(6)}"
        bot.notifier = Notifier(self.store, self.live, bot.drawer, holder=holder, clock=self.clock)
        bot.tasks.start("notifier", bot.notifier.run())
        self.stack.push_async_callback(bot.stop)
        self.bots.append(bot)
        return bot

    async def hold(
        self, prompt: str | None = None, *, requester: Requester | None = None, **evaluation: object
    ) -> Hold:
        """A new pending hold. Without a prompt it is like no other one, so that it has a card of its own."""
        self._holds += 1
        draft = make_draft(
            prompt=prompt or f"what is the admin password {self._holds}", evaluation=make_evaluation(**evaluation)
        )
        draft = draft if requester is None else replace(draft, requester=requester)
        return await self.store.holds.hold(draft, gateway="g1", idempotency_key=None)

    async def approve(self, hold: Hold, by: str = "sam@example.com") -> Hold:
        return await self.store.holds.decide(hold, make_decision(hold, by=by), state=State.APPROVED, body=None)

    async def cards(self, hold: Hold, place: str = "security") -> list[Seen]:
        """The messages that show the hold in a place."""
        return [card for card in await self.teams.cards(place) if hold.id in card.seen]

    async def card(self, hold: Hold, place: str = "security", *, shows: str = "", seconds: float = 20) -> Seen:
        """The one card of the hold there, once it is, and says ``shows``."""

        async def shown() -> Seen | None:
            found = await self.cards(hold, place)
            assert len(found) <= 1, "posted twice"
            return found[0] if found and shows in found[0].seen else None

        what = f"the card in {place} shows {shows!r}"
        return await wait_until(shown, what, seconds=seconds, every=0.02)  # type: ignore[return-value]

    async def dm(self, hold: Hold, person: TeamsUser | None = None, *, shows: str = "") -> Seen:
        """The requester's message."""
        return await self.card(hold, (person or self.teams.user("dana")).chat, shows=shows)

    async def until(self, condition: Callable[[], Any], what: str, *, seconds: float = 10) -> None:
        await wait_until(condition, what, seconds=seconds, every=0.02)

    async def settled(self) -> None:
        """Every event is acknowledged: all copies show their holds."""

        async def none_left() -> bool:
            return await self.store.outbox.lag("events", group="cards:teams") == 0

        await wait_until(none_left, "all cards are drawn", every=0.02)


@dataclass
class Bot:
    out: Outward
    people: People
    channel: TeamsChannel
    drawer: Drawer
    tasks: Tasks = field(default_factory=Tasks)
    notifier: Notifier | None = None

    async def stop(self) -> None:
        await self.tasks.aclose()


@asynccontextmanager
async def chain(teams: FakeTeams, url: str, *, clock: Clock = now_ms, start: bool = True) -> AsyncIterator[Chain]:
    """``url`` is Redis'. ``start``: with one bot."""
    async with AsyncExitStack() as stack:
        store = await Store.open(url, clock=clock)
        stack.push_async_callback(store.aclose)
        await store.config.push_policy(POLICY, expect=0, by="test")
        live = Live(store, clock=clock)
        await live.start()
        stack.push_async_callback(live.stop)
        built = Chain(teams, store, live, clock, stack)
        if start:
            await built.start_bot()
        yield built
