"""Being away, in Teams: said there, a delegate decides there, and loses it at once; who is away is not called."""

from __future__ import annotations

import pytest

from bot import teams as names
from bot.teams.personal import TeamsPersonal
from holdpoint.model import Mention, Requester, ReviewTerms, State
from holdpoint.store.conversations import ConversationKind
from tests.bot.teams.hands import press, stored, value_of
from tests.bot.teams.test_commands import ask
from tests.bot.teams.world import World
from tests.support.waiting import wait_until

HELD = ReviewTerms(mentions=frozenset({Mention.HELD}))
SAM = Requester("sam@example.com", frozenset({"contractors"}))


@pytest.mark.promise(5)
async def test_a_delegate_decides_until_the_very_moment_at_which_it_is_over(world: World) -> None:
    first, second = await world.hold("first password"), await world.hold("second password")
    own = await world.hold("sam's password", requester=SAM)
    card, other, sams = [await world.card(hold) for hold in (first, second, own)]
    refused = await world.user("ola").click(card, names.APPROVE)
    assert "may decide on this request" in refused.seen
    answer = await ask(world, "sam", "away until 2d delegate ola@example.com because ill", "away until")
    assert "ola@example.com stands in" in answer.seen
    assert "The time is in UTC" in answer.seen
    # Her own view of that card still says that she may not; what counts is who clicks, and when.
    seen = await press(world, "ola", card, names.APPROVE, value_of(first))
    assert "Approved by Ola Example for sam@example.com (away until " in seen.seen
    assert (await stored(world, first)).decisions[0].behalf == ("sam@example.com",)
    assert "whose own request it is" in (await world.user("ola").click(sams, names.APPROVE)).seen
    # Between what Ola sees and her click Sam is back.
    assert "You are back" in (await ask(world, "sam", "back", "back")).seen
    await world.user("ola").click(other, names.REJECT, {"reason.reject": "no"})
    for hold in (own, second):
        assert (await stored(world, hold)).state is State.PENDING


async def test_who_is_away_is_not_called_but_the_delegate_is(world: World) -> None:
    await ask(world, "sam", "away until 2d delegate ola@example.com", "stands in")
    hold = await world.hold(terms=HELD)
    card = await world.card(hold)

    async def called() -> list[str]:
        replies = await world.teams.thread(card)
        return sorted(each["mentioned"]["name"] for reply in replies for each in reply.activity.get("entities", ()))

    await wait_until(called, "somebody is called", every=0.05)
    assert await called() == ["Kim Example", "Ola Example"]


async def test_where_nobody_is_there_the_card_says_so(world: World) -> None:
    for key in ("sam", "kim"):
        await ask(world, key, "away until 2d", "away until")
    card = await world.card(await world.hold(escalations=()))
    await world.shows(card, "everybody in security is away, the first until ")
    await world.shows(card, "Its people may still decide")


async def test_ones_own_page_says_who_is_away_and_for_whom_one_stands_in(world: World) -> None:
    await world.card(await world.hold())
    await ask(world, "sam", "away until 2d delegate ola@example.com", "stands in")
    page = await ask(world, "ola", "home", "You are")
    assert "for sam@example.com until " in page.seen
    assert "For you to decide: 1" in page.seen
    assert "Away" in (await ask(world, "sam", "home", "You are")).seen
    assert "for sam@example.com until " in (await ask(world, "ola", "whoami", "principal")).seen


async def test_ones_own_chat_is_known_as_such(world: World) -> None:
    await ask(world, "sam", "whoami")
    personal = TeamsPersonal(world.app.people, world.app.places)
    chats = [each for each in await world.app.places.all() if each.kind is ConversationKind.PERSONAL]
    whose = {await personal.whose(f"teams:{chat.id}") for chat in chats}
    assert "sam@example.com" in whose
    place = await personal.place_of("sam@example.com")
    assert await personal.whose(place) == "sam@example.com"
    assert await personal.place_of("nobody@example.com") == ""
    assert await personal.whose("teams:19:unknown@thread.tacv2") == ""
    assert await world.app.people.knows("kim@example.com")
    assert not await world.app.people.knows("nobody@example.com")
