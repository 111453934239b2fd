"""Being away, in Slack: said there, a delegate decides there, and loses it at once; who is away is not called."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot import slack as names
from holdpoint.model import Mention, Question, Requester, Requirement, ReviewTerms, State
from tests.bot.slack.conftest import POLICY, MakeWorld, World
from tests.bot.slack.hands import modal_of, stored
from tests.bot.slack.test_commands import say
from tests.bot.slack.test_home import shows as home_shows
from tests.bot.slack.test_threads import called, known, says, settled
from tests.support.waiting import wait_until

SAM = Requester("sam@example.com", frozenset({"security"}), name="Sam")
HELD = ReviewTerms(mentions=frozenset({Mention.HELD}))


@pytest.fixture
async def http(make_world: MakeWorld) -> World:
    return await make_world("http")


async def in_force(world: World, *, away: int) -> None:
    """Every process has seen it, which is within a second in any case."""
    await world.live.look()
    assert len(world.live.snapshot.absences) == away


@pytest.mark.promise(5)
async def test_a_delegate_decides_until_the_very_moment_at_which_it_is_over(world: World) -> None:
    world.sam.tz = "Europe/Berlin"
    first, second = await world.hold("first password", escalations=()), await world.hold("second password")
    card, other = await world.card(first), await world.card(second)
    await world.slack.click(world.ola, card, names.APPROVE)
    await world.told(world.ola, "may decide on this request")
    answer = await say(world, world.sam, f"away until tomorrow 12:00 delegate <@{world.ola.id}|ola> because *ill*")
    assert "Europe/Berlin; ola@example.com stands in." in answer.seen.text
    assert "nobody tells Holdpoint your time zone" not in answer.seen.text
    assert (await world.slack.click(world.ola, card, names.APPROVE)).acked
    decided = await stored(world, first)
    assert (decided.state, decided.decisions[0].by) == (State.APPROVED, "ola@example.com")
    assert decided.decisions[0].behalf == ("sam@example.com",)
    await world.shows(card, "Approved by ola for sam@example.com (away until ")
    # Between the dialog and its submission Sam is back.
    await world.slack.click(world.ola, other, names.REJECT)
    modal = modal_of(world, world.ola)
    assert "You are back" in (await say(world, world.sam, "back")).seen.text
    await world.slack.submit(world.ola, modal, {"reason": "no"})
    assert (await stored(world, second)).state is State.PENDING
    await in_force(world, away=0)


@pytest.mark.promise(5)
async def test_the_request_of_who_is_away_is_not_the_delegates(http: World) -> None:
    hold = await http.hold(requester=replace(SAM, groups=frozenset({"contractors"})))
    card = await http.card(hold)
    await say(http, http.sam, "away until 2d delegate ola@example.com")
    await http.slack.click(http.ola, card, names.APPROVE)
    await http.told(http.ola, "you stand in for sam@example.com, whose own request it is")
    assert (await stored(http, hold)).state is State.PENDING


async def test_a_mention_of_nobody_and_an_unknown_address_are_refused(http: World) -> None:
    for typed in ("<@U0NOBODY|nobody>", "nobody@example.com", "<@UEVIL>|x"):
        assert "stands in" not in (await say(http, http.sam, f"away until 2d delegate {typed}")).seen.text
    assert await http.store.absences.all() == []
    # Slack knows Ola, though the policy does not.
    assert "stands in" in (await say(http, http.sam, "away until 2d delegate ola@example.com")).seen.text


async def test_who_is_away_is_not_called_but_the_delegate_is(http: World) -> None:
    await say(http, http.sam, f"away until 2d delegate <@{http.ola.id}>")
    hold = await http.hold(terms=HELD)
    await http.card(hold)
    await wait_until(lambda: called(http.security), "somebody is called")
    await settled(http)
    assert sorted(called(http.security)) == sorted([http.kim.id, http.ola.id])


async def test_where_nobody_is_there_everybody_is_called_and_the_card_says_so(http: World) -> None:
    for user in (http.sam, http.kim):
        await say(http, user, "away until 2d")
    hold = await http.hold(terms=HELD, escalations=())
    card = await http.card(hold)
    await http.shows(card, "everybody in security is away, the first until ")
    await http.shows(card, "Its people may still decide")
    await wait_until(lambda: called(http.security), "somebody is called")
    await settled(http)
    assert sorted(called(http.security)) == sorted([http.kim.id, http.sam.id])
    await say(http, http.kim, "back")
    await known(http, hold)
    await http.store.talk.ask(hold, Question("q1", "k", "Kim", "why?", http.clock()), pauses=False)
    await says(card, http, "why?")
    await wait_until(lambda: "is away" not in card.seen.text, "the card says no more that nobody is there")


async def test_a_user_group_outside_its_hours_is_left_alone_while_others_are_there(http: World) -> None:
    day = f"{datetime.now(UTC) + timedelta(days=3):%a}".lower()  # neither today nor tomorrow
    hours = f'{{days: {day}, from: "08:00", to: "16:00", zone: UTC}}'
    policy = POLICY.replace("{slack_usergroup: S0ONCALL}", f"{{slack_usergroup: S0ONCALL, hours: {hours}}}")
    await http.store.config.push_policy(policy, expect=1, by="test")
    await http.live.catch_up()
    need = Requirement("oncall", 1, ("security",))
    hold = await http.hold(terms=HELD, requirements=(need,))
    await http.card(hold)
    await wait_until(lambda: called(http.security), "somebody is called")
    await settled(http)
    assert sorted(called(http.security)) == sorted([http.kim.id, http.sam.id])


async def test_ones_own_page_says_who_is_away_and_for_whom_one_stands_in(http: World) -> None:
    await http.hold()
    await http.slack.open_home(http.ola)
    await home_shows(http, http.ola, "ola@example.com")
    assert "For you to decide" not in http.slack.home(http.ola).seen.text  # type: ignore[union-attr]
    await say(http, http.sam, "away until 2d delegate ola@example.com")
    home = await home_shows(http, http.ola, "Standing in")
    assert "for sam@example.com until" in home.seen.text
    await home_shows(http, http.ola, "For you to decide: 1")
    assert "Away" in (await http.slack.open_home(http.sam)).seen.text
    await say(http, http.sam, "back")
    await wait_until(lambda: "Standing in" not in http.slack.home(http.ola).seen.text, "it is over")  # type: ignore[union-attr]


async def test_a_route_to_one_person_leads_to_their_delegate(http: World) -> None:
    text = POLICY.replace('"slack:C0SECOND"', f'"slack:{http.sam.id}"')
    await http.store.config.push_policy(text, expect=1, by="test")
    await say(http, http.sam, "away until 2d delegate kim@example.com")
    hold = await http.hold()
    await http.card(hold)

    async def places() -> set[str]:
        found = await http.store.cards.all(hold.id)
        return {target for target, place in found.items() if place.intent or place.message or place.refused}

    await wait_until(lambda: _has(places, f"slack:{http.kim.id}"), "Kim has a card of her own")
    assert f"slack:{http.sam.id}" not in await places()


async def _has(places: object, target: str) -> bool:
    assert callable(places)
    return target in await places()
