"""Standing approvals on the data path: what passes by one, what does not, and that nothing passes uncounted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from holdpoint.clock import now_ms
from holdpoint.linked import Link
from holdpoint.model import EventKind, GrantScope, State
from holdpoint.standing import Grant
from tests.gateway.model import Model
from tests.gateway.standing import DANA, GRANTABLE, make_grant, standing_world, until_live
from tests.gateway.world import CLEAN, RISKY, World, running_world
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

ASYNC = {"Prefer": "respond-async"}
BOTH = "the password and the salary"


@pytest.fixture
async def granted(redis_url: str, model: Model) -> AsyncIterator[World]:
    """A gateway that started with one grant: five uses, for Dana, by the rule ``secrets``."""
    async with standing_world(redis_url, model.url, grants=[make_grant()]) as world:
        yield world


async def status(world: World, prompt: str = RISKY, **more: Any) -> int:
    """200 what passes, 202 what is held."""
    async with world.chat(prompt, headers=ASYNC, **more) as answer:
        return int(answer.status)


@pytest.mark.promise(1)
@pytest.mark.promise(4)
async def test_what_a_grant_covers_passes_on_the_record(granted: World, model: Model) -> None:
    async with granted.chat() as answer:
        assert answer.status == 200
        assert answer.headers["x-holdpoint-grant"] == "g1"
        assert "x-holdpoint-hold" not in answer.headers
    used, allowed, completed = await granted.events("traffic")
    assert (used.kind, used.subject) == (EventKind.GRANT_USED, "g1")
    assert (allowed.kind, completed.kind) == (EventKind.REQUEST_ALLOWED, EventKind.REQUEST_COMPLETED)
    assert allowed.data["grant"] == "g1"
    assert allowed.data["evaluation"]["verdict"] == "review"
    assert allowed.subject == completed.subject == used.data["request"]
    assert used.data["digest"] == allowed.data["digest"]
    assert (used.data["use"], used.data["uses"], used.data["rules"]) == (1, 5, ["secrets"])
    async with granted.http.get(f"{granted.gateway.url}/metrics") as answer:
        assert 'holdpoint_granted_total{connection="demo"} 1.0' in await answer.text()


async def test_what_needs_no_grant_uses_none(granted: World) -> None:
    async with granted.chat(CLEAN) as answer:
        assert answer.status == 200
        assert "x-holdpoint-grant" not in answer.headers
    async with granted.chat("BEGIN PRIVATE KEY, and the password") as answer:
        assert answer.status == 403
    assert [each.used for each in await granted.store.grants.all()] == [0]


@pytest.mark.promise(2)
async def test_the_policys_own_changes_apply_to_what_passes_by_a_grant(granted: World, model: Model) -> None:
    async with granted.chat("the password for 4111 1111 1111 1111") as answer:
        assert answer.status == 200
        assert answer.headers["x-holdpoint-verdict"] == "modify"
    assert model.bodies[0]["messages"] == [{"role": "user", "content": "the password for [card]"}]
    used, allowed, _ = await granted.events("traffic")
    assert used.data["digest"] == allowed.data["digest"]
    assert "4111 1111" not in str(allowed.data["body"])


NOT_COVERED: list[tuple[str, dict[str, Any], str]] = [
    ("another rule holds it too", {}, BOTH),
    ("another rule holds it", {}, "the salary"),
    ("one of its rules allows no grants", {"rules": ("secrets", "contracts")}, "the password of the contract"),
    ("for another requester", {"subject": "eve@example.com"}, RISKY),
    ("for an agent of this name", {"owner": "eve@example.com"}, RISKY),
    ("for another group", {"scope": GrantScope.GROUP, "subject": "security"}, RISKY),
    ("a person's name is no group", {"scope": GrantScope.GROUP, "subject": DANA}, RISKY),
    ("to a scope that one of its rules does not allow",
     {"scope": GrantScope.GROUP, "subject": "contractors", "rules": ("secrets", "salaries")}, BOTH),
    ("for another connection", {"connection": "locked"}, RISKY),
    ("made by the requester", {"by": DANA}, RISKY),
    ("expired", {"expires_ms": 1}, RISKY),
    ("older than the policy in force allows", {"created_ms": now_ms() - 9 * 3_600_000}, RISKY),
    ("revoked", {"revoked_ms": 1, "revoked_by": DANA}, RISKY),
]  # fmt: skip


@pytest.mark.promise(1)
@pytest.mark.parametrize(("changes", "prompt"), [row[1:] for row in NOT_COVERED], ids=[row[0] for row in NOT_COVERED])
async def test_what_a_grant_does_not_cover_is_held(
    changes: dict[str, Any], prompt: str, redis_url: str, model: Model
) -> None:
    async with standing_world(redis_url, model.url, grants=[make_grant(**changes)]) as world:
        assert await status(world, prompt) == 202
        assert not model.received
        assert [each.used for each in await world.store.grants.all()] == [0]


@pytest.mark.promise(5)
async def test_who_made_a_grant_and_was_linked_to_the_requester_since_is_not_covered(
    redis_url: str, model: Model
) -> None:
    for_all = make_grant(by="dana@chat.example", scope=GrantScope.GROUP, subject="contractors")
    async with standing_world(redis_url, model.url, grants=[for_all]) as world:
        assert await status(world) == 200
        link = Link("slack", "T1", "U1", DANA, "dana@chat.example", "Dana", now_ms(), "key 1")
        await world.store.links.make(link)
        await until_live(world)
        assert await status(world) == 202
        assert [each.used for each in await world.store.grants.all()] == [1]


COVERED: list[tuple[str, dict[str, Any], str]] = [
    ("more rules than hold it", {"rules": ("salaries", "secrets")}, RISKY),
    ("every rule that holds it", {"rules": ("salaries", "secrets")}, BOTH),
    ("for a group by the policy", {"scope": GrantScope.GROUP, "subject": "contractors"}, RISKY),
]


@pytest.mark.parametrize(("changes", "prompt"), [row[1:] for row in COVERED], ids=[row[0] for row in COVERED])
async def test_what_a_grant_covers_passes(changes: dict[str, Any], prompt: str, redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url, grants=[make_grant(**changes)]) as world:
        assert await status(world, prompt) == 200


async def test_what_cannot_be_inspected_is_held_in_spite_of_a_grant(granted: World, model: Model) -> None:
    content = [{"type": "text", "text": RISKY}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    policy = GRANTABLE.replace("uninspectable: review", "uninspectable: allow").format(
        upstream=model.url, timeout="10m"
    )
    await until_live(granted, policy=policy)
    assert await status(granted, RISKY, messages=[{"role": "user", "content": content}]) == 202
    assert not model.received


CHANGES: list[tuple[str, str, str]] = [
    ("no grants any more", "    grants: {{uses: 50, for: 8h, to: [requester, group]}}\n", ""),
    ("groups only", "to: [requester, group]", "to: [group]"),
    ("a quorum of two", "risk: high\n    reviewers: [{{group: security, approvals: 1}}]",
     "risk: high\n    reviewers: [{{group: security, approvals: 2}}]"),
    ("a default of review", "verdict: allow, uninspectable", "verdict: review, uninspectable"),
]  # fmt: skip


@pytest.mark.promise(1)
@pytest.mark.parametrize(("before", "after"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
async def test_the_policy_in_force_comes_first(before: str, after: str, granted: World, model: Model) -> None:
    assert await status(granted) == 200
    assert before in GRANTABLE
    policy = GRANTABLE.replace(before, after)
    await until_live(granted, policy=policy.format(upstream=model.url, timeout="10m"))
    assert await status(granted) == 202


async def test_a_policy_that_allows_fewer_uses_ends_it_earlier(granted: World, model: Model) -> None:
    assert [await status(granted) for _ in range(2)] == [200, 200]
    policy = GRANTABLE.replace("uses: 50", "uses: 3").format(upstream=model.url, timeout="10m")
    await until_live(granted, policy=policy)
    assert [await status(granted) for _ in range(2)] == [200, 202]


@pytest.mark.promise(3)
async def test_fifty_requests_at_once_on_a_grant_of_five(granted: World, model: Model) -> None:
    found = await asyncio.gather(*(status(granted, f"{RISKY}, number {n}") for n in range(50)))
    assert (found.count(200), found.count(202)) == (5, 45)
    assert len(model.received) == 5
    assert (await granted.store.holds.count())[State.PENDING] == 45
    kinds = [event.kind for event in await granted.events("traffic")]
    assert kinds.count(EventKind.GRANT_USED) == kinds.count(EventKind.REQUEST_ALLOWED) == 5


async def test_the_second_grant_is_used_when_the_first_is_spent(redis_url: str, model: Model) -> None:
    grants = [make_grant(uses=1), make_grant(id="g2", uses=1)]
    async with standing_world(redis_url, model.url, grants=grants) as world:
        assert [await status(world, f"{RISKY} {n}") for n in range(3)] == [200, 200, 202]
        assert [each.used for each in await world.store.grants.all()] == [1, 1]


async def test_made_and_revoked_within_a_second(redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url) as world:
        assert await status(world) == 202
        await world.store.grants.make(make_grant(uses=50))
        await wait_until(lambda: _is(world, 200), "the grant is live", seconds=1)
        await world.store.grants.revoke("g1", by="ada@example.com")
        assert await status(world, "another password") == 202  # by Redis' own word, before any process has looked


async def _is(world: World, wanted: int) -> bool:
    return await status(world, f"password {time.monotonic_ns()}") == wanted


async def test_a_grant_outlives_the_gateway(redis_url: str, model: Model) -> None:
    async with standing_world(redis_url, model.url, grants=[make_grant(uses=2)]) as world:
        assert await status(world) == 200
    async with running_world(redis_url, model.url) as world:
        assert await status(world) == 200
        assert await status(world) == 202


@pytest.mark.promise(3)
async def test_a_request_that_comes_back_to_its_hold_uses_no_grant(redis_url: str, model: Model) -> None:
    key = {"Idempotency-Key": "k1"}
    async with standing_world(redis_url, model.url) as world:
        async with world.chat(headers={**ASYNC, **key}) as answer:
            assert answer.status == 202
        (hold,) = await world.held()
        await world.reject(hold)
        await world.store.grants.make(make_grant())
        await until_live(world)
        async with world.chat(headers=key) as answer:
            assert answer.status == 403
            assert answer.headers["x-holdpoint-hold"] == hold.id
        assert not model.received
        assert [each.used for each in await world.store.grants.all()] == [0]


@pytest.mark.promise(1)
async def test_without_redis_no_grant_lets_anything_pass(redis_server: RedisServer, model: Model) -> None:
    async with standing_world(redis_server.url, model.url, grants=[make_grant()]) as world:
        redis_server.kill()
        assert await status(world) == 503
        assert not model.received
        redis_server.start()
        await world.redis_is_back()


async def test_an_owner_never_gains_by_a_grant_of_their_own(redis_url: str, model: Model) -> None:
    grant: Grant = make_grant(scope=GrantScope.GROUP, subject="contractors", by="eve@example.com")
    async with standing_world(redis_url, model.url, grants=[grant]) as world:
        assert await status(world) == 200
        headers = {**ASYNC, "Authorization": f"Bearer {world.other_key}"}
        body = {"model": "demo", "messages": [{"role": "user", "content": RISKY}]}
        async with world.http.post(f"{world.base}/chat/completions", json=body, headers=headers) as answer:
            assert answer.status == 202
