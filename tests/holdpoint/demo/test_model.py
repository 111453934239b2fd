"""The demo model through the real SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from holdpoint.demo.model import DemoModel


@pytest.fixture
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    model = DemoModel()
    await model.start()
    async with openai.AsyncOpenAI(base_url=f"{model.url}/v1", api_key="any", max_retries=0) as opened:
        yield opened
    await model.stop()


async def test_it_lists_itself(client: openai.AsyncOpenAI) -> None:
    assert [model.id for model in (await client.models.list()).data] == ["demo"]


@pytest.mark.parametrize("content", ["hello there", [{"type": "text", "text": "hello there"}]])
async def test_a_chat_is_answered_with_what_was_asked_and_counted(client: openai.AsyncOpenAI, content: Any) -> None:
    messages: Any = [{"role": "system", "content": "be kind"}, {"role": "user", "content": content}]
    answer = await client.chat.completions.create(model="demo", messages=messages)
    assert "hello there" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


@pytest.mark.parametrize("with_usage", [True, False])
async def test_a_streamed_chat_says_the_same_in_pieces(client: openai.AsyncOpenAI, with_usage: bool) -> None:
    messages: Any = [{"role": "user", "content": "hello there"}]
    options: Any = {"include_usage": with_usage}
    stream = await client.chat.completions.create(model="demo", messages=messages, stream=True, stream_options=options)
    chunks = [chunk async for chunk in stream]
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 3
    assert "".join(pieces) == "You said: hello there Thank you for asking the demo model."
    assert (chunks[-1].usage is not None) == with_usage


@pytest.mark.parametrize(("prompt", "echo"), [("one", "one"), (["one", "two"], "two"), ([1, 2, 3], "3 tokens")])
async def test_a_completion_takes_every_form_of_prompt(client: openai.AsyncOpenAI, prompt: Any, echo: str) -> None:
    answer = await client.completions.create(model="demo", prompt=prompt)
    assert f"You said: {echo}" in answer.choices[0].text
    stream = await client.completions.create(model="demo", prompt=prompt, stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == answer.choices[0].text


async def test_a_response_is_the_same_at_once_and_streamed(client: openai.AsyncOpenAI) -> None:
    answer = await client.responses.create(model="demo", input="hello there")
    assert "hello there" in answer.output_text
    async with client.responses.stream(model="demo", input="hello there") as stream:
        events = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert events[0] == "response.created"
    assert events[-1] == "response.completed"
    assert final.output_text == answer.output_text


@pytest.mark.parametrize(("inputs", "many"), [("one", 1), (["one", "two"], 2), ([1, 2], 1)])
async def test_the_same_text_has_the_same_embedding(client: openai.AsyncOpenAI, inputs: Any, many: int) -> None:
    first = await client.embeddings.create(model="demo", input=inputs, encoding_format="float")
    second = await client.embeddings.create(model="demo", input=inputs, encoding_format="float")
    assert len(first.data) == many
    assert [item.embedding for item in first.data] == [item.embedding for item in second.data]


async def test_a_body_that_is_no_object_is_an_error_in_the_provider_s_shape(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="must be a JSON object"):
        await client.post("/completions", body=["no", "object"], cast_to=object)
