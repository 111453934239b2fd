from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from bot.commands import Commands
from bot.history import History
from holdpoint.findings import Finding, Grade
from holdpoint.ledger.recorder import Recorder
from holdpoint.ledger.sql import Ledger
from tests.bot.admin.conftest import ADA, CARA, SAM, Run
from tests.bot.world import World
from tests.support.waiting import wait_until

LENA = "lena@example.com"


@pytest.fixture
async def ledger(world: World, commands: Commands, tmp_path: Path) -> AsyncIterator[Ledger]:
    """A ledger, which the commands read."""
    opened = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3")
    history = History(opened, world.store, clock=world.clock, masks=lambda: world.live.snapshot.policy.masks)
    commands.office = replace(commands.office, history=history)
    yield opened
    await history.aclose()
    opened.close()


async def record(world: World, ledger: Ledger) -> None:
    """Bring the ledger up to date."""
    recorder = asyncio.create_task(Recorder(world.store, ledger, clock=world.clock, holder="test").run())

    async def is_done() -> bool:
        events = await world.store.outbox.follow("events", after="0", block_ms=1)
        return await asyncio.to_thread(lambda: ledger.head().seq) >= len(events)

    await wait_until(is_done, "everything is recorded")
    recorder.cancel()
    with suppress(asyncio.CancelledError):
        await recorder


async def test_stats_in_words_and_as_a_picture(world: World, run: Run, ledger: Ledger) -> None:
    first = await world.hold("first password")
    await world.hold("second password")
    await run(f"reject {first.id} no", SAM)
    await record(world, ledger)
    answer = await run("stats", CARA)
    assert (
        answer.lines[0]
        == "The last 7 days: 2 held, 0 approved, 1 rejected, 0 expired, 0 cancelled, 0 failed, 1 waiting."
    )
    assert answer.lines[1].startswith("Time to decision: median 0.0 s")
    assert answer.table is not None
    rows = {row[0]: row[1:] for row in answer.table.rows}
    assert rows["group contractors"][:4] == ("2", "0", "1", "0")
    assert rows["by Sam"][1:3] == ("0", "1")
    assert answer.picture is not None
    assert answer.picture.png.startswith(b"\x89PNG")
    assert "2 held" in answer.picture.title
    assert (await run("stats 1")).lines[0].startswith("The last 1 day: 2 held")


@pytest.mark.parametrize("days", ["0", "-1", "367", "seven", "1.5", "٣", "99999"])
async def test_days_are_a_number(run: Run, ledger: Ledger, days: str) -> None:
    assert "a number from 1 to" in (await run(f"stats {days}")).lines[0]


async def test_audit_tells_the_story_to_who_may_see_the_hold(world: World, run: Run, ledger: Ledger) -> None:
    hold = await world.hold()
    await run(f"reject {hold.id} no", SAM)
    await record(world, ledger)
    for who in (CARA, ADA, SAM):
        answer = await run(f"audit {hold.id}", who)
        assert answer.ok
        assert "hold.created" in answer.text
        assert "Whole: " in answer.text
    hidden = await run(f"audit {hold.id}", LENA)
    assert (hidden.ok, hidden.text) == (False, "")
    assert not (await run("audit h00000000000", CARA)).ok
    assert not (await run("audit ../x", CARA)).ok


async def test_without_a_ledger_it_is_said(run: Run) -> None:
    for text in ("stats", "audit h00000000000"):
        assert "ledger is not at hand" in (await run(text)).lines[0]


async def test_a_broken_ledger_is_said(run: Run, ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()  # its connections; the next question opens one, and finds no database
    for end in ("", "-wal", "-shm"):
        (tmp_path / f"ledger.sqlite3{end}").unlink(missing_ok=True)
    (tmp_path / "ledger.sqlite3").mkdir()
    answer = await run("stats")
    assert not answer.ok
    assert answer.lines


async def test_doctor(world: World, run: Run, ledger: Ledger, commands: Commands) -> None:
    well = await run("doctor")
    assert (well.ok, well.lines) == (True, ("1 thing to look at.",))  # the keys of these people
    assert well.table is not None
    ((_, part, found, _),) = [row for row in well.table.rows if row[0] != "ok"]
    assert (part, found[:13]) == ("keys", "never expire:")
    await run("pause all")
    await run("policy mode secrets shadow", confirm=True)
    look = await run("doctor")
    assert (look.ok, look.lines) == (True, ("3 things to look at.",))
    assert look.table is not None
    assert ("warn", "rules in shadow", "secrets", "policy mode <rule> enforce") in look.table.rows

    async def platform() -> Sequence[Finding]:
        return [Finding("slack", Grade.FAIL, "auth.test: token_revoked", "install the app again")]

    commands.office.checkups.append(platform)
    broken = await run("doctor")
    assert not broken.ok
    assert broken.table is not None
    assert broken.table.rows[-1] == ("fail", "slack", "auth.test: token_revoked", "install the app again")


async def test_doctor_sees_a_policy_that_cannot_be_read(world: World, run: Run, ledger: Ledger) -> None:
    await world.store.config.push_policy("version: [", expect=1, by="test")
    await world.live.look()
    answer = await run("doctor")
    assert not answer.ok
    assert answer.table is not None
    assert ("fail", "policy") in [row[:2] for row in answer.table.rows]
