"""How an activity gets to the bot: signed, with Teams' patience, and with the retries of its client.

An invoke is answered within five seconds or it failed; the client tries twice more with the same activity, and an answer
that comes late is ignored though the bot works on. Other activities are waited for longer, and not repeated.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.fakes.teams.keys import KeyRing
from tests.fakes.teams.things import CannotBeDone, Json
from tests.support.waiting import within

INVOKE_S = 5.0
OTHER_S = 15.0
ATTEMPTS = 3
RIGHT = "a right token"


@dataclass
class Answer:
    """What the bot answered at last; ``status`` 0: nothing in time, or no connection."""

    status: int
    body: Any
    seconds: float
    attempts: int
    statuses: list[int]

    def as_json(self) -> Json:
        return dict(vars(self))


@dataclass
class Post:
    """Delivers to ``bot_url``. Late requests go on in ``late`` until they end."""

    ring: KeyRing
    bot_url: str = ""
    invoke_s: float = INVOKE_S
    copies: int = 1  # every activity so often at once
    late: set[asyncio.Task[tuple[int, Any]]] = field(default_factory=set)
    sent: list[Json] = field(default_factory=list)
    session: aiohttp.ClientSession | None = None

    async def deliver(self, activity: Json, *, authorization: str | None = RIGHT, attempts: int = 0) -> list[Answer]:
        """Deliver it, as often as copies says. ``authorization``: the header, None for none."""
        if not self.bot_url:
            raise CannotBeDone("no bot: connect(url) first")
        header = self.ring.bearer(activity["serviceUrl"]) if authorization is RIGHT else authorization
        self.sent.append(activity)
        copies = (self._deliver(activity, header, attempts) for _ in range(self.copies))
        return list(await asyncio.gather(*copies))

    async def _deliver(self, activity: Json, header: str | None, attempts: int) -> Answer:
        invoke = activity.get("type") == "invoke"
        statuses, body = [], None
        async with within(2 * ATTEMPTS * OTHER_S) as patience:
            for _ in range(attempts or (ATTEMPTS if invoke else 1)):
                status, body = await self._once(activity, header, self.invoke_s if invoke else OTHER_S)
                statuses.append(status)
                if 0 < status < 500 and status not in {408, 429}:
                    break
        return Answer(statuses[-1], body, patience.felt_s, len(statuses), statuses)

    async def _once(self, activity: Json, header: str | None, patience_s: float) -> tuple[int, Any]:
        request = asyncio.create_task(self.raw(json.dumps(activity).encode(), header))
        self.late.add(request)
        request.add_done_callback(self.late.discard)
        try:
            async with within(patience_s):
                await asyncio.wait({request})
        except TimeoutError:
            return 0, None
        return request.result()

    async def raw(self, body: bytes, header: str | None, content_type: str = "application/json") -> tuple[int, Any]:
        """One POST of any bytes."""
        if self.session is None:
            self.session = aiohttp.ClientSession()
        headers = {"Content-Type": content_type} | ({"Authorization": header} if header is not None else {})
        try:
            async with self.session.post(self.bot_url, data=body, headers=headers) as answer:
                return answer.status, _body(await answer.read())
        except (aiohttp.ClientError, OSError):
            return 0, None

    async def stop(self) -> None:
        for request in list(self.late):
            request.cancel()
        await asyncio.gather(*self.late, return_exceptions=True)
        if self.session is not None:
            await self.session.close()
            self.session = None


def _body(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode(errors="replace")
