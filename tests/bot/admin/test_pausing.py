from __future__ import annotations

import pytest

from holdpoint.model import EventKind
from holdpoint.standing import PauseMode
from tests.bot.admin.conftest import ADA, SAM, Run
from tests.bot.world import World


@pytest.mark.parametrize(
    ("text", "connection", "mode", "reason"),
    [
        ("pause all", "*", PauseMode.REFUSE, ""),
        ("pause ALL hold", "*", PauseMode.HOLD, ""),
        ("pause demo", "demo", PauseMode.REFUSE, ""),
        ("pause demo hold it leaks", "demo", PauseMode.HOLD, "it leaks"),
        ("pause demo it leaks", "demo", PauseMode.REFUSE, "it leaks"),
        ("pause demo refuse “it leaks”", "demo", PauseMode.REFUSE, "it leaks"),
    ],
)
async def test_the_switch_works_at_once(
    world: World, run: Run, text: str, connection: str, mode: PauseMode, reason: str
) -> None:
    answer = await run(text)
    assert (answer.ok, answer.confirm) == (True, "")
    (pause,) = await world.store.pauses.all()
    assert (pause.connection, pause.mode, pause.reason, pause.by) == (connection, mode, reason, ADA)
    assert world.live.snapshot.pause_of("demo") == pause
    assert f": {mode.value}" in answer.text
    assert "already" in (await run(text)).lines[0]


async def test_letting_go_asks_first(world: World, run: Run) -> None:
    await run("pause all hold because")
    await run("pause demo")
    asked = await run("resume all")
    assert "Still paused: demo." in asked.lines
    assert asked.text.startswith("- all connections: hold, since ")
    assert asked.text.endswith(f"by {ADA}: because")
    assert set(world.live.snapshot.pauses) == {"*", "demo"}
    assert (await run(asked.confirm)).ok
    assert set(world.live.snapshot.pauses) == {"demo"}
    events = await world.store.outbox.follow("events", after="0", block_ms=1)
    assert (events[-1].kind, events[-1].data["by"]) == (EventKind.TRAFFIC_RESUMED, ADA)


async def test_from_refuse_to_hold_loosens_and_back_does_not(world: World, run: Run) -> None:
    await run("pause all")
    asked = await run("pause all hold")
    assert asked.confirm
    assert [pause.mode for pause in world.live.snapshot.pauses.values()] == [PauseMode.REFUSE]
    assert (await run(asked.confirm)).ok
    assert [pause.mode for pause in world.live.snapshot.pauses.values()] == [PauseMode.HOLD]
    assert (await run("pause all refuse")).confirm == ""
    assert [pause.mode for pause in world.live.snapshot.pauses.values()] == [PauseMode.REFUSE]


@pytest.mark.parametrize(
    "text", ["pause dmo", "pause <!channel>", "resume demo", "resume dmo", "pause demo " + "x" * 501]
)
async def test_what_cannot_be_paused_is_said(world: World, run: Run, text: str) -> None:
    answer = await run(text)
    assert not answer.ok
    assert answer.lines
    assert await world.store.pauses.all() == []


async def test_a_typo_gets_the_nearest_connection(run: Run) -> None:
    assert 'Did you mean "demo"?' in (await run("pause dmo")).lines[0]
    await run("pause demo")
    assert "Paused: demo." in (await run("resume all")).lines[0]


@pytest.mark.promise(5)
async def test_only_admins_pull_it(world: World, run: Run) -> None:
    assert (await run("pause all", SAM)).lines == ("Only admins may do this.",)
    assert await world.store.pauses.all() == []
