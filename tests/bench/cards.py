"""Cards: drawn and posted per second by a real bot to the strict fake of Slack, and only drawn.

The bot runs on the target's core; the fake and Redis on the others. The holds are there before the bot starts, and the
clock runs from the first post to the last: the start of the bot does not count.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bot.cards import card_view, plain_text
from bot.slack.render import CARD_CHARACTERS, card_blocks, card_text
from holdpoint.clock import now_ms
from holdpoint.model import Hold
from holdpoint.policy import compile_policy, parse_policy
from holdpoint.store import Store
from tests.bench.holdpoint_parts import backend, policy, program
from tests.bench.load import Generator
from tests.bench.machine import Cores, cpu_seconds
from tests.bench.plan import Plan
from tests.bench.report import Section, count
from tests.fakes.slack import FakeSlack
from tests.fakes.slack.server import SIGNING_SECRET
from tests.support.builders import make_draft

_CHANNEL = "C0SECURITY"
_COPIES = 2  # of each hold's card: the channel's, and the requester's own message
_PROMPT = "what is the admin password of the billing system, and who knows it? " * 30
_DRAWN_S = 1.0
_PATIENCE_S = 120.0


async def measure(plan: Plan, cores: Cores, generator: Generator) -> list[Section]:
    """One table of two rows."""
    text = policy("http://127.0.0.1:9", rules=50, channel=f"slack:{_CHANNEL}")
    with tempfile.TemporaryDirectory(prefix="hp-bench-") as name:
        folder = Path(name)
        async with backend(folder, text, fsync="always") as stored:
            store = await Store.open(stored.url, clock=now_ms)
            try:
                holds = [await _hold(store, number) for number in range(plan.cards)]
            finally:
                await store.aclose()
            posts, seconds, cpu = await _post(plan.cards * _COPIES, folder, stored.url, cores)
    drawn, drawing = _draw(holds, text)
    return [
        Section(
            "Cards: holds with a 2 KB prompt",
            ("", "cards", "per second", "CPU of each"),
            [
                [
                    "drawn and posted to Slack (fake), two for each hold",
                    count(posts),
                    count(posts / seconds),
                    f"{cpu / posts * 1e3:.2f} ms",
                ],
                ["only drawn", count(drawn), count(drawn / drawing), f"{drawing / drawn * 1e3:.2f} ms"],
            ],
            notes=[
                "Slack itself takes about one message a second per channel; the ledger's recorder runs in the same process"
            ],
        )
    ]


async def _hold(store: Store, number: int) -> Hold:
    draft = make_draft(prompt=f"{number}: {_PROMPT}", asynchronous=True)
    return await store.holds.hold(draft, gateway="", idempotency_key=None)


async def _post(expected: int, folder: Path, redis_url: str, cores: Cores) -> tuple[int, float, float]:
    """How many were posted after the first, in how many seconds, for how much CPU time of the bot."""
    slack = FakeSlack()
    await slack.start()
    slack.workspace.add_channel(
        "security", *(slack.workspace.add_user(name, f"{name.lower()}@example.com") for name in ("Dana", "Sam")),
        channel_id=_CHANNEL,
    )  # fmt: skip
    settings = {
        "SLACK_BOT_TOKEN": "xoxb-fake-bot",
        "SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "SLACK_API_URL": slack.url,
    }
    try:
        async with program("bot", folder, redis_url, cores=cores.target, settings=settings) as bot:
            async with asyncio.timeout(_PATIENCE_S):
                first = await _until(slack, 1)
                started, used = time.perf_counter(), cpu_seconds(bot.pid)
                last = await _until(slack, expected)
            return last - first, time.perf_counter() - started, cpu_seconds(bot.pid) - used
    finally:
        await slack.stop()


async def _until(slack: FakeSlack, posts: int) -> int:
    while (found := slack.count("chat.postMessage")) < posts:  # noqa: ASYNC110 - the fake tells nobody
        await asyncio.sleep(0.005)
    return found


def _draw(holds: list[Hold], text: str) -> tuple[int, float]:
    """Draw for a while; how many, in how many seconds."""
    masks = compile_policy(parse_policy(text), 1).masks
    drawn = 0
    started = time.perf_counter()
    while (taken := time.perf_counter() - started) < _DRAWN_S or drawn < len(holds):
        hold = holds[drawn % len(holds)]
        view = card_view(
            hold, now_ms=hold.created_ms, link_base="http://127.0.0.1:8081", masks=masks, limit=CARD_CHARACTERS
        )
        card_text(view), card_blocks(view), plain_text(view)
        drawn += 1
    return drawn, taken
