"""The real programs on a real embedded Redis of their own, with a policy of so many rules and one key."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from holdpoint import apikey
from holdpoint.clock import now_ms
from holdpoint.embedded import attach_or_start
from holdpoint.model import KeyRecord
from holdpoint.store import Store, keys
from tests.bench.children import child, module
from tests.support.ports import free_port

RISKY = "hold-point-bench"  # a prompt with this word is held

_HEAD = """
version: 1
defaults: {{verdict: allow, uninspectable: review, timeout: 30m, on_timeout: reject}}
connections:
  bench: {{upstream: "{upstream}", protocol: openai, environment: production}}
groups:
  contractors: {{members: [dana@example.com]}}
  security: {{members: [sam@example.com]}}
routes:
  - {{group: "*", channels: [{channel}]}}
rules:{rules}
"""
_RULE = """
  - id: rule-{number}
    description: A pattern of the usual kind
    when: {{prompt: {{matches: ['{pattern}']}}}}
    verdict: review
    reviewers: [{{group: security, approvals: 1}}]"""


def policy(upstream: str, *, rules: int, holding: bool = False, channel: str = "web") -> str:
    """A policy with ``rules`` rules, one pattern each over the prompt; ``holding`` adds the rule that holds `RISKY`."""
    rng = random.Random(7)
    texts = []
    for number in range(rules):
        word = "".join(rng.choices("bcdfghjkqvwxz", k=6))
        texts.append(
            _RULE.format(number=number, pattern=rf"(?i)\b({word}|secret{number})[ _-]?(key|id|token)[ =:]+\S{{4,}}")
        )
    if holding:
        texts.append(_RULE.format(number="holds", pattern=RISKY))
    return _HEAD.format(upstream=upstream, channel=channel, rules="".join(texts) or " []")


@dataclass(frozen=True, slots=True)
class Backend:
    """A Redis with policy and key in it."""

    url: str
    key: str

    def drop_traffic(self) -> None:
        """What a recorder would have taken away by now: without one the stream would only grow."""
        with redis.Redis.from_url(self.url) as client:
            client.xtrim(keys.TRAFFIC, maxlen=0, approximate=False)


@asynccontextmanager
async def backend(folder: Path, text: str, *, fsync: str) -> AsyncIterator[Backend]:
    """An embedded redis-server in ``folder``, with the policy ``text`` and a key of dana@example.com."""
    with attach_or_start(folder, fsync) as server:
        store = await Store.open(server.url, clock=now_ms)
        try:
            await store.config.push_policy(text, expect=0, by="bench", note="")
            new = apikey.create()
            await store.config.put_key(
                KeyRecord(
                    id=new.id,
                    digest=new.digest,
                    principal="dana@example.com",
                    groups=frozenset(),
                    roles=frozenset(),
                    created_ms=now_ms(),
                    expires_ms=None,
                    name="Dana",
                )
            )
        finally:
            await store.aclose()
        yield Backend(server.url, new.text)


@dataclass(frozen=True, slots=True)
class Running:
    """A process that serves ``url``."""

    url: str
    pid: int


@asynccontextmanager
async def program(
    part: str, folder: Path, redis_url: str, *, cores: tuple[int, ...], settings: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """``holdpoint gateway`` or ``holdpoint bot`` as a user starts it: all settings at their defaults."""
    port = free_port()
    env = {
        "HOLDPOINT_REDIS_URL": redis_url,
        "HOLDPOINT_DATA": str(folder),
        f"HOLDPOINT_{part.upper()}_PORT": str(port),
        **(settings or {}),
    }
    url = f"http://127.0.0.1:{port}"
    command = module("holdpoint.cli", part)
    async with child(command, ready=f"{url}/healthz", log=folder / f"{part}.log", cores=cores, env=env) as pid:
        yield Running(url, pid)
