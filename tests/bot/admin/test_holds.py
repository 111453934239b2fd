from __future__ import annotations

import pytest

from holdpoint.model import DecisionKind, Edit, PartRole, Requirement, Risk, State
from tests.bot.admin.conftest import ADA, CARA, EVE, SAM, Run
from tests.bot.world import World, conversation
from tests.conftest import MovingClock
from tests.support.builders import DANA, make_evaluation

KIM, LENA = "kim@example.com", "lena@example.com"


async def test_pending_shows_what_one_may_decide(world: World, run: Run, clock: MovingClock) -> None:
    await world.hold("first password")
    clock.forward(seconds=1)
    newest = await world.hold("second password")
    answer = await run("pending", SAM)
    assert answer.lines == ("2 waiting.",)
    assert answer.cards[0].id == newest.id
    assert (await run("pending", LENA)).lines == ("Nothing waits for a decision.",)


async def test_pending_of_one_group(world: World, run: Run) -> None:
    hold = await world.hold()
    for group in ("security", "contractors"):
        answer = await run(f"pending {group}", CARA)
        assert [card.id for card in answer.cards] == [hold.id]
        assert answer.lines == (f"1 of {group} waiting.",)
    assert (await run("pending legal", CARA)).lines == ("Nothing of legal waits for a decision.",)


async def test_of_many_only_the_newest_are_listed(world: World, run: Run) -> None:
    for number in range(23):
        await world.hold(f"password {number}")
    answer = await run("pending", SAM)
    assert (answer.lines, len(answer.cards)) == (("The newest 20.",), 20)


async def test_show(world: World, run: Run) -> None:
    hold = await world.hold()
    assert (await run(f"show {hold.id}", SAM)).cards[0].id == hold.id
    unknown = await run("show h00000000000000", SAM)
    for hidden in (await run(f"show {hold.id}", LENA), await run("show ../x", SAM), await run("show <!channel>", SAM)):
        assert (hidden.ok, hidden.cards, hidden.lines) == (False, (), unknown.lines)


async def test_who_has_no_business_sees_nothing(world: World, run: Run) -> None:
    await world.add_key("nobody@example.com", roles=frozenset())
    hold = await world.hold()
    for text in ("pending", f"show {hold.id}", f"approve {hold.id}"):
        answer = await run(text, "nobody@example.com")
        assert (answer.ok, answer.cards) == (False, ())


async def test_approve_with_a_note(world: World, run: Run) -> None:
    hold = await world.hold()
    answer = await run(f"approve {hold.id} it’s  fine, don't worry", SAM)
    assert answer.ok
    assert answer.lines[0].startswith("Approved by Sam")
    decided = await world.store.holds.get(hold.id)
    assert (decided.state, decided.decisions[0].reason) == (State.APPROVED, "it’s  fine, don't worry")
    assert decided.decisions[0].channel == "api"


async def test_reject_with_a_reason(world: World, run: Run) -> None:
    hold = await world.hold()
    assert not (await run(f"reject {hold.id}", SAM)).ok
    answer = await run(f"reject {hold.id} “Not your data”", SAM)
    assert answer.ok
    decided = await world.store.holds.get(hold.id)
    assert (decided.state, decided.decisions[0].reason) == (State.REJECTED, "Not your data")


async def test_who_is_late_reads_who_won(world: World, run: Run) -> None:
    hold = await world.hold()
    await run(f"reject {hold.id} no", SAM)
    for text in (f"approve {hold.id}", f"reject {hold.id} never"):
        late = await run(text, KIM)
        assert not late.ok
        assert "Already rejected by Sam (sam@example.com)" in late.lines[0]


@pytest.mark.promise(5)
@pytest.mark.parametrize("who", ["dana@example.com", LENA, ADA, CARA, EVE])
@pytest.mark.parametrize("verb", ["approve", "reject"])
async def test_nobody_decides_who_may_not(world: World, run: Run, verb: str, who: str) -> None:
    hold = await world.hold()
    answer = await run(f"{verb} {hold.id} because", who)
    assert not answer.ok
    assert (await world.store.holds.get(hold.id)).decisions == ()


async def test_a_high_risk_that_is_cut_has_to_be_read_first(world: World, run: Run) -> None:
    hold = await world.hold("password " + "x" * 5_000, evaluation=make_evaluation(risk=Risk.HIGH))
    refused = await run(f"approve {hold.id}", SAM)
    assert not refused.ok
    assert "View full" in refused.lines[0]
    await world.store.talk.read(hold.id, by=SAM, digest=hold.digest, channel="slack")
    assert (await run(f"approve {hold.id}", SAM)).ok


async def test_an_edited_text_is_shown_before_it_is_approved(world: World, run: Run) -> None:
    two = (Requirement("security", 2),)
    hold = await world.hold_draft(conversation((PartRole.USER, "the admin password"), requester=DANA, requirements=two))
    edits = [Edit("messages/0/content", "the guest password")]
    await world.decider.decide(
        hold.id, await world.who(SAM), DecisionKind.APPROVE, digest=hold.digest, edits=edits
    )  # fmt: skip
    asked = await run(f"approve {hold.id}", KIM)
    assert asked.confirm
    assert asked.cards[0].parts[0].plain == "the guest password"
    assert (await world.store.holds.get(hold.id)).state is State.PENDING
    assert (await run(asked.confirm, KIM)).ok
    assert (await world.store.holds.get(hold.id)).state is State.APPROVED
