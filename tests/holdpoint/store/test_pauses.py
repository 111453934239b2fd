"""The kill switch on a real Redis: pulled and released once each, on the record, and known to every process."""

from __future__ import annotations

import asyncio
from itertools import product

import pytest

from holdpoint.live import Live
from holdpoint.model import EventKind
from holdpoint.standing import EVERYTHING, Pause, PauseMode
from holdpoint.store import Store
from tests.conftest import MovingClock

HOLD, REFUSE = PauseMode.HOLD, PauseMode.REFUSE


def pause(connection: str = "demo", mode: PauseMode = REFUSE, by: str = "ada@example.com") -> Pause:
    return Pause(connection, mode, by, 1_700_000_000_000, "an incident")


async def told(store: Store) -> list[tuple[EventKind, str]]:
    return [(event.kind, event.subject) for event in await store.outbox.follow("events", after="0", block_ms=1)]


async def test_pause_and_resume(store: Store) -> None:
    assert await store.pauses.pause(pause())
    assert not await store.pauses.pause(pause(by="pat@example.com"))  # it is paused in this mode
    assert await store.pauses.all() == [pause()]
    assert await store.pauses.pause(pause(mode=HOLD))  # another mode takes its place
    assert await store.pauses.all() == [pause(mode=HOLD)]
    assert not await store.pauses.resume(EVERYTHING, by="ada@example.com")
    assert await store.pauses.resume("demo", by="ada@example.com")
    assert not await store.pauses.resume("demo", by="ada@example.com")
    assert await store.pauses.all() == []
    assert await told(store) == [
        (EventKind.TRAFFIC_PAUSED, "demo"), (EventKind.TRAFFIC_PAUSED, "demo"), (EventKind.TRAFFIC_RESUMED, "demo"),
    ]  # fmt: skip
    assert await store.config.revision() == 3


async def test_the_record_says_who_what_and_why(store: Store) -> None:
    await store.pauses.pause(pause(EVERYTHING))
    await store.pauses.resume(EVERYTHING, by="pat@example.com")
    paused, resumed = await store.outbox.follow("events", after="0", block_ms=1)
    assert paused.data == {
        "connection": "*", "mode": "refuse", "by": "ada@example.com", "at_ms": 1_700_000_000_000, "reason": "an incident",
    }  # fmt: skip
    assert resumed.data == {"connection": "*", "by": "pat@example.com"}


async def test_many_hands_on_one_switch(store: Store) -> None:
    answers = await asyncio.gather(*(store.pauses.pause(pause(by=f"admin{n}@example.com")) for n in range(8)))
    assert answers.count(True) == 1
    answers = await asyncio.gather(*(store.pauses.resume("demo", by=f"admin{n}@example.com") for n in range(8)))
    assert answers.count(True) == 1
    assert len(await told(store)) == 2


@pytest.mark.parametrize(("own", "all_"), list(product((None, HOLD, REFUSE), repeat=2)), ids=str)
async def test_the_stricter_of_two_pauses_counts(
    own: PauseMode | None, all_: PauseMode | None, store: Store, clock: MovingClock
) -> None:
    live = Live(store, clock=clock)
    if own is not None:
        await store.pauses.pause(pause("demo", own))
    if all_ is not None:
        await store.pauses.pause(pause(EVERYTHING, all_))
    await live.look()
    found = live.snapshot.pause_of("demo")
    stricter = REFUSE if REFUSE in (own, all_) else own or all_
    nearer = "demo" if own is stricter else EVERYTHING
    assert (found and (found.mode, found.connection)) == (stricter and (stricter, nearer))
    other = live.snapshot.pause_of("other")
    assert (other and other.mode) == all_
