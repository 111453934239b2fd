"""Limits: what was spent of each budget, counted in Redis for all gateways together.

Requests, prompt tokens and holds per time are counted in sliding windows (``lua/_window.lua``): in no minute (or hour)
is more spent than the budget has, and all of it can be spent again a 120th of that time later. Holds at once are counted
in the holds themselves (``lua/hold.lua``). Time is that of Redis, so that no gateway's clock matters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from holdpoint.clock import Clock
from holdpoint.model import State
from holdpoint.policy.limits import Budget, Measure, Per
from holdpoint.store import keys
from holdpoint.store.client import Client, Script
from holdpoint.store.wire import Argument

SLOTS: Final = 120
ASK_AGAIN_MS: Final = 10_000
"""When to ask again for a hold, while as many are open as may be: nobody knows when the next one is decided."""

MOST_LISTED: Final = 1_000
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_SLOT_MS: Mapping[Measure, int] = {
    Measure.REQUESTS: _MINUTE_MS // SLOTS,
    Measure.PROMPT_TOKENS: _MINUTE_MS // SLOTS,
    Measure.HOLDS: _HOUR_MS // SLOTS,
}

_TAKE = Script("take", "_window")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a gateway asks of one budget beyond its requests: ``wanted`` to spend by itself, and an end of its last share.

    That was ``had``, in ``slot``, and ``left`` of it was not spent.
    """

    budget: Budget
    wanted: int = 0
    had: int = 0
    left: int = 0
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """``amount`` of a budget is spent already, and the gateway's to use until ``lasts_ms`` from when it asked."""

    slot: int
    lasts_ms: int
    amount: int


@dataclass(frozen=True, slots=True)
class Taken:
    """``shares``, one for each wish; ``refusals``, one for each request: (which budget, in how many ms), None: it passes."""

    shares: tuple[Share, ...]
    refusals: tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Allowance:
    """The ``budgets`` that a hold is counted under, and what its request has ``spent`` and gets back when it is not held."""

    budgets: tuple[Budget, ...] = ()
    spent: tuple[tuple[Budget, int], ...] = ()


UNLIMITED: Final = Allowance()


@dataclass(frozen=True, slots=True)
class Use:
    """How much of one budget was ``used`` in the last minute or hour, or is open now."""

    limit: str
    measure: Measure
    per: Per
    subject: tuple[str, ...]
    used: int


class Limits:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client, *, clock: Clock | None = None) -> None:
        """``clock`` only where time is moved by hand; None: the clock of Redis."""
        self._client = client
        self._clock = clock

    async def take(self, wishes: Sequence[Wish], requests: Sequence[Sequence[tuple[int, int]]]) -> Taken:
        """Spend what each of ``requests`` costs, all of it or nothing: pairs of the place of a wish and the cost there.

        No budget has two wishes, nor a request two costs at one place; no cost is above what its budget has.
        """
        arguments: list[Argument] = [self._now(), len(wishes)]
        for wish in wishes:
            budget = wish.budget
            slot_ms = _SLOT_MS[budget.measure]
            arguments += (slot_ms, budget.most, wish.wanted, wish.had, wish.left, wish.slot, _member(budget))
        for costs in requests:
            arguments.append(len(costs))
            for place, cost in costs:
                arguments += (place + 1, cost)
        windows = [_key(wish.budget) for wish in wishes]
        found: list[int] = await self._client.script(_TAKE, [keys.LIMITED, *windows], arguments)
        ends = 3 * len(wishes)
        return Taken(
            tuple(Share(*found[at : at + 3]) for at in range(0, ends, 3)),
            tuple(
                (found[at] - 1, found[at + 1]) if found[at] else None for at in range(ends, ends + 2 * len(requests), 2)
            ),
        )

    def of_hold(self, allowance: Allowance) -> tuple[list[str], list[Argument]]:
        """What ``hold.lua`` is told of limits: KEYS and ARGV."""
        names = [keys.LIMITED]
        arguments: list[Argument] = [self._now(), len(allowance.budgets) + len(allowance.spent)]
        for budget in allowance.budgets:
            names.append(_key(budget))
            if budget.measure is Measure.HOLDS_AT_ONCE:
                arguments += ("open", budget.most, ASK_AGAIN_MS, _member(budget))
            else:
                arguments += ("window", budget.most, _SLOT_MS[budget.measure], _member(budget))
        for budget, cost in allowance.spent:
            names.append(_key(budget))
            arguments += ("back", cost, _SLOT_MS[budget.measure], "")
        return names, arguments

    async def used(self) -> list[Use]:
        """The budgets that were used today, the `MOST_LISTED` last ones, with what was used of them."""
        members: list[bytes] = await self._client.command("ZREVRANGE", keys.LIMITED, 0, MOST_LISTED - 1)
        named = [_named(member) for member in members]
        contents = await self._client.pipeline(
            [
                ("ZRANGE", _key_of(member, each.measure), 0, -1)
                if each.measure is Measure.HOLDS_AT_ONCE
                else ("HGETALL", _key_of(member, each.measure))
                for member, each in zip(members, named, strict=True)
            ]
        )
        time: int = self._clock() if self._clock is not None else int((await self._client.command("TIME"))[0]) * 1000
        is_open = await self._open({hold for each, found in zip(named, contents, strict=True)
                                    if each.measure is Measure.HOLDS_AT_ONCE for hold in found})  # fmt: skip
        return [
            Use(each.limit, each.measure, each.per, each.subject, _count(each.measure, found, time, is_open))
            for each, found in zip(named, contents, strict=True)
        ]

    async def _open(self, holds: set[bytes]) -> set[bytes]:
        """Those of ``holds`` that are pending or approved."""
        indexes = (keys.state(State.PENDING), keys.state(State.APPROVED))
        asked = [(index, hold) for hold in holds for index in indexes]
        scores = await self._client.pipeline([("ZSCORE", index, hold) for index, hold in asked]) if asked else []
        return {hold for (_, hold), score in zip(asked, scores, strict=True) if score is not None}

    def _now(self) -> Argument:
        return "" if self._clock is None else self._clock()


def _count(measure: Measure, found: Sequence[bytes], now_ms: int, is_open: set[bytes]) -> int:
    if measure is Measure.HOLDS_AT_ONCE:
        return sum(hold in is_open for hold in found)
    first = now_ms // _SLOT_MS[measure] - SLOTS
    slots = zip(found[::2], found[1::2], strict=True)
    return sum(int(spent) for slot, spent in slots if slot.isdigit() and int(slot) >= first)


def _member(budget: Budget) -> bytes:
    """Whose budget it is, whatever it has: another amount under the same id goes on with the same count."""
    return orjson.dumps([budget.measure.value, budget.limit, budget.per.value, *budget.subject])


def _named(member: bytes) -> Use:
    measure, limit, per, *subject = orjson.loads(member)
    return Use(limit, Measure(measure), Per(per), tuple(subject), 0)


def _key(budget: Budget) -> str:
    return _key_of(_member(budget), budget.measure)


def _key_of(member: bytes, measure: Measure) -> str:
    digest = hashlib.sha256(member).hexdigest()
    return keys.open_holds(digest) if measure is Measure.HOLDS_AT_ONCE else keys.window(digest)
