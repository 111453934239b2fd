"""Live updates: tells open pages to look again, within moments of a change, as Server-Sent Events.

One task per process follows the outbox and wakes the pages. An event carries no content and no hold id: what a page
may show is decided when it asks for itself again. A page that was away (a restart, a sleeping laptop) asks again when
its connection is back, so nothing depends on an event being delivered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

from holdpoint.errors import StoreUnavailable
from holdpoint.model import EventKind
from holdpoint.store import Store

_STREAM = "events"
_BLOCK_MS = 1_000
_PAUSE_S = 0.5
_SETTLE_S = 0.1  # changes that come together wake a page once

_log = logging.getLogger("bot.web.feed")


class Feed:
    """Wakes pages. `run` is the task; `stop` ends every page's stream."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pages: set[_Page] = set()
        self._stopped = False

    def __len__(self) -> int:
        """How many pages are open."""
        return len(self._pages)

    async def run(self) -> None:
        """Follow the outbox for ever. A lost Redis is waited for; afterwards every page looks again."""
        position: str | None = None
        while True:
            try:
                position = await self.step(position)
            except StoreUnavailable as error:
                _log.warning("cannot follow changes: %s", error)
                position = None
                await asyncio.sleep(_PAUSE_S)

    async def step(self, position: str | None) -> str:
        """Wait for changes behind ``position`` (None: from now on) and wake the pages. Returns the new position."""
        if position is None:
            position = await self._store.outbox.latest(_STREAM)
            self._wake_all()
        events = await self._store.outbox.follow(_STREAM, after=position, block_ms=_BLOCK_MS)
        if events:
            # That a page was shown changes no page.
            self._wake({event.subject for event in events if event.kind is not EventKind.CARD_SHOWN})
            return events[-1].source.partition("/")[2]
        latest = await self._store.outbox.latest(_STREAM)
        if latest != position:  # trimmed before it was read here
            self._wake_all()
        return latest

    def stop(self) -> None:
        """End the streams of all pages."""
        self._stopped = True
        self._wake_all()

    async def changes(self, hold_id: str | None, *, beat_s: float) -> AsyncIterator[bool]:
        """For one page: True when something that it may show has changed, False every ``beat_s`` seconds without.

        ``hold_id`` limits it to one hold. Ends when the process stops.
        """
        with self._open(hold_id) as page:
            while not self._stopped:
                try:
                    async with asyncio.timeout(beat_s):
                        await page.woken.wait()
                except TimeoutError:
                    yield False
                    continue
                if not self._stopped:
                    await asyncio.sleep(_SETTLE_S)
                    page.woken.clear()
                    yield True

    @contextmanager
    def _open(self, hold_id: str | None) -> Iterator[_Page]:
        page = _Page(hold_id)
        self._pages.add(page)
        try:
            yield page
        finally:
            self._pages.discard(page)

    def _wake(self, subjects: Iterable[str]) -> None:
        changed = frozenset(subjects)
        for page in self._pages:
            if changed if page.hold_id is None else page.hold_id in changed:
                page.woken.set()

    def _wake_all(self) -> None:
        for page in self._pages:
            page.woken.set()


class _Page:
    """One open page."""

    def __init__(self, hold_id: str | None) -> None:
        self.hold_id = hold_id
        self.woken = asyncio.Event()
