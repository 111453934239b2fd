"""What somebody else announces (signing keys): fetched, kept for a time, renewed in the background, looked for again.

::

    now ─▶ it, while it is young enough; a renewal begins when it is not young any more
    get ─▶ it, fetched first where there is none
    again ─▶ fetched anew, because something is missing in it; so often at most

However many ask, one fetch is under way; a fetch that failed is not repeated at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from holdpoint.clock import Clock
from holdpoint.errors import ProviderUnavailable
from holdpoint.tasks import Tasks

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """For how long something is kept, when it is renewed, how often one looks again, and tries again after a failure."""

    keep_ms: int
    renew_after_ms: int
    again_every_ms: int
    failed_every_ms: int
    timeout_s: float


class Kept(Generic[T]):
    """Keeps what ``fetch`` brings. ``name`` says what it is, for the log and for errors."""

    def __init__(
        self, fetch: Callable[[], Awaitable[T]], *, name: str, terms: Terms, clock: Clock, tasks: Tasks
    ) -> None:
        """Fetches nothing yet. ``fetch`` raises ProviderUnavailable."""
        self._fetch = fetch
        self._name = name
        self._terms = terms
        self._clock = clock
        self._tasks = tasks
        self._fetching: asyncio.Task[None] | None = None
        self._value: T | None = None
        self._fetched_ms: int | None = None
        self._failed_ms: int | None = None
        self._again_ms: int | None = None

    def now(self) -> T | None:
        """What is known, unless it is too old to act on. Never waits."""
        age_ms = _since(self._fetched_ms, self._clock())
        if age_ms is None or age_ms >= self._terms.keep_ms:
            return None
        if age_ms >= self._terms.renew_after_ms and not self._failed_just_now():
            self.renew()
        return self._value

    async def get(self) -> T:
        """The same, fetched now where there is none, or only one that is too old.

        Raises:
            ProviderUnavailable: it cannot be had.
        """
        known = self.now()
        return known if known is not None else await self.renewed()

    async def again(self) -> T | None:
        """Anew, because something is missing in what is known; None when somebody looked a moment ago.

        Raises:
            ProviderUnavailable: it cannot be had now, so whatever is missing may be there all the same.
        """
        if not self.may_look_again:
            return None
        if self._fetching is not None:
            await asyncio.shield(self._fetching)
            # Somebody looked for the same; or it was a renewal, answered before what is missing was there, perhaps.
            if not self.may_look_again:
                return self._had()
        self._again_ms = self._clock()
        try:
            return await self.renewed()
        except ProviderUnavailable:
            self._again_ms = None  # nothing was learnt; how often this is tried is limited by `_failed_just_now`
            raise

    @property
    def may_look_again(self) -> bool:
        """Whoever finds a fetch under way waits for it, rather than being told no before it is over."""
        if self._fetching is not None:
            return True
        since = _since(self._again_ms, self._clock())
        return since is None or since >= self._terms.again_every_ms

    async def renewed(self) -> T:
        """Fetched now, or by who is fetching already; the failure of a moment ago is not repeated.

        Raises:
            ProviderUnavailable: it cannot be had.
        """
        if self._fetching is not None or not self._failed_just_now():
            # Shielded: one caller that gives up does not end the fetch of all the others.
            await asyncio.shield(self.renew())
        return self._had()

    def _had(self) -> T:
        """What the last fetch brought, if it did."""
        if self._failed_ms is not None or self._value is None:
            raise ProviderUnavailable(
                f"{self._name}: cannot be had", retry_after_seconds=self._terms.failed_every_ms / 1000
            )
        return self._value

    def renew(self) -> asyncio.Task[None]:
        """Begin to fetch, unless somebody does."""
        if self._fetching is None:
            self._fetching = self._tasks.start(self._name, self._fetched())
        return self._fetching

    async def _fetched(self) -> None:
        try:
            async with asyncio.timeout(self._terms.timeout_s):
                self._value = await self._fetch()
            self._fetched_ms, self._failed_ms = self._clock(), None
        except (ProviderUnavailable, TimeoutError) as error:
            self._failed_ms = self._clock()
            _log.warning("%s: %s", self._name, str(error) or "took too long")
        finally:
            self._fetching = None

    def _failed_just_now(self) -> bool:
        since = _since(self._failed_ms, self._clock())
        return since is not None and since < self._terms.failed_every_ms


def _since(then_ms: int | None, now_ms: int) -> int | None:
    """How long ago; None for never, and for a time that is still to come: the clock was set back."""
    return None if then_ms is None or then_ms > now_ms else now_ms - then_ms
