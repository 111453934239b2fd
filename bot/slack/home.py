"""App Home: published when somebody opens it, and again when something on it changes, for an hour after.

::

    app_home_opened ─▶ opened ─┐
    outbox ─ follow ─ whose? ──┼─▶ due homes ─ one at a time ─▶ directory ─▶ Dashboard ─▶ home_view ─▶ views.publish
                               └── 1 s, so that changes that come together make one page

What a home shows is drawn anew from the store, and sent only when it differs from what was sent last. Slack's hash keeps
a page that was drawn earlier, here or by another bot, from covering a newer one. Nothing is stored: a home that a bot
forgot is drawn when it is opened the next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.accounts import UnknownPerson
from bot.dashboard import Dashboards
from bot.slack.client import SlackRefused
from bot.slack.desk import Ack, Body, Desk
from bot.slack.home_view import home_view, stranger_view
from holdpoint.clock import Clock
from holdpoint.errors import ChannelError, ChannelUnavailable, StoreUnavailable
from holdpoint.model import Event, EventKind

STREAM = "events"
MOST_HOMES = 200
FOLLOWED_MS = 3_600_000
SETTLE_MS = 1_000
PACE_S = 0.65  # between two pages: Slack takes about 100 a minute
RETRY_MS = 5_000
LOOK_S = 0.5
BLOCK_MS = 1_000

_log = logging.getLogger(__name__)

# What changes who may decide, or what an admin sees; whatever else is about a hold is looked up by its id.
_FOR_ALL = frozenset(
    {
        EventKind.HOLD_CREATED, EventKind.HOLD_ESCALATED, EventKind.POLICY_PUSHED, EventKind.ABSENCE_BEGAN,
        EventKind.ABSENCE_ENDED,
    }
)  # fmt: skip
_ABOUT_NOTHING_SHOWN = frozenset({EventKind.CARD_SHOWN, EventKind.CARD_READ, EventKind.CARD_REVEALED})


@dataclass
class Home:
    """One person's page. ``due_ms``: when it is to be drawn, None for not at all; ``shown``: what was sent last.

    ``touched_ms``: when it was heard that something on it has changed.
    """

    body: Body  # who it is, as a callback says it
    opened_ms: int
    due_ms: int | None
    touched_ms: int
    hash: str | None = None
    shown: Mapping[str, Any] | None = None
    ids: frozenset[str] = field(default_factory=frozenset)  # the holds on it, as it was drawn last
    is_admin: bool = False
    drawing: bool = False

    @property
    def is_unknown(self) -> bool:
        """Whether holds that ``ids`` does not name may be on the page that comes next."""
        return self.drawing or self.due_ms is not None


class Homes:
    """The open homes of one bot process. `follow` and `publish` are its tasks, `opened` hears ``app_home_opened``."""

    def __init__(self, dashboards: Dashboards, *, clock: Clock) -> None:
        self._dashboards = dashboards
        self._clock = clock
        self._homes: dict[str, Home] = {}  # by Slack's user id, the one that was opened last at the end
        self._woken = asyncio.Event()

    def __len__(self) -> int:
        """How many are followed."""
        return len(self._homes)

    async def opened(self, _desk: Desk, ack: Ack, body: Body) -> None:
        """Somebody opened the app; only its Home tab is a page."""
        await ack()
        event = body.get("event") or {}
        user, view = str(event.get("user") or ""), event.get("view") or {}
        if event.get("tab") != "home" or not user:
            return
        known = self._homes.pop(user, None)
        now_ms = self._clock()
        self._homes[user] = Home(
            body={**{key: body.get(key) for key in ("team_id", "enterprise_id")}, "user": {"id": user}},
            opened_ms=now_ms, due_ms=now_ms, touched_ms=now_ms, hash=view.get("hash") or (known.hash if known else None),
        )  # fmt: skip
        while len(self._homes) > MOST_HOMES:
            del self._homes[next(iter(self._homes))]
        self._woken.set()

    async def follow(self, desk: Desk) -> None:
        """Watch the outbox, and see which homes are touched; what was missed may have touched any. For ever."""
        position: str | None = None
        while True:
            try:
                if position is None:
                    position = await desk.store.outbox.latest(STREAM)
                    self._touch(None)
                events = await desk.store.outbox.follow(STREAM, after=position, block_ms=BLOCK_MS)
                if events:
                    position = events[-1].source.partition("/")[2]
                    for event in events:
                        self._touch(event)
                elif (latest := await desk.store.outbox.latest(STREAM)) != position:
                    position = None  # trimmed before it was read here
                    _log.debug("missed events up to %s", latest)
            except StoreUnavailable as error:
                _log.warning("cannot follow changes: %s", error)
                position = None
                await asyncio.sleep(LOOK_S)

    def _touch(self, event: Event | None) -> None:
        """Make the homes due on which ``event`` (None: anything) may show."""
        if event is not None and event.kind in _ABOUT_NOTHING_SHOWN:
            return
        now_ms = self._clock()
        due_ms = now_ms + SETTLE_MS
        for home in self._homes.values():
            is_on_it = event is None or event.kind in _FOR_ALL or event.subject in home.ids
            if is_on_it or home.is_admin or home.is_unknown:
                home.touched_ms = now_ms
                home.due_ms = due_ms if home.due_ms is None else min(home.due_ms, due_ms)
        self._woken.set()

    async def publish(self, desk: Desk) -> None:
        """Draw what is due, one home after the other, at Slack's pace. For ever."""
        while True:
            user = self._next()
            if user is None:
                self._woken.clear()
                await self._wait()
                continue
            home = self._homes[user]
            home.due_ms = None
            try:
                if await self._show(desk, user, home):
                    await asyncio.sleep(PACE_S)
            except (ChannelUnavailable, StoreUnavailable) as error:
                _log.info("a home waits: %s", error)
                seconds = getattr(error, "retry_after_seconds", None)
                home.due_ms = self._clock() + (int(seconds * 1000) if seconds else RETRY_MS)
            except ChannelError as error:
                _log.warning("no home: %s", error)
                self._forget(user, home)

    def _next(self) -> str | None:
        """Whose home is due, the one that waits longest; homes of which nobody has been seen for an hour are forgotten."""
        now_ms = self._clock()
        for user in [user for user, home in self._homes.items() if now_ms - home.opened_ms > FOLLOWED_MS]:
            del self._homes[user]
        due = [(home.due_ms, user) for user, home in self._homes.items() if home.due_ms is not None]
        at_ms, user = min(due, default=(now_ms + 1, ""))
        return user if at_ms <= now_ms else None

    async def _wait(self) -> None:
        """Until something is due, or becomes so."""
        now_ms = self._clock()
        due_ms = min((home.due_ms for home in self._homes.values() if home.due_ms is not None), default=None)
        seconds = LOOK_S * 20 if due_ms is None else max(due_ms - now_ms, 10) / 1000
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    def _forget(self, user: str, home: Home) -> None:
        if self._homes.get(user) is home:
            del self._homes[user]

    async def _show(self, desk: Desk, user: str, home: Home) -> bool:
        """Draw the home and send it if it differs; True when something was sent."""
        view = await self._draw(desk, home)
        if view == home.shown:
            return False
        try:
            said = await desk.client.call("views.publish", user_id=user, view=view, hash=home.hash)
        except SlackRefused as error:
            if error.word != "hash_conflict":
                raise
            # Another page is there, whose age nobody knows: this one is drawn again, and is then the newest.
            home.hash, home.due_ms = None, self._clock()
            return True
        home.shown, home.hash = view, str((said.get("view") or {}).get("hash") or "") or None
        return True

    async def _draw(self, desk: Desk, home: Home) -> dict[str, Any]:
        home.drawing = True
        try:
            page = await self._dashboards.of(await desk.known(home.body), since_ms=home.touched_ms)
        except UnknownPerson as error:
            home.ids, home.is_admin = frozenset(), False
            return stranger_view(str(error))
        finally:
            home.drawing = False
        home.ids, home.is_admin = page.ids, page.overview is not None
        return home_view(page)
