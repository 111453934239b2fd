"""What a path leads to is remembered, and never longer than the policy that says so; who may go there is asked anew."""

from __future__ import annotations

from tests.gateway.model import Model
from tests.gateway.standing import until_live
from tests.gateway.test_keys import ask, make_key
from tests.gateway.world import World

CHAT = "/demo/v1/chat/completions"


async def policy_of(world: World) -> str:
    stored = await world.store.config.policy()
    assert stored is not None
    return stored.text


async def test_a_path_that_others_use_is_no_way_in_for_a_key_that_is_not_for_it(world: World, model: Model) -> None:
    elsewhere = await make_key(world, connections=frozenset({"locked"}))
    assert (await ask(world, world.key, CHAT)).status == 200
    model.received.clear()
    for _ in range(2):
        assert (await ask(world, elsewhere, CHAT)).error[:2] == (403, "blocked")
    assert not model.received


async def test_a_connection_that_the_policy_drops_is_gone_although_it_was_used(world: World) -> None:
    assert (await ask(world, world.key, CHAT)).status == 200
    await until_live(world, policy=(await policy_of(world)).replace("  demo: {", "  other: {"))
    assert (await ask(world, world.key, CHAT)).error[:2] == (404, "uninspectable")
    assert (await ask(world, world.key, "/other/v1/chat/completions")).status == 200


async def test_a_connection_that_the_policy_moves_leads_to_its_new_model(world: World) -> None:
    assert (await ask(world, world.key, CHAT)).status == 200
    text = (await policy_of(world)).replace("openai, environment: production", "openai, environment: test")
    await until_live(world, policy=text)
    assert (await ask(world, world.key, CHAT)).status == 200
    events = await world.events("traffic")
    assert [event.data["environment"] for event in events if "environment" in event.data] == ["production", "test"]


async def test_one_path_is_told_apart_by_its_method(world: World) -> None:
    for _ in range(2):
        assert (await ask(world, world.key, CHAT)).status == 200
        assert (await ask(world, world.key, CHAT, method="GET")).error[:2] == (405, "uninspectable")


async def test_a_credential_is_used_for_its_own_connection_only(world: World, model: Model) -> None:
    for _ in range(2):
        assert (await ask(world, world.key, "/locked/v1/chat/completions")).status == 200
        assert (await ask(world, world.key, CHAT)).status == 200
        assert (await ask(world, world.key, "/keyless/v1/chat/completions")).error[:2] == (503, "unavailable")
    assert [received.headers.get("authorization") for received in model.received] == [
        "Bearer sk-the-connections-own",
        None,
    ] * 2
