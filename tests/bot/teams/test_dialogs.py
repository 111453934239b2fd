"""Dialogs: what opens, what closes, and that nothing that somebody typed is lost to an error."""

from __future__ import annotations

import pytest

from bot import teams as names
from holdpoint.model import Requirement, State
from tests.bot.teams.conftest import MakeWorld
from tests.bot.teams.hands import call, dialog, press, stored, value_of
from tests.bot.teams.test_actions import all_drawn
from tests.bot.teams.test_bad_clicks import FORGED
from tests.bot.teams.world import World
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

LONG = "the password of the guest: " + "and more of it " * 200
OPENS = [names.REJECT, names.EDIT, names.ASK, names.GRANT, names.VIEW, names.REVEAL, names.JUSTIFY, names.ANSWER]


async def test_a_long_text_is_edited_in_a_dialog(world: World) -> None:
    hold = await world.hold(LONG)
    card = await world.card(hold)
    opened = await call(world, "sam", card, "task/fetch", names.EDIT, value_of(hold))
    assert opened.inputs["part-0"]["value"] == LONG
    value = opened.action(names.EDIT)["data"]["hold"]
    sent = await call(world, "sam", card, "task/submit", names.EDIT, value, **{"part-0": "the guest's password"})
    assert sent.kind == "closed"
    after = await stored(world, hold)
    assert (after.state, after.query.parts[0].text) == (State.APPROVED, "the guest's password")
    await world.shows(card, "pproved with edits by Sam")


@pytest.mark.promise(2)
async def test_who_had_the_whole_text_in_the_dialog_has_read_it(world: World) -> None:
    hold = await world.hold(LONG)
    card = await world.card(hold)
    await call(world, "sam", card, "task/submit", names.EDIT, value_of(hold), **{"part-0": LONG})
    assert (await stored(world, hold)).decisions[0].edits == ()


@pytest.mark.promise(3)
@pytest.mark.parametrize("approvals", [1, 2])
@pytest.mark.parametrize(
    "text", ["the password", "tkt-1 password\r\n\r\nand tkt-2 ", "the password of tkt-1 and tkt-2\n"]
)
async def test_a_submission_that_comes_twice_counts_once(world: World, approvals: int, text: str) -> None:
    hold = await world.hold("the password of tkt-1 and tkt-2", requirements=(Requirement("security", approvals),))
    card = await world.card(hold)
    for _ in range(2):
        sent = await call(world, "sam", card, "task/submit", names.EDIT, value_of(hold), **{"part-0": text})
        assert sent.kind == "closed", sent.value
        below = await press(world, "sam", card, names.EDIT, value_of(hold), **{"part-0.edit": text})
        assert (below.kind, "lready" in below.texts[0]) == ("card", False)
    assert len((await stored(world, hold)).decisions) == 1


async def test_a_submission_with_a_fault_comes_back_with_what_was_typed(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    value = value_of(hold)
    sent = await call(
        world, "sam", card, "task/submit", names.EDIT, value, **{"part-0": "launch codes", "reason": "why"}
    )
    assert "blocks" in sent.texts[0]
    assert (sent.inputs["part-0"]["value"], sent.inputs["reason"]["value"]) == ("launch codes", "why")
    sent = await call(world, "sam", card, "task/submit", names.ASK, value, text="x" * 2_001)
    assert "longer than 2,000" in sent.texts[0]
    assert sent.inputs["text"]["value"] == "x" * 2_001
    sent = await call(world, "sam", card, "task/submit", names.REJECT, value, reason=" ", prepared="")
    assert "Say why" in sent.texts[0]
    assert (await stored(world, hold)).rev == hold.rev


async def test_what_is_too_long_to_come_back_is_refused_in_words(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    given = {"part-0": "launch codes " + "x" * 15_000}
    sent = await call(world, "sam", card, "task/submit", names.EDIT, value_of(hold), **given)
    assert (sent.kind, "blocks" in sent.said) == ("message", True)


@pytest.mark.promise(2)
async def test_a_text_that_changed_meanwhile_is_not_decided_by_trying_again(world: World) -> None:
    hold = await world.hold(requirements=(Requirement("security", 2),))
    card = await world.card(hold)
    await call(world, "kim", card, "task/submit", names.EDIT, value_of(hold), **{"part-0": "the guest password"})
    for verb, inputs in ((names.EDIT, {"part-0": "my password"}), (names.REJECT, {"reason": "no"})):
        sent = await call(world, "sam", card, "task/submit", verb, value_of(hold), **inputs)
        assert "edited the text since" in sent.texts[0]
        ((name, typed),) = inputs.items()
        assert sent.inputs[name]["value"] == typed
        again = sent.action(verb)["data"]["hold"]
        sent = await call(world, "sam", card, "task/submit", verb, again, **inputs)
        assert "edited the text since" in sent.texts[0]
    assert len((await stored(world, hold)).decisions) == 1


@pytest.mark.promise(2)
async def test_a_dialog_decides_on_the_text_that_the_clicked_card_showed(world: World) -> None:
    hold = await world.hold(requirements=(Requirement("security", 2),))
    card = await world.card(hold)
    await call(world, "kim", card, "task/submit", names.EDIT, value_of(hold), **{"part-0": "the guest password"})
    opened = await call(world, "sam", card, "task/fetch", names.REJECT, value_of(hold))
    value = opened.action(names.REJECT)["data"]["hold"]
    sent = await call(world, "sam", card, "task/submit", names.REJECT, value, reason="no")
    assert "edited the text since" in sent.texts[0]
    assert (await stored(world, hold)).state is State.PENDING


async def test_who_is_late_reads_who_won_in_the_dialogs_place(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await press(world, "kim", card, names.APPROVE, value_of(hold))
    for verb, inputs in (
        (names.REJECT, {"reason": "no"}), (names.EDIT, {"part-0": "x"}), (names.ASK, {"text": "What for?"}),
    ):  # fmt: skip
        for name in ("task/fetch", "task/submit"):
            seen = await call(world, "sam", card, name, verb, value_of(hold), **inputs)
            assert (seen.kind, "pproved by Kim" in seen.said) == ("message", True), (name, verb, seen.value)


@pytest.mark.parametrize("verb", OPENS)  # each anew: who clicks is looked up, and Teams rations that
async def test_a_forged_value_opens_and_sends_nothing(world: World, verb: str) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    for value in FORGED:
        for name in ("task/fetch", "task/submit"):
            seen = await call(world, "sam", card, name, verb, value, text="x", reason="x", here="a b 1",
                              scope="requester", uses="1", age="60000")  # fmt: skip
            assert (seen.kind, seen.said) == ("message", "There is no such hold any more."), (value, name)
    assert (await stored(world, hold)).rev == hold.rev


async def test_a_button_that_opens_nothing_says_so(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    for verb in ("nothing", names.APPROVE, names.CLAIM, names.CANCEL, names.QUIET, names.REFRESH, "__class__"):
        for name in ("task/fetch", "task/submit"):
            seen = await call(world, "sam", card, name, verb, value_of(hold))
            assert "does not know this button" in seen.said
    assert (await stored(world, hold)).rev == hold.rev


@pytest.mark.promise(6)
async def test_without_the_store_what_was_typed_comes_back_and_can_be_sent_again(
    make_world: MakeWorld, redis_server: RedisServer
) -> None:
    world = await make_world(url=redis_server.url)
    hold = await world.hold()
    card = await world.card(hold)
    await all_drawn(world, hold)
    opened = await call(world, "sam", card, "task/fetch", names.EDIT, value_of(hold))
    value = opened.action(names.EDIT)["data"]["hold"]
    given = {"part-0": "the *guest* password", "reason": "for <at>today</at>"}
    redis_server.kill()
    sent = await call(world, "sam", card, "task/submit", names.EDIT, value, **given)
    assert "Not recorded" in sent.texts[0]
    assert {name: each["value"] for name, each in sent.inputs.items()} == given
    data = sent.action("Send again")["data"]
    assert "Not recorded" in (await call(world, "sam", card, "task/fetch", names.EDIT, value)).said
    redis_server.start()
    await wait_until(lambda: world.live.is_fresh, "the store is back")
    again = await call(world, "sam", card, "task/submit", data["verb"], data["hold"], **given)
    assert again.kind == "closed"
    assert (await stored(world, hold)).query.parts[0].text == "the *guest* password"


async def test_a_choice_is_sent_again_too(make_world: MakeWorld, redis_server: RedisServer) -> None:
    world = await make_world(url=redis_server.url)
    hold = await world.hold()
    card = await world.card(hold)
    await all_drawn(world, hold)
    redis_server.kill()
    given = {"scope": "requester", "uses": "5", "age": "60000", "reason": "r"}
    sent = await call(world, "sam", card, "task/submit", names.GRANT, value_of(hold), **given)
    data = sent.action("Send again")["data"]
    assert {name: data.get(name) for name in ("scope", "uses", "age")} == {
        "scope": "requester",
        "uses": "5",
        "age": "60000",
    }
    assert list(sent.inputs) == ["reason"]
    redis_server.start()


async def test_through_the_clients_own_buttons(world: World) -> None:
    """The same with the hands of a real client, which refuses what a card does not offer."""
    hold = await world.hold("the password " * 500)
    card = await world.card(hold)
    sam = world.user("sam")
    button = "Edit & approve"
    opened = await sam.click(card, button)
    assert opened.kind == "dialog"
    assert "Edit & approve" in (await dialog(world, "sam")).title
    assert (await sam.submit("Approve", {"part-0": "the password"})).kind == "closed"
    assert (await stored(world, hold)).state is State.APPROVED
