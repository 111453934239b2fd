"""The kill switch on the data path: what is refused, what is held, what is not released, and that it is on the record."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from holdpoint.model import Decision, DecisionKind, EventKind, Hold, State
from holdpoint.standing import EVERYTHING, PauseMode
from holdpoint.store.holds import TIMER
from tests.gateway.model import Model
from tests.gateway.standing import ADA, GRANTABLE, make_grant, make_pause, standing_world, until_live
from tests.gateway.world import CLEAN, RISKY, World, running_world
from tests.support.redis_relay import relayed
from tests.support.waiting import wait_until

HOLD, REFUSE = PauseMode.HOLD, PauseMode.REFUSE
ASYNC = {"Prefer": "respond-async"}
REASON = f"Traffic to demo was paused by {ADA}: an incident with <b>the model</b>"


async def refusal(answer: Any, reason: str = REASON) -> None:
    """The answer is a pause's refusal."""
    error = (await answer.json())["error"]
    assert (answer.status, error["code"], error["message"]) == (503, "unavailable", reason)
    assert answer.headers["x-should-retry"] == "false"


# Refuse


@pytest.mark.promise(1)
@pytest.mark.parametrize("prompt", [CLEAN, RISKY, "BEGIN PRIVATE KEY"])
async def test_everything_is_refused_on_the_record(prompt: str, redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url, grants=[make_grant()], pauses=[make_pause()]) as world:
        async with world.chat(prompt) as answer:
            await refusal(answer)
        assert not model.received
        (event,) = await world.events("traffic")
        assert (event.kind, event.data["reason"]) == (EventKind.REQUEST_REFUSED, REASON)
        assert event.data["requester"]["principal"] == "dana@example.com"
        assert sum((await world.store.holds.count()).values()) == 0


async def test_harmless_requests_are_refused_too(redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url, pauses=[make_pause()]) as world:
        async with world.http.get(f"{world.base}/models", headers=world.headers()) as answer:
            await refusal(answer)
        assert not model.received


async def test_a_pause_of_everything_and_of_another_connection(redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url, pauses=[make_pause(connection="locked")]) as world:
        async with world.chat(CLEAN) as answer:
            assert answer.status == 200
        await world.store.pauses.pause(make_pause(connection=EVERYTHING))
        await until_live(world)
        async with world.chat(CLEAN) as answer:
            await refusal(answer, f"All traffic was paused by {ADA}: an incident with <b>the model</b>")


async def test_paused_and_resumed_within_a_second(redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url) as world:

        async def status() -> int:
            async with world.chat(CLEAN) as answer:
                return int(answer.status)

        async def paused() -> bool:
            return await status() == 503

        async def passes() -> bool:
            return await status() == 200

        for change, done in (
            (world.store.pauses.pause(make_pause()), paused),
            (world.store.pauses.resume("demo", by=ADA), passes),
        ):
            assert await change
            await wait_until(done, "the gateway goes by it", seconds=1)


async def test_a_restarted_gateway_is_still_paused(redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url, pauses=[make_pause()]):
        pass
    async with running_world(redis_url, model.url) as world, world.chat(CLEAN) as answer:
        await refusal(answer)


# Holds that wait, while traffic is refused


async def ask(world: World, **more: Any) -> tuple[asyncio.Future[Any], Hold]:
    asking = asyncio.ensure_future(world.chat(**more).__aenter__())
    (hold,) = await world.held()
    return asking, hold


@pytest.mark.promise(1)
async def test_what_is_approved_while_it_is_collected_waits_too(redis_url: str, model: Model) -> None:
    """The hold is pending when the gateway looks whether the pause concerns it, and approved a moment later."""
    async with relayed(redis_url) as relay, running_world(redis_url, model.url, gateway_redis_url=relay.url) as world:
        async with world.chat(headers=ASYNC) as answer:
            assert answer.status == 202
        (hold,) = await world.held()
        await world.store.pauses.pause(make_pause())
        await until_live(world)
        relay.hold_up("release")
        mine = f"{world.gateway.url}/holds/{hold.id}/response"
        collecting = asyncio.ensure_future(world.http.get(mine, headers=world.headers()).__aenter__())
        spending = asyncio.ensure_future(relay.arrived.wait())
        await asyncio.wait({collecting, spending}, return_when=asyncio.FIRST_COMPLETED)
        await world.approve(hold)
        relay.let_go()
        spending.cancel()
        async with await collecting as answer:
            assert answer.status == 202
        assert not model.received
        assert (await world.store.holds.get(hold.id)).state is State.APPROVED


@pytest.mark.promise(3)
async def test_an_approval_waits_until_traffic_is_resumed(redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url) as world:
        asking, hold = await ask(world)
        await world.store.pauses.pause(make_pause())
        await until_live(world)
        await world.approve(hold)
        async with await asking as answer:
            await refusal(answer)
            assert answer.headers["x-holdpoint-hold"] == hold.id
            assert answer.headers["x-holdpoint-state"] == "approved"
        assert not model.received
        refused = [event for event in await world.events("traffic") if event.kind is EventKind.REQUEST_REFUSED]
        assert [(event.data["reason"], event.data["hold"]) for event in refused] == [(REASON, hold.id)]

        mine = f"{world.gateway.url}/holds/{hold.id}"
        async with world.http.get(mine, headers=world.headers()) as answer:
            assert (answer.status, (await answer.json())["state"]) == (200, "approved")
        async with world.http.get(f"{mine}/response", headers=world.headers()) as answer:
            await refusal(answer)

        await world.store.pauses.resume("demo", by=ADA)
        await until_live(world)
        async with world.http.get(f"{mine}/response", headers=world.headers()) as answer:
            assert answer.status == 200
        assert len(model.received) == 1
        await world.state(hold.id, State.COMPLETED)


async def test_the_same_request_sent_again_comes_back_to_its_approval(redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url) as world:
        asking, hold = await ask(world)
        await world.store.pauses.pause(make_pause())
        await until_live(world)
        await world.approve(hold)
        async with await asking as answer:
            await refusal(answer)

        async def has_left() -> bool:
            return not (await world.store.holds.get(hold.id)).waiter

        await wait_until(has_left, "the hold knows that nobody waits")
        await world.store.pauses.resume("demo", by=ADA)
        await until_live(world)
        async with world.chat() as answer:
            assert answer.status == 200
            assert answer.headers["x-holdpoint-hold"] == hold.id
        assert sum((await world.store.holds.count()).values()) == 1


async def test_whoever_is_rejected_while_traffic_is_refused_is_told_so(redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url) as world:
        asking, hold = await ask(world)
        await world.store.pauses.pause(make_pause())
        await until_live(world)
        await world.reject(hold)
        async with await asking as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (403, "rejected")


async def test_behind_heartbeats_the_refusal_is_an_event(redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url):
        pass
    async with running_world(redis_url, model.url, heartbeat_after_s=0.02, heartbeat_every_s=0.02) as world:
        asking, hold = await ask(world, stream=True)
        answer = await asking
        await answer.content.readuntil(b"\n\n")
        await world.store.pauses.pause(make_pause())
        await until_live(world)
        await world.approve(hold)
        await answer.content.readuntil(b"data: ")
        event = json.loads(await answer.content.readuntil(b"\n"))
        assert (event["error"]["code"], event["error"]["message"]) == ("unavailable", REASON)
        answer.close()
        assert not model.received


# Hold


@pytest.mark.promise(1)
async def test_what_the_policy_allows_waits_for_an_admin(redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url, pauses=[make_pause(HOLD)]) as world:
        asking, hold = await ask(world, prompt=CLEAN)
        evaluation = hold.evaluation
        assert [(hit.rule, hit.description) for hit in evaluation.hits] == [("pause", REASON)]
        assert [(need.group, need.approvals) for need in hold.requirements] == [("platform", 1)]
        assert (evaluation.reason, evaluation.timeout_ms, evaluation.terms.grant) == (REASON, 600_000, None)
        assert not model.received
        await world.approve(hold)
        async with await asking as answer:
            assert answer.status == 200
        assert len(model.received) == 1


async def test_what_the_policy_holds_needs_an_admin_too(redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url, grants=[make_grant()], pauses=[make_pause(HOLD)]) as world:
        async with world.chat("the password for 4111 1111 1111 1111", headers=ASYNC) as answer:
            assert answer.status == 202  # no grant applies
        (hold,) = await world.held()
        assert [hit.rule for hit in hold.evaluation.hits] == ["secrets", "numbers", "pause"]
        assert [need.group for need in hold.requirements] == ["security", "platform"]
        assert b"[card]" in hold.query.body
        assert [each.used for each in await world.store.grants.all()] == [0]


async def test_what_the_policy_blocks_stays_blocked(redis_url: str, model: Model) -> None:
    async with (
        standing_world(redis_url, model.url, pauses=[make_pause(HOLD)]) as world,
        world.chat("BEGIN PRIVATE KEY") as answer,
    ):
        assert (answer.status, (await answer.json())["error"]["code"]) == (403, "blocked")


async def test_the_list_of_models_passes_while_everything_is_held(redis_url: str, model: Model) -> None:
    async with (
        standing_world(redis_url, model.url, pauses=[make_pause(HOLD)]) as world,
        world.http.get(f"{world.base}/models", headers=world.headers()) as answer,
    ):
        assert answer.status == 200


@pytest.mark.promise(1)
async def test_where_nobody_could_decide_holding_is_refusing(redis_url: str, model: Model) -> None:
    policy = GRANTABLE.replace("roles: {{admins: [platform]}}\n", "")
    async with (
        standing_world(redis_url, model.url, pauses=[make_pause(HOLD)], policy=policy) as world,
        world.chat(CLEAN) as answer,
    ):
        await refusal(answer)
        assert not model.received


@pytest.mark.promise(1)
@pytest.mark.parametrize("by_a_person", [True, False])
async def test_while_everything_is_held_only_a_persons_approval_is_released(
    by_a_person: bool, redis_url: str, model: Model
) -> None:
    async with standing_world(redis_url, model.url) as world:
        asking, hold = await ask(world)
        await world.store.pauses.pause(make_pause(HOLD))
        await until_live(world)
        if by_a_person:
            await world.approve(hold)
        else:
            silence = Decision(
                DecisionKind.APPROVE, by="policy", name="", groups=(), channel=TIMER, at_ms=hold.deadline_ms,
                digest=hold.digest, result_digest=hold.digest,
            )  # fmt: skip
            await world.store.holds.decide(hold, silence, state=State.APPROVED, body=None)
        async with await asking as answer:
            assert answer.status == (200 if by_a_person else 503)
        assert len(model.received) == int(by_a_person)
