"""A delegate decides in the place of somebody who is away: what that gives, what it never does, and when it is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.absence import standing_in
from bot.accounts import PlatformUser
from bot.cards import card_view
from bot.drawer import Drawer
from bot.email.personal import EmailPersonal
from bot.happenings import happenings
from bot.personal import redirected
from bot.visibility import may_read, may_see
from holdpoint.absence import Absence
from holdpoint.errors import ChannelRefused, MayNotDecide
from holdpoint.model import DecisionKind, Hold, Requester, Requirement, Reviewer, ReviewTerms, Role, State
from holdpoint.policy.mask import Masks
from tests.bot.board import Board
from tests.bot.world import World
from tests.conftest import MovingClock
from tests.support.builders import make_evaluation

SAM, KIM, LENA, EVE, ADA, PAT, DANA = (
    f"{name}@example.com" for name in ("sam", "kim", "lena", "eve", "ada", "pat", "dana")
)
DAY_MS = 86_400_000
APPROVE, REJECT = DecisionKind.APPROVE, DecisionKind.REJECT


class People:
    """A platform of which everybody is a member, with the address that their id says."""

    async def look_up(self, user_id: str, *, fresh: bool = False) -> PlatformUser | None:
        del fresh
        return PlatformUser(user_id, f"{user_id}@example.com", user_id.capitalize(), zone="Europe/Berlin")


async def away(world: World, who: str, delegate: str = "", *, days: float = 2) -> Absence:
    now_ms = world.clock()
    absence = Absence(who, now_ms, now_ms + int(days * DAY_MS), who, delegate)
    await world.store.absences.begin(absence)
    await world.live.look()
    return absence


async def in_chat(world: World, name: str) -> Reviewer:
    return await world.directory.by_platform(People(), "slack", name)


async def decide(world: World, hold: Hold, reviewer: Reviewer, kind: DecisionKind = APPROVE) -> Hold:
    return await world.decider.decide(hold.id, reviewer, kind, digest=hold.digest, reason="because")


@pytest.mark.promise(5)
async def test_who_decides_nothing_otherwise_sees_and_decides_in_the_place_of_who_is_away(world: World) -> None:
    hold = await world.hold()
    eve = await in_chat(world, "eve")
    assert not may_see(hold, eve)
    with pytest.raises(MayNotDecide):
        await decide(world, hold, eve)
    absence = await away(world, SAM, EVE)
    eve = await in_chat(world, "eve")
    assert (eve.groups, eve.roles, eve.zone) == (frozenset(), {Role.REVIEWER}, "Europe/Berlin")
    assert may_see(hold, eve)
    view = card_view(hold, now_ms=world.clock(), link_base="https://hp.example", masks=Masks(), viewer=eve)
    assert view.in_place_of.startswith("sam@example.com, away until ")
    assert "approve" in view.actions
    decided = await decide(world, hold, eve)
    assert decided.state is State.APPROVED
    (decision,) = decided.decisions
    assert (decision.by, decision.behalf, decision.behalf_until_ms) == (EVE, (SAM,), absence.until_ms)
    assert (await world.store.holds.get(hold.id)).decisions == (decision,)
    story = card_view(decided, now_ms=world.clock(), link_base="https://hp.example", masks=Masks())
    assert story.state_sentence.startswith("Approved by Eve for sam@example.com (away until ")
    assert any("by Eve (eve@example.com) for sam@example.com (away until " in line.text for line in story.timeline)
    assert "for sam@example.com (away until " in happenings(decided, masks=Masks())[0].text


async def test_ones_own_right_comes_first_and_nobody_elses_name_is_used(world: World) -> None:
    await away(world, SAM, KIM)
    hold = await world.hold()
    kim = await in_chat(world, "kim")
    view = card_view(hold, now_ms=world.clock(), link_base="https://hp.example", masks=Masks(), viewer=kim)
    assert view.in_place_of == ""
    (decision,) = (await decide(world, hold, kim)).decisions
    assert (decision.by, decision.behalf, decision.behalf_until_ms) == (KIM, (), None)


@pytest.mark.promise(5)
async def test_what_has_to_be_confirmed_nobody_approves_for_somebody_else(world: World) -> None:
    """Whoever took over the absent person's chat account could have named themselves their delegate."""
    hold = await world.hold(evaluation=make_evaluation(terms=ReviewTerms(step_up_ms=300_000)))
    await away(world, SAM, EVE)
    eve = replace(await in_chat(world, "eve"), auth_ms=world.clock())
    with pytest.raises(MayNotDecide, match=r"nobody gives it for sam@example\.com"):
        await decide(world, hold, eve)
    assert (await decide(world, hold, eve, REJECT)).state is State.REJECTED


@pytest.mark.promise(5)
async def test_not_on_a_request_of_who_is_away_nor_of_an_agent_of_theirs(world: World) -> None:
    await away(world, SAM, EVE)
    eve = await in_chat(world, "eve")
    for requester in (Requester(SAM, frozenset()), Requester("bot", frozenset(), owner=SAM)):
        hold = await world.hold(f"password of {requester.principal}", requester=requester)
        with pytest.raises(MayNotDecide, match=r"stand in for .*, whose own request it is"):
            await decide(world, hold, eve)


@pytest.mark.promise(5)
@pytest.mark.parametrize("how", ["back", "lapsed", "left the group", "somebody else"])
async def test_it_is_over_at_once(world: World, clock: MovingClock, how: str) -> None:
    await away(world, SAM, EVE)
    hold = await world.hold(asynchronous=True)
    eve = await in_chat(world, "eve")
    assert "approve" in card_view(hold, now_ms=clock(), link_base="", masks=Masks(), viewer=eve).actions
    match how:
        case "back":
            await world.store.absences.end(SAM, by=SAM)
        case "lapsed":
            await away(world, SAM, EVE, days=0.001)
            eve = await in_chat(world, "eve")
            clock.forward(seconds=0.001 * 86_400)
            with pytest.raises(MayNotDecide):  # whoever was looked up a moment before
                await decide(world, hold, eve)
        case "left the group":
            policy = await world.store.config.policy()
            assert policy is not None
            text = policy.text.replace("[sam@example.com, kim@example.com]", "[kim@example.com]")
            await world.store.config.push_policy(text, expect=policy.version, by="test")
        case _:
            await away(world, SAM, PAT)
    clock.forward(seconds=1)
    with pytest.raises(MayNotDecide):
        await decide(world, hold, await in_chat(world, "eve"))
    assert not may_see(hold, await in_chat(world, "eve"))


@pytest.mark.promise(5)
async def test_nothing_but_reviewing_is_handed_on(world: World) -> None:
    await away(world, ADA, EVE)
    await away(world, "cara@example.com", EVE)
    await world.add_key("grace@example.com", groups=frozenset({"security"}))
    await away(world, "grace@example.com", EVE)  # by a key alone, which she keeps
    eve = await in_chat(world, "eve")
    assert {each.principal: each.groups for each in eve.stands_in_for} == {
        ADA: {"platform"}, "cara@example.com": {"compliance"},
    }  # fmt: skip
    assert eve.roles == {Role.REVIEWER}  # as admins are the reviewers of last resort
    assert not may_see(await world.hold(), eve)


@pytest.mark.promise(5)
async def test_it_is_not_handed_on_any_further(world: World) -> None:
    await away(world, SAM, EVE)
    await away(world, EVE, PAT)
    assert (await in_chat(world, "pat")).stands_in_for == ()
    assert [each.principal for each in (await in_chat(world, "eve")).stands_in_for] == [SAM]


@pytest.mark.promise(5)
async def test_a_key_that_was_not_made_for_reviewing_does_not_review_for_somebody_else(world: World) -> None:
    for delegate, expected in (("eve@example.com", []), (PAT, [SAM]), ("robot", [])):
        await away(world, SAM, delegate)
        assert [each.principal for each in (await world.who(delegate)).stands_in_for] == expected
    await away(world, SAM, PAT)
    decided = await decide(world, await world.hold(), await world.who(PAT, "web"))
    assert decided.decisions[0].behalf == (SAM,)


@pytest.mark.promise(5)
async def test_nobody_stands_in_for_themselves_under_another_name(world: World) -> None:
    absence = await away(world, SAM, EVE)
    eve = replace(await in_chat(world, "eve"), stands_in_for=(), aliases=frozenset({"SAM@example.com"}))
    assert standing_in(eve, world.live.snapshot, world.clock()) == eve
    await world.store.absences.begin(replace(absence, aliases=frozenset({EVE})))
    await world.live.look()
    assert (await in_chat(world, "eve")).stands_in_for == ()


@pytest.mark.promise(5)
async def test_one_person_fills_one_seat_of_a_quorum_in_whosever_place(world: World) -> None:
    await away(world, SAM, KIM)
    two = make_evaluation(requirements=(Requirement("security", 2),), escalations=())
    hold = await world.hold(evaluation=two)
    kim = await in_chat(world, "kim")
    once = await decide(world, hold, kim)
    assert once.state is State.PENDING
    again = await decide(world, hold, kim)
    assert again.state is State.PENDING
    assert len(again.decisions) == 1


async def test_who_is_away_may_decide_all_the_same(world: World) -> None:
    await away(world, SAM, EVE)
    assert (await decide(world, await world.hold(), await in_chat(world, "sam"), REJECT)).state is State.REJECTED


async def test_may_read_without_a_group_of_ones_own(world: World) -> None:
    nobody = Reviewer("zoe@example.com", frozenset(), frozenset(), "web")
    assert not may_read(nobody)
    await away(world, SAM, "zoe@example.com")
    assert may_read(standing_in(replace(nobody, roles=frozenset()), world.live.snapshot, world.clock()))


class Odd(EmailPersonal):
    """A platform that does not know everybody."""

    async def whose(self, target: str) -> str:
        if target == "email:gone@example.com":
            raise ChannelRefused("nobody of that name")
        return await super().whose(target)

    async def place_of(self, principal: str) -> str:
        return "" if principal == PAT else await super().place_of(principal)


@pytest.mark.parametrize(
    ("targets", "absent", "expected"),
    [
        (["email:sam@example.com", "email:team@example.com"], {SAM: ""}, ["email:team@example.com"]),
        (["email:sam@example.com"], {SAM: LENA}, ["email:lena@example.com"]),
        (["email:Sam@Example.com"], {SAM: LENA}, ["email:lena@example.com"]),
        (["email:sam@example.com", "email:lena@example.com"], {SAM: LENA}, ["email:lena@example.com"]),
        (["email:sam@example.com"], {SAM: ""}, ["email:sam@example.com"]),  # nothing is lost
        (["email:sam@example.com"], {SAM: PAT}, ["email:sam@example.com"]),
        (["email:sam@example.com", "email:kim@example.com"], {SAM: KIM, KIM: ""}, ["email:sam@example.com", "email:kim@example.com"]),
        (["email:gone@example.com", "email:sam@example.com"], {SAM: ""}, ["email:gone@example.com"]),
        (["email:newcomer@example.com", "email:team@example.com"], {"newcomer@example.com": LENA}, ["email:team@example.com"]),
    ],
)  # fmt: skip  # a table
async def test_a_route_to_one_person_leads_to_their_delegate(
    world: World, targets: list[str], absent: dict[str, str], expected: list[str]
) -> None:
    for who, delegate in absent.items():
        await away(world, who, delegate)
    assert await redirected(targets, Odd(), world.live.snapshot, world.clock()) == expected


async def test_a_card_goes_to_the_delegate_and_to_who_is_back_as_well(world: World) -> None:
    policy = await world.store.config.policy()
    assert policy is not None
    text = policy.text.replace('{group: "*", channels: [web]}', '{group: "*", channels: ["teams:sam@example.com"]}')
    await world.store.config.push_policy(text, expect=policy.version, by="test")
    board = Board()

    class Rooms(EmailPersonal):
        async def whose(self, target: str) -> str:
            return target.removeprefix("teams:")

        async def place_of(self, principal: str) -> str:
            return f"teams:{principal}"

    await away(world, SAM, KIM)
    drawer = Drawer(world.store, world.live, board, clock=world.clock, personal=Rooms())
    hold = await world.hold()
    await drawer.draw(hold.id)
    assert [target for target in board.posts if "dm" not in target] == ["teams:kim@example.com"]
    await world.store.absences.end(SAM, by=SAM)
    await drawer.draw(hold.id)
    assert [t for t in board.posts if "dm" not in t] == ["teams:kim@example.com", "teams:sam@example.com"]
