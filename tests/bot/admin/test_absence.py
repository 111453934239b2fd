"""``away``, ``back``, ``absences``: what is understood, what is refused, what is recorded."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from holdpoint.absence import Absence
from holdpoint.model import EventKind, Role
from tests.bot.admin.conftest import ADA, CARA, EVE, SAM, Run
from tests.bot.world import POLICY, World
from tests.conftest import MovingClock

KIM, LENA, DANA, PAT = (f"{name}@example.com" for name in ("kim", "lena", "dana", "pat"))
SUNDAY = int(datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp() * 1000)
DAY = 86_400_000


@pytest.fixture(autouse=True)
def sunday(clock: MovingClock, world: World) -> None:
    """It is Sunday noon."""
    clock.ms = SUNDAY


async def only(world: World) -> Absence:
    (absence,) = await world.store.absences.all()
    return absence


@pytest.mark.parametrize(
    ("text", "until_ms", "delegate", "reason"),
    [
        ("away until 2d", SUNDAY + 2 * DAY, "", ""),
        ("AWAY Until 2d", SUNDAY + 2 * DAY, "", ""),
        ("away until 2d delegate kim@example.com", SUNDAY + 2 * DAY, KIM, ""),
        ("away until 2d delegate Kim@Example.com because of the flu", SUNDAY + 2 * DAY, KIM, "of the flu"),
        ("away until 2d because I delegate nothing", SUNDAY + 2 * DAY, "", "I delegate nothing"),
        ("away until tuesday because “it is\nbecause”", SUNDAY + DAY * 3 // 2, "", "“it is\nbecause”"),
        ('away until "monday 06:00" delegate "lena@example.com"', SUNDAY + DAY * 3 // 4, LENA, ""),
    ],
)
async def test_what_is_said_is_stored_and_recorded(
    world: World, run: Run, text: str, until_ms: int, delegate: str, reason: str
) -> None:
    answer = await run(text, SAM)
    assert answer.ok, answer.lines
    absence = await only(world)
    assert (absence.principal, absence.until_ms, absence.delegate) == (SAM, until_ms, delegate)
    assert (absence.reason, absence.by, absence.since_ms, absence.zone) == (reason, SAM, SUNDAY, "UTC")
    assert "UTC" in answer.lines[0]
    assert "nobody tells Holdpoint your time zone" in answer.lines[1]
    assert world.live.snapshot.absences.of(SAM, SUNDAY) == absence
    event = (await world.store.outbox.follow("events", after="0", block_ms=1))[-1]
    assert (event.kind, event.subject) == (EventKind.ABSENCE_BEGAN, SAM)
    assert (event.data["delegate"], event.data["until_ms"]) == (delegate, until_ms)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("away until never", "cannot read"),
        ("away until 2d 3d", "cannot read"),
        ("away until 2026-11-21", "is over already"),
        ("away until 181d", "at most 180d"),
        ("away until 2027-12-01", "too far away"),
        ("away until delegate kim@example.com", "Write: until"),
        ("away until 2d delegate", "Write: until"),
        ("away until 2d delegate kim@example.com lena@example.com", "Write: until"),
        ("away until 2d because", "Write: until"),
        ("away until 2d because " + "x" * 201, "longer than 200"),
        ("away until 2d delegate kim", "e-mail address"),
        ("away until 2d delegate <@U0KIM>", "e-mail address"),
        ("away until 2d delegate sam@example.com", "themselves"),
        ("away until 2d delegate SAM@example.com", "themselves"),
        ("away until 2d delegate kin@example.com", 'Did you mean "kim@example.com"?'),
        ("away until 2d delegate bot@example.com", "is an agent"),
    ],
)
async def test_what_cannot_be_is_said_and_changes_nothing(world: World, run: Run, text: str, why: str) -> None:
    await world.add_key("bot@example.com", owner=LENA)
    answer = await run(text, SAM)
    assert not answer.ok
    assert why in " ".join(answer.lines)
    assert await world.store.absences.all() == []


async def test_who_is_away_stands_in_for_nobody_new_and_hands_nothing_on(world: World, run: Run) -> None:
    assert (await run("away until 3d delegate lena@example.com", KIM)).ok
    refused = await run("away until 2d delegate kim@example.com", SAM)
    assert not refused.ok
    assert "kim@example.com is away until Wed 2026-11-25 12:00 UTC; lena@example.com stands in" in refused.lines[0]
    assert (await run("back", KIM)).ok
    assert (await run("away until 2d delegate kim@example.com", SAM)).ok
    assert any("not handed on" in line for line in (await run("away until 3d delegate lena@example.com", KIM)).lines)
    assert [each.principal for each in (await world.who(LENA)).stands_in_for] == [KIM]


@pytest.mark.promise(5)
async def test_only_who_may_decide_has_a_delegate(world: World, run: Run) -> None:
    answer = await run("away until 2d delegate sam@example.com", EVE)
    assert not answer.ok
    assert "nothing that you may decide" in answer.lines[0]
    assert (await run("away until 2d", EVE)).ok


@pytest.mark.promise(5)
@pytest.mark.parametrize("text", ["away until 2d", "back", f"away {SAM} until 2d", f"back {SAM}"])
async def test_it_is_said_in_ones_own_name(world: World, run: Run, text: str) -> None:
    assert not (await run(text, ADA, verified=False)).ok
    await world.add_key("ada-bot", roles=frozenset({Role.ADMIN}), owner=ADA)
    assert "agent's key" in (await run(text, "ada-bot")).lines[0]
    assert await world.store.absences.all() == []


async def test_back_ends_it_and_is_recorded(world: World, run: Run) -> None:
    assert (await run("back", SAM)).lines == ("You are not away, as far as Holdpoint was told.",)
    await run("away until 2d delegate kim@example.com", SAM)
    answer = await run("back", SAM)
    assert answer.lines == ("You are back.", "kim@example.com stands in no longer.")
    assert await world.store.absences.all() == []
    assert (await world.who(KIM)).stands_in_for == ()
    event = (await world.store.outbox.follow("events", after="0", block_ms=1))[-1]
    assert (event.kind, event.subject, event.data["by"]) == (EventKind.ABSENCE_ENDED, SAM, SAM)


async def test_it_lapses_by_itself_and_that_is_recorded_once(world: World, run: Run, clock: MovingClock) -> None:
    await run("away until 2d delegate kim@example.com", SAM)
    await run("away until 3d", LENA)
    clock.forward(seconds=2 * 86_400 - 1)
    assert [each.principal for each in (await world.who(KIM)).stands_in_for] == [SAM]
    clock.forward(seconds=1)
    assert (await world.who(KIM)).stands_in_for == ()
    assert (await run("away", SAM)).lines == ("You are not away, and stand in for nobody.",)
    await world.store.absences.prune()
    await world.store.absences.prune()
    assert [each.principal for each in await world.store.absences.all()] == [LENA]
    ended = [
        event
        for event in await world.store.outbox.follow("events", after="0", block_ms=1)
        if event.kind is EventKind.ABSENCE_ENDED
    ]
    assert [(event.subject, event.data["by"]) for event in ended] == [(SAM, "policy")]


async def test_an_admin_says_it_for_somebody_who_is_ill(world: World, run: Run) -> None:
    assert (await run(f"away {LENA} until 2d because ill")).ok
    assert (await only(world)).by == ADA
    asked = await run(f"away {SAM} until 2d delegate {KIM}")
    assert asked.confirm
    assert "kim@example.com may decide what security may, but not on requests of sam@example.com." in asked.lines[0]
    assert (await world.who(KIM)).stands_in_for == ()
    assert (await run(asked.confirm)).ok
    assert [each.principal for each in (await world.who(KIM)).stands_in_for] == [SAM]
    assert (await run(f"back {SAM}")).lines[0] == "sam@example.com is back."
    assert (await world.who(KIM)).stands_in_for == ()


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("text", "who", "why"),
    [
        (f"away {SAM} until 2d", SAM, "Only admins"),
        (f"away {KIM} until 2d delegate {DANA}", SAM, "Only admins"),
        (f"back {KIM}", SAM, "Only admins"),
        ("absences", SAM, "Only admins and auditors"),
        (f"away {SAM} until 2d delegate {ADA}", ADA, "yourself"),
        (f"away {ADA} until 2d", ADA, "That is you"),
        ("away nobody@example.com until 2d", ADA, "Nobody knows"),
        ("away robot until 2d", ADA, "e-mail address"),
    ],
)
async def test_who_may_not(world: World, run: Run, text: str, who: str, why: str) -> None:
    answer = await run(text, who)
    assert not answer.ok
    assert why in answer.lines[0]
    assert await world.store.absences.all() == []


@pytest.mark.promise(5)
async def test_where_changes_need_two_admins_one_hands_nobody_elses_authority_on(world: World, run: Run) -> None:
    await world.store.config.push_policy(POLICY + "changes: {second_admin: true}\n", expect=1, by="test")
    await world.live.look()
    refused = await run(f"away {SAM} until 2d delegate {KIM}")
    assert "two admins" in refused.lines[0]
    assert await world.store.absences.all() == []
    assert (await run(f"away {SAM} until 2d")).ok
    assert (await run(f"away until 2d delegate {KIM}", SAM)).ok


async def test_what_is_listed(world: World, run: Run) -> None:
    assert (await run("absences", CARA)).lines == ("Nobody is away, as far as Holdpoint was told.",)
    await run(f"away until 2d delegate {KIM} because of the *flu*", SAM)
    await run("away until monday", LENA)
    listed = (await run("absences", CARA)).table
    assert listed is not None
    assert listed.rows == (
        (LENA, "Mon 2026-11-23 00:00 UTC", "nobody", "", LENA),
        (SAM, "Tue 2026-11-24 12:00 UTC", KIM, "of the *flu*", SAM),
    )
    own = (await run("away", SAM)).table
    assert own is not None
    assert own.rows == (("Away", "until Tue 2026-11-24 12:00 UTC, kim@example.com stands in"),)
    whoami = (await run("whoami", KIM)).table
    assert whoami is not None
    assert whoami.rows[-1] == ("Standing in", "for sam@example.com until Tue 2026-11-24 12:00 UTC (security)")


async def test_a_reason_cannot_look_like_another_line_of_what_changed(world: World, run: Run) -> None:
    assert (await run(f"away until 2d because ill\n+ {SAM} is away until then; {DANA} stands in", SAM)).ok
    text = (await run(f"away {SAM} until 3d")).text
    assert [line[:17] for line in text.splitlines()] == ["- sam@example.com", "+ sam@example.com"]


@pytest.mark.parametrize("text", ["away until", f"away {SAM}", f"away {SAM} till 2d", "back a b"])
async def test_what_is_incomplete_gets_its_own_help(world: World, run: Run, text: str) -> None:
    answer = await run(text, SAM)
    assert not answer.ok
    assert answer.table is not None
    assert all(row[0].startswith(text.split(maxsplit=1)[0]) for row in answer.table.rows)
