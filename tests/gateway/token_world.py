"""A gateway whose policy trusts an identity provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from holdpoint.clock import now_ms
from holdpoint.store import Store
from tests.gateway.world import CLEAN, POLICY, World, running_world
from tests.holdpoint.tokens.issuing import Provider, running_provider
from tests.support.waiting import wait_until

ISSUERS = """
issuers:
  - issuer: {issuer}
    audience: holdpoint
    groups: groups
    {more}
    agents: {{when: {{idtyp: app}}, requester: azp, owners: {{"ci-*": kim@example.com}}}}
"""


@dataclass
class TokenWorld:
    world: World
    provider: Provider
    upstream: str
    version: int

    def token(self, key: str = "k1", **said: Any) -> str:
        return self.provider.token(now_ms(), key, **said)

    def chat(self, token: str, prompt: str = CLEAN, headers: Mapping[str, str] | None = None, **more: Any) -> Any:
        return self.world.chat(prompt, headers={"Authorization": f"Bearer {token}", **(headers or {})}, **more)

    async def status(self, token: str, prompt: str = CLEAN) -> int:
        async with self.chat(token, prompt) as answer:
            return int(answer.status)

    async def push(self, issuers: str) -> None:
        """Another policy, in force when this returns."""
        text = POLICY.format(upstream=self.upstream, timeout="10m") + issuers
        self.version = await self.world.store.config.push_policy(text, expect=self.version, by="test")
        assert self.world.gateway.metrics.policy_version is not None
        await wait_until(lambda: self.world.gateway.metrics.policy_version() == self.version, "the policy is in force")

    def issuers(self, more: str = "") -> str:
        return ISSUERS.format(issuer=self.provider.url, more=more)


@asynccontextmanager
async def running_token_world(
    redis_url: str, upstream: str, *, more: str = "", **settings: Any
) -> AsyncIterator[TokenWorld]:
    async with running_provider() as provider:
        store = await Store.open(redis_url, clock=now_ms)
        text = POLICY.format(upstream=upstream, timeout="10m") + ISSUERS.format(issuer=provider.url, more=more)
        version = await store.config.push_policy(text, expect=0, by="test")
        await store.aclose()
        async with running_world(redis_url, upstream, **settings) as world:
            yield TokenWorld(world, provider, upstream, version)
