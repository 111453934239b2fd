"""A store with a policy, people with keys, and holds: what every test of the bot starts from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from bot.app import Bot, running_bot
from bot.decide import Decider
from bot.directory import Directory
from holdpoint import apikey, canonical
from holdpoint.clock import Clock, now_ms
from holdpoint.live import Live
from holdpoint.metrics import Metrics
from holdpoint.model import Hold, KeyRecord, Part, PartRole, Query, Requester, Requirement, Reviewer, Role
from holdpoint.settings import Settings
from holdpoint.store import Draft, Store
from tests.support.builders import DANA, make_draft, make_evaluation

POLICY = """
version: 1
defaults: {verdict: allow, uninspectable: review, timeout: 10m, on_timeout: reject}
connections:
  demo: {upstream: "http://127.0.0.1:9000", protocol: openai, environment: production}
groups:
  contractors: {members: [dana@example.com]}
  security: {members: [sam@example.com, kim@example.com]}
  legal: {members: [lena@example.com]}
  platform-leads: {members: [pat@example.com]}
  platform: {members: [ada@example.com]}
  compliance: {members: [cara@example.com]}
roles: {admins: [platform], auditors: [compliance]}
masks:
  - {name: card number, matches: ['\\b4111 1111 1111 1111\\b']}
rules:
  - id: secrets
    description: Credentials in a prompt
    when: {prompt: {matches: ['(?i)\\bpassword\\b']}}
    verdict: review
    risk: high
    reviewers: [{group: security, approvals: 1}]
  - id: contracts
    description: Contracts need legal
    when: {prompt: {matches: ['(?i)\\bcontract\\b']}}
    verdict: review
    reviewers: [{group: legal, approvals: 1}]
  - id: forbidden
    description: Private keys never leave
    when: {prompt: {matches: ['BEGIN PRIVATE KEY']}}
    verdict: block
  - id: tidy
    description: Phone numbers are removed
    when: {prompt: {matches: ['555-0100']}}
    verdict: modify
    modify: {replace: "[phone]"}
routes:
  - {group: "*", channels: [web]}
"""

PEOPLE: dict[str, tuple[frozenset[str], frozenset[Role], str | None]] = {
    "sam@example.com": (frozenset(), frozenset({Role.REVIEWER}), None),
    "kim@example.com": (frozenset(), frozenset({Role.REVIEWER}), None),
    "lena@example.com": (frozenset(), frozenset({Role.REVIEWER}), None),
    "pat@example.com": (frozenset(), frozenset({Role.REVIEWER}), None),
    "dana@example.com": (frozenset({"security"}), frozenset({Role.REVIEWER}), None),
    "ada@example.com": (frozenset(), frozenset({Role.ADMIN}), None),
    "cara@example.com": (frozenset(), frozenset({Role.AUDITOR}), None),
    "eve@example.com": (frozenset({"contractors"}), frozenset(), None),
    "robot": (frozenset({"security"}), frozenset({Role.REVIEWER}), "lena@example.com"),
}


@dataclass
class World:
    """``keys`` are by principal."""

    store: Store
    live: Live
    clock: Clock
    metrics: Metrics = field(default_factory=Metrics)
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def decider(self) -> Decider:
        return Decider(self.store, self.live, clock=self.clock, metrics=self.metrics, link_base="http://localhost")

    @property
    def directory(self) -> Directory:
        return Directory(self.live, clock=self.clock)

    async def who(self, principal: str, channel: str = "api") -> Reviewer:
        return await self.directory.by_key(self.keys[principal], channel=channel)

    async def add_key(
        self,
        principal: str,
        *,
        groups: frozenset[str] = frozenset(),
        roles: frozenset[Role] = frozenset({Role.REVIEWER}),
        owner: str | None = None,
        expires_ms: int | None = None,
    ) -> str:
        new = apikey.create()
        name = principal.partition("@")[0].capitalize() if owner is None else ""
        record = KeyRecord(
            id=new.id, digest=new.digest, principal=principal, groups=groups, roles=roles, created_ms=self.clock(),
            expires_ms=expires_ms, owner=owner, name=name,
        )  # fmt: skip
        await self.store.config.put_key(record)
        await self.live.look()
        self.keys[principal] = new.text
        return new.text

    async def hold(self, prompt: str = "what is the admin password", **changes: Any) -> Hold:
        return await self.store.holds.hold(
            make_draft(prompt=prompt, **changes), gateway="gateway#1", idempotency_key=None
        )

    async def hold_draft(self, draft: Draft) -> Hold:
        return await self.store.holds.hold(draft, gateway="gateway#1", idempotency_key=None)


async def make_world(store: Store, clock: Clock) -> World:
    """Policy pushed, keys made. The caller stops `World.live`."""
    await store.config.push_policy(POLICY, expect=0, by="test")
    world = World(store, Live(store, clock=clock), clock)
    await world.live.look()
    for principal, (groups, roles, owner) in PEOPLE.items():
        await world.add_key(principal, groups=groups, roles=roles, owner=owner)
    return world


def conversation(
    *turns: tuple[PartRole, str], requester: Requester = DANA, requirements: Sequence[Requirement] = (), **changes: Any
) -> Draft:
    """A draft with several messages. ``changes`` go into the evaluation."""
    messages = [{"role": role.value, "content": text} for role, text in turns]
    body = canonical.serialise({"model": "llama-3.3-70b", "messages": messages, "temperature": 0.2})
    parts = tuple(Part(f"messages/{index}/content", role, text) for index, (role, text) in enumerate(turns))
    query = Query("demo", "chat/completions", "llama-3.3-70b", parts, (), False, 100, None, (), body)
    evaluation = make_evaluation(**changes)
    if requirements:
        evaluation = replace(evaluation, requirements=tuple(requirements))
    target = "/v1/chat/completions"
    digest = canonical.digest(connection="demo", method="POST", target=target, body=body)
    return replace(make_draft(requester=requester, evaluation=evaluation), query=query, digest=digest)


@dataclass
class Site:
    """A running bot and its world."""

    bot: Bot
    world: World
    client: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return self.bot.url

    async def api(
        self, method: str, path: str, *, by: str | None = "sam@example.com", **more: Any
    ) -> tuple[int, Any]:  # fmt: skip
        headers = {"Authorization": f"Bearer {self.world.keys[by]}"} if by else {}
        async with self.client.request(method, f"{self.url}/api/v1{path}", headers=headers, **more) as answer:
            return answer.status, await answer.json()

    async def decide(
        self, hold: Hold, decision: str = "approve", *, by: str = "sam@example.com", **more: Any
    ) -> tuple[int, Any]:
        body = {"decision": decision, "digest": hold.digest, **more}
        return await self.api("POST", f"/holds/{hold.id}/decisions", by=by, json=body)


def settings_for(redis_url: str, folder: Path, **changes: Any) -> Settings:
    return Settings(**{"redis_url": redis_url, "data": folder, "bot_port": 0, **changes})


@asynccontextmanager
async def running_site(redis_url: str, folder: Path, **changes: Any) -> AsyncIterator[Site]:
    """A bot on a free port, with the real clock."""
    store = await Store.open(redis_url, clock=now_ms)
    try:
        world = await make_world(store, now_ms)
        async with running_bot(settings_for(redis_url, folder, **changes)) as bot, aiohttp.ClientSession() as client:
            yield Site(bot, world, client)
    finally:
        await store.aclose()
