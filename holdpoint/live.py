"""What a process knows of policy, keys, routes, grants and pauses, never more than a second old.

::

    look ─▶ revision moved? ─▶ read ─┬─ keys, routes, grants, pauses ──────────────▶ another snapshot, at once
                                     └─ a new policy ─▶ compiled (compiling.py) ─▶ another snapshot, when it is ready

A background task looks four times a second. Whoever acts on what is known calls `ensure_fresh` first: it costs nothing
while the last look is recent, and refuses (`StoreUnavailable`) when the truth cannot be had.

Most policies compile within that second. While a large one does, requests go on by the one before, for no longer than
`LONGEST_BEHIND_MS`.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

from holdpoint.absence import WhoIsAway
from holdpoint.clock import Clock
from holdpoint.compiling import Compiling, Memberships
from holdpoint.errors import StoreUnavailable
from holdpoint.linked import Linked
from holdpoint.policy import Policy
from holdpoint.snapshot import Snapshot
from holdpoint.store import Store
from holdpoint.tasks import OnDeath, Tasks

LOOK_EVERY_S = 0.25
FRESH_FOR_MS = 750
_MOMENT_S = 0.2  # what a request waits for a policy that compiles: with `FRESH_FOR_MS` less than a second
_PATIENCE_S = 1.0  # the same of who wants to know how things stand now

_log = logging.getLogger(__name__)


class Live:
    """The process's view. `start` before use; ``snapshot`` is replaced as a whole, never changed."""

    def __init__(self, store: Store, *, clock: Clock, on_death: OnDeath | None = None) -> None:
        """``on_death`` is told when nobody looks any more."""
        self._store = store
        self._clock = clock
        self._tasks = Tasks(on_death=on_death)
        self._looking = asyncio.Lock()
        self._looked_ms = 0
        self._revision = -1  # at the last look
        self._compiling = Compiling(clock=clock, tasks=self._tasks, in_force=self._put_in_force)
        self.snapshot = Snapshot(revision=-1, policy=Policy.refuse_all(), keys={}, routes=())

    async def start(self) -> None:
        """Look for the first time, and keep looking.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        await self.look()
        self._tasks.start("live", self._keep_looking())

    async def stop(self) -> None:
        """Stop looking."""
        await self._tasks.aclose()

    def now_ms(self) -> int:
        """The time, by the clock that all of this goes by."""
        return self._clock()

    @property
    def is_fresh(self) -> bool:
        """Whether what is known may be acted on now."""
        return self.fresh_at(self._clock())

    def fresh_at(self, now_ms: int) -> bool:
        """Whether the last look is recent enough at this time, and the policy not superseded for too long."""
        compiling = self._compiling
        return 0 <= now_ms - self._looked_ms < FRESH_FOR_MS and not (compiling.due and compiling.is_overdue(now_ms))

    async def ensure_fresh(self) -> None:
        """Return once ``snapshot`` is recent; look now when it is not, and wait a moment for a new policy.

        Raises:
            StoreUnavailable: Redis does not answer, or a new policy has been compiling for too long.
        """
        if not self.is_fresh:
            await self._look(when_stale=True)
            await self._compiling.wait(_MOMENT_S)
            self._compiling.refuse_when_overdue()

    async def look(self) -> None:
        """Take over what changed, up to this moment; a policy that is large, later. The first time all of it.

        Raises:
            StoreUnavailable: as `ensure_fresh`.
        """
        await self._look()
        await self._compiling.wait(_PATIENCE_S)
        self._compiling.refuse_when_overdue()

    async def catch_up(self) -> None:
        """`look`, and return once the newest policy is in force, however large it is. Raises as `ensure_fresh`."""
        await self._look()
        while self._compiling.due:
            self._compiling.refuse_when_overdue()
            await self._compiling.wait(LOOK_EVERY_S)
            await self._look()

    async def _look(self, *, when_stale: bool = False) -> None:
        """Compare revisions, and take over what changed but for the policy, which begins to compile.

        ``when_stale``: not when somebody else has just looked. After a stall everything that came meanwhile asks at once.
        """
        async with self._looking:
            if when_stale and self.is_fresh:
                return
            started_ms = self._clock()
            revision = await self._store.config.revision()
            if revision != self._revision:
                # The revision was read first: whatever changes while the rest is read shows at the next look.
                await self._read(revision)
            self._compiling.compile_newest()
            if self.snapshot.revision < 0:  # nothing is known yet that anybody could go on with
                await self._compiling.wait_for_all()
            self._looked_ms = started_ms

    async def _read(self, revision: int) -> None:
        config = self._store.config
        stored, keys, routes = await config.policy(), await config.keys(), await config.routes()
        grants, pauses = await self._store.grants.all(), await self._store.pauses.all()
        absences = await self._store.absences.all()
        links = await self._store.links.all()
        self._revision = revision
        self._compiling.find(stored, first=self.snapshot.revision < 0)
        self._replace(
            keys={record.digest: record for record in keys},
            routes=tuple(routes),
            grants=tuple(each.grant for each in grants if each.is_usable(self._clock())),
            pauses={pause.connection: pause for pause in pauses},
            absences=WhoIsAway(absences),
            linked=Linked(links),
        )

    def _put_in_force(self, policy: Policy, memberships: Memberships) -> None:
        self._replace(policy=policy, memberships=memberships)

    def _replace(self, **changes: Any) -> None:
        """Put ``changes`` in force. The revision is reached once its policy is in force, too."""
        revision = self.snapshot.revision if self._compiling.due else self._revision
        self.snapshot = replace(self.snapshot, revision=revision, **changes)
        _log.info("configuration in force", extra={"revision": revision, "policy": self.snapshot.policy.version})

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self._look()
                self._compiling.refuse_when_overdue()
            except StoreUnavailable as error:
                # Requests find out for themselves, in `ensure_fresh`, and are refused.
                _log.warning("cannot look for changes: %s", error)
