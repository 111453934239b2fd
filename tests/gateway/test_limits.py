"""Limits on the data path: who is refused, what they are told, what is on the record, and what a change does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
import redis

from gateway.exchange import Exchange
from gateway.journal import Journal
from gateway.lane import Lane
from gateway.limited import Limited, LimitedLog
from gateway.limits import limited as limited_by
from gateway.record import Recorder
from holdpoint import apikey
from holdpoint.clock import now_ms
from holdpoint.metrics import Metrics
from holdpoint.model import Evaluation, EventKind, KeyRecord, Query, State
from holdpoint.policy.limits import Budget, Measure, Per
from holdpoint.store import Store
from holdpoint.store.client import Client
from holdpoint.store.limits import Limits, Wish
from tests.gateway.model import Model
from tests.gateway.standing import until_live
from tests.gateway.world import CLEAN, POLICY, RISKY, World, running_world
from tests.support.programs import make_key
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

ASYNC = {"Prefer": "respond-async"}


def policy(*limits: str) -> str:
    return POLICY.replace("rules:\n", "limits:\n" + "".join(f"  - {{{{{each}}}}}\n" for each in limits) + "rules:\n", 1)


@asynccontextmanager
async def limited(redis_url: str, model: Model, *limits: str, **settings: Any) -> AsyncIterator[World]:
    """A gateway whose policy has ``limits``."""
    store = await Store.open(redis_url, clock=now_ms)
    text = policy(*limits).format(upstream=model.url, timeout="10m")
    await store.config.push_policy(text, expect=0, by="test")
    await store.aclose()
    async with running_world(redis_url, model.url, **settings) as world:
        yield world


async def status(world: World, prompt: str = CLEAN, *, key: str = "", **more: Any) -> int:
    headers = {**more.pop("headers", {}), **({"Authorization": f"Bearer {key}"} if key else {})}
    if more.pop("expect_continue", False):
        headers["Expect"] = "100-continue"
    async with world.chat(prompt, headers=headers, **more) as answer:
        await answer.read()
        return int(answer.status)


async def statuses(world: World, count: int, prompt: str = CLEAN, **more: Any) -> list[int]:
    return [await status(world, prompt, **more) for _ in range(count)]


async def refusals(world: World) -> list[dict[str, Any]]:
    found = [each for each in await world.events("traffic") if each.kind is EventKind.REQUEST_REFUSED]
    return [dict(each.data) for each in found]


async def metric(world: World, name: str) -> float:
    async with world.http.get(f"{world.gateway.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


def scripts(url: str) -> int:
    """How many scripts Redis has run."""
    with redis.Redis.from_url(url) as client:
        return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])


async def spent_before(redis_url: str, seconds: float, amount: int, most: int, who: str = "dana@example.com") -> None:
    """As if ``amount`` requests had passed so many seconds ago."""
    client = Client(redis_url)
    limits = Limits(client, clock=lambda: now_ms() - int(seconds * 1000))
    taken = await limits.take([Wish(Budget("a", Measure.REQUESTS, Per.REQUESTER, (who,), most))], [[(0, amount)]])
    assert taken.refusals == (None,)
    await client.aclose()


async def test_so_many_pass_and_the_next_is_refused_as_the_provider_would(redis_url: str, model: Model) -> None:
    async with limited(redis_url, model, "id: a, requests_per_minute: 3") as world:
        begun_ms = now_ms()
        assert await statuses(world, 3) == [200] * 3
        async with world.chat(CLEAN) as answer:
            assert answer.status == 429
            assert 59 - (now_ms() - begun_ms) / 1000 <= int(answer.headers["retry-after"]) <= 61
            assert "x-should-retry" not in answer.headers
            error = (await answer.json())["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limited")
        assert error["message"].startswith("The limit 'a' is reached: 3 requests a minute for each requester.")
        assert await status(world, key=world.other_key) == 200, "somebody else has their own"
        assert len(model.received) == 4
        assert await metric(world, 'holdpoint_limited_total{limit="a"}') == 1
        assert await metric(world, 'holdpoint_refusals_total{code="rate_limited"}') == 1


@pytest.mark.parametrize(("wait_ms", "seconds"), [(1, 1), (999, 1), (1_000, 1), (1_001, 2), (59_999, 60), (60_500, 61)])
def test_seconds_are_rounded_up(wait_ms: int, seconds: int) -> None:
    refusal = limited_by(Budget("a", Measure.REQUESTS, Per.REQUESTER, ("dana@example.com",), 3), wait_ms)
    assert (refusal.retry_after_seconds, refusal.retry, refusal.status) == (seconds, True, 429)
    assert refusal.reason.endswith(f"Try again in {seconds} s.")


async def test_it_passes_when_it_was_told_to(redis_url: str, model: Model) -> None:
    """A minute of which nearly all is over. `tests/holdpoint/store/test_limits.py` does it to the millisecond."""
    async with limited(redis_url, model, "id: a, requests_per_minute: 2") as world:
        await spent_before(redis_url, 55, 2, 2)
        loop = asyncio.get_running_loop()
        asked = loop.time()
        async with world.chat(CLEAN) as answer:
            assert answer.status == 429
            after = int(answer.headers["retry-after"])
        assert 1 <= after <= 6

        async def passes() -> bool:
            return await status(world) == 200

        await wait_until(passes, "it passes", seconds=after + 0.1)
        assert after - 1 <= loop.time() - asked, "not before the second that was named"


async def test_a_clients_library_waits_and_succeeds(redis_url: str, model: Model) -> None:
    async with (
        limited(redis_url, model, "id: a, requests_per_minute: 2") as world,
        openai.AsyncOpenAI(base_url=world.base, api_key=world.key, max_retries=2) as client,
    ):
        await spent_before(redis_url, 55, 2, 2)
        answer = await client.chat.completions.create(model="demo", messages=[{"role": "user", "content": CLEAN}])
        assert answer.choices[0].message.content == "fine"
        assert len(model.received) == 1
        assert len(await refusals(world)) == 1


async def test_what_the_policy_blocks_counts_and_what_is_refused_does_not(redis_url: str, model: Model) -> None:
    async with limited(redis_url, model, "id: a, requests_per_minute: 4") as world:
        assert await statuses(world, 3, "BEGIN PRIVATE KEY") == [403] * 3
        assert await statuses(world, 5) == [200, 429, 429, 429, 429]
        (use,) = await world.store.limits.used()
        assert use.used == 4


async def test_prompt_tokens_are_counted_as_they_are_estimated(redis_url: str, model: Model) -> None:
    async with limited(redis_url, model, "id: a, prompt_tokens_per_minute: 1000") as world:
        assert await status(world) == 200
        (use,) = await world.store.limits.used()
        assert 1 < use.used < 20
        tokens = use.used
        found = await statuses(world, 1000 // tokens + 3)
        assert found.count(200) == 1000 // tokens - 1


async def test_what_alone_is_too_large_is_told_so_and_not_to_come_back(redis_url: str, model: Model) -> None:
    async with limited(redis_url, model, "id: a, prompt_tokens_per_minute: 50") as world:
        async with world.chat("word " * 500) as answer:
            assert answer.status == 429
            assert "retry-after" not in answer.headers
            assert answer.headers["x-should-retry"] == "false"
            assert "This request alone has about" in (await answer.json())["error"]["message"]
        assert await status(world) == 200, "it has used nothing"


async def test_a_request_without_a_body_is_a_request(redis_url: str, model: Model) -> None:
    async with limited(redis_url, model, "id: a, requests_per_minute: 2, prompt_tokens_per_minute: 100") as world:
        found = []
        for _ in range(3):
            async with world.http.get(f"{world.base}/models", headers=world.headers()) as answer:
                found.append(answer.status)
        assert found == [200, 200, 429]
        assert await metric(world, "holdpoint_waiting_requests") == 0


async def test_a_body_that_comes_late_is_a_request_too(redis_url: str, model: Model) -> None:
    """It waits for a 100, so that the gateway has to wait for it: the route of what is not all there."""
    async with limited(redis_url, model, "id: a, requests_per_minute: 2, prompt_tokens_per_minute: 1000") as world:
        assert await statuses(world, 3, expect_continue=True) == [200, 200, 429]
        (refused,) = await refusals(world)
        assert refused["limit"] == "a"


async def test_all_limits_that_apply_must_have_room(redis_url: str, model: Model) -> None:
    async with limited(
        redis_url, model,
        "id: mine, requests_per_minute: 5",
        "id: ours, for: {{groups: [contractors]}}, per: group, requests_per_minute: 7",
        "id: its, for: {{connections: [demo]}}, per: connection, requests_per_minute: 90",
    ) as world:  # fmt: skip
        assert await statuses(world, 6) == [200] * 5 + [429]
        assert await statuses(world, 3, key=world.other_key) == [200, 200, 429]
        async with world.chat(CLEAN, headers={"Authorization": f"Bearer {world.other_key}"}) as answer:
            assert "The limit 'ours' is reached: 7 requests a minute for the group contractors." in await answer.text()
        used = {
            each.limit: each.used for each in await world.store.limits.used() if each.subject != ("eve@example.com",)
        }
        assert used == {"mine": 5, "ours": 7, "its": 7}


async def test_an_agent_counts_for_itself(redis_url: str, model: Model) -> None:
    async with limited(redis_url, model, "id: a, requests_per_minute: 1") as world:
        new = apikey.create()
        record = KeyRecord(
            id=new.id, digest=new.digest, principal="dana@example.com", groups=frozenset(), roles=frozenset(),
            created_ms=now_ms(), expires_ms=None, owner="eve@example.com",
        )  # fmt: skip
        await world.store.config.put_key(record)
        second = await make_key(world.store, "dana@example.com", set(), set())
        await until_live(world)
        assert await status(world) == 200
        assert await status(world, key=second) == 429, "another key is not another requester"
        assert await status(world, key=new.text) == 200
        assert await status(world, key=new.text) == 429


async def test_a_limit_for_a_group_finds_its_members_however_they_are_written(redis_url: str, model: Model) -> None:
    """The policy's members are lower-case; an agent's name is as its key has it."""
    async with limited(redis_url, model, "id: a, for: {{groups: [contractors]}}, requests_per_minute: 1") as world:
        agent = await make_key(world.store, "Deploy-Bot", set(), set())
        text = policy("id: a, for: {{groups: [contractors]}}, requests_per_minute: 1")
        text = text.replace("[dana@example.com,", "[deploy-bot, dana@example.com,")
        await until_live(world, policy=text.format(upstream=model.url, timeout="10m"))
        assert await statuses(world, 2, key=agent) == [200, 429]


async def test_a_flood_is_two_records_a_minute(redis_url: str, model: Model) -> None:
    async with limited(redis_url, model, "id: a, requests_per_minute: 1") as world:
        assert await status(world) == 200
        found = await asyncio.gather(*(status(world) for _ in range(150)))
        assert found == [429] * 150
        before = scripts(redis_url)
        assert await statuses(world, 50) == [429] * 50
        assert scripts(redis_url) - before < 5, "nothing is asked, and nothing recorded"
        assert await status(world, key=world.other_key) == 200
        assert await status(world, key=world.other_key) == 429
        first, second = await refusals(world)
        assert (first["limit"], first["times"], first["requester"]["principal"]) == ("a", 1, "dana@example.com")
        assert first["connection"] == "demo"
        assert second["requester"]["principal"] == "eve@example.com"
        assert await metric(world, 'holdpoint_limited_total{limit="a"}') == 201
    reopened = await Store.open(redis_url, clock=now_ms)
    rest = await reopened.outbox.follow("traffic", after="0", block_ms=1)
    await reopened.aclose()
    _, _, last = [dict(each.data) for each in rest if each.kind is EventKind.REQUEST_REFUSED]
    assert (last["limit"], last["times"], last["requester"]["principal"]) == ("a", 199, "dana@example.com")
    assert last["reason"] == "199 more such requests were refused within a minute."
    assert CLEAN not in json.dumps([first, second, last])


async def test_who_stops_while_refusals_are_written_writes_them_once(
    redis_server: RedisServer, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Exchange, Limited]] = []
    refused, now = LimitedLog.refused, 0.0

    async def noted(log: LimitedLog, exchange: Exchange, refusal: Limited) -> None:
        seen.append((exchange, refusal))
        await refused(log, exchange, refusal)

    monkeypatch.setattr(LimitedLog, "refused", noted)
    async with limited(redis_server.url, model, "id: a, requests_per_minute: 1") as world:
        assert await statuses(world, 2) == [200, 429]
        await world.events("traffic")
        recorder = Recorder(world.store)
        recorder.start()
        log = LimitedLog(Journal(recorder, now_ms), Metrics(), tick=lambda: now)
        for _ in range(3):
            await refused(log, *seen[0])
        now = 60.0
        log.start()
        redis_server.pause()
        await wait_until(lambda: not log._counted, "they are being written", every=0.05)
        stopping = asyncio.ensure_future(log.stop())
        await asyncio.sleep(0)
        redis_server.resume()
        await stopping
        await recorder.stop()
        assert [each["times"] for each in await refusals(world)] == [1, 2]


async def test_a_refusal_that_cannot_be_recorded_is_a_503(redis_server: RedisServer, model: Model) -> None:
    async with limited(redis_server.url, model, "id: a, requests_per_minute: 1") as world:
        assert await status(world) == 200
        redis_server.kill()
        assert await status(world) == 503
        assert await status(world, key=world.other_key) == 503
        assert len(model.received) == 1
        redis_server.start()
        await world.redis_is_back()


async def test_a_refusal_that_needs_no_question_still_needs_its_record(redis_server: RedisServer, model: Model) -> None:
    async with limited(redis_server.url, model, "id: a, per: connection, requests_per_minute: 1") as world:
        assert await statuses(world, 2) == [200, 429]
        redis_server.kill()
        assert await status(world, key=world.other_key) == 503, "it is known that there is no room, but not recorded"
        redis_server.start()
        await world.redis_is_back()


async def test_where_much_is_allowed_requests_stay_on_the_fast_lane(
    redis_url: str, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast: list[Exchange] = []
    start = Lane.start

    def started(lane: Lane, exchange: Exchange, query: Query, evaluation: Evaluation) -> None:
        fast.append(exchange)
        start(lane, exchange, query, evaluation)

    monkeypatch.setattr(Lane, "start", started)
    async with limited(redis_url, model, "id: a, requests_per_minute: 1000000") as world:
        assert await statuses(world, 60) == [200] * 60
        assert len(fast) >= 40


async def test_a_new_policy_keeps_what_was_counted(redis_url: str, model: Model) -> None:
    async with limited(redis_url, model, "id: a, requests_per_minute: 5") as world:
        assert await statuses(world, 6) == [200] * 5 + [429]
        for limits, expected in (
            (["id: a, requests_per_minute: 8"], [200, 200, 200, 429]),
            (["id: a, requests_per_minute: 3"], [429]),
            (["id: b, requests_per_minute: 2"], [200, 200, 429]),
            ([], [200, 200]),
            (["id: a, requests_per_minute: 9"], [200, 429]),
        ):
            text = (policy(*limits) if limits else POLICY).format(upstream=model.url, timeout="10m")
            await until_live(world, policy=text)
            assert await statuses(world, len(expected)) == expected


# Holds


async def test_so_many_wait_at_once_and_a_decision_makes_room(redis_url: str, model: Model) -> None:
    async with limited(redis_url, model, "id: a, holds_at_once: 2") as world:
        assert await statuses(world, 2, RISKY, headers=ASYNC) == [202, 202]
        async with world.chat(RISKY + " please", headers=ASYNC) as answer:
            assert (answer.status, answer.headers["retry-after"]) == (429, "10")
            assert "2 requests that wait for a decision at once" in await answer.text()
            assert "x-holdpoint-hold" not in answer.headers
        assert await status(world) == 200, "what is not held is not counted"
        assert await status(world, RISKY, key=world.other_key, headers=ASYNC) == 202
        holds = await world.held(3)
        await world.reject(next(each for each in holds if each.requester.principal == "dana@example.com"))
        assert await statuses(world, 2, RISKY + " now", headers=ASYNC) == [202, 429]
        (refused, *_) = await refusals(world)
        assert refused["limit"] == "a"


async def test_who_comes_back_to_a_hold_makes_no_new_one(redis_url: str, model: Model) -> None:
    async with limited(redis_url, model, "id: a, holds_at_once: 1, holds_per_hour: 1") as world:
        headers = {**ASYNC, "Idempotency-Key": "k"}
        assert await statuses(world, 3, RISKY, headers=headers) == [202] * 3
        assert await status(world, RISKY, headers=ASYNC) == 429


async def test_a_hold_that_is_refused_has_not_used_its_tokens(redis_url: str, model: Model) -> None:
    async with limited(redis_url, model, "id: a, prompt_tokens_per_minute: 1000, holds_per_hour: 1") as world:
        assert await status(world, RISKY, headers=ASYNC) == 202

        async def used() -> dict[Measure, int]:
            return {each.measure: each.used for each in await world.store.limits.used()}

        before = await used()
        found = await asyncio.gather(*(status(world, RISKY, headers=ASYNC) for _ in range(20)))
        assert found == [429] * 20

        async def is_as_before() -> bool:
            return await used() == before

        await wait_until(is_as_before, "it has its tokens back, and what was lent is returned")


async def test_many_at_once_hold_exactly_as_many_as_may(redis_url: str, model: Model) -> None:
    async with limited(redis_url, model, "id: a, holds_at_once: 5") as world:
        found = await asyncio.gather(*(status(world, f"{RISKY} {n}", headers=ASYNC) for n in range(30)))
        assert sorted(found) == [202] * 5 + [429] * 25
        assert (await world.store.holds.count())[State.PENDING] == 5
