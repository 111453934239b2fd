"""What must hold when the load is over. Every function gives a list of what does not."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]  # it has no stubs here

from holdpoint.model import Hold, State
from holdpoint.store import Store
from tests.soak.model import MARK, Model
from tests.soak.traffic import Traffic
from tests.support.programs import Installation
from tests.support.waiting import wait_until

_NEVER = ("rejected", "left", "blocked", "halfbody")  # kinds that may not reach the model
_ENDED = (State.COMPLETED, State.FAILED, State.REJECTED, State.CANCELLED, State.EXPIRED)
_SPARE_FILES = 8
_MOST_GROWTH = 48 * 2**20
_SETTLED_WITHIN_S = 60.0


def _connections(pid: int) -> str:
    """How many there are of each kind: to which port or socket, in which state."""
    connections = psutil.Process(pid).net_connections("all")
    return str(Counter(f"{each.raddr[1:] or each.raddr} {each.status}" for each in connections))


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of one idle process: open files (sockets are files), resident bytes."""

    files: int
    resident: int

    @classmethod
    def of(cls, pid: int) -> Footprint:
        process = psutil.Process(pid)
        return cls(process.num_fds(), process.memory_info().rss)


def at_the_model(model: Model, traffic: Traffic) -> list[str]:
    found = [f"a body without a mark reached the model: {body!r}" for body in model.strange]
    for (kind, number), count in model.arrived.items():
        if kind in _NEVER:
            found.append(f"{kind} {number} reached the model")
        elif count > 1:
            found.append(f"{kind} {number} reached the model {count} times")
    for kind, numbers in traffic.answered.items():
        found += [f"{kind} {number}: answered, not asked" for number in numbers if not model.arrived[kind, number]]
    return found


def at_the_clients(traffic: Traffic) -> list[str]:
    """A killed gateway explains a broken connection, never another answer."""
    expected = {
        "clean": {"200", "broken", "502", "503"},
        "held": {"200", "gave up", "409"},
        "rejected": {"403", "200", "gave up"},  # 200: the rejection came into a stream that had begun
        "blocked": {"403", "broken", "503"},
        "slow": {"200", "broken", "502", "503"},
        "malformed": {"400", "405", "414", "417", "431", "505", "closed", "broken"},
    }
    return [
        f"{kind}: {count} ended with {end}"
        for kind, known in expected.items()
        for end, count in traffic.ended[kind].items()
        if end not in known
    ] + [f"{kind}: none ended well" for kind in ("clean", "held", "slow") if not traffic.answered[kind]]


async def holds(store: Store, model: Model) -> tuple[dict[str, State], list[str]]:
    """The state of every hold, once nothing is pending or half way, and what is wrong with them."""

    async def settled() -> bool:
        counts = await store.holds.count()
        return not counts[State.PENDING] and not counts[State.RELEASED]

    found: list[str] = []
    try:
        await wait_until(settled, "no hold waits", seconds=_SETTLED_WITHIN_S)
    except AssertionError:
        found.append(f"holds are left behind: {await store.holds.count()}")
    states: dict[str, State] = {}
    cursor: str | None = None
    while True:
        page, cursor = await store.holds.list(state=None, limit=500, cursor=cursor)
        states |= {hold.id: hold.state for hold in page}
        found += [problem for hold in page for problem in _hold(hold, model)]
        if cursor is None:
            return states, found


def _hold(hold: Hold, model: Model) -> Iterable[str]:
    mark = MARK.search(hold.query.body)
    if mark is None:
        yield f"hold {hold.id} is none of ours"
        return
    kind, number = mark[1].decode(), int(mark[2])
    sent = model.arrived[kind, number]
    approved = any(decision.kind.value == "approve" for decision in hold.decisions)
    if sent and not approved:
        yield f"{kind} {number} reached the model without an approval"
    if sent and hold.state not in (State.COMPLETED, State.FAILED):
        yield f"{kind} {number} reached the model, and its hold is {hold.state}"
    if hold.state is State.COMPLETED and sent != 1:
        yield f"{kind} {number} is completed, and reached the model {sent} times"
    # An approval that nobody has collected yet waits for an hour: that is how it should be.
    if hold.state not in _ENDED and hold.state is not State.APPROVED:
        yield f"{kind} {number} is {hold.state}"


@dataclass
class _Told:
    """What the ledger says: how often each kind of record was written of each subject; the marks that were allowed."""

    kinds: Counter[tuple[str, str]]
    allowed: set[tuple[str, int]]

    @classmethod
    def by(cls, installation: Installation) -> _Told:
        """Half an hour has millions of bytes: they are read line by line."""
        file = installation.folder / "soak.jsonl"
        file.unlink(missing_ok=True)
        installation.audit("export", "--output", str(file))
        told = cls(Counter(), set())
        with suppress(FileNotFoundError), file.open("rb") as lines:
            for line in lines:
                record = json.loads(line)
                told.kinds[record["subject"], record["kind"]] += 1
                if record["kind"] == "request.allowed" and (found := MARK.search(line)) is not None:
                    told.allowed.add((found[1].decode(), int(found[2])))
        return told


async def ledger(installation: Installation, states: Mapping[str, State], model: Model) -> list[str]:
    """The chain verifies, every release and end of a hold is told once, and nothing reached the model unrecorded."""
    held = {"held", "rejected", "left"}
    passed = {(kind, number) for kind, number in model.arrived if kind not in held}
    told = await _told(installation, states, passed)
    found = []
    for hold, state in states.items():
        once = {kind: told.kinds[hold, kind] for kind in ("hold.created", f"hold.{state}")}
        found += [f"hold {hold}: {count} records of {kind}" for kind, count in once.items() if count != 1]
        if told.kinds[hold, "hold.released"] > min(1, told.kinds[hold, "hold.approved"]):
            found.append(f"hold {hold}: released without an approval, or twice")
    found += [f"{kind} {number}: no record" for kind, number in passed - told.allowed]
    verified = await asyncio.to_thread(installation.audit, "verify")
    if verified.code != 0:
        found.append(f"audit verify: {verified.out[-500:]}{verified.err[-500:]}")
    return found


async def _told(installation: Installation, states: Mapping[str, State], passed: set[tuple[str, int]]) -> _Told:
    """The ledger, once the end of every hold is in it, and every request that ``passed`` without one."""
    ends = [(hold, f"hold.{state}") for hold, state in states.items()]
    told = _Told(Counter(), set())

    async def complete() -> bool:
        nonlocal told
        told = await asyncio.to_thread(_Told.by, installation)
        return all(told.kinds[end] for end in ends) and passed <= told.allowed

    with suppress(AssertionError):  # the caller says what is missing
        await wait_until(complete, "the ledger has all", seconds=_SETTLED_WITHIN_S)
    return told


async def leaks(pid: int, before: Footprint) -> list[str]:
    """Of a process that has lived through all of it, and is idle again."""

    def closed() -> bool:
        return Footprint.of(pid).files <= before.files + _SPARE_FILES

    found = []
    try:
        await wait_until(closed, "the sockets are closed", seconds=_SETTLED_WITHIN_S)
    except AssertionError:
        found.append(f"{Footprint.of(pid).files} files are open, {before.files} were before: {_connections(pid)}")
    grown = Footprint.of(pid).resident - before.resident
    if grown > _MOST_GROWTH:
        found.append(f"memory has grown by {grown / 2**20:.0f} MiB")
    return found
