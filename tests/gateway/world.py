"""A running gateway with policy and keys, and somebody who decides: what every test of the gateway starts from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from gateway.app import Gateway, running_gateway
from holdpoint import apikey, canonical
from holdpoint.clock import now_ms
from holdpoint.errors import StoreUnavailable
from holdpoint.model import Decision, DecisionKind, Edit, Event, Hold, KeyRecord, State
from holdpoint.settings import Settings
from holdpoint.store import Store
from tests.support.waiting import wait_until

RISKY = "what is the admin password"
CLEAN = "what is the weather"

POLICY = """
version: 1
defaults: {{verdict: allow, uninspectable: review, timeout: {timeout}, on_timeout: reject}}
connections:
  demo: {{upstream: "{upstream}", protocol: openai, environment: production}}
  locked: {{upstream: "{upstream}", protocol: openai, environment: test, credential: "env:HOLDPOINT_TEST_CREDENTIAL"}}
  keyless: {{upstream: "{upstream}", protocol: openai, environment: test, credential: "env:HOLDPOINT_TEST_NOT_SET"}}
groups:
  contractors: {{members: [dana@example.com, eve@example.com]}}
  security: {{members: [sam@example.com]}}
rules:
  - id: secrets
    description: Credentials in a prompt
    when: {{prompt: {{matches: ['(?i)\\bpassword\\b']}}}}
    verdict: review
    risk: high
    reviewers: [{{group: security, approvals: 1}}]
  - id: forbidden
    description: Private keys never leave
    when: {{prompt: {{matches: ['BEGIN PRIVATE KEY']}}}}
    verdict: block
  - id: numbers
    description: Card numbers are removed
    when: {{prompt: {{matches: ['4111 1111 1111 1111']}}}}
    verdict: modify
    modify: {{replace: "[card]"}}
"""


@dataclass
class World:
    gateway: Gateway
    store: Store
    key: str
    key_id: str
    other_key: str
    http: aiohttp.ClientSession
    settings: Settings

    @property
    def base(self) -> str:
        return f"{self.gateway.url}/demo/v1"

    @property
    def port(self) -> int:
        return int(self.gateway.url.rsplit(":", 1)[1])

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", **(more or {})}

    def chat(self, prompt: str = RISKY, headers: Mapping[str, str] | None = None, **more: Any) -> Any:
        body = {"model": "demo", "messages": [{"role": "user", "content": prompt}], **more}
        return self.http.post(f"{self.base}/chat/completions", json=body, headers=self.headers(headers))

    async def held(self, count: int = 1) -> list[Hold]:
        """The pending holds, once there are ``count`` of them."""

        async def look() -> list[Hold] | None:
            found, _ = await self.store.holds.list(state=State.PENDING)
            return found if len(found) >= count else None

        return list(await wait_until(look, f"{count} holds are pending"))

    async def redis_is_back(self) -> None:
        """Until this test's own connections have noticed that they are new ones."""

        async def answers() -> bool:
            try:
                await asyncio.gather(*(self.store.ping() for _ in range(8)))
            except StoreUnavailable:
                return False
            return True

        await wait_until(answers, "Redis is back")

    async def state(self, hold_id: str, state: State) -> Hold:
        """The hold, once it is in ``state``."""

        async def look() -> Hold | None:
            hold = await self.store.holds.get(hold_id)
            return hold if hold.state is state else None

        return await wait_until(look, f"the hold is {state}")

    async def approve(self, hold: Hold, *, edits: tuple[Edit, ...] = ()) -> Hold:
        body = canonical.apply_edits(hold.query.body, [(e.path, e.text) for e in edits]) if edits else None
        digest = hold.digest
        if body is not None:
            digest = canonical.digest(connection=hold.connection, method=hold.method, target=hold.target, body=body)
        decision = _decision(hold, DecisionKind.APPROVE, digest, edits=edits)
        return await self.store.holds.decide(hold, decision, state=State.APPROVED, body=body)

    async def reject(self, hold: Hold, reason: str = "not today") -> Hold:
        decision = _decision(hold, DecisionKind.REJECT, hold.digest, reason=reason)
        return await self.store.holds.decide(hold, decision, state=State.REJECTED, body=None)

    async def events(self, stream: str) -> list[Event]:
        """The events of a stream since this was last asked."""
        found = await self.store.outbox.read(stream, group="test", block_ms=1, count=1)  # makes the group
        while batch := await self.store.outbox.read(stream, group="test", block_ms=1, count=1000):
            found += batch
        return found


def _decision(
    hold: Hold, kind: DecisionKind, digest: str, *, reason: str = "", edits: tuple[Edit, ...] = ()
) -> Decision:
    return Decision(
        kind=kind, by="sam@example.com", name="Sam", groups=("security",), channel="web", at_ms=now_ms(),
        digest=hold.digest, result_digest=digest, reason=reason, edits=edits,
    )  # fmt: skip


async def _new_key(store: Store, principal: str) -> tuple[str, str]:
    key = apikey.create()
    record = KeyRecord(
        id=key.id, digest=key.digest, principal=principal, groups=frozenset(), roles=frozenset(),
        created_ms=now_ms(), expires_ms=None, name=principal.partition("@")[0].title(),
    )  # fmt: skip
    await store.config.put_key(record)
    return key.text, key.id


@asynccontextmanager
async def running_world(
    redis_url: str, upstream: str, *, hold_for: str = "10m", gateway_redis_url: str = "", **settings: Any
) -> AsyncIterator[World]:
    """A gateway in this process, on a port of its own, in front of ``upstream``; with a way of its own to Redis, perhaps."""
    chosen = Settings(
        redis_url=gateway_redis_url or redis_url,
        gateway_port=0,
        data=Path("unused"),
        _env_file=None,
        **{"drain_s": 1, **settings},
    )  # type: ignore[call-arg]
    store = await Store.open(redis_url, clock=now_ms)
    try:
        head = await store.config.policy()
        if head is None:
            await store.config.push_policy(POLICY.format(upstream=upstream, timeout=hold_for), expect=0, by="test")
        key, key_id = await _new_key(store, "dana@example.com")
        other, _ = await _new_key(store, "eve@example.com")
        async with (
            running_gateway(chosen) as gateway,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http,
        ):
            yield World(gateway, store, key, key_id, other, http, chosen)
    finally:
        await store.aclose()
        await asyncio.sleep(0)
