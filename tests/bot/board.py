"""A chat platform on a board: what it was told to post and update, and every way in which it can fail."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import defaultdict

from bot.drawer import Posted, Rendering
from holdpoint.errors import ChannelError
from holdpoint.model import Hold


class Board:
    """A `bot.drawer.Channel`. ``messages``: id → text and intent. ``fail``: target → errors of its next calls."""

    kind = "teams"

    def __init__(self) -> None:
        self.messages: dict[str, tuple[str, str, str]] = {}  # id → target, text, intent
        self.fail: defaultdict[str, list[ChannelError]] = defaultdict(list)
        self.fail_after: defaultdict[str, list[ChannelError]] = defaultdict(list)
        self.posts: list[str] = []
        self.updates: list[str] = []
        self.finds = 0
        self.gate: asyncio.Event | None = None  # before the effect
        self.gate_after: asyncio.Event | None = None  # after it
        self.busy = 0
        self.most_busy = 0
        self.jitter: random.Random | None = None
        self._ids = itertools.count(1)

    def render(self, hold: Hold, target: str) -> Rendering:
        text = f"{hold.state.value} {len(hold.decisions)}"
        return Rendering({"text": text}, text)

    async def post(self, target: str, rendering: Rendering, *, intent: str) -> Posted:
        await self._work(target)
        message = f"m{next(self._ids)}"
        self.messages[message] = (target, rendering.payload["text"], intent)
        self.posts.append(target)
        if self.fail_after[target]:
            raise self.fail_after[target].pop(0)
        return Posted(target, message)

    async def find(self, target: str, *, intent: str, since_ms: int) -> Posted | None:
        self.finds += 1
        return next((Posted(target, m) for m, (t, _, i) in self.messages.items() if (t, i) == (target, intent)), None)

    async def update(self, place: Posted, rendering: Rendering) -> None:
        target, _, intent = self.messages[place.message]
        await self._work(target)
        await self._dawdle()
        self.messages[place.message] = (target, rendering.payload["text"], intent)
        self.updates.append(target)
        await self._dawdle()
        if self.gate_after is not None:
            await self.gate_after.wait()

    async def _dawdle(self) -> None:
        """Let others go first, for a few turns of the loop."""
        for _ in range(self.jitter.randrange(60) if self.jitter else 0):
            await asyncio.sleep(0)

    async def _work(self, target: str) -> None:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.busy -= 1
        if self.fail[target]:
            raise self.fail[target].pop(0)

    def texts(self, target: str) -> list[str]:
        return [text for t, text, _ in self.messages.values() if t == target]
