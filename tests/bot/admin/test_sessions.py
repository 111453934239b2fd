from __future__ import annotations

from holdpoint.model import EventKind
from holdpoint.store.sessions import SignedIn, Vouched
from tests.bot.admin.conftest import ADA, CARA, SAM, Run
from tests.bot.world import World
from tests.conftest import MovingClock


def person(name: str) -> SignedIn:
    return SignedIn(f"{name}@example.com", name, frozenset(), frozenset(), "https://login.example.com", name, "oidc", 1)


async def test_an_admin_sees_and_ends_sessions(world: World, run: Run, clock: MovingClock) -> None:
    sessions, vouched = world.store.sessions, Vouched(clock() + 3_600_000)
    first, one = await sessions.start(person=person("sam"), vouched=vouched, address="192.0.2.1")
    second, _ = await sessions.start(key_digest="digest", principal=SAM)
    other, _ = await sessions.start(person=person("kim"), vouched=vouched)
    for who in (SAM, CARA):
        assert not (await run(f"sessions end {SAM}", who)).ok
        assert not (await run(f"sessions list {SAM}", who)).ok
    assert not (await run(f"sessions end {SAM}", verified=False)).ok
    listed = await run(f"sessions list {SAM}", ADA)
    assert listed.table is not None
    assert {row[1:3] for row in listed.table.rows} == {("https://login.example.com", "192.0.2.1"), ("a Holdpoint key", "")}  # fmt: skip
    for secret in (first, second, "digest", one.csrf):
        assert secret not in str(listed)
    assert "no such session" in (await run(f"sessions end {SAM} 0123", ADA)).lines[0]
    assert (await run(f"sessions end {SAM} {one.id}", ADA)).lines[0] == f"1 session of {SAM} ended."
    assert await sessions.get(first) is None
    assert await sessions.get(second) is not None
    assert (await run("sessions end SAM@example.com", ADA)).lines[0] == "1 session of SAM@example.com ended."
    assert await sessions.get(second) is None
    assert await sessions.get(other) is not None
    assert (await run(f"sessions list {SAM}", ADA)).lines == (f"{SAM} is signed in nowhere.",)
    events = await world.store.outbox.follow("events", after="0", block_ms=1)
    last = events[-1]
    assert (last.kind, last.data["by"], last.data["reason"]) == (EventKind.SESSION_ENDED, ADA, "ended by an admin")
