from __future__ import annotations

import pytest

from bot.commands import Answer, Commands
from tests.bot.world import World
from tests.conftest import MovingClock

ADA, SAM, EVE = "ada@example.com", "sam@example.com", "eve@example.com"


async def run(world: World, text: str, who: str = ADA) -> Answer:
    commands = Commands(world.store, world.live, clock=world.clock, link_base="https://hp.example")
    return await commands.run(text, await world.who(who))


async def test_routes_are_added_listed_and_removed(world: World) -> None:
    added = await run(world, "route add contractors <#C0SECURITY|security>")
    assert (added.ok, added.lines) == (True, ("Cards for contractors now go to slack:C0SECURITY.",))
    assert world.live.snapshot.channels_for({"contractors"}) == ("slack:C0SECURITY", "web")
    listed = await run(world, "route list")
    assert listed.table is not None
    assert listed.table.rows == (("*", "web", "policy"), ("contractors", "slack:C0SECURITY", "command"))
    again = await run(world, "route add contractors slack:C0SECURITY")
    assert again.lines == ("Cards for contractors already go to slack:C0SECURITY.",)
    removed = await run(world, "route remove contractors slack:C0SECURITY")
    assert (removed.ok, world.live.snapshot.routes) == (True, ())
    assert not (await run(world, "route remove contractors slack:C0SECURITY")).ok


async def test_an_unknown_group_is_pointed_out(world: World) -> None:
    answer = await run(world, "route add typo slack:C0SECURITY")
    assert answer.ok
    assert "no members of typo" in answer.lines[1]


@pytest.mark.promise(5)
@pytest.mark.parametrize("text", ["route list", "route add contractors web", "route remove * web"])
async def test_routes_are_for_admins(world: World, text: str) -> None:
    answer = await run(world, text, SAM)
    assert (answer.ok, answer.lines) == (False, ("Only admins may see and change routes.",))
    assert await world.store.config.routes() == []


async def test_pending_shows_what_one_may_decide(world: World, clock: MovingClock) -> None:
    await world.hold("first password")
    clock.forward(seconds=1)
    newest = await world.hold("second password")
    answer = await run(world, "pending", SAM)
    assert answer.lines == ("2 waiting.",)
    assert answer.cards[0].id == newest.id
    assert (await run(world, "pending", "lena@example.com")).lines == ("Nothing waits for a decision.",)


async def test_show(world: World) -> None:
    hold = await world.hold()
    assert (await run(world, f"show {hold.id}", SAM)).cards[0].id == hold.id
    hidden = await run(world, f"show {hold.id}", "lena@example.com")
    unknown = await run(world, "show h00000000000000", SAM)
    assert (hidden.ok, hidden.cards, hidden.lines) == (False, (), unknown.lines)


async def test_who_has_no_business_sees_nothing(world: World) -> None:
    await world.add_key("nobody@example.com", roles=frozenset())
    hold = await world.hold()
    for text in ("pending", f"show {hold.id}"):
        answer = await run(world, text, "nobody@example.com")
        assert (answer.ok, answer.cards) == (False, ())


async def test_whoami(world: World) -> None:
    answer = await run(world, "whoami", SAM)
    assert answer.table is not None
    assert answer.table.rows == (("principal", SAM), ("groups", "security"), ("roles", "reviewer"))


@pytest.mark.parametrize("text", ["", "help", "  HELP ".lower()])
async def test_help(world: World, text: str) -> None:
    answer = await run(world, text, EVE)
    assert answer.ok
    assert answer.table is not None


@pytest.mark.parametrize(
    "text",
    ["route", "route add", "route add contractors", "route add contractors nowhere", "route add con|tractors web",
     "route add contractors slack:C0 extra", "route remove contractors <!channel>", "show", "show a b", "show ../x", "nonsense", "pending x"],
)  # fmt: skip
async def test_what_is_no_command_gets_a_hint(world: World, text: str) -> None:
    answer = await run(world, text)
    assert not answer.ok
    assert answer.lines
    assert await world.store.config.routes() == []
