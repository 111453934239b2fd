"""A card that asks for the view of who looks: their own status, why they may not decide, or what they can do."""

from __future__ import annotations

import asyncio

import pytest

from bot import teams as names
from holdpoint.model import EventKind, Hold, Requester, Requirement, State
from holdpoint.store.bundles import BundleKind
from tests.bot.teams.conftest import MakeWorld
from tests.bot.teams.hands import press, stored, value_of
from tests.bot.teams.test_actions import all_drawn
from tests.bot.teams.world import World
from tests.fakes.teams.seen import Result, Seen
from tests.support.builders import make_decision
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until, within

SAM = Requester("sam@example.com", frozenset({"contractors"}), name="Sam")
LEE = Requester("lee@example.com", frozenset({"platform-leads"}), name="Lee")


async def view_of(world: World, key: str, card: Seen) -> Result:
    """What they see when the channel opens, by itself or by the menu."""
    seen = await world.user(key).open(card)
    return seen if seen.kind != "nothing" else await world.user(key).refresh(card)


async def test_each_sees_what_is_theirs(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    sam, dana, ola = [await view_of(world, key, card) for key in ("sam", "dana", "ola")]
    assert {names.APPROVE, names.REJECT, names.EDIT} <= set(sam.verbs)
    assert (dana.kind, dana.verbs) == ("card", [])
    assert "You sent this request" in dana.seen
    assert (ola.kind, ola.verbs) == ("card", [])
    assert "Only security" in ola.seen
    assert names.APPROVE in (await world.teams.message(card)).verbs  # everybody's card is as it was


async def test_by_itself_for_requester_and_reviewers(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    kinds = {key: (await world.user(key).open(card)).kind for key in ("dana", "sam", "kim", "ola", "lee")}
    assert kinds == {"dana": "card", "sam": "card", "kim": "card", "ola": "nothing", "lee": "nothing"}


async def shared(world: World, count: int = 3) -> tuple[list[Hold], Seen]:
    """Identical requests of dana's, and the card that they share; all other copies of them are drawn, too."""
    holds = [await world.hold("the same password") for _ in range(count)]

    async def found() -> Seen | None:
        cards = await world.teams.cards("security")
        return next((card for card in cards if f"{count} identical requests: {count} wait" in card.seen), None)

    card = await wait_until(found, "they share a card", every=0.02)
    await world.settled()
    return holds, await world.teams.message(card)


async def test_identical_requests_show_each_what_is_theirs_by_themselves(world: World) -> None:
    holds, card = await shared(world)
    seen = {key: await world.user(key).open(card) for key in ("dana", "sam", "kim", "ola", "lee")}
    kinds = {key: each.kind for key, each in seen.items()}
    assert kinds == {"dana": "card", "sam": "card", "kim": "card", "ola": "nothing", "lee": "nothing"}
    assert names.BULK_APPROVE in seen["sam"].verbs
    assert seen["dana"].verbs == []
    assert "You sent this request" in seen["dana"].seen
    assert all(hold.id in seen["dana"].seen for hold in holds)
    ola = await world.user("ola").refresh(card)
    assert (ola.kind, ola.verbs, "Only security" in ola.seen) == ("card", [], True)
    assert names.BULK_APPROVE in (await world.teams.message(card)).verbs  # everybody's card is as it was
    pressed = await press(
        world, "sam", card, names.BULK_APPROVE, seen["sam"].action(names.BULK_APPROVE)["data"]["hold"]
    )
    assert pressed.said == "3 approved."


async def test_a_list_of_requests_shows_each_what_is_theirs(world: World) -> None:
    """Sam and lee may each decide on some of them, but not on their own."""
    leads = {"requirements": (Requirement("platform-leads", 1),)}
    asked: list[tuple[Requester | None, dict[str, object]]] = [(None, leads), (LEE, {}), (None, {}), (SAM, {})]
    holds = [await world.hold(requester=who, **evaluation) for who, evaluation in asked]
    card = await world.card(holds[0])
    await world.settled()  # whoever draws meanwhile would find places that this test has moved
    target = f"teams:{card.conversation}"
    bundle = await world.store.bundles.make(BundleKind.DIGEST, target, hold="h" + "0" * 23, seen=None)
    for hold in holds:
        place = await world.store.cards.get(hold.id, target)
        await world.store.bundles.join(bundle, target, hold=hold.id, seen=place, most=30)
    seen = {key: await press(world, key, card, names.REFRESH, f"{bundle} x") for key in ("sam", "dana", "lee", "ola")}
    assert {key: names.BULK_APPROVE in each.verbs for key, each in seen.items()} == {
        "sam": True, "dana": False, "lee": True, "ola": False
    }  # fmt: skip
    assert "2 of these requests are yours: others decide on them. Of the others: Only security" in seen["dana"].seen
    assert "Only platform-leads" in seen["ola"].seen
    for key in ("sam", "lee"):
        assert "One of these requests is yours: others decide on it." in seen[key].seen
        assert "Of the others" not in seen[key].seen
    assert "yours" not in seen["ola"].seen
    assert [(await stored(world, hold)).rev for hold in holds] == [hold.rev for hold in holds]


@pytest.mark.promise(4)
async def test_looking_at_what_several_requests_share_changes_nothing(world: World) -> None:
    holds, card = await shared(world)
    kinds = ("post", "update", "reply", "members", "pagedmembers")
    for key in ("sam", "dana"):
        await view_of(world, key, card)  # who they are is asked once, and remembered
    before, revs = len(await world.teams.calls(*kinds)), [hold.rev for hold in holds]
    for key in ("sam", "dana", "ola"):
        await view_of(world, key, card)
    assert [(await stored(world, hold)).rev for hold in holds] == revs
    assert len(await world.teams.calls(*kinds)) == before
    assert (await world.teams.message(card)).edits == card.edits


@pytest.mark.promise(4)
async def test_looking_changes_nothing(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await all_drawn(world, hold)
    before, calls = (
        await world.store.outbox.follow("events", after="0-0", block_ms=1),
        len(await world.teams.calls("update")),
    )
    for key in ("sam", "dana", "ola"):
        await view_of(world, key, card)
    assert (await stored(world, hold)).rev == hold.rev
    after = await world.store.outbox.follow("events", after="0-0", block_ms=1)
    new = [event.kind for event in after[len(before) :]]
    assert set(new) <= {EventKind.CARD_SHOWN}
    assert len(await world.teams.calls("update")) == calls


async def test_whom_teams_does_not_vouch_for_sees_nothing_to_press(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.teams.add_guest("gus")
    await world.teams.join("security", "gus")
    seen = await world.user("gus").refresh(card)
    assert (seen.kind, seen.verbs) == ("card", [])
    assert "Guests" in seen.seen
    sam = world.teams.people["sam"]
    anonymous = {"from": {"id": sam.id, "name": "Sam"}}
    seen = await press(world, "sam", card, names.REFRESH, value_of(hold), trigger="automatic", changes=anonymous)
    assert (seen.kind, seen.verbs, "anonymous" in seen.seen) == ("card", [], True)


async def test_a_hold_of_another_conversation_is_not_shown_by_a_forged_value(world: World) -> None:
    secret = await world.hold("the zebra password of the leads", requester=LEE)
    assert "zebra" in (await world.card(secret, "leads")).seen
    card = await world.card(await world.hold())
    for key, verb in (("ola", names.REFRESH), ("dana", names.REFRESH), ("ola", names.APPROVE), ("dana", names.CLAIM)):
        seen = await press(world, key, card, verb, value_of(secret))
        assert (seen.kind, "zebra" in str(seen.value)) == ("message", False)
    assert "zebra" in (await press(world, "sam", card, names.REFRESH, value_of(secret))).seen  # may decide on it


async def test_a_hold_that_is_gone_leaves_the_card_alone(world: World) -> None:
    card = await world.card(await world.hold())
    for value in ("h" + "0" * 20 + " " + "0" * 64, "", "b" + "0" * 16 + " x", None, 7, ["x"]):
        quietly = await press(world, "sam", card, names.REFRESH, value, trigger="automatic")
        assert quietly.kind == "error"
        asked = await press(world, "sam", card, names.REFRESH, value)
        assert (asked.kind, "no such hold" in asked.said) == ("message", True)


async def test_a_decided_hold_is_shown_as_it_is(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.store.holds.decide(hold, make_decision(hold, by="kim@example.com"), state=State.APPROVED, body=None)
    seen = await press(world, "sam", card, names.REFRESH, value_of(hold), trigger="automatic")
    assert "pproved by kim@example.com" in seen.seen
    assert seen.verbs == []


@pytest.mark.parametrize("people", [60])
async def test_many_who_open_a_channel_at_once_are_answered_in_time_and_cost_few_questions(
    world: World, people: int
) -> None:
    keys = [f"p{number}" for number in range(people)]
    for key in keys:
        await world.teams.add_person(key)
        await world.teams.join("security", key, tell=False)
    hold = await world.hold()
    card = await world.card(hold)
    questions = ("member", "members", "pagedmembers")
    before = len(await world.teams.calls(*questions))
    async with within(5):
        look = [press(world, key, card, names.REFRESH, value_of(hold), trigger="automatic") for key in keys]
        seen = await asyncio.gather(*look)
    assert {each.kind for each in seen} == {"card"}
    assert all("Only security" in each.seen for each in seen)
    assert len(await world.teams.calls(*questions)) - before <= 10
    again = await asyncio.gather(
        *(press(world, k, card, names.REFRESH, value_of(hold), trigger="automatic") for k in keys)
    )
    assert {each.kind for each in again} == {"card"}
    assert len(await world.teams.calls(*questions)) - before <= 10  # remembered


@pytest.mark.parametrize("automatic", [True, False])
async def test_without_the_store_the_card_stays_as_it_is(
    make_world: MakeWorld, redis_server: RedisServer, automatic: bool
) -> None:
    world = await make_world(url=redis_server.url)
    hold = await world.hold()
    card = await world.card(hold)
    await all_drawn(world, hold)
    redis_server.kill()
    trigger = "automatic" if automatic else "manual"
    seen = await press(world, "sam", card, names.REFRESH, value_of(hold), trigger=trigger)
    assert seen.kind == ("error" if automatic else "message")
    assert seen.status == 200  # Teams shows no error of its own
    redis_server.start()
