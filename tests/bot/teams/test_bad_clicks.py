"""Forged buttons, wrong inputs, people whom Teams does not vouch for: refused in words, and nothing is changed (promise 5)."""

from __future__ import annotations

from typing import Any

import pytest

from bot import teams as names
from tests.bot.teams.hands import press, stored, value_of
from tests.bot.teams.test_actions import ACTS, WORDS
from tests.bot.teams.world import World

FORGED: list[Any] = [
    "", " ", "nothing", "no such", "../../etc x", "a\n b", "0" * 40 + " " + "1" * 64, "💣 💣", "x y z", "<b>x</b> y",
    "b0123456789abcdef " + "0" * 64, "x" * 20_000, None, 7, True, ["a", "b"], {"id": "x"},
]  # fmt: skip


@pytest.mark.parametrize(
    "verb", [*ACTS, names.BULK_APPROVE, names.BULK_REJECT, names.CANCEL, names.JUSTIFY, names.ANSWER, names.QUIET]
)
async def test_a_forged_value_is_no_hold(world: World, verb: str) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    for value in FORGED:
        seen = await press(world, "sam", card, verb, value, **WORDS)
        assert (seen.kind, seen.said) == ("message", "There is no such hold any more."), value
    assert (await stored(world, hold)).rev == hold.rev


async def test_an_unknown_button_does_nothing_and_says_so(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    for verb in ("", "nothing", "APPROVE", "approve ", "__init__", "<at>x</at>", "view", "reveal", "x" * 999):
        seen = await press(world, "sam", card, verb, value_of(hold))
        assert seen.kind == ("message" if verb else "error")
        assert "<at>" not in str(seen.value)
    assert (await stored(world, hold)).rev == hold.rev


BAD: list[tuple[str, dict[str, Any], str]] = [
    (names.REJECT, {"reason": "x" * 5_000}, "longer than 4,000"),
    (names.REJECT, {"prepared": "99"}, "not one of the policy's"),
    (names.REJECT, {"prepared": "٣"}, "not one of the policy's"),
    (names.EDIT, {"part-0": "password", "reason": "x" * 5_000}, "longer than 4,000"),
    (names.ASK, {"text": "x" * 2_001}, "longer than 2,000"),
    (names.ASK, {"text": ["x"]}, "empty"),
    (names.GRANT, {"scope": "everybody"}, "for whom"),
    (names.GRANT, {"scope": "requester", "uses": "1e9", "age": "1"}, "how often"),
    (names.GRANT, {"scope": "requester", "uses": 1, "age": 1}, "how often"),
]


async def test_a_bad_input_is_named_and_changes_nothing(world: World) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    for verb, inputs, words in BAD:
        seen = await press(world, "sam", card, verb, value_of(hold), **inputs)
        assert (seen.kind, words in seen.said) == ("message", True), seen.value
    assert (await stored(world, hold)).rev == hold.rev


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"aadObjectId": None}, "anonymous"),
        ({"aadObjectId": ""}, "anonymous"),
        ({"aadObjectId": "kim"}, "somebody else"),  # kim's directory id with sam's member id
        ({"id": "29:nobody"}, "does not list you"),
        ({"id": "28:app"}, "Apps and bots"),
    ],
    ids=["no directory id", "an empty one", "somebody else's", "not in the roster", "a bot"],
)
async def test_who_teams_does_not_vouch_for_decides_nothing(world: World, changes: dict[str, Any], words: str) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    sam = world.teams.people["sam"]
    if changes.get("aadObjectId") == "kim":
        changes = {"aadObjectId": world.teams.people["kim"].aad}
    account = {"id": sam.id, "name": sam.name, "aadObjectId": sam.aad, **changes}
    account = {name: value for name, value in account.items() if value is not None}
    for verb in (names.APPROVE, names.REJECT, names.EDIT):
        seen = await press(world, "sam", card, verb, value_of(hold), changes={"from": account}, **WORDS)
        assert words in seen.said
    assert (await stored(world, hold)).rev == hold.rev


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    "changes",
    [{"role": "guest"}, {"role": "anonymous"}, {"email": None, "upn": None}],
    ids=["a guest", "anonymous", "no address"],
)
async def test_guests_and_the_like_decide_nothing(world: World, changes: dict[str, Any]) -> None:
    hold = await world.hold()
    card = await world.card(hold)
    await world.user("sam").change(**changes)
    seen = await press(world, "sam", card, names.APPROVE, value_of(hold))
    assert seen.kind == "message"
    assert (await stored(world, hold)).rev == hold.rev
