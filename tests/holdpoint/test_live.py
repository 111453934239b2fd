"""What a process knows is what Redis has, within a second, or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from holdpoint.errors import StoreUnavailable
from holdpoint.live import FRESH_FOR_MS, Live
from holdpoint.model import KeyRecord, Role, Verdict
from holdpoint.store import Store
from tests.conftest import MovingClock
from tests.support.builders import DANA, make_query
from tests.support.programs import POLICY
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

TEXT = POLICY.format(upstream="http://127.0.0.1:9")


@pytest.fixture
async def live(store: Store, clock: MovingClock) -> AsyncIterator[Live]:
    started = Live(store, clock=clock)
    await started.start()
    yield started
    await started.stop()


def verdict(live: Live, prompt: str = "hello") -> Verdict:
    return live.snapshot.policy.evaluate(make_query(prompt), DANA, 0).verdict


@pytest.mark.promise(1)
async def test_without_a_policy_everything_is_blocked(live: Live) -> None:
    assert verdict(live) is Verdict.BLOCK


async def test_a_push_is_live_without_anybody_asking(live: Live, store: Store) -> None:
    await store.config.push_policy(TEXT, expect=0, by="alex")
    await wait_until(lambda: live.snapshot.policy.version == 1, "the policy is live", seconds=1)
    assert verdict(live) is Verdict.ALLOW
    assert verdict(live, "the password") is Verdict.REVIEW


@pytest.mark.promise(1)
async def test_a_stored_policy_that_cannot_be_read_blocks_everything(live: Live, store: Store) -> None:
    await store.config.push_policy(TEXT, expect=0, by="alex")
    await wait_until(lambda: live.snapshot.policy.version == 1, "the policy is live")
    await store.config.push_policy("rules: [", expect=1, by="somebody with access to Redis")
    await wait_until(lambda: live.snapshot.revision == 2, "the second one was looked at")
    assert verdict(live) is Verdict.BLOCK


async def test_a_key_is_revoked_within_a_second(live: Live, store: Store) -> None:
    record = KeyRecord("k1", "d1", "sam@example.com", frozenset(), frozenset({Role.REVIEWER}), 1, None)
    await store.config.put_key(record)
    await wait_until(lambda: live.snapshot.keys.get("d1"), "the key is known", seconds=1)
    await store.config.revoke_key("k1", by="alex")
    await wait_until(lambda: live.snapshot.keys["d1"].revoked_ms, "the key is revoked", seconds=1)


async def test_groups_roles_and_channels(live: Live, store: Store) -> None:
    text = TEXT.replace('{group: "*", channels: [web]}', '{group: contractors, channels: ["slack:C1"]}')
    await store.config.push_policy(text, expect=0, by="alex")
    await store.config.add_route("contractors", "slack:C2", by="alex")
    await store.config.add_route("*", "slack:C9", by="alex")
    await wait_until(lambda: live.snapshot.revision == 3, "all of it is live")
    snapshot = live.snapshot
    assert snapshot.groups_of("sam@example.com", {"eng"}) == {"security", "eng"}
    assert snapshot.groups_of("nobody@example.com") == frozenset()
    assert snapshot.roles_of({"platform"}, {Role.REVIEWER}) == {Role.ADMIN, Role.REVIEWER}
    assert snapshot.channels_for({"contractors"}) == ("slack:C1", "slack:C2", "web")
    assert snapshot.channels_for({"others"}) == ("slack:C9", "web")


@pytest.mark.promise(1)
async def test_old_knowledge_is_not_acted_on(redis_server: RedisServer, clock: MovingClock) -> None:
    store = await Store.open(redis_server.url, clock=clock)
    live = Live(store, clock=clock)
    await live.look()
    redis_server.kill()
    await live.ensure_fresh()  # it is recent enough
    clock.forward(seconds=FRESH_FOR_MS / 1000)
    with pytest.raises(StoreUnavailable):
        await live.ensure_fresh()
    await store.aclose()
