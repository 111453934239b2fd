"""Microsoft Graph: who is in which Entra group, in batches, for a minute; whatever goes wrong has its own error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.platform import AccessLost
from bot.teams.credentials import Credentials
from bot.teams.graph import AT_ONCE, Graph, GraphRefused
from holdpoint.errors import ChannelError, ChannelUnavailable, ConfigurationError
from tests.bot.teams.outward import settings_of
from tests.conftest import MovingClock
from tests.fakes.teams import FakeTeams


@pytest.fixture
async def graph(teams: FakeTeams, clock: MovingClock) -> AsyncIterator[Graph]:
    made = Graph(f"{teams.url}/", Credentials(settings_of(teams), clock=clock), clock=clock)
    await made.start()
    yield made
    await made.aclose()


async def test_direct_and_nested_membership(teams: FakeTeams, graph: Graph) -> None:
    inner = await teams.add_entra_group("inner", "kim")
    outer = await teams.add_entra_group("outer", inner, "sam")
    kim, sam = teams.people["kim"].aad, teams.people["sam"].aad
    assert await graph.groups_of(kim, [inner, outer]) == {inner, outer}
    assert await graph.groups_of(sam, [inner, outer]) == {outer}
    assert await graph.groups_of(sam, []) == set()


async def test_twenty_groups_at_a_time(teams: FakeTeams, graph: Graph) -> None:
    groups = [await teams.add_entra_group(f"g{number}", "kim") for number in range(2 * AT_ONCE + 1)]
    assert await graph.groups_of(teams.people["kim"].aad, groups) == set(groups)
    assert await teams.count("graph") == 3


@pytest.mark.promise(5)
async def test_an_answer_holds_for_a_minute(teams: FakeTeams, graph: Graph, clock: MovingClock) -> None:
    group, kim = await teams.add_entra_group("eng", "kim"), teams.people["kim"].aad
    assert await graph.groups_of(kim, [group]) == {group}
    await teams.add_entra_group("eng", "sam")
    clock.forward(seconds=59)
    assert await graph.groups_of(kim, [group]) == {group}
    clock.forward(seconds=2)
    assert await graph.groups_of(kim, [group]) == set()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 401, "code": "InvalidAuthenticationToken"}, AccessLost),
        ({"status": 403, "code": "Authorization_RequestDenied"}, GraphRefused),
        ({"status": 404, "code": "Request_ResourceNotFound"}, GraphRefused),
        ({"status": 400, "code": "Request_BadRequest"}, GraphRefused),
        ({"status": 429, "code": "TooManyRequests"}, ChannelUnavailable),
        ({"status": 503, "code": "ServiceUnavailable"}, ChannelUnavailable),
        ({"status": 302, "code": "moved"}, ChannelUnavailable),
        ({"kind": "html", "status": 502}, ChannelUnavailable),
        ({"kind": "html", "status": 200}, ChannelUnavailable),
        ({"kind": "garbage"}, ChannelUnavailable),
        ({"kind": "empty", "status": 204}, GraphRefused),
        ({"kind": "reset"}, ChannelUnavailable),
    ],
)
async def test_what_goes_wrong_is_no_membership_and_not_remembered(
    teams: FakeTeams, graph: Graph, fault: dict[str, Any], error: type[ChannelError]
) -> None:
    group, kim = await teams.add_entra_group("eng", "kim"), teams.people["kim"].aad
    await teams.fail("graph", **fault)
    with pytest.raises(error):
        await graph.groups_of(kim, [group])
    assert await graph.groups_of(kim, [group]) == {group}


async def test_a_token_that_graph_does_not_take_is_asked_for_again(
    teams: FakeTeams, graph: Graph, clock: MovingClock
) -> None:
    group, kim = await teams.add_entra_group("eng", "kim"), teams.people["kim"].aad
    assert await graph.groups_of(kim, [group]) == {group}
    clock.forward(seconds=120)
    await teams.fail("graph", status=401, code="InvalidAuthenticationToken")
    with pytest.raises(AccessLost):
        await graph.groups_of(kim, [group])
    before = await teams.count("token")
    assert await graph.groups_of(kim, [group]) == {group}
    assert await teams.count("token") == before + 1


async def test_a_wrong_secret_is_access_lost(teams: FakeTeams, graph: Graph) -> None:
    await teams.set(secret="another")
    with pytest.raises(AccessLost, match="MicrosoftAppPassword"):
        await graph.groups_of(teams.people["kim"].aad, ["11111111-0000-4000-8000-000000000001"])


@pytest.mark.parametrize("url", ["http://graph.example", "graph.microsoft.com", "ftp://graph.example"])
def test_the_token_goes_to_https_alone(teams: FakeTeams, clock: MovingClock, url: str) -> None:
    with pytest.raises(ConfigurationError, match="TEAMS_GRAPH_URL"):
        Graph(url, Credentials(settings_of(teams), clock=clock), clock=clock)


async def test_before_the_start_nothing_is_asked(teams: FakeTeams, clock: MovingClock) -> None:
    graph = Graph(teams.url, Credentials(settings_of(teams), clock=clock), clock=clock)
    with pytest.raises(ChannelUnavailable):
        await graph.groups_of("x", ["y"])
