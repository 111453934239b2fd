from __future__ import annotations

from holdpoint.model import DecisionKind, Edit, PartRole, Requirement, Role, State
from tests.bot.admin.conftest import ADA, BEA, CARA, SAM, Run
from tests.bot.world import World, conversation


async def test_an_admin_breaks_the_glass_and_another_one_looks_at_it(world: World, run: Run) -> None:
    await world.add_key(BEA, roles=frozenset({Role.ADMIN}))
    hold = await world.hold()
    assert "Say why" in (await run(f"break-glass {hold.id} short")).lines[0]
    assert (await run(f"break-glass {hold.id} production is down", SAM)).lines == ("Only admins may do this.",)
    assert not (await run("break-glass h00000000000 production is down")).ok
    answer = await run(f"break-glass {hold.id} production is down")
    assert answer.ok
    decided = await world.store.holds.get(hold.id)
    assert (decided.state, decided.decisions[0].glass, decided.decisions[0].reason) == (
        State.APPROVED, True, "production is down",
    )  # fmt: skip
    listed = await run("break-glass list", CARA)
    assert listed.table is not None
    assert listed.table.rows[0][0] == hold.id
    assert "another admin" in (await run(f"break-glass review {hold.id}")).lines[0]
    assert (await run(f"break-glass review {hold.id}", BEA)).ok
    assert (await run("break-glass list")).lines == ("No broken glass waits for a review.",)
    assert not (await run("break-glass review h00000000000", BEA)).ok
    assert "Already approved" in (await run(f"break-glass {hold.id} once more, please", BEA)).lines[0]
    assert (await run(f"break-glass {hold.id} production is down", ADA)).ok  # their own, repeated


async def test_an_edited_text_is_shown_before_the_glass_breaks(world: World, run: Run) -> None:
    two = (Requirement("security", 2),)
    hold = await world.hold_draft(conversation((PartRole.USER, "the admin password"), requirements=two))
    edits = [Edit("messages/0/content", "the guest password")]
    await world.decider.decide(hold.id, await world.who(SAM), DecisionKind.APPROVE, digest=hold.digest, edits=edits)
    asked = await run(f"break-glass {hold.id} production is down")
    assert asked.cards[0].parts[0].plain == "the guest password"
    assert (await world.store.holds.get(hold.id)).state is State.PENDING
    assert (await run(asked.confirm)).ok
    assert (await world.store.holds.get(hold.id)).state is State.APPROVED
