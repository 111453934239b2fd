"""What a requester says for their request comes with it, reaches the reviewers as they wrote it, and no model."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.justification import LONGEST
from holdpoint.model import EventKind
from tests.gateway.model import Model
from tests.gateway.raw import post, raw_client
from tests.gateway.world import CLEAN, RISKY, World
from tests.support.waiting import wait_until

CHAT = "/demo/v1/chat/completions"
BODY = json.dumps({"model": "demo", "messages": [{"role": "user", "content": RISKY}]}).encode()


async def justification(world: World, *headers: bytes) -> str:
    """What the hold of a request with these header lines says."""
    before = {hold.id for hold in (await world.store.holds.list())[0]}
    request = post(CHAT, world.key, BODY)
    async with raw_client(world.port) as client:
        await client.send(request.replace(b"\r\n\r\n", b"".join(b"\r\n" + line for line in headers) + b"\r\n\r\n", 1))
        holds = await world.held(len(before) + 1)
    (hold,) = [hold for hold in holds if hold.id not in before]
    return hold.justification


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"X-Holdpoint-Justification: the quarterly audit", "the quarterly audit"),
        ("x-holdpoint-justification:   für Zoë ☕  ".encode(), "für Zoë ☕"),
        ("x-holdpoint-justification: für Zoë".encode("latin-1"), "für Zoë"),
        (b"x-holdpoint-justification: <!channel> <b>\xe2\x80\xae*now*", "<!channel> <b>\u202e*now*"),
        (b"x-holdpoint-justification:", ""),
        (b"x-holdpoint-justification:  \t ", ""),
        (b"x-holdpoint-justification: " + b"x" * LONGEST, "x" * LONGEST),
        (b"x-holdpoint-justification: " + b"x" * (LONGEST + 1), "x" * (LONGEST - 1) + "…"),
        (b"x-holdpoint-justification: " + "é".encode() * 4_000, "é" * (LONGEST - 1) + "…"),
        (b"x-request-id: r1", ""),
    ],
)
async def test_the_header_is_text_for_the_reviewers(world: World, sent: bytes, expected: str) -> None:
    assert await justification(world, sent) == expected


async def test_of_several_the_first_one_counts(world: World) -> None:
    lines = (b"x-holdpoint-justification: one", b"x-holdpoint-justification: two")
    assert await justification(world, *lines) == "one"


@pytest.mark.promise(2)
async def test_it_is_on_the_record_and_never_forwarded(world: World, model: Model) -> None:
    asking = asyncio.ensure_future(world.chat(headers={"X-Holdpoint-Justification": "the audit"}).__aenter__())
    (hold,) = await world.held()
    await world.approve(hold)
    answer = await asking
    assert answer.status == 200
    await answer.read()
    assert "x-holdpoint-justification" not in {name.lower() for name in model.received[0].headers}
    assert b"audit" not in model.received[0].body
    (created,) = [e for e in await world.events("events") if e.kind is EventKind.HOLD_CREATED]
    assert created.data["justification"] == "the audit"


async def test_who_is_not_held_need_not_be_justified(world: World, model: Model) -> None:
    async with world.chat(CLEAN, headers={"X-Holdpoint-Justification": "because"}) as answer:
        assert answer.status == 200
    assert "x-holdpoint-justification" not in {name.lower() for name in model.received[0].headers}


async def test_a_retry_with_other_words_comes_back_to_the_same_hold(world: World) -> None:
    async with raw_client(world.port) as client:
        await client.send(post(CHAT, world.key, BODY, "Idempotency-Key: k1", "X-Holdpoint-Justification: one"))
        (hold,) = await world.held()
        async with raw_client(world.port) as again:
            await again.send(post(CHAT, world.key, BODY, "Idempotency-Key: k1", "X-Holdpoint-Justification: two"))

            async def attached() -> bool:
                return (await world.store.holds.get(hold.id)).rev > hold.rev

            await wait_until(attached, "the retry waits for the hold")
    (only,) = await world.held()
    assert (only.id, only.justification) == (hold.id, "one")
