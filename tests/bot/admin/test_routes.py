from __future__ import annotations

import pytest

from bot.cards import CardView
from bot.commands import Commands
from holdpoint.errors import ChannelRefused
from holdpoint.model import EventKind, Route
from tests.bot.admin.conftest import Run
from tests.bot.world import World

ADDED = "slack:C0SECURITY"


async def test_routes_are_added_listed_and_removed(world: World, run: Run) -> None:
    added = await run("route add contractors <#C0SECURITY|security>")
    assert (added.ok, added.lines) == (True, ("Cards for contractors now go to slack:C0SECURITY.",))
    assert added.text == "+ contractors → slack:C0SECURITY"
    assert world.live.snapshot.channels_for({"contractors"}) == (ADDED, "web")
    listed = await run("route list")
    assert listed.table is not None
    assert listed.table.rows == (("*", "web", "policy"), ("contractors", ADDED, "command"))
    again = await run(f"route add contractors {ADDED}")
    assert again.lines == ("Cards for contractors already go to slack:C0SECURITY.",)
    await run("route add contractors slack:C0SECOND")
    removed = await run(f"route remove contractors {ADDED}")
    assert (removed.ok, removed.confirm, removed.text) == (True, "", f"- contractors → {ADDED}")
    assert world.live.snapshot.routes == (Route("contractors", ("slack:C0SECOND",)),)
    assert not (await run(f"route remove contractors {ADDED}")).ok
    events = await world.store.outbox.follow("events", after="0", block_ms=1)
    routed = [(e.kind, e.data["by"]) for e in events if e.kind in (EventKind.ROUTE_ADDED, EventKind.ROUTE_REMOVED)]
    assert routed == [(EventKind.ROUTE_ADDED, "ada@example.com")] * 2 + [(EventKind.ROUTE_REMOVED, "ada@example.com")]


async def test_leaving_a_group_only_the_web_asks_first(world: World, run: Run) -> None:
    await run(f"route add contractors {ADDED}")
    asked = await run(f"route remove contractors {ADDED}")
    assert "Then they are in the web inbox only." in asked.lines
    assert world.live.snapshot.routes
    assert (await run(f"route remove contractors {ADDED}", confirm=True)).ok
    assert world.live.snapshot.routes == ()


async def test_who_falls_back_to_the_route_of_everybody_else_is_not_asked(world: World, run: Run) -> None:
    await run("route add * slack:C0ELSE")
    await run(f"route add contractors {ADDED}")
    removed = await run(f"route remove contractors {ADDED}")
    assert (removed.ok, removed.confirm) == (True, "")
    assert world.live.snapshot.channels_for({"contractors"}) == ("web", "slack:C0ELSE")


async def test_an_unknown_group_is_pointed_out(run: Run) -> None:
    answer = await run(f"route add typo {ADDED}")
    assert answer.ok
    assert "no members of typo" in answer.lines[1]
    assert "no members of typo" in (await run("route test typo")).lines[1]


@pytest.mark.parametrize(
    "rest",
    ["contractors nowhere", "con|tractors web", "contractors slack:C0", "contractors <!channel>", "contractors slack:T0/",
     '"a b" web', "contractors slack:c0security", "contractors email:nobody", "contractors webby", "<@U0DANA> web", '"" web'],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["add", "remove"])
async def test_what_is_no_route_is_said(world: World, run: Run, verb: str, rest: str) -> None:
    answer = await run(f"route {verb} {rest}")
    assert not answer.ok
    assert "That is no " in answer.lines[0]
    assert await world.store.config.routes() == []


async def test_channels_of_other_workspaces_are_channels(world: World, run: Run) -> None:
    assert (await run("route add contractors slack:T0OTHER/C0SECOND")).ok
    assert world.live.snapshot.routes == (Route("contractors", ("slack:T0OTHER/C0SECOND",)),)


class Board:
    """A platform's channels; one of them is archived."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, CardView]] = []

    async def sample(self, channel: str, view: CardView) -> None:
        if channel == "slack:C0ARCHIVED":
            raise ChannelRefused("Slack's chat.postMessage answers is_archived (the channel is archived)")
        self.posted.append((channel, view))


async def test_a_test_says_where_and_why_and_posts_samples(world: World, run: Run, commands: Commands) -> None:
    board = Board()
    commands.office.samplers["slack"] = board
    for channel in (ADDED, "slack:C0ARCHIVED", "teams:19:abc@thread.tacv2"):
        await run(f"route add contractors {channel}")
    answer = await run("route test contractors")
    assert answer.table is not None
    assert answer.table.rows == (
        ("slack:C0ARCHIVED", "the route of contractors (command)",
         "failed: Slack's chat.postMessage answers is_archived (the channel is archived)"),
        (ADDED, "the route of contractors (command)", "posted"),
        ("teams:19:abc@thread.tacv2", "the route of contractors (command)", "none: teams is not connected to this process"),
        ("web", "the route of * (policy)", "none: every hold is in the inbox"),
    )  # fmt: skip
    ((channel, view),) = board.posted
    assert (channel, view.requester_groups, view.actions) == (ADDED, ("contractors",), ())
    assert await world.store.holds.count() == {} or not any((await world.store.holds.count()).values())
    elsewhere = await run("route test *")
    assert elsewhere.table is not None
    assert [row[0] for row in elsewhere.table.rows] == ["web"]
    assert not (await run("route test <!channel>")).ok


HERE = "teams:19:a@thread.tacv2"


async def test_a_route_is_added_from_inside_a_channel(world: World, commands: Commands) -> None:
    ada = await world.who("ada@example.com")
    added = await commands.run("route here contractors", ada, place=HERE)
    assert (added.ok, added.text) == (True, f"+ contractors → {HERE}")
    assert world.live.snapshot.routes == (Route("contractors", (HERE,)),)
    asked = await commands.run("route here remove contractors", ada, place=HERE)
    assert asked.confirm
    assert not (await commands.run("route here remove contractors", ada, place="teams:19:b@thread.tacv2")).ok
    done = await commands.run(asked.confirm, ada, place="")
    assert (done.ok, world.live.snapshot.routes) == (True, ()), "confirmed from anywhere"


@pytest.mark.parametrize("place", ["", "slack:D0DIRECT", "teams:", "web x", "teams:19:a b@thread.tacv2", "elsewhere"])
@pytest.mark.parametrize("text", ["route here contractors", "route here remove contractors"])
async def test_here_is_a_channel(world: World, commands: Commands, text: str, place: str) -> None:
    answer = await commands.run(text, await world.who("ada@example.com"), place=place)
    assert (answer.ok, "typed in the channel" in answer.lines[0]) == (False, True)
    assert await world.store.config.routes() == []


async def test_here_is_for_admins(world: World, commands: Commands) -> None:
    assert not (await commands.run("route here contractors", await world.who("sam@example.com"), place=HERE)).ok


async def test_a_platform_may_know_why_no_card_would_appear(world: World, commands: Commands) -> None:
    async def why_not(channel: str) -> str:
        return "" if channel == HERE else "It is not there."

    commands.office.lookups["teams"] = why_not
    ada = await world.who("ada@example.com")
    assert "Note: It is not there." in (await commands.run("route add contractors teams:19:c@thread.v2", ada)).lines
    assert not any("Note" in line for line in (await commands.run(f"route add contractors {HERE}", ada)).lines)
    assert not any("Note" in line for line in (await commands.run("route add contractors slack:C0123ABC", ada)).lines)
