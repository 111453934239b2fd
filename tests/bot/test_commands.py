"""The table of commands and its dispatch: who may, help, hints, confirmation; and that any text gets an answer."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.admin.office import Access, Command
from bot.commands import LONGEST, TABLE, Answer, Commands
from holdpoint.model import EventKind, Role
from tests.bot.world import World
from tests.conftest import MovingClock

ADA, SAM, EVE, CARA = (f"{name}@example.com" for name in ("ada", "sam", "eve", "cara"))
DOCS = Path(__file__).parent.parent.parent / "docs" / "commands.md"


def commands_of(world: World) -> Commands:
    return Commands(
        world.store, world.live, clock=world.clock, link_base="https://hp.example",
        decider=world.decider, metrics=world.metrics,
    )  # fmt: skip


async def run(world: World, text: str, who: str = ADA, *, verified: bool = True) -> Answer:
    return await commands_of(world).run(text, await world.who(who), verified=verified)


@pytest.mark.parametrize("text", ["", "help", "  HELP ", "\n"])
async def test_help_names_every_command(world: World, text: str) -> None:
    answer = await run(world, text, EVE)
    assert answer.ok
    assert answer.table is not None
    assert [row[0] for row in answer.table.rows] == [row.form.shown for row in TABLE]


async def test_help_for_one_family(world: World) -> None:
    answer = await run(world, "help policy")
    assert answer.ok
    assert answer.table is not None
    assert {row[0].split()[0] for row in answer.table.rows} == {"policy"}
    assert len(answer.table.rows) == 5
    assert "Did you mean: policy show" in (await run(world, "help polcy shw")).lines[1]


@pytest.mark.parametrize(
    ("text", "begins"),
    [("route", "route "), ("route add", "route add"), ("route add a", "route add"), ("route add a b c", "route add"),
     ("show", "show"), ("show a b", "show"), ("policy mode r off", "policy mode"), ("break-glass", "break-glass"),
     ("break-glass review", "break-glass review"), ("quiet sometimes", "quiet"), ("pause", "pause"), ("Reject h1", "reject")],
)  # fmt: skip
async def test_what_is_incomplete_gets_its_own_help(world: World, text: str, begins: str) -> None:
    answer = await run(world, text)
    assert not answer.ok
    assert answer.table is not None
    assert answer.table.rows
    assert all(row[0].startswith(begins) for row in answer.table.rows)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("rote list", "route list"), ("aprove h1", "approve"), ("whoami?", "whoami"), ("breakglass h1 x", "break-glass"), ("dcotor", "doctor")],
)  # fmt: skip
async def test_what_is_unknown_gets_the_nearest_match_and_help(world: World, text: str, nearest: str) -> None:
    answer = await run(world, text)
    assert not answer.ok
    assert answer.lines[0] == "I do not know this command."
    assert answer.lines[1].startswith(f"Did you mean: {nearest}")
    assert answer.table is not None


async def test_nonsense_is_like_nothing(world: World) -> None:
    answer = await run(world, "<!channel> xyzzy")
    assert (answer.ok, answer.lines) == (False, ("I do not know this command.",))


@pytest.mark.promise(5)
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.form.shown)
async def test_nobody_runs_what_is_not_for_them(world: World, row: Command) -> None:
    await world.add_key("nobody@example.com", roles=frozenset())
    may = {
        Access.EVERYBODY: {"nobody@example.com", EVE, SAM, CARA, ADA},
        Access.READERS: {EVE, SAM, CARA, ADA},
        Access.REVIEWERS: {SAM, CARA, ADA},
        Access.OVERSEERS: {CARA, ADA},
        Access.ADMINS: {ADA},
    }
    arguments = [each.choices[0] if each.choices else "h00000000" for each in row.form.parameters]
    text = " ".join([*row.form.words, *arguments])
    for who in ("nobody@example.com", EVE, SAM, CARA, ADA):
        before = await world.store.config.revision()
        answer = await run(world, text, who)
        refused = answer.lines == (f"Only {row.access.value} may do this.",)
        assert refused is (who not in may[row.access]), who
        if refused:
            assert await world.store.config.revision() == before


@pytest.mark.promise(5)
async def test_what_is_personal_needs_a_person_with_proof(world: World) -> None:
    await world.add_key("bot-admin", roles=frozenset({Role.ADMIN}), groups=frozenset({"security"}), owner=ADA)
    hold = await world.hold()
    for text in (f"approve {hold.id}", f"break-glass {hold.id} a good reason", f"changes confirm {hold.id}"):
        assert "An agent's key" in (await run(world, text, "bot-admin")).lines[0]
        assert "in one's own name" in (await run(world, text, verified=False)).lines[0]
    assert (await world.store.holds.get(hold.id)).decisions == ()


async def test_a_confirmation_counts_once_and_for_who_was_asked(world: World) -> None:
    await run(world, "pause all")
    asked = await run(world, "resume all")
    assert asked.confirm.startswith("confirm ")
    assert asked.confirm in asked.lines[-1]
    assert "*" in world.live.snapshot.pauses
    await world.add_key("bea@example.com", roles=frozenset({Role.ADMIN}))
    assert "nothing of yours" in (await run(world, asked.confirm, "bea@example.com")).lines[0]
    assert "*" in world.live.snapshot.pauses
    assert (await run(world, asked.confirm)).ok
    assert world.live.snapshot.pauses == {}
    assert "nothing of yours" in (await run(world, asked.confirm)).lines[0]
    kinds = [event.kind for event in await world.store.outbox.follow("events", after="0", block_ms=1)]
    assert kinds.count(EventKind.TRAFFIC_RESUMED) == 1


async def test_of_many_confirmations_at_once_one_counts(world: World) -> None:
    await run(world, "pause all")
    asked = await run(world, "resume all")
    answers = await asyncio.gather(*(run(world, asked.confirm) for _ in range(5)))
    assert sorted(answer.ok for answer in answers) == [False] * 4 + [True]


async def test_who_is_no_admin_any_more_confirms_nothing(world: World) -> None:
    await run(world, "pause all")
    asked = await run(world, "resume all")
    reviewer = await world.who(ADA)
    no_longer = type(reviewer)(reviewer.principal, frozenset(), frozenset(), "api")
    answer = await commands_of(world).run(asked.confirm, no_longer)
    assert answer.lines == ("Only admins may do this.",)
    assert "*" in world.live.snapshot.pauses


async def test_what_changed_since_the_question_is_asked_again(world: World, clock: MovingClock) -> None:
    await run(world, "pause all")
    asked = await run(world, "resume all")
    clock.forward(seconds=120)
    await run(world, "pause demo")
    again = await run(world, asked.confirm)
    assert "changed meanwhile" in again.lines[0]
    assert "Still paused: demo." in again.lines
    assert set(world.live.snapshot.pauses) == {"*", "demo"}
    assert (await run(world, again.confirm)).ok
    assert set(world.live.snapshot.pauses) == {"demo"}


async def test_a_novel_is_no_command(world: World) -> None:
    assert not (await run(world, "show " + "x" * LONGEST)).ok


@pytest.mark.parametrize(
    "typed", ["sessions end", "sessions list", "keys revoke", "changes show", "unlink", "away until", "x"]
)
async def test_half_a_character_is_no_command(world: World, typed: str) -> None:
    answer = await run(world, f"{typed} sam\ud800@example.com")
    assert not answer.ok
    assert "not valid Unicode" in answer.lines[0]


@pytest.mark.promise(7)
@pytest.mark.promise(8)
async def test_answers_are_masked_and_show_hidden_characters(world: World) -> None:
    reason = "card 4111 1111 1111 1111 \u202egnp"
    answer = await run(world, f"pause all {reason}")
    resumed = await run(world, "resume all")
    said = "\n".join((*answer.lines, *resumed.lines, resumed.text))
    assert "\u202e" not in said
    assert "4111 1111" not in said


@pytest.mark.promise(7)
@pytest.mark.promise(8)
async def test_lines_and_cells_are_masked_and_show_hidden_characters_too(world: World) -> None:
    await world.store.config.push_policy("version: 1\n", expect=1, by="test", note="4111 1111 1111 1111 \u202enote\n")
    for text in ("policy show 2", "policy history"):
        said = str(await run(world, text))
        assert "4111 1111" not in said
        assert "⟨U+202E⟩note⟨U+000A⟩" in said


WORDS = sorted(
    {word for row in TABLE for word in row.form.words} | {"all", "hold", "h0000000000", "*", "web", '"', "“", "‘"}
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(text=st.text(max_size=200) | st.lists(st.sampled_from(WORDS) | st.text(max_size=12), max_size=6).map(" ".join))
async def test_any_text_gets_an_answer(world: World, text: str) -> None:
    """Whatever is typed, by whomever: an answer in words, and never an exception."""
    commands = commands_of(world)
    for who in (ADA, EVE):
        answer = await commands.run(text, await world.who(who))
        assert answer.lines or answer.table or answer.cards or answer.text


def test_the_page_names_every_command() -> None:
    page = DOCS.read_text().replace("\\|", "|")
    assert [row.form.shown for row in TABLE if f"`{row.form.shown}`" not in page] == []


def test_the_page_names_no_other_command() -> None:
    shown = {row.form.shown for row in TABLE}
    rows = re.findall(r"^\| `([^`]+)` \|", DOCS.read_text().replace("\\|", "|"), re.MULTILINE)
    assert set(rows) <= shown
