"""What a process knows of policy, keys, routes, grants and pauses, never more than a second old.

A background task looks at the store's revision four times a second and, when it moved, reads and compiles what changed
off the event loop and swaps one reference. Whoever acts on it calls `ensure_fresh` first: it costs nothing while the
last look is recent, and refuses (`StoreUnavailable`) when the truth cannot be had.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from holdpoint.clock import Clock
from holdpoint.errors import PolicyError, StoreUnavailable
from holdpoint.model import KeyRecord, Role, Route
from holdpoint.policy import Policy, compile_policy, parse_policy
from holdpoint.standing import EVERYTHING, Grant, Pause, PauseMode
from holdpoint.store import Store, StoredPolicy
from holdpoint.tasks import OnDeath, Tasks

LOOK_EVERY_S = 0.25
FRESH_FOR_MS = 750
WEB = "web"  # the channel that needs no set-up: every hold is in the web inbox

_log = logging.getLogger("holdpoint.live")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent state of everything that an admin can change. ``keys`` go by the SHA-256 (hex) of the key.

    ``grants`` are those that could still be used when this was read; whether one can is known by ``store.grants.use``
    alone. ``pauses`` go by connection.
    """

    revision: int
    policy: Policy
    keys: Mapping[str, KeyRecord]
    routes: tuple[Route, ...]
    memberships: Mapping[str, frozenset[str]] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()
    pauses: Mapping[str, Pause] = field(default_factory=dict)

    def groups_of(self, principal: str, base: Iterable[str] = ()) -> frozenset[str]:
        """The groups that ``principal`` brings along (``base``) and those that the policy makes it a member of."""
        return self.memberships.get(principal, frozenset()).union(base)

    def roles_of(self, groups: Iterable[str], base: Iterable[Role] = ()) -> frozenset[Role]:
        """The roles that a key gives (``base``) and those that the policy gives to these groups."""
        named = frozenset(groups)
        return frozenset(base) | {role for role, of in self.policy.roles.items() if named.intersection(of)}

    def pause_of(self, connection: str) -> Pause | None:
        """The pause that ``connection`` is under: its own or that of everything, whichever is stricter."""
        if not self.pauses:
            return None
        found = [pause for name in (connection, EVERYTHING) if (pause := self.pauses.get(name)) is not None]
        refusing = (pause for pause in found if pause.mode is PauseMode.REFUSE)
        return next(refusing, found[0] if found else None)

    def channels_for(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Where cards of a requester in ``groups`` appear: their routes, else those of everybody else (``*``)."""
        named = frozenset(groups)
        routes = (*self.policy.routes, *self.routes)
        channels = [channel for route in routes if route.group in named for channel in route.channels]
        if not channels:
            channels = [channel for route in routes if route.group == "*" for channel in route.channels]
        return tuple(dict.fromkeys([*channels, WEB]))


class Live:
    """The process's view. `start` before use; ``snapshot`` is replaced as a whole, never changed."""

    def __init__(self, store: Store, *, clock: Clock, on_death: OnDeath | None = None) -> None:
        """``on_death`` is told when nobody looks any more."""
        self._store = store
        self._clock = clock
        self._tasks = Tasks(on_death=on_death)
        self._looking = asyncio.Lock()
        self._looked_ms = 0
        self._policy: StoredPolicy | None = None
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

    @property
    def is_fresh(self) -> bool:
        """Whether the last look is recent enough to act on."""
        return 0 <= self._clock() - self._looked_ms < FRESH_FOR_MS

    async def ensure_fresh(self) -> None:
        """Return once ``snapshot`` is recent; look now when it is not.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        if not self.is_fresh:
            await self.look()

    async def look(self) -> None:
        """Compare revisions, and take over what changed.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        async with self._looking:
            started_ms = self._clock()
            revision = await self._store.config.revision()
            if revision != self.snapshot.revision:
                # The revision was read first: whatever changes while the rest is read shows at the next look.
                self.snapshot = await self._load(revision)
                _log.info(
                    "configuration in force", extra={"revision": revision, "policy": self.snapshot.policy.version}
                )
            self._looked_ms = started_ms

    async def _load(self, revision: int) -> Snapshot:
        config = self._store.config
        stored, keys, routes = await config.policy(), await config.keys(), await config.routes()
        grants, pauses = await self._store.grants.all(), await self._store.pauses.all()
        policy = self.snapshot.policy
        if stored != self._policy:
            policy = await asyncio.to_thread(_compiled, stored)
            self._policy = stored
        return Snapshot(
            revision=revision,
            policy=policy,
            keys={record.digest: record for record in keys},
            routes=tuple(routes),
            memberships=_memberships(policy),
            grants=tuple(each.grant for each in grants if each.is_usable(self._clock())),
            pauses={pause.connection: pause for pause in pauses},
        )

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except StoreUnavailable as error:
                # Requests find out for themselves, in `ensure_fresh`, and are refused.
                _log.warning("cannot look for changes: %s", error)


def _compiled(stored: StoredPolicy | None) -> Policy:
    """The policy that is stored. One that cannot be read refuses everything: it was validated before the push."""
    if stored is None:
        return Policy.refuse_all()
    try:
        return compile_policy(parse_policy(stored.text, f"policy version {stored.version}"), stored.version)
    except PolicyError:
        _log.exception("the stored policy cannot be read; every request is refused", extra={"policy": stored.version})
        return Policy.refuse_all()


def _memberships(policy: Policy) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name, group in policy.groups.items():
        for member in group.members:
            found.setdefault(member, set()).add(name)
    return {member: frozenset(groups) for member, groups in found.items()}
