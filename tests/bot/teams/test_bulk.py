"""One click or one reason for all that a card lists: each hold under its own rules, and the sum told."""

from __future__ import annotations

from typing import Any

import pytest

from bot import teams as names
from holdpoint.model import Hold, ReviewTerms, Risk, State
from holdpoint.store.bundles import BundleKind, Covered
from tests.bot.teams.hands import call, press, stored, value_of
from tests.bot.teams.world import World
from tests.fakes.teams import group_id
from tests.fakes.teams.seen import Seen
from tests.support.builders import make_decision
from tests.support.waiting import within

LONG = "the password " + "and more " * 400
LOW: dict[str, Any] = {"risk": Risk.LOW}
HUDDLE = f"teams:{group_id('huddle')}"


async def offered(
    world: World, holds: list[Hold], kind: BundleKind = BundleKind.DIGEST, target: str = "elsewhere:C0"
) -> str:
    """What the buttons of a card carry that lists these holds as they are now."""
    bundle_id = await world.store.bundles.make(kind, target, hold=holds[0].id, seen=None)
    for hold in holds[1:]:
        await world.store.bundles.join(bundle_id, target, hold=hold.id, seen=None, most=200)
    value = f"{bundle_id} {'ab' * 32}"
    covered = [Covered(hold.id, hold.digest) for hold in holds]
    await world.store.bundles.offer(value, covered, until_ms=holds[0].deadline_ms)
    return value


async def listed(world: World, *evaluations: dict[str, Any], prompt: str = "password") -> tuple[list[Hold], Seen]:
    """Holds, and a message in the channel to click on; their own cards are somewhere else."""
    holds = [await world.hold(f"{prompt} {number}", **given) for number, given in enumerate(evaluations)]
    return holds, await world.card(holds[0], "second")


async def states(world: World, holds: list[Hold]) -> list[State]:
    return [(await stored(world, hold)).state for hold in holds]


async def approve(world: World, key: str, message: Seen, value: str) -> str:
    seen = await press(world, key, message, names.BULK_APPROVE, value)
    assert seen.kind == "message"
    return seen.said


async def test_exactly_what_the_card_listed_is_approved(world: World) -> None:
    holds, message = await listed(world, LOW, LOW, LOW, LOW)
    value = await offered(world, holds[:3])
    assert await approve(world, "sam", message, value) == "3 approved."
    assert await states(world, holds) == [State.APPROVED] * 3 + [State.PENDING]
    assert await approve(world, "sam", message, value) == "3 approved."  # again: the same, once
    assert [len((await stored(world, hold)).decisions) for hold in holds] == [1, 1, 1, 0]


async def test_who_was_before_is_named(world: World) -> None:
    holds, message = await listed(world, LOW, LOW, LOW)
    value = await offered(world, holds)
    for hold in holds[:2]:
        await world.store.holds.decide(hold, make_decision(hold, by="kim@example.com"), state=State.APPROVED, body=None)
    await world.store.holds.cancel(await stored(world, holds[2]), by="dana@example.com", reason="withdrawn")
    said = await approve(world, "sam", message, value)
    assert "0 approved, 2 were decided before by kim@example.com." in said
    assert f"Not approved: hold {holds[2].id}. Already cancelled" in said


@pytest.mark.promise(2)
async def test_high_risk_is_not_approved_from_a_list(world: World) -> None:
    holds, message = await listed(world, LOW, {"risk": Risk.HIGH}, LOW)
    value = await offered(world, holds)
    said = await approve(world, "sam", message, value)
    assert "2 approved." in said
    assert holds[1].id in said
    assert await states(world, holds) == [State.APPROVED, State.PENDING, State.APPROVED]
    await call(world, "sam", message, "task/fetch", names.VIEW, value_of(holds[1]))
    assert "3 approved." in await approve(world, "sam", message, value)


@pytest.mark.promise(2)
async def test_identical_requests_were_seen_on_their_card_or_read_once(world: World) -> None:
    _, message = await listed(world, {})
    same = [await world.hold("the same password") for _ in range(3)]
    assert "3 approved." in await approve(world, "sam", message, await offered(world, same, BundleKind.SAME))
    long = [await world.hold(LONG) for _ in range(3)]
    value = await offered(world, long, BundleKind.SAME)
    assert "0 approved." in await approve(world, "sam", message, value)
    opened = await call(world, "sam", message, "task/fetch", names.VIEW, value_of(long[1]))
    while "Next page" in opened.titles:
        data = opened.action("Next page")["data"]
        opened = await call(world, "sam", message, "task/submit", names.VIEW, data["hold"], here=data["here"])
    assert "3 approved." in await approve(world, "sam", message, value)


@pytest.mark.promise(5)
async def test_nobody_decides_in_bulk_what_they_may_not_decide_alone(world: World) -> None:
    holds, message = await listed(world, LOW, LOW)
    value = await offered(world, holds)
    for key, words in (("ola", "Only security"), ("dana", "own request")):
        said = await approve(world, key, message, value)
        assert "0 approved." in said
        assert said.count(words) == 2
        said = (await press(world, key, message, names.BULK_REJECT, value, reason="no")).said
        assert "0 rejected." in said
    assert await states(world, holds) == [State.PENDING] * 2


async def test_one_reason_rejects_all_below_the_card(world: World) -> None:
    holds, message = await listed(world, LOW, LOW)
    value = await offered(world, holds)
    seen = await press(world, "sam", message, names.BULK_REJECT, value, **{"reason.reject": "All of <at>them</at>"})
    assert "2 rejected." in seen.said
    assert await states(world, holds) == [State.REJECTED] * 2
    assert (await stored(world, holds[1])).decisions[0].reason == "All of <at>them</at>"


async def test_a_prepared_reason_that_all_have_is_chosen_in_a_dialog(world: World) -> None:
    one, two = ReviewTerms(reasons=("Shared", "Only one")), ReviewTerms(reasons=("Other", "Shared"))
    holds, message = await listed(world, {"terms": one}, {"terms": two})
    value = await offered(world, holds)
    opened = await call(world, "sam", message, "task/fetch", names.BULK_REJECT, value)
    assert [each["title"] for each in opened.inputs["prepared"]["choices"]] == ["Shared"]
    given = opened.action("Reject")["data"]["hold"]
    sent = await call(world, "sam", message, "task/submit", names.BULK_REJECT, given, prepared="0", reason="Today")
    assert (sent.kind, "2 rejected." in sent.said) == ("message", True)
    assert (await stored(world, holds[1])).decisions[0].reason == "Shared\nToday"


async def test_a_reason_is_asked_for_before_anything_is_rejected(world: World) -> None:
    holds, message = await listed(world, LOW)
    value = await offered(world, holds)
    assert "Say why" in (await press(world, "sam", message, names.BULK_REJECT, value, reason="  ")).said
    sent = await call(world, "sam", message, "task/submit", names.BULK_REJECT, value, reason="  ")
    assert "Say why" in sent.texts[0]
    assert await states(world, holds) == [State.PENDING]


async def test_a_text_that_changed_since_is_not_covered(world: World) -> None:
    holds, message = await listed(world, LOW, LOW)
    value = await offered(world, holds)
    stale = [Covered(holds[0].id, "0" * 64), Covered(holds[1].id, holds[1].digest)]
    await world.store.bundles.offer(value, stale, until_ms=holds[0].deadline_ms)
    said = await approve(world, "sam", message, value)
    assert "1 approved." in said
    assert "not the text that is held" in said
    assert await states(world, holds) == [State.PENDING, State.APPROVED]


async def test_a_forged_value_lists_nothing(world: World) -> None:
    holds, message = await listed(world, LOW)
    for value in ("", "x", "b0123 4567", "b" + "0" * 16 + " " + "a" * 64, "../.. x", f"b{'1' * 16} * ", None, 7):
        for name in ("task/fetch", "task/submit"):
            seen = await call(world, "sam", message, name, names.BULK_REJECT, value, reason="no")
            assert "no such hold" in seen.said
    assert await states(world, holds) == [State.PENDING]


async def test_a_hundred_at_once_fit_into_teams_time(world: World) -> None:
    holds, message = await listed(world, *[LOW] * 100)
    value = await offered(world, holds)
    async with within(5):
        said = await approve(world, "sam", message, value)
    assert said == "100 approved."


@pytest.mark.promise(5)
async def test_a_card_for_many_is_shown_without_buttons_to_who_may_decide_none_of_them(world: World) -> None:
    holds, message = await listed(world, LOW, LOW)
    bundle, _, _ = (await offered(world, holds, target=HUDDLE)).partition(" ")
    value = f"{bundle} {'0' * 64}"
    here = {"conversation": (await world.teams.activity("invoke", "ola", "huddle"))["conversation"]}
    for key, words in (("ola", "Only security"), ("dana", "2 of these requests are yours: others decide on them.")):
        seen = await press(world, key, message, names.REFRESH, value, changes=here)
        assert (seen.kind, seen.verbs) == ("card", [])
        assert words in seen.seen
    seen = await press(world, "sam", message, names.REFRESH, value, changes=here)
    assert names.BULK_APPROVE in seen.verbs
    data = seen.action(names.BULK_APPROVE)["data"]
    assert await approve(world, "sam", message, data["hold"]) == "2 approved."  # what was shown is what is covered
    elsewhere = await press(world, "sam", message, names.REFRESH, value)
    assert "no such hold" in elsewhere.said
