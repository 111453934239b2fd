"""What the demo model answers, in the OpenAI protocol's shapes. Pure: a request's JSON in, JSON values out.

The model repeats politely what it was asked, so that one can see which text reached it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MODEL = "demo"
_LONGEST_ECHO = 2000
_DIMENSIONS = 8

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """One generated text. ``created_s`` is in seconds, as the protocol counts."""

    id: str
    model: str
    text: str
    prompt_tokens: int
    created_s: int

    @property
    def words(self) -> list[str]:
        """The text in pieces, as a model would stream it."""
        pieces = self.text.split(" ")
        return [piece + " " for piece in pieces[:-1]] + [pieces[-1]]

    @property
    def usage(self) -> Json:
        completion = len(self.words)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
        }


def models(created_s: int) -> Json:
    entry = {"id": MODEL, "object": "model", "created": created_s, "owned_by": "holdpoint"}
    return {"object": "list", "data": [entry]}


def reply_to(text: str) -> str:
    """A polite echo."""
    return f"You said: {text[:_LONGEST_ECHO].strip() or '(nothing)'} Thank you for asking the demo model."


def last_text(value: Any) -> str:
    """The last text of a ``messages``, ``prompt`` or ``input`` value, whichever of the protocol's forms it has."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return last_text(value.get("text") or value.get("content") or "")
    if isinstance(value, list):
        if value and all(isinstance(item, int) for item in value):
            return f"{len(value)} tokens"
        return next((text for item in reversed(value) if (text := last_text(item))), "")
    return ""


def chat(answer: Answer) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", "content": answer.text}, "finish_reason": "stop"}
    return {**_head(answer, "chat.completion"), "choices": [choice], "usage": answer.usage}


def chat_chunks(answer: Answer, *, with_usage: bool) -> Iterator[Json]:
    head = _head(answer, "chat.completion.chunk")
    first: Json = {"role": "assistant", "content": ""}
    for delta in (first, *({"content": word} for word in answer.words)):
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    if with_usage:
        yield {**head, "choices": [], "usage": answer.usage}


def completion(answer: Answer) -> Json:
    choice = {"index": 0, "text": answer.text, "logprobs": None, "finish_reason": "stop"}
    return {**_head(answer, "text_completion"), "choices": [choice], "usage": answer.usage}


def completion_chunks(answer: Answer, *, with_usage: bool) -> Iterator[Json]:
    head = _head(answer, "text_completion")
    for word in answer.words:
        yield {**head, "choices": [{"index": 0, "text": word, "logprobs": None, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}]}
    if with_usage:
        yield {**head, "choices": [], "usage": answer.usage}


def response(answer: Answer, *, status: str = "completed") -> Json:
    """A ``response`` object; without output while it is ``in_progress``."""
    done = status == "completed"
    tokens = answer.usage
    usage = {
        "input_tokens": tokens["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": tokens["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens["total_tokens"],
    }
    return {
        "id": answer.id,
        "object": "response",
        "created_at": answer.created_s,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": answer.model,
        "output": [_message(answer)] if done else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage if done else None,
    }


def response_events(answer: Answer) -> Iterator[Json]:
    """The events of a streamed response, in the protocol's order."""
    item = _message(answer)
    part = item["content"][0]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events: list[Json] = [
        {"type": "response.created", "response": response(answer, status="in_progress")},
        {"type": "response.in_progress", "response": response(answer, status="in_progress")},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in answer.words),
        {"type": "response.output_text.done", **place, "text": answer.text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response(answer)},
    ]
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def embeddings(inputs: Any, model: str) -> Json:
    """A small vector for each input: the same text, the same vector."""
    many = isinstance(inputs, list) and bool(inputs) and not isinstance(inputs[0], int)
    texts = [last_text(item) for item in inputs] if many else [last_text(inputs)]
    tokens = sum(len(text.split()) for text in texts)
    data = [{"object": "embedding", "index": index, "embedding": _vector(text)} for index, text in enumerate(texts)]
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def error(message: str) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def _head(answer: Answer, kind: str) -> Json:
    return {"id": answer.id, "object": kind, "created": answer.created_s, "model": answer.model}


def _message(answer: Answer) -> Json:
    content = [{"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}]
    item_id = "msg_" + answer.id.removeprefix("resp_")
    return {"id": item_id, "type": "message", "status": "completed", "role": "assistant", "content": content}


def _vector(text: str) -> list[float]:
    raw = hashlib.sha256(text.encode("utf-8", "replace")).digest()[:_DIMENSIONS]
    return [byte / 127.5 - 1.0 for byte in raw]
