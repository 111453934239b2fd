"""What a process knows of policy, keys, routes, grants and pauses, never more than a second old.

::

    look ─▶ revision moved? ─▶ read ─┬─ keys, routes, grants, pauses ──────────────────▶ another snapshot, at once
                                     └─ a new policy ─▶ compiled in a thread ─▶ another snapshot, when it is ready

A background task looks four times a second. Whoever acts on what is known calls `ensure_fresh` first: it costs nothing
while the last look is recent, and refuses (`StoreUnavailable`) when the truth cannot be had.

Most policies compile within that second. While a large one does, requests go on by the one before, but not for long:
when a policy has been superseded for `LONGEST_BEHIND_MS`, nothing is decided by it any more.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from holdpoint.absence import WhoIsAway
from holdpoint.clock import Clock
from holdpoint.errors import PolicyError, StoreUnavailable
from holdpoint.linked import Linked
from holdpoint.model import KeyRecord, Role, Route
from holdpoint.policy import Policy, compile_policy, parse_policy
from holdpoint.standing import EVERYTHING, Grant, Pause, PauseMode
from holdpoint.store import Store, StoredPolicy
from holdpoint.tasks import OnDeath, Tasks

LOOK_EVERY_S = 0.25
FRESH_FOR_MS = 750
LONGEST_BEHIND_MS = 10_000
"""For so long a policy may be in force that the store has replaced, because the new one still compiles."""
_MOMENT_S = 0.2  # what a request waits for a policy that compiles: with `FRESH_FOR_MS` less than a second
_PATIENCE_S = 1.0  # the same of who wants to know how things stand now
WEB = "web"  # the channel that needs no set-up: every hold is in the web inbox

_log = logging.getLogger("holdpoint.live")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent state of everything that an admin can change. ``keys`` go by the SHA-256 (hex) of the key.

    Everything up to ``revision`` is in it; of what came later perhaps a part, while a new policy compiles.
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
    absences: WhoIsAway = field(default_factory=WhoIsAway)
    linked: Linked = field(default_factory=Linked)

    def groups_of(self, principal: str, base: Iterable[str] = ()) -> frozenset[str]:
        """The groups that ``principal`` brings along (``base``) and those that the policy makes it a member of."""
        # As `Policy.groups_of`: the policy's members are lower-case, and an agent's name is as its key has it.
        found = self.memberships.get(principal) or self.memberships.get(principal.lower(), frozenset())
        return found.union(base)

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


@dataclass(frozen=True, slots=True)
class _Due:
    """A policy that a look found, and that is not in force yet."""

    stored: StoredPolicy | None
    since_ms: int


@dataclass(frozen=True, slots=True)
class _Compilation:
    """What compiles now, in a thread."""

    stored: StoredPolicy | None
    since_ms: int
    task: asyncio.Task[None]


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
        self._policy: StoredPolicy | None = None  # in force
        self._due: list[_Due] = []  # newer ones, in the order in which they were found
        self._compiling: _Compilation | None = None
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
        return 0 <= now_ms - self._looked_ms < FRESH_FOR_MS and not (self._due and self._is_overdue(now_ms))

    async def ensure_fresh(self) -> None:
        """Return once ``snapshot`` is recent; look now when it is not, and wait a moment for a new policy.

        Raises:
            StoreUnavailable: Redis does not answer, or a new policy has been compiling for too long.
        """
        if not self.is_fresh:
            await self._look(when_stale=True)
            await self._wait_for_policy(_MOMENT_S)
            self._refuse_when_overdue()

    async def look(self) -> None:
        """Take over what changed, up to this moment; a policy that is large, later. The first time all of it.

        Raises:
            StoreUnavailable: as `ensure_fresh`.
        """
        await self._look()
        await self._wait_for_policy(_PATIENCE_S)
        self._refuse_when_overdue()

    async def catch_up(self) -> None:
        """`look`, and return once the newest policy is in force, however large it is. Raises as `ensure_fresh`."""
        await self._look()
        while self._due:
            self._refuse_when_overdue()
            await self._wait_for_policy(LOOK_EVERY_S)
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
            self._compile_newest()
            if self.snapshot.revision < 0:  # nothing is known yet that anybody could go on with
                while self._compiling is not None:
                    await asyncio.shield(self._compiling.task)
            self._looked_ms = started_ms

    async def _read(self, revision: int) -> None:
        config = self._store.config
        stored, keys, routes = await config.policy(), await config.keys(), await config.routes()
        grants, pauses = await self._store.grants.all(), await self._store.pauses.all()
        absences = await self._store.absences.all()
        links = await self._store.links.all()
        self._revision = revision
        self._find_policy(stored)
        self._replace(
            keys={record.digest: record for record in keys},
            routes=tuple(routes),
            grants=tuple(each.grant for each in grants if each.is_usable(self._clock())),
            pauses={pause.connection: pause for pause in pauses},
            absences=WhoIsAway(absences),
            linked=Linked(links),
        )

    def _find_policy(self, stored: StoredPolicy | None) -> None:
        """Note that ``stored`` is the policy that should be in force."""
        first = self.snapshot.revision < 0 and not self._due
        if not first and stored == self._policy:
            self._due.clear()
            self._compiling = None
        elif not self._due or stored != self._due[-1].stored:
            self._due.append(_Due(stored, self._clock()))

    def _compile_newest(self) -> None:
        """Begin to compile what should be in force, unless something compiles; one after the other gets through.

        Who compiles for too long is left alone with it, so that a newer policy can end the refusals.
        """
        running, now_ms = self._compiling, self._clock()
        if not self._due:
            return
        newest = self._due[-1].stored
        if running is not None and not running.task.done():
            hangs = now_ms - running.since_ms > LONGEST_BEHIND_MS
            if not hangs or running.stored == newest:
                return
        self._compiling = _Compilation(newest, now_ms, self._tasks.start("compile a policy", self._compile(newest)))

    async def _compile(self, stored: StoredPolicy | None) -> None:
        policy, memberships = await asyncio.to_thread(_compiled, stored)
        if self._compiling is None or self._compiling.task is not asyncio.current_task():
            return  # it took too long, and is not wanted any more
        # From here on nothing waits: policy, version and members change together.
        self._compiling = None
        self._policy = stored
        while self._due:
            if self._due.pop(0).stored == stored:
                break
        self._replace(policy=policy, memberships=memberships)
        self._compile_newest()

    def _replace(self, **changes: Any) -> None:
        """Put ``changes`` in force. The revision is reached once its policy is in force, too."""
        revision = self.snapshot.revision if self._due else self._revision
        self.snapshot = replace(self.snapshot, revision=revision, **changes)
        _log.info("configuration in force", extra={"revision": revision, "policy": self.snapshot.policy.version})

    async def _wait_for_policy(self, seconds: float) -> None:
        """Up to ``seconds``, or until what compiles now is in force."""
        if self._compiling is not None:
            await asyncio.wait({self._compiling.task}, timeout=seconds)

    def _is_overdue(self, now_ms: int) -> bool:
        return now_ms - self._due[0].since_ms > LONGEST_BEHIND_MS

    def _refuse_when_overdue(self) -> None:
        if self._due and self._is_overdue(self._clock()):
            raise StoreUnavailable("the newest policy has been compiling for too long")

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self._look()
                self._refuse_when_overdue()
            except StoreUnavailable as error:
                # Requests find out for themselves, in `ensure_fresh`, and are refused.
                _log.warning("cannot look for changes: %s", error)


def _compiled(stored: StoredPolicy | None) -> tuple[Policy, Mapping[str, frozenset[str]]]:
    """The policy that is stored, and its members."""
    with _no_collection():
        policy = _policy_of(stored)
    return policy, _memberships(policy)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nobody looks for cycles meanwhile.

    A large document is half a million objects without any; a look at all of them makes every thread wait.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _policy_of(stored: StoredPolicy | None) -> Policy:
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
