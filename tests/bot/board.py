"""A chat platform on a board: what it was told to post and update, and every way in which it can fail."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
from collections import defaultdict
from collections.abc import Sequence

from bot.platform import Found, MessageGone, Posted, Rendering, Reply
from holdpoint.errors import ChannelError
from holdpoint.model import Hold, State
from holdpoint.store.bundles import Bundle, Covered


class Board:
    """A `bot.platform.Channel`. ``messages``: id → text and intent. ``fail``: target → errors of its next calls."""

    kind = "teams"
    most_listed = 4

    def __init__(self) -> None:
        self.messages: dict[str, tuple[str, str, str]] = {}  # id → target, text, intent
        self.fail: defaultdict[str, list[ChannelError]] = defaultdict(list)
        self.fail_after: defaultdict[str, list[ChannelError]] = defaultdict(list)
        self.posts: list[str] = []
        self.updates: list[str] = []
        self.urgent: list[bool] = []
        self.replies: list[tuple[str, Reply]] = []
        self.lists = True
        self.unlisted: dict[str, Exception] = {}
        self.values: dict[str, str] = {}  # what the buttons carry
        self.finds = 0
        self.gate: asyncio.Event | None = None  # before the effect
        self.gates: dict[str, asyncio.Event] = {}  # the same for one target
        self.gate_after: asyncio.Event | None = None  # after it
        self.busy = 0
        self.most_busy = 0
        self.jitter: random.Random | None = None
        self._ids = itertools.count(1)

    def render(self, hold: Hold, target: str) -> Rendering:
        text = f"{hold.state.value} {len(hold.decisions)}"
        return Rendering({"text": text}, text)

    def render_bundle(self, bundle: Bundle, holds: Sequence[Hold]) -> Rendering:
        rows = {hold.id: f"{hold.state.value} {len(hold.decisions)}" for hold in holds}
        offers = tuple(Covered(hold.id, hold.digest) for hold in holds if hold.state is State.PENDING)
        text = f"{bundle.kind.value} " + ", ".join(f"{hold} {row}" for hold, row in rows.items())
        mark = hashlib.sha256(repr(offers).encode()).hexdigest()
        value = f"{bundle.id} {mark}"
        return Rendering({"text": text, "value": value}, text, value, offers, rows)

    async def post(self, target: str, rendering: Rendering, *, intent: str) -> Posted:
        await self._work(target)
        message = f"m{next(self._ids)}"
        self.messages[message] = (target, rendering.payload["text"], intent)
        self.values[message] = rendering.value
        self.posts.append(target)
        if self.fail_after[target]:
            raise self.fail_after[target].pop(0)
        return Posted(target, message)

    async def find(self, target: str, *, intent: str, since_ms: int) -> Posted | None:
        self.finds += 1
        return next((Posted(target, m) for m, (t, _, i) in self.messages.items() if (t, i) == (target, intent)), None)

    async def update(self, place: Posted, rendering: Rendering, *, urgent: bool) -> None:
        if place.message not in self.messages:
            raise MessageGone("deleted")
        target, _, intent = self.messages[place.message]
        await self._work(target)
        await self._dawdle()
        self.messages[place.message] = (target, rendering.payload["text"], intent)
        self.values[place.message] = rendering.value
        self.updates.append(target)
        self.urgent.append(urgent)
        await self._dawdle()
        if self.gate_after is not None:
            await self.gate_after.wait()

    async def reply(self, place: Posted, reply: Reply) -> None:
        await self._work(f"thread of {self.messages[place.message][0]}")
        self.replies.append((self.messages[place.message][0], reply))

    async def list(self, target: str, *, since_ms: int) -> Sequence[Found] | None:
        if target in self.unlisted:
            raise self.unlisted[target]
        if not self.lists:
            return None
        return [Found(Posted(target, m), intent) for m, (t, _, intent) in self.messages.items() if t == target]

    async def remove(self, place: Posted) -> None:
        del self.messages[place.message]

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
            if target in self.gates:
                await self.gates[target].wait()
        finally:
            self.busy -= 1
        if self.fail[target]:
            raise self.fail[target].pop(0)

    def texts(self, target: str) -> list[str]:
        return [text for t, text, _ in self.messages.values() if t == target]
