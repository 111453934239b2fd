"""``passkey invite``: who may, whom, and what the answer is good for. And what a typed approval answers that has to be confirmed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.commands import Commands
from holdpoint.model import ReviewTerms
from holdpoint.store.passkeys import Invitation
from tests.bot.admin.conftest import ADA, CARA, EVE, SAM, Run
from tests.bot.world import World
from tests.support.builders import make_evaluation

LINK = "https://hp.example/passkeys/"


async def test_an_admin_invites_somebody_once(world: World, run: Run) -> None:
    answer = await run("passkey invite Kim@Example.com")
    assert answer.ok
    (link,) = (line for line in answer.lines if line.startswith(LINK))
    assert await world.store.passkeys.invitation(link.removeprefix(LINK)) == Invitation("kim@example.com", ADA)


@pytest.mark.parametrize(
    ("text", "who", "why"),
    [
        ("passkey invite kim@example.com", SAM, "Only admins"),
        ("passkey invite kim@example.com", CARA, "Only admins"),
        ("passkey invite eve@example.com", EVE, "Only admins"),
        (f"passkey invite {ADA}", ADA, "Another admin has to invite you"),
        ("passkey invite ADA@example.com", ADA, "Another admin has to invite you"),
        ("passkey invite kim", ADA, "e-mail address"),
        ("passkey invite k\u0456m@exam\u200bple.com", ADA, "e-mail address"),
    ],
)
async def test_others_and_others_names_are_refused(run: Run, text: str, who: str, why: str) -> None:
    answer = await run(text, who)
    assert not answer.ok
    assert why in " ".join(answer.lines)
    assert LINK not in " ".join(answer.lines)


async def test_nobody_invites_themselves_under_another_name(world: World, commands: Commands) -> None:
    ada = replace(await world.who(ADA), aliases=frozenset({"ada@corp.example.com"}))
    answer = await commands.run("passkey invite Ada@Corp.example.com", ada, verified=True)
    assert not answer.ok
    assert "Another admin has to invite you" in " ".join(answer.lines)


async def test_nobody_invites_in_a_name_that_they_only_claim(world: World, commands: Commands) -> None:
    robot = replace(await world.who(ADA), principal="admin-bot", owner=ADA)
    for who, verified in ((robot, True), (await world.who(ADA), False)):
        answer = await commands.run("passkey invite kim@example.com", who, verified=verified)
        assert not answer.ok
        assert LINK not in " ".join(answer.lines)


async def test_a_typed_approval_that_has_to_be_confirmed_says_where(world: World, run: Run) -> None:
    hold = await world.hold(evaluation=replace(make_evaluation(), terms=ReviewTerms(step_up_ms=60_000)))
    answer = await run(f"approve {hold.id} fine", SAM)
    assert not answer.ok
    assert answer.link.startswith("http://localhost/confirm/")
    assert answer.link in " ".join(answer.lines)  # for who has no buttons
    step_up = await world.store.stepups.get(answer.link.rpartition("/")[2])
    assert step_up.intent.reason == "fine"
    assert (await world.store.holds.get(hold.id)).decisions == ()
