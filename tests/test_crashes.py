"""kill -9 the gateway, the bot and Redis at each step of the route, with a client waiting.

Afterwards, always (`aftermath`): nothing reached the model without an approval, nothing was released twice, no decision
or record was lost, the ledger verifies, and what people see is the state that is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.programs import Installation
from tests.support.redis_server import RedisServer
from tests.support.upstream import Upstream, running_upstream
from tests.support.waiting import wait_until

PROMPT = "what is the admin password"


class Client:
    """Dana, through the real SDK with its default retries, waiting for an answer in the background."""

    def __init__(self, installation: Installation) -> None:
        base = f"{installation.gateway.url}/demo/v1"
        self._sdk = openai.AsyncOpenAI(base_url=base, api_key=installation.keys["dana"], max_retries=8)

    async def ask(self, prompt: str = PROMPT, *, stream: bool = False) -> str:
        messages: Any = [{"role": "user", "content": prompt}]
        if not stream:
            answer = await self._sdk.chat.completions.create(model="demo", messages=messages)
            return answer.choices[0].message.content or ""
        chunks = await self._sdk.chat.completions.create(model="demo", messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    async def aclose(self) -> None:
        await self._sdk.close()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with running_upstream() as running:
        yield running


@pytest.fixture
async def installed(redis_server: RedisServer, tmp_path: Path, upstream: Upstream) -> AsyncIterator[Installation]:
    installation = Installation(redis_server, tmp_path, upstream.url)
    try:
        await installation.start()
        yield installation
    finally:
        installation.stop()


@pytest.fixture
async def client(installed: Installation) -> AsyncIterator[Client]:
    opened = Client(installed)
    yield opened
    await opened.aclose()


async def aftermath(
    installed: Installation, upstream: Upstream, hold: dict[str, Any], state: str, *, calls: int
) -> None:
    """What must hold whatever was killed."""

    async def seen() -> bool:
        return (await installed.state(hold)) == state

    await wait_until(seen, f"the hold is {state}", seconds=60)
    assert len(upstream.bodies) == calls
    kinds = await recorded(installed, hold, f"hold.{state}")
    assert kinds.count("hold.released") == calls <= kinds.count("hold.approved")
    verified = installed.audit("verify")
    assert verified.code == 0, verified.out + verified.err


async def recorded(installed: Installation, hold: dict[str, Any], last: str) -> list[str]:
    """The kinds of the ledger's records of this hold, once ``last`` is among them."""

    async def kinds() -> list[str]:
        shown = await asyncio.to_thread(installed.audit, "show", hold["id"], "--json")
        if shown.code != 0:
            return []
        answer = shown.json
        found = [record["kind"] for record in (answer if isinstance(answer, list) else answer["records"])]
        return found if last in found else []

    return await wait_until(kinds, f"{last} is recorded", seconds=60)


@pytest.mark.promise(3)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_gateway_killed_while_a_request_waits(
    installed: Installation, upstream: Upstream, client: Client, stream: bool
) -> None:
    asked = asyncio.create_task(client.ask(stream=stream))
    hold = await installed.the_hold()
    await installed.gateway.restart()

    async def attached() -> bool:
        _, now = await installed.api("GET", f"/holds/{hold['id']}")
        return "hold.attached" in await recorded(installed, hold, "hold.attached") and now["state"] == "pending"

    await wait_until(attached, "the client is back at its hold")
    assert len(await installed.pending()) == 1, "coming back asks nobody a second time"
    assert (await installed.decide(hold))[0] == 201
    assert await asked == "fine"
    await aftermath(installed, upstream, hold, "completed", calls=1)


@pytest.mark.promise(3)
async def test_gateway_killed_between_approval_and_release(
    installed: Installation, upstream: Upstream, client: Client
) -> None:
    asked = asyncio.create_task(client.ask())
    hold = await installed.the_hold()
    installed.gateway.freeze()
    assert (await installed.decide(hold))[0] == 201
    assert upstream.bodies == []
    await installed.gateway.restart()
    assert await asked == "fine"
    await aftermath(installed, upstream, hold, "completed", calls=1)


@pytest.mark.promise(3)
async def test_gateway_killed_while_the_model_works(
    installed: Installation, upstream: Upstream, client: Client
) -> None:
    upstream.gate.clear()
    asked = asyncio.create_task(client.ask())
    hold = await installed.the_hold()
    await installed.decide(hold)
    await wait_until(lambda: upstream.bodies, "the model has the request")
    await installed.gateway.restart()
    with pytest.raises(openai.APIError):
        await asked
    await aftermath(installed, upstream, hold, "failed", calls=1)


@pytest.mark.promise(3)
async def test_gateway_killed_in_the_middle_of_a_stream(
    installed: Installation, upstream: Upstream, client: Client
) -> None:
    upstream.gate.clear()
    asked = asyncio.create_task(client.ask(stream=True))
    hold = await installed.the_hold()
    await installed.decide(hold)
    await wait_until(lambda: upstream.bodies, "the model has the request")
    await installed.gateway.restart()
    with pytest.raises(Exception) as failure:  # noqa: PT011 - what the SDK makes of a broken stream is its own
        await asked
    assert not isinstance(failure.value, AssertionError)
    await aftermath(installed, upstream, hold, "failed", calls=1)


@pytest.mark.promise(4)
async def test_bot_dead_while_a_request_comes_in(installed: Installation, upstream: Upstream, client: Client) -> None:
    installed.bot.kill()
    asked = asyncio.create_task(client.ask())
    await installed.bot.start()
    hold = await installed.the_hold()
    await installed.decide(hold)
    assert await asked == "fine"
    await aftermath(installed, upstream, hold, "completed", calls=1)


@pytest.mark.promise(6)
@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_bot_killed_right_after_a_decision(
    installed: Installation, upstream: Upstream, client: Client, decision: str
) -> None:
    asked = asyncio.create_task(client.ask())
    hold = await installed.the_hold()
    status, _ = await installed.decide(hold, decision, reason="because")
    installed.bot.kill()
    assert status == 201
    if decision == "approve":
        assert await asked == "fine"
    else:
        with pytest.raises(openai.PermissionDeniedError):
            await asked
    await installed.bot.start()
    approved = decision == "approve"
    await aftermath(installed, upstream, hold, "completed" if approved else "rejected", calls=int(approved))


@pytest.mark.promise(3)
async def test_redis_killed_while_a_request_waits(installed: Installation, upstream: Upstream, client: Client) -> None:
    asked = asyncio.create_task(client.ask())
    hold = await installed.the_hold()
    installed.redis.restart()
    await wait_until(installed.bot.is_ready, "the bot is ready again", seconds=60)
    await wait_until(installed.pending, "the hold is still there")

    async def decided() -> bool:
        return (await installed.decide(hold))[0] == 201

    await wait_until(decided, "the decision is taken")
    assert await asked == "fine"
    await aftermath(installed, upstream, hold, "completed", calls=1)


@pytest.mark.promise(3)
async def test_redis_killed_between_approval_and_release(
    installed: Installation, upstream: Upstream, client: Client
) -> None:
    asked = asyncio.create_task(client.ask())
    hold = await installed.the_hold()
    installed.gateway.freeze()
    assert (await installed.decide(hold))[0] == 201
    installed.redis.restart()
    installed.gateway.thaw()
    assert await asked == "fine"
    await wait_until(installed.bot.is_ready, "the bot is ready again", seconds=60)
    await aftermath(installed, upstream, hold, "completed", calls=1)


@pytest.mark.promise(3)
async def test_redis_killed_while_the_model_works(installed: Installation, upstream: Upstream, client: Client) -> None:
    upstream.gate.clear()
    asked = asyncio.create_task(client.ask())
    hold = await installed.the_hold()
    await installed.decide(hold)
    await wait_until(lambda: upstream.bodies, "the model has the request")
    installed.redis.kill()
    upstream.gate.set()
    installed.redis.start()
    await asyncio.gather(asked, return_exceptions=True)
    await wait_until(installed.bot.is_ready, "the bot is ready again", seconds=60)
    state = await wait_until(lambda: final_state(installed, hold), "the hold has ended", seconds=60)
    await aftermath(installed, upstream, hold, state, calls=1)


async def final_state(installed: Installation, hold: dict[str, Any]) -> str:
    state = await installed.state(hold)
    return state if state in ("completed", "failed") else ""


@pytest.mark.promise(1)
@pytest.mark.parametrize("prompt", ["hello", PROMPT])
async def test_nothing_passes_while_redis_is_away(installed: Installation, upstream: Upstream, prompt: str) -> None:
    installed.redis.kill()
    base = f"{installed.gateway.url}/demo/v1"
    async with openai.AsyncOpenAI(base_url=base, api_key=installed.keys["dana"], max_retries=0) as sdk:
        with pytest.raises(openai.InternalServerError) as refused:
            await sdk.chat.completions.create(model="demo", messages=[{"role": "user", "content": prompt}])
        assert (refused.value.status_code, refused.value.code) == (503, "unavailable")
        assert upstream.bodies == []
        installed.redis.start()
        await wait_until(installed.gateway.is_ready, "the gateway is ready again", seconds=60)
        answer = await sdk.chat.completions.create(model="demo", messages=[{"role": "user", "content": "hello"}])
        assert answer.choices[0].message.content == "fine"


@pytest.mark.promise(3)
async def test_everything_killed_at_once(installed: Installation, upstream: Upstream, client: Client) -> None:
    asked = asyncio.create_task(client.ask())
    hold = await installed.the_hold()
    installed.gateway.kill()
    installed.bot.kill()
    installed.redis.restart()
    await installed.gateway.start()
    await installed.bot.start()
    assert (await installed.the_hold())["id"] == hold["id"]
    assert (await installed.decide(hold))[0] == 201
    assert await asked == "fine"
    await aftermath(installed, upstream, hold, "completed", calls=1)
