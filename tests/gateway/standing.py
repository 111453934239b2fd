"""A gateway whose policy allows grants and has admins, and ready-made grants and pauses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from holdpoint.clock import now_ms
from holdpoint.model import GrantScope
from holdpoint.standing import Grant, Pause, PauseMode
from holdpoint.store import Store
from tests.gateway.world import POLICY, World, running_world
from tests.support.waiting import wait_until

DANA, EVE, SAM, ADA = (f"{name}@example.com" for name in ("dana", "eve", "sam", "ada"))

GRANTABLE = (
    POLICY.replace("  - id: forbidden", "    grants: {{uses: 50, for: 8h, to: [requester, group]}}\n  - id: forbidden")
    .replace(
        "  - id: numbers",
        """  - id: salaries
    description: Salaries in a prompt
    when: {{prompt: {{matches: ['(?i)\\bsalary\\b']}}}}
    verdict: review
    reviewers: [{{group: security, approvals: 1}}]
    grants: {{uses: 50, for: 8h}}
  - id: contracts
    description: Contracts are always looked at
    when: {{prompt: {{matches: ['(?i)\\bcontract\\b']}}}}
    verdict: review
    reviewers: [{{group: security, approvals: 1}}]
  - id: numbers""",
    )
    .replace("rules:\n", "roles: {{admins: [platform]}}\nrules:\n", 1)
)


def make_grant(**changes: Any) -> Grant:
    now = now_ms()
    grant = Grant(
        id="g1", by=SAM, name="Sam", scope=GrantScope.REQUESTER, subject=DANA, connection="demo", rules=("secrets",),
        uses=5, created_ms=now, expires_ms=now + 3_600_000, hold="h1",
    )  # fmt: skip
    return replace(grant, **changes)


def make_pause(mode: PauseMode = PauseMode.REFUSE, connection: str = "demo") -> Pause:
    return Pause(connection, mode, ADA, now_ms(), "an incident with <b>the model</b>")


@asynccontextmanager
async def standing_world(
    redis_url: str,
    upstream: str,
    *,
    grants: Sequence[Grant] = (),
    pauses: Sequence[Pause] = (),
    policy: str = GRANTABLE,
) -> AsyncIterator[World]:
    """As `running_world`, with ``policy``, and with grants and pauses that stood before the gateway started."""
    store = await Store.open(redis_url, clock=now_ms)
    await store.config.push_policy(policy.format(upstream=upstream, timeout="10m"), expect=0, by="test")
    for grant in grants:
        await store.grants.make(grant)
    for pause in pauses:
        await store.pauses.pause(pause)
    await store.aclose()
    async with running_world(redis_url, upstream) as world:
        yield world


async def until_live(world: World, *, policy: str = "") -> None:
    """Push ``policy`` (or the one in force again); returns when the gateway goes by it, and by all that came before."""
    head = await world.store.config.policy()
    assert head is not None
    version = await world.store.config.push_policy(policy or head.text, expect=head.version, by="test")

    async def is_live() -> bool:
        async with world.http.get(f"{world.gateway.url}/metrics") as answer:
            return f"holdpoint_policy_version {version}.0" in await answer.text()

    await wait_until(is_live, "the policy is live")
