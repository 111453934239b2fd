"""One click or one reason for all that a card lists: each hold under its own rules, and the sum told."""

from __future__ import annotations

import pytest

from bot import slack as names
from holdpoint.model import Hold, ReviewTerms, Risk, State
from holdpoint.store.bundles import BundleKind, Covered
from tests.bot.slack.conftest import World
from tests.bot.slack.hands import modal_of, press, stored
from tests.fakes.slack import Message, User
from tests.support.builders import make_decision
from tests.support.waiting import wait_until

LONG = "the password " + "and more " * 400
LOW = {"risk": Risk.LOW}


async def offered(world: World, holds: list[Hold], kind: BundleKind = BundleKind.DIGEST) -> str:
    """What the buttons of a card carry that lists these holds as they are now."""
    target = "elsewhere:C0SECURITY"
    bundle_id = await world.store.bundles.make(kind, target, hold=holds[0].id, seen=None)
    value = f"{bundle_id} {'ab' * 32}"
    covered = [Covered(hold.id, hold.digest) for hold in holds]
    await world.store.bundles.offer(value, covered, until_ms=holds[0].deadline_ms)
    return value


async def listed(world: World, *evaluations: dict[str, object], prompt: str = "password") -> tuple[list[Hold], Message]:
    """Holds, and a message in the channel to click on; their own cards are somewhere else."""
    holds = [
        await world.hold(f"{prompt} {number}", **evaluation)  # type: ignore[arg-type]
        for number, evaluation in enumerate(evaluations)
    ]
    return holds, await world.card(holds[0], world.second)


async def states(world: World, holds: list[Hold]) -> list[State]:
    return [(await stored(world, hold)).state for hold in holds]


async def approve(world: World, user: User, message: Message, value: str) -> str:
    assert (await press(world, user, message, names.BULK_APPROVE, value=value)).acked
    return world.slack.told(user)[-1]


async def test_exactly_what_the_card_listed_is_approved(world: World) -> None:
    holds, message = await listed(world, LOW, LOW, LOW, LOW)
    value = await offered(world, holds[:3])
    assert await approve(world, world.sam, message, value) == "3 approved."
    assert await states(world, holds) == [State.APPROVED] * 3 + [State.PENDING]
    assert await approve(world, world.sam, message, value) == "3 approved."  # again: the same, once
    assert [len((await stored(world, hold)).decisions) for hold in holds] == [1, 1, 1, 0]


async def test_who_was_before_is_named(world: World) -> None:
    holds, message = await listed(world, LOW, LOW, LOW)
    value = await offered(world, holds)
    for hold in holds[:2]:
        await world.store.holds.decide(hold, make_decision(hold, by="kim@example.com"), state=State.APPROVED, body=None)
    await world.store.holds.cancel(await stored(world, holds[2]), by="dana@example.com", reason="withdrawn")
    said = await approve(world, world.sam, message, value)
    assert "0 approved, 2 were decided before by kim@example.com." in said
    assert f"Not approved: hold {holds[2].id}. Already cancelled" in said


@pytest.mark.promise(2)
async def test_high_risk_is_not_approved_from_a_list(world: World) -> None:
    holds, message = await listed(world, LOW, {"risk": Risk.HIGH}, LOW)
    value = await offered(world, holds)
    said = await approve(world, world.sam, message, value)
    assert "2 approved." in said
    assert holds[1].id in said
    assert "View full" in said
    assert await states(world, holds) == [State.APPROVED, State.PENDING, State.APPROVED]
    card = await world.card(holds[1])
    await press(world, world.sam, card, names.VIEW, value=f"{holds[1].id} {holds[1].digest}")
    await world.slack.close_view(world.sam, modal_of(world, world.sam))
    assert "3 approved." in await approve(world, world.sam, message, value)


@pytest.mark.promise(2)
async def test_identical_requests_were_seen_on_their_card_or_read_once(world: World) -> None:
    holds, message = await listed(world, {}, {})
    same = [await world.hold("the same password") for _ in range(3)]
    assert "3 approved." in await approve(world, world.sam, message, await offered(world, same, BundleKind.SAME))
    long = [await world.hold(LONG) for _ in range(3)]
    value = await offered(world, long, BundleKind.SAME)
    assert "0 approved." in await approve(world, world.sam, message, value)
    await press(world, world.sam, message, names.VIEW, value=f"{long[1].id} {long[1].digest}")
    modal = modal_of(world, world.sam)
    while names.PAGES[1] in modal.buttons:
        await world.slack.click_in_view(world.sam, modal, names.PAGES[1])
    assert "3 approved." in await approve(world, world.sam, message, value)
    assert await states(world, holds) == [State.PENDING] * 2


@pytest.mark.promise(5)
async def test_nobody_decides_in_bulk_what_they_may_not_decide_alone(world: World) -> None:
    holds, message = await listed(world, LOW, LOW)
    value = await offered(world, holds)
    for user, words in ((world.ola, "Only security"), (world.dana, "own request")):
        said = await approve(world, user, message, value)
        assert "0 approved." in said
        assert said.count(words) == 2
    assert await states(world, holds) == [State.PENDING] * 2


async def test_one_reason_rejects_all(world: World) -> None:
    one, two = ReviewTerms(reasons=("Shared", "Only one")), ReviewTerms(reasons=("Other", "Shared"))
    holds, message = await listed(world, {"terms": one}, {"terms": two})
    value = await offered(world, holds)
    assert (await press(world, world.sam, message, names.BULK_REJECT, value=value)).acked
    modal = modal_of(world, world.sam)
    prepared = next(b for b in modal.content["blocks"] if b.get("block_id") == "prepared")["element"]["options"]
    assert [option["text"]["text"] for option in prepared] == ["Shared"]
    assert (await world.slack.submit(world.sam, modal, {"prepared": "0", "reason": "All of them <!here>"})).acked
    assert "2 rejected." in modal.seen.text
    assert await states(world, holds) == [State.REJECTED] * 2
    assert (await stored(world, holds[1])).decisions[0].reason == "Shared\nAll of them <!here>"


async def test_a_reason_is_asked_for_before_anything_is_rejected(world: World) -> None:
    holds, message = await listed(world, {})
    await press(world, world.sam, message, names.BULK_REJECT, value=await offered(world, holds))
    modal = modal_of(world, world.sam)
    await world.slack.submit(world.sam, modal, {"reason": "  "})
    assert "Say why" in modal.errors["reason"]
    assert await states(world, holds) == [State.PENDING]


async def test_a_text_that_changed_since_is_not_covered(world: World) -> None:
    holds, message = await listed(world, LOW, LOW)
    stale = Covered(holds[0].id, "0" * 64)
    value = await offered(world, holds)
    await world.store.bundles.offer(
        value, [stale, Covered(holds[1].id, holds[1].digest)], until_ms=holds[0].deadline_ms
    )
    said = await approve(world, world.sam, message, value)
    assert "1 approved." in said
    assert "not the text that is held" in said
    assert await states(world, holds) == [State.PENDING, State.APPROVED]


@pytest.mark.parametrize(
    "value", ["", "x", "b0123 4567", "b" + "0" * 16 + " " + "a" * 64, "../.. x", f"b{'1' * 16} * "]
)
@pytest.mark.parametrize("button", [names.BULK_APPROVE, names.BULK_REJECT])
async def test_a_forged_value_lists_nothing(world: World, button: str, value: str) -> None:
    holds, message = await listed(world, LOW)
    assert (await press(world, world.sam, message, button, value=value)).acked
    await world.told(world.sam, "no such hold")
    assert await states(world, holds) == [State.PENDING]


async def test_a_hundred_at_once_fit_into_slacks_time(world: World) -> None:
    holds, message = await listed(world, *[LOW] * 100)
    for channel in (world.security, world.second, world.slack.workspace.direct(world.dana.id)):
        await wait_until(lambda c=channel: len(c.messages) == 100, "nothing else is to be done", seconds=30)  # type: ignore[misc]
    delivery = await press(world, world.sam, message, names.BULK_APPROVE, value=await offered(world, holds))
    assert delivery.acked
    assert delivery.seconds < 3
    await world.told(world.sam, "100 approved.")
