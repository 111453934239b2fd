"""Pages of holds that one person may see. The store lists all; what is hidden from this person is skipped here."""

from __future__ import annotations

import re
from collections.abc import Callable

from holdpoint.model import Hold, State
from holdpoint.store import Store

_CURSOR = re.compile(r"[0-9]{1,15}-[0-9a-zA-Z]{1,64}")
_BATCH = 100
_MOST_SCANNED = 2_000
_MOST_BYTES = 8 * 1024 * 1024


async def visible_holds(
    store: Store, may_see: Callable[[Hold], bool], *, state: State | None, limit: int, cursor: str | None
) -> tuple[list[Hold], str | None]:
    """Up to ``limit`` holds that somebody ``may_see``, newest first, and the cursor of the next page (None at the end).

    A page ends early when its bodies grow large or too many holds had to be skipped; the cursor goes on from there.
    """
    found: list[Hold] = []
    size = scanned = 0
    while True:
        batch, following = await store.holds.list(state=state, limit=_BATCH, cursor=cursor)
        for hold in batch:
            cursor = position(hold)
            scanned += 1
            if may_see(hold):
                found.append(hold)
                size += len(hold.query.body)
            if len(found) >= limit or size >= _MOST_BYTES:
                last = following is None and hold is batch[-1]
                return found, None if last else cursor
        if following is None or scanned >= _MOST_SCANNED:
            return found, following
        cursor = following


def is_cursor(text: str) -> bool:
    """Whether ``text`` can be a cursor of ours; the store is asked about nothing else."""
    return _CURSOR.fullmatch(text) is not None


def position(hold: Hold) -> str:
    """The cursor behind ``hold``, as the store writes it."""
    return f"{hold.created_ms}-{hold.id}"


def identity(hold: Hold) -> tuple[str, ...]:
    """What holds have in common that are drawn as one: who asks, where, and for exactly what."""
    requester = hold.requester
    return (requester.principal, requester.owner or "", hold.connection, hold.digest)


def bundled(holds: list[Hold]) -> list[list[Hold]]:
    """Identical pending holds together (in the order of the newest of each), every other hold alone."""
    bundles: dict[tuple[str, ...], list[Hold]] = {}
    for hold in holds:
        key = identity(hold) if hold.state is State.PENDING else (hold.id,)
        bundles.setdefault(key, []).append(hold)
    return list(bundles.values())
