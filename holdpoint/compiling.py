"""Which policy is in force: the newest one, as soon as it is compiled.

A new policy compiles in a thread, and requests go on by the one before, but not for long: when a policy has been
superseded for `LONGEST_BEHIND_MS`, nothing is decided by it any more.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from holdpoint.clock import Clock
from holdpoint.errors import PolicyError, StoreUnavailable
from holdpoint.policy import Policy, compile_policy, parse_policy
from holdpoint.store import StoredPolicy
from holdpoint.tasks import Tasks

LONGEST_BEHIND_MS = 10_000
"""For so long a policy may be in force that the store has replaced, because the new one still compiles."""

Memberships = Mapping[str, frozenset[str]]
"""Principal → the groups that the policy makes it a member of."""

_log = logging.getLogger("holdpoint.live")  # one name for what is said of the configuration


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


class Compiling:
    """The policies that are to come into force, one after the other."""

    def __init__(self, *, clock: Clock, tasks: Tasks, in_force: Callable[[Policy, Memberships], None]) -> None:
        """``in_force`` is told of each policy that has compiled, with its members. It must not wait."""
        self._clock = clock
        self._tasks = tasks
        self._in_force = in_force
        self._policy: StoredPolicy | None = None  # in force
        self._running: _Compilation | None = None
        self.due: list[_Due] = []  # newer ones, in the order in which they were found

    def find(self, stored: StoredPolicy | None, *, first: bool) -> None:
        """Note that ``stored`` is the policy that should be in force. ``first``: nothing is in force yet."""
        if not (first and not self.due) and stored == self._policy:
            self.due.clear()
            self._running = None
        elif not self.due or stored != self.due[-1].stored:
            self.due.append(_Due(stored, self._clock()))

    def compile_newest(self) -> None:
        """Begin to compile what should be in force, unless something compiles; one after the other gets through.

        Who compiles for too long is left alone with it, so that a newer policy can end the refusals.
        """
        running, now_ms = self._running, self._clock()
        if not self.due:
            return
        newest = self.due[-1].stored
        if running is not None and not running.task.done():
            hangs = now_ms - running.since_ms > LONGEST_BEHIND_MS
            if not hangs or running.stored == newest:
                return
        self._running = _Compilation(newest, now_ms, self._tasks.start("compile a policy", self._compile(newest)))

    async def wait(self, seconds: float) -> None:
        """Up to ``seconds``, or until what compiles now is in force."""
        if self._running is not None:
            await asyncio.wait({self._running.task}, timeout=seconds)

    async def wait_for_all(self) -> None:
        """Until nothing compiles any more."""
        while self._running is not None:
            await asyncio.shield(self._running.task)

    def is_overdue(self, now_ms: int) -> bool:
        """Whether the policy in force has been superseded for too long. Ask only where one is `due`."""
        return now_ms - self.due[0].since_ms > LONGEST_BEHIND_MS

    def refuse_when_overdue(self) -> None:
        """Raise `StoreUnavailable` when nothing may be decided by the policy in force."""
        if self.due and self.is_overdue(self._clock()):
            raise StoreUnavailable("the newest policy has been compiling for too long")

    async def _compile(self, stored: StoredPolicy | None) -> None:
        policy, memberships = await asyncio.to_thread(_compiled, stored)
        if self._running is None or self._running.task is not asyncio.current_task():
            return  # it took too long, and is not wanted any more
        # From here on nothing waits: policy, version and members change together.
        self._running = None
        self._policy = stored
        while self.due:
            if self.due.pop(0).stored == stored:
                break
        self._in_force(policy, memberships)
        self.compile_newest()


def _compiled(stored: StoredPolicy | None) -> tuple[Policy, Memberships]:
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


def _memberships(policy: Policy) -> Memberships:
    found: dict[str, set[str]] = {}
    for name, group in policy.groups.items():
        for member in group.members:
            found.setdefault(member, set()).add(name)
    return {member: frozenset(groups) for member, groups in found.items()}
