"""What a process knows is what Redis has, within a second, or nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
from collections.abc import AsyncIterator, Iterator

import pytest

from holdpoint import compiling as module
from holdpoint.compiling import LONGEST_BEHIND_MS
from holdpoint.errors import StoreUnavailable
from holdpoint.live import FRESH_FOR_MS, Live
from holdpoint.model import KeyRecord, Role, Verdict
from holdpoint.policy import parse_policy
from holdpoint.policy.document import Document
from holdpoint.standing import Pause, PauseMode
from holdpoint.store import Store
from tests.bench.holdpoint_parts import policy
from tests.conftest import MovingClock
from tests.support.builders import DANA, make_query
from tests.support.programs import POLICY
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

TEXT = POLICY.format(upstream="http://127.0.0.1:9")
KEY = KeyRecord("k1", "d1", "sam@example.com", frozenset(), frozenset({Role.REVIEWER}), 1, None)


def marked(number: int) -> str:
    """A policy that tells its version: by the name of its connection, and by whom its group has."""
    return TEXT.replace("demo:", f"v{number}:").replace("dana@", f"dana{number}@")


class Gate:
    """Lets no policy whose text has one of ``shut`` in it begin to compile."""

    def __init__(self) -> None:
        self.shut: set[str] = set()
        self.reached: list[str] = []
        self._moved = threading.Condition()

    def pass_through(self, text: str, file: str) -> Document:
        with self._moved:
            self.reached.append(file)
            self._moved.wait_for(lambda: not any(word in text for word in self.shut), timeout=60)
        return parse_policy(text, file)

    def open(self, *words: str) -> None:
        with self._moved:
            self.shut -= set(words) or self.shut
            self._moved.notify_all()


@pytest.fixture
async def live(store: Store, clock: MovingClock) -> AsyncIterator[Live]:
    started = Live(store, clock=clock)
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(module, "parse_policy", gate.pass_through)
    yield gate
    gate.open()


def tell(live: Live) -> int:
    """The version in force, when all that the snapshot has of a policy is of that one."""
    snapshot = live.snapshot
    version = snapshot.policy.version
    assert set(snapshot.policy.connections) == {f"v{version}"}
    assert snapshot.groups_of(f"dana{version}@example.com") == {"contractors"}
    return version


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


async def test_who_asks_at_the_same_time_shares_one_look(live: Live, store: Store, clock: MovingClock) -> None:
    async def looks() -> int:
        return int((await store._client.command("INFO", "commandstats")).split(b"cmdstat_get:calls=")[1].split(b",")[0])

    await store.config.put_key(KEY)
    clock.forward(seconds=FRESH_FOR_MS / 1000)
    before = await looks()
    await asyncio.gather(*(live.ensure_fresh() for _ in range(50)))
    assert await looks() - before < 10
    assert "d1" in live.snapshot.keys


async def test_a_key_is_revoked_within_a_second(live: Live, store: Store) -> None:
    await store.config.put_key(KEY)
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


async def test_the_first_policy_is_waited_for(store: Store, clock: MovingClock, gate: Gate) -> None:
    await store.config.push_policy(marked(1), expect=0, by="alex")
    gate.shut = {"v1:"}
    live = Live(store, clock=clock)
    starting = asyncio.ensure_future(live.start())
    await wait_until(lambda: gate.reached, "it is about to compile")
    clock.forward(seconds=LONGEST_BEHIND_MS / 1000 + 1)  # however long it takes: nobody has begun to rely on anything
    assert not starting.done()
    assert not live.is_fresh
    gate.open()
    await starting
    assert tell(live) == 1
    await live.stop()


async def test_while_a_policy_compiles_everything_else_changes_at_once(live: Live, store: Store, gate: Gate) -> None:
    await store.config.put_key(KEY)
    await store.config.push_policy(marked(1), expect=0, by="alex")
    await live.catch_up()
    gate.shut = {"v2:"}
    await store.config.push_policy(marked(2), expect=1, by="alex")
    await wait_until(lambda: len(gate.reached) == 2, "the new one is about to compile")
    before = live.snapshot.revision
    await store.config.revoke_key("k1", by="alex")
    await store.config.add_route("contractors", "slack:C2", by="alex")
    await store.pauses.pause(Pause("v1", PauseMode.REFUSE, "alex", 1))
    await live.look()
    assert live.snapshot.keys["d1"].revoked_ms
    assert live.snapshot.channels_for({"contractors"}) == ("slack:C2", "web")
    assert live.snapshot.pause_of("v1") is not None
    assert live.is_fresh
    assert (tell(live), live.snapshot.revision) == (1, before)
    gate.open()
    await live.catch_up()
    assert tell(live) == 2
    assert live.snapshot.revision == await store.config.revision()
    assert live.snapshot.keys["d1"].revoked_ms
    assert live.snapshot.pause_of("v1") is not None


async def test_requests_go_on_while_5000_rules_compile(live: Live, store: Store) -> None:
    await store.config.push_policy(TEXT, expect=0, by="alex")
    await live.catch_up()
    await store.config.push_policy(policy("http://127.0.0.1:9", rules=5_000), expect=1, by="alex")
    await store.config.put_key(KEY)
    await wait_until(lambda: live.snapshot.keys.get("d1"), "the push was looked at")
    went_on = 0
    while live.snapshot.policy.version == 1:
        assert live.is_fresh
        assert verdict(live, "the password") is Verdict.REVIEW
        went_on += 1
        await asyncio.sleep(0)
    assert went_on
    assert live.snapshot.policy.version == 2
    assert set(live.snapshot.policy.connections) == {"bench"}
    assert verdict(live, "secret4999 key = abcdef") is Verdict.REVIEW
    assert verdict(live, "the password") is Verdict.ALLOW


async def test_nothing_is_collected_while_a_policy_compiles(live: Live, store: Store) -> None:
    """A look at all that a large document is made of would hold up every thread."""
    await store.config.push_policy(policy("http://127.0.0.1:9", rules=1_000), expect=0, by="alex")
    meanwhile: list[str] = []

    def note(_phase: str, _info: dict[str, int]) -> None:
        callers = {frame.name for frame in traceback.extract_stack()}
        meanwhile.extend(callers & {"parse_policy", "compile_policy"})

    gc.callbacks.append(note)
    try:
        await live.catch_up()
    finally:
        gc.callbacks.remove(note)
    assert live.snapshot.policy.version == 1
    assert not meanwhile
    assert gc.isenabled()


async def test_pushes_while_one_compiles(live: Live, store: Store, gate: Gate) -> None:
    """One after the other gets through, and the last one is not lost."""
    await store.config.push_policy(marked(1), expect=0, by="alex")
    await live.catch_up()
    gate.shut = {"v2:", "v4:"}
    for number in (2, 3, 4):
        await store.config.push_policy(marked(number), expect=number - 1, by="alex")
        await live.look()
    assert tell(live) == 1
    gate.open("v2:")
    await wait_until(lambda: tell(live) == 2, "the one that compiled is in force")
    gate.open()
    await wait_until(lambda: tell(live) == 4, "the newest one is in force")
    assert [file.rpartition(" ")[2] for file in gate.reached] == ["1", "2", "4"]


@pytest.mark.promise(1)
async def test_a_policy_that_compiles_for_too_long_ends_in_refusals(
    live: Live, store: Store, gate: Gate, clock: MovingClock
) -> None:
    await store.config.push_policy(marked(1), expect=0, by="alex")
    await live.catch_up()
    gate.shut = {"v2:"}
    await store.config.push_policy(marked(2), expect=1, by="alex")
    await wait_until(lambda: len(gate.reached) == 2, "the new one is about to compile")
    clock.forward(seconds=LONGEST_BEHIND_MS / 1000)
    await live.ensure_fresh()
    clock.forward(seconds=0.001)
    assert not live.is_fresh
    for ask in (live.ensure_fresh, live.look, live.catch_up):
        with pytest.raises(StoreUnavailable):
            await ask()
    gate.open()
    await wait_until(lambda: live.is_fresh, "it is in force after all")
    await live.ensure_fresh()
    assert tell(live) == 2


async def test_a_newer_policy_ends_the_refusals(live: Live, store: Store, gate: Gate, clock: MovingClock) -> None:
    await store.config.push_policy(marked(1), expect=0, by="alex")
    await live.catch_up()
    gate.shut = {"v2:"}
    await store.config.push_policy(marked(2), expect=1, by="alex")
    await wait_until(lambda: len(gate.reached) == 2, "the new one is about to compile")
    await store.config.push_policy(marked(3), expect=2, by="alex")
    clock.forward(seconds=LONGEST_BEHIND_MS / 1000 + 1)
    await wait_until(lambda: live.is_fresh and tell(live) == 3, "the newest one is in force")
    gate.open()  # the one that hung is ready now, and comes too late
    await store.config.push_policy(marked(4), expect=3, by="alex")
    await wait_until(lambda: tell(live) == 4, "the next one is in force")


async def test_a_policy_that_nobody_foresaw_ends_the_process(
    store: Store, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    deaths: list[str] = []
    live = Live(store, clock=clock, on_death=lambda name, _error: deaths.append(name))
    await live.start()
    monkeypatch.setattr(module, "parse_policy", broken)
    await store.config.push_policy(TEXT, expect=0, by="alex")
    await wait_until(lambda: deaths, "somebody is told")
    assert verdict(live) is Verdict.BLOCK
    await live.stop()
