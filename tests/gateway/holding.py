"""What tests of held requests share: the risky request, the SDK that sends it, and the ways in which a hold ends unreleased."""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.gateway.world import RISKY, World

CHAT = "/demo/v1/chat/completions"
BODY = json.dumps({"model": "demo", "messages": [{"role": "user", "content": RISKY}]}).encode()
MESSAGES: Any = [{"role": "user", "content": RISKY}]


def sdk(world: World, **more: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=world.base, api_key=world.key, **more)


async def attempts(world: World) -> int:
    """How many holds there ever were."""
    return sum((await world.store.holds.count()).values())


async def end_rejected(world: World, hold: Any) -> None:
    await world.reject(hold, "not today")


async def end_expired(world: World, hold: Any) -> None:
    await world.store.holds.expire(hold, reason="nobody decided in time")


async def end_cancelled(world: World, hold: Any) -> None:
    await world.store.holds.cancel(hold, by="dana@example.com", reason="withdrawn by the requester")


async def end_approved_and_expired(world: World, hold: Any) -> None:
    approved = await world.approve(hold)
    await world.store.holds.expire(approved, reason="nobody collected the answer in time")


ENDS: dict[str, tuple[Any, str, str, str]] = {
    "rejected": (end_rejected, "rejected", "request_rejected", "Rejected by Sam: not today"),
    "expired": (
        end_expired, "expired", "request_expired",
        "Expired: nobody decided in time. It was not rejected; you may send it again.",
    ),
    "cancelled": (end_cancelled, "cancelled", "request_cancelled", "Cancelled: withdrawn by the requester"),
}  # fmt: skip
