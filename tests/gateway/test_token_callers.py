"""What a gateway remembers of tokens: for how long, how many, and what ends it. By a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from gateway import tokens
from gateway.tokens import KeysNeeded, TokenCallers
from holdpoint.errors import Refusal
from holdpoint.policy import compile_policy, parse_policy
from holdpoint.snapshot import Snapshot
from holdpoint.tokens.providers import TERMS, Providers
from tests.conftest import MovingClock
from tests.holdpoint.tokens.issuing import Provider, jwk, running_provider
from tests.support.waiting import wait_until


@dataclass
class Door:
    provider: Provider
    callers: TokenCallers
    snapshot: Snapshot
    clock: MovingClock

    def token(self, **said: Any) -> str:
        return self.provider.token(self.clock(), **said)

    async def enters(self, token: str) -> str:
        """Who comes in, as the spine asks."""
        try:
            found = self.callers.find(token, self.snapshot, self.clock())
        except KeysNeeded:
            await self.callers.ask_issuer(token, self.snapshot, self.clock())
            found = self.callers.find(token, self.snapshot, self.clock())
        return found.requester.principal


def snapshot_of(provider: Provider, more: str = "") -> Snapshot:
    text = f"version: 1\nissuers: [{{issuer: '{provider.url}', audience: holdpoint{more}}}]\n"
    return Snapshot(revision=1, policy=compile_policy(parse_policy(text), 1), keys={}, routes=())


@pytest.fixture
async def door(clock: MovingClock) -> AsyncIterator[Door]:
    async with running_provider() as provider, Providers(clock=clock) as providers:
        yield Door(provider, TokenCallers(providers), snapshot_of(provider), clock)


async def test_a_token_is_verified_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    token = door.token()
    assert await door.enters(token) == "dana@example.com"
    monkeypatch.setattr(tokens, "identity_of", None)  # whoever calls it now fails
    for _ in range(3):
        assert await door.enters(token) == "dana@example.com"


@pytest.mark.promise(1)
async def test_what_is_remembered_ends_with_the_token(door: Door) -> None:
    token = door.token(exp=door.clock() // 1000 + 100)
    await door.enters(token)
    door.clock.forward(seconds=159)
    await door.enters(token)
    door.clock.forward(seconds=2)
    with pytest.raises(Refusal) as caught:
        await door.enters(token)
    assert caught.value.status == 401


@pytest.mark.promise(1)
async def test_what_is_remembered_ends_with_its_key(door: Door) -> None:
    token = door.token(exp=door.clock() // 1000 + 7 * 24 * 3600)
    await door.enters(token)
    door.provider.keys[:] = [jwk("k2")]
    door.clock.forward(seconds=TERMS.renew_after_ms / 1000)
    await door.enters(token)  # the renewal begins
    await wait_until(lambda: door.provider.fetched == 2, "the renewal")

    async def refused() -> bool:
        try:
            await door.enters(token)
        except Refusal as refusal:
            return refusal.status == 401
        return False

    await wait_until(refused, "the key is withdrawn, and with it the token")


@pytest.mark.promise(1)
async def test_what_is_remembered_ends_a_day_after_the_provider_was_last_heard(door: Door) -> None:
    token = door.token(exp=door.clock() // 1000 + 7 * 24 * 3600)
    await door.enters(token)
    door.provider.metadata = 503
    door.clock.forward(seconds=TERMS.keep_ms / 1000 - 1)
    await door.enters(token)
    await wait_until(lambda: door.provider.discovered == 2, "the renewal that fails")
    door.clock.forward(seconds=1)
    with pytest.raises(Refusal) as caught:
        await door.enters(token)
    assert (caught.value.status, caught.value.retry) == (503, True)


async def test_what_is_remembered_ends_with_the_policy(door: Door) -> None:
    token = door.token()
    await door.enters(token)
    door.snapshot = snapshot_of(door.provider, ", require: {tid: t1}")
    with pytest.raises(Refusal) as caught:
        await door.enters(token)
    assert caught.value.status == 401


async def test_so_many_are_remembered_and_no_more(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "GENERATION", 5)
    often = door.token(sub="often")
    for number in range(40):
        await door.enters(door.token(sub=str(number)))
        await door.enters(often)
    assert len(door.callers._young) + len(door.callers._old) <= 10
    assert await door.enters(door.token(sub="0")) == "dana@example.com", "what was forgotten is verified again"


async def test_wrong_tokens_are_not_remembered(door: Door) -> None:
    await door.enters(door.token())
    for number in range(20):
        with pytest.raises(Refusal):
            await door.enters(door.token(sub=str(number), aud="other"))
    assert len(door.callers._young) == 1
