"""The whole route in front of an engine that nobody here wrote: llama.cpp's own server, the real SDK, a real decision."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import openai
import pytest

from tests.support.llama import running_llama
from tests.support.programs import Installation
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_llama(tmp_path_factory.mktemp("llama")) as address:
        yield address


@pytest.fixture
async def installed(redis_server: RedisServer, tmp_path: Path, llama: str) -> AsyncIterator[Installation]:
    installation = Installation(redis_server, tmp_path, llama)
    try:
        await installation.start()
        yield installation
    finally:
        installation.stop()


@pytest.fixture
async def sdk(installed: Installation) -> AsyncIterator[openai.AsyncOpenAI]:
    base = f"{installed.gateway.url}/demo/v1"
    async with openai.AsyncOpenAI(base_url=base, api_key=installed.keys["dana"]) as client:
        yield client


async def test_a_streamed_chat_is_held_approved_and_answered(installed: Installation, sdk: openai.AsyncOpenAI) -> None:
    async def ask() -> tuple[int, str | None]:
        chunks = await sdk.chat.completions.create(
            model="random", messages=[{"role": "user", "content": "the password please"}], stream=True, max_tokens=8,
            extra_body={"ignore_eos": True},
        )  # fmt: skip
        seen = [chunk async for chunk in chunks]
        reasons = [choice.finish_reason for chunk in seen for choice in chunk.choices if choice.finish_reason]
        return len(seen), reasons[-1] if reasons else None

    asked = asyncio.create_task(ask())
    hold = await installed.the_hold()
    assert not asked.done()
    assert (await installed.decide(hold))[0] == 201
    chunks, reason = await asked
    assert chunks >= 2  # a random model says few whole characters
    assert reason == "length"
    _, seen = await installed.api("GET", f"/holds/{hold['id']}")
    assert (seen["state"], seen["outcome"]["status"]) == ("completed", 200)


async def test_what_is_clean_passes_to_every_endpoint(installed: Installation, sdk: openai.AsyncOpenAI) -> None:
    chat = await sdk.chat.completions.create(
        model="random", messages=[{"role": "user", "content": "hello"}], max_tokens=4
    )
    assert chat.usage is not None
    assert chat.usage.completion_tokens > 0
    completion = await sdk.completions.create(model="random", prompt="hello", max_tokens=4)
    assert completion.choices[0].finish_reason in ("length", "stop")
    response = await sdk.responses.create(model="random", input="hello", max_output_tokens=4)
    assert response.object == "response"
    assert [model.id async for model in sdk.models.list()]


async def test_the_engines_own_refusal_comes_through(installed: Installation, sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        await sdk.chat.completions.create(model="random", messages=[{"role": "user", "content": "x " * 5000}])
