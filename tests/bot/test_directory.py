from __future__ import annotations

import pytest

from bot.accounts import PlatformUser, UnknownPerson
from bot.directory import Directory, UnknownKey
from holdpoint.model import Role
from tests.bot.world import World
from tests.conftest import MovingClock


class People:
    """A platform with a few users; counts how often it is asked."""

    def __init__(self, **users: PlatformUser | None) -> None:
        self.users = users
        self.asked = 0

    async def look_up(self, user_id: str, *, fresh: bool = False) -> PlatformUser | None:
        self.asked += 1
        return self.users.get(user_id)


async def test_a_key_brings_its_groups_and_those_of_the_policy(world: World) -> None:
    await world.add_key("kim@example.com", groups=frozenset({"night-shift"}))
    kim = await world.who("kim@example.com")
    assert (kim.principal, kim.name, kim.channel) == ("kim@example.com", "Kim", "api")
    assert kim.groups == {"security", "night-shift"}
    assert kim.roles == {Role.REVIEWER}


@pytest.mark.promise(5)
async def test_a_key_has_the_roles_that_it_was_made_with_whatever_its_groups_may(world: World) -> None:
    assert (await world.who("cara@example.com")).roles == {Role.AUDITOR}
    for_a_program = await world.add_key("sam@example.com", roles=frozenset())
    reviewer = await world.directory.by_key(for_a_program, channel="api")
    assert "security" in reviewer.groups
    assert reviewer.roles == frozenset()


async def test_an_agent_is_known_as_one(world: World) -> None:
    assert (await world.who("robot")).owner == "lena@example.com"


@pytest.mark.promise(5)
async def test_a_revoked_key_is_nobody(world: World) -> None:
    text = world.keys["sam@example.com"]
    await world.store.config.revoke_key(text.split("_")[1], by="test")
    await world.live.look()
    with pytest.raises(UnknownKey):
        await world.directory.by_key(text, channel="web")


@pytest.mark.promise(5)
async def test_an_expired_key_is_nobody(world: World, clock: MovingClock) -> None:
    text = await world.add_key("temp@example.com", expires_ms=clock.ms + 1000)
    await world.directory.by_key(text, channel="web")
    clock.forward(seconds=1)
    with pytest.raises(UnknownKey):
        await world.directory.by_key(text, channel="web")


@pytest.mark.parametrize("text", ["", "hp_", "hp_00000000_" + "a" * 38, "\ud800", "x" * 100_000])
async def test_what_is_no_key_is_nobody(world: World, text: str) -> None:
    with pytest.raises(UnknownKey):
        await world.directory.by_key(text, channel="web")


async def test_a_platform_user_is_who_their_e_mail_says(world: World) -> None:
    people = People(U1=PlatformUser("U1", "Sam@Example.com", "Sam", frozenset({"oncall"})))
    sam = await world.directory.by_platform(people, "slack", "U1")
    assert (sam.principal, sam.channel, sam.address) == ("sam@example.com", "slack", "U1")
    assert sam.groups == {"security", "oncall"}


@pytest.mark.parametrize("user", [None, PlatformUser("U1", "", "Ghost")])
async def test_without_an_e_mail_nobody_is_known(world: World, user: PlatformUser | None) -> None:
    with pytest.raises(UnknownPerson):
        await world.directory.by_platform(People(U1=user), "slack", "U1")


async def test_a_platform_is_asked_once_a_minute(world: World, clock: MovingClock) -> None:
    people, directory = People(U1=PlatformUser("U1", "sam@example.com", "Sam")), Directory(world.live, clock=clock)
    for expected, seconds in ((1, 59), (1, 1), (2, 0)):
        await directory.by_platform(people, "slack", "U1")
        assert people.asked == expected
        clock.forward(seconds=seconds)
    directory.forget("slack", "U1")
    await directory.by_platform(people, "slack", "U1")
    assert people.asked == 3


@pytest.mark.promise(5)
async def test_what_a_platform_said_does_not_freeze_the_policy(world: World) -> None:
    people, directory = People(U1=PlatformUser("U1", "sam@example.com", "Sam")), world.directory
    assert "security" in (await directory.by_platform(people, "slack", "U1")).groups
    policy = await world.store.config.policy()
    assert policy is not None
    await world.store.config.push_policy(policy.text.replace("sam@example.com, ", ""), expect=1, by="test")
    await world.live.look()
    assert "security" not in (await directory.by_platform(people, "slack", "U1")).groups
