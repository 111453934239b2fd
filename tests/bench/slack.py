"""Slack: a flood at its rate limits, and how long a click takes to reach every copy while 1,000 holds wait.

A real bot as a user starts it, on the target's core, against the strict fake; callbacks are signed HTTP. The flood meets
the published limits (one post a second for a channel, 50 updates a minute), and comes at once. Clicks are measured
without them, because Slack itself would take one every few seconds: what is measured is ours.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bot import slack as names
from holdpoint.clock import now_ms
from holdpoint.model import Hold, Risk, State
from holdpoint.store import Store
from tests.bench.holdpoint_parts import backend, policy, program
from tests.bench.load import Generator
from tests.bench.machine import Cores
from tests.bench.plan import Plan
from tests.bench.report import Section, count, milliseconds
from tests.fakes.slack import Channel, FakeSlack, Message, User
from tests.fakes.slack.server import SIGNING_SECRET
from tests.support.builders import make_decision, make_draft, make_evaluation

_CHANNEL = "C0SECURITY"
_PATIENCE_S = 240.0
_HOLD = re.compile(r"\bh[0-9a-v]{24}\b")


@dataclass
class _Slack:
    """The fake, its channel, who reviews there, and the store behind the bot."""

    fake: FakeSlack
    channel: Channel
    sam: User
    store: Store


async def measure(plan: Plan, cores: Cores, generator: Generator) -> list[Section]:
    """Two tables."""
    return [await _flood(plan, cores), await _clicks(plan, cores)]


async def _flood(plan: Plan, cores: Cores) -> Section:
    async with _running(cores, limited=True) as slack:
        started = time.perf_counter()
        holds = [await _hold(slack.store, number, person=False) for number in range(plan.cards)]
        async with asyncio.timeout(_PATIENCE_S):
            await _until(lambda: len(_shown(slack.channel)) == len(holds))
            visible = time.perf_counter() - started
            posts, updates = slack.fake.count("chat.postMessage"), slack.fake.count("chat.update")
            cards = len({message.ts for messages in _shown(slack.channel).values() for message in messages})
            decided_at = time.perf_counter()
            for hold in holds:
                await slack.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
            await _until(lambda: not any(_waits(message) for message in slack.channel.messages.values()))
        true_after = time.perf_counter() - decided_at
        later = slack.fake.count("chat.update") - updates
        limited = sum(call.answer == "ratelimited" for call in slack.fake.calls)
    return Section(
        f"Slack at its rate limits: {plan.cards:,} different requests at once in one channel",
        ("", "in all", "seconds", "posts", "updates", "holds per second"),
        [
            [
                f"every hold is on a card ({cards} cards)",
                f"{plan.cards:,}",
                f"{visible:.1f}",
                f"{posts:,}",
                f"{updates:,}",
                count(plan.cards / visible),
            ],
            [
                "all decided at once: every card says so",
                f"{plan.cards:,}",
                f"{true_after:.1f}",
                "",
                f"{later:,}",
                count(plan.cards / true_after),
            ],
        ],
        notes=[f"the fake answered 429 {limited} times; one card each would take {plan.cards:,} seconds"],
    )


async def _clicks(plan: Plan, cores: Cores) -> Section:
    pending = plan.holds[0]
    async with _running(cores, limited=False) as slack:
        holds = [await _hold(slack.store, number, person=True) for number in range(pending)]
        direct = slack.fake.workspace.direct(slack.fake.workspace.users["U0DANA"].id)
        async with asyncio.timeout(_PATIENCE_S):
            await _until(lambda: len(_shown(slack.channel)) == len(_shown(direct)) == pending)
            await asyncio.sleep(1.0)  # whatever was begun is over
            cards, told = _shown(slack.channel), _shown(direct)
            acked, copied = [], []
            for hold in holds[: min(plan.decisions, pending)]:
                ((card,), (message,)) = cards[hold.id], told[hold.id]
                started = time.perf_counter()
                delivery = await slack.fake.click(slack.sam, card, names.APPROVE)
                acked.append(time.perf_counter() - started)
                assert delivery.acked, "a click failed"
                await _until(lambda c=card, m=message: c.edits > 0 and m.edits > 0, every=0.0005)  # type: ignore[misc]
                copied.append(time.perf_counter() - started)
    return Section(
        f"Slack: clicks on Approve while {pending:,} holds wait",
        ("", "clicks", "p50", "p99"),
        [
            ["clicked → acknowledged (the decision is in Redis)", f"{len(acked):,}", _at(acked, 50), _at(acked, 99)],
            ["clicked → card and requester's message updated", f"{len(copied):,}", _at(copied, 50), _at(copied, 99)],
        ],
        notes=["one click after the other, over signed HTTP, without Slack's rate limits; the fake shares our machine"],
    )


@asynccontextmanager
async def _running(cores: Cores, *, limited: bool) -> AsyncIterator[_Slack]:
    fake = FakeSlack()
    await fake.start()
    if limited:
        fake.enforce_rates()
    dana = fake.workspace.add_user("Dana", "dana@example.com", user_id="U0DANA")
    sam = fake.workspace.add_user("Sam", "sam@example.com")
    channel = fake.workspace.add_channel("security", dana, sam, channel_id=_CHANNEL)
    settings = {
        "SLACK_BOT_TOKEN": "xoxb-fake-bot",
        "SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "SLACK_API_URL": fake.url,
    }
    text = policy("http://127.0.0.1:9", rules=50, channel=f"slack:{_CHANNEL}")
    try:
        with tempfile.TemporaryDirectory(prefix="hp-bench-") as name:
            folder = Path(name)
            async with (
                backend(folder, text, fsync="always") as stored,
                program("bot", folder, stored.url, cores=cores.target, settings=settings) as bot,
            ):
                fake.request_url = f"{bot.url}/slack/events"
                store = await Store.open(stored.url, clock=now_ms)
                try:
                    yield _Slack(fake, channel, sam, store)
                finally:
                    await store.aclose()
    finally:
        await fake.stop()


async def _hold(store: Store, number: int, *, person: bool) -> Hold:
    """A hold of medium risk. Of a person's there is a message to the requester, too."""
    draft = make_draft(
        prompt=f"{number}: what is the admin password", asynchronous=True, evaluation=make_evaluation(risk=Risk.MEDIUM)
    )
    if not person:
        draft = replace(draft, requester=replace(draft.requester, principal="load-test"))
    return await store.holds.hold(draft, gateway="", idempotency_key=None)


def _shown(channel: Channel) -> dict[str, list[Message]]:
    found: dict[str, list[Message]] = {}
    for message in channel.messages.values():
        for hold_id in set(_HOLD.findall(json.dumps(message.blocks))):
            found.setdefault(hold_id, []).append(message)
    return found


def _waits(message: Message) -> bool:
    return message.button(names.APPROVE) is not None or message.button(names.BULK_APPROVE) is not None


async def _until(condition: Callable[[], bool], *, every: float = 0.2) -> None:
    while not condition():  # noqa: ASYNC110 - the fake tells nobody
        await asyncio.sleep(every)


def _at(seconds: list[float], percent: int) -> str:
    ordered = sorted(seconds)
    return milliseconds(ordered[min(len(ordered) * percent // 100, len(ordered) - 1)])
