"""An answer of the OpenAI protocol → its text and token counts, for the record. Never raises: models send anything."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.protocols.events import Said, read_events
from gateway.protocols.shape import Summary

_NOTHING = Summary("", None, None)
_SAID = ("reasoning_content", "content", "refusal")


def summarise(content_type: str, raw: bytes) -> Summary:
    """Text and tokens of what is kept of an answer, which may be cut short."""
    if content_type.startswith("text/event-stream"):
        return _stream(raw)
    if "json" in content_type:
        value = _parsed(raw)
        if isinstance(value, dict):
            return Summary(_whole_text(value), *_usage(value.get("usage")))
    return _NOTHING


def _stream(raw: bytes) -> Summary:
    pieces: list[str] = []
    reported: Any = None
    for text, usage in read_events(raw, _event):
        pieces.append(text)
        reported = usage or reported
    return Summary("".join(pieces), *_usage(reported))


def _event(data: bytes) -> Said[Any]:
    """The text that one event of a stream adds, and what it reports of the usage."""
    event = None if data.endswith(b"[DONE]") else _parsed(data)  # the usual end: no JSON ends so
    if not isinstance(event, dict):
        return "", None
    usage = event.get("usage")
    if not usage and "response" in event:
        response = event["response"]
        usage = response.get("usage") if isinstance(response, dict) else None
    return _piece(event), usage or None


def _piece(event: dict[str, Any]) -> str:
    """The text that it adds."""
    choices = event.get("choices")
    if isinstance(choices, list):
        return _choices(choices, "delta")
    kind, delta = event.get("type"), event.get("delta")
    if isinstance(kind, str) and kind.startswith("response.") and kind.endswith(".delta") and isinstance(delta, str):
        return delta
    return ""


def _whole_text(value: dict[str, Any]) -> str:
    choices = value.get("choices")
    if isinstance(choices, list):
        return _choices(choices, "message")
    if isinstance(value.get("output"), list):
        return "\n".join(_strings(value["output"]))
    error = value.get("error")
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    return ""


def _choices(choices: list[Any], member: str) -> str:
    return "".join([_choice(choice, member) for choice in choices if isinstance(choice, dict)])


def _choice(choice: dict[str, Any], member: str) -> str:
    said = choice.get(member)
    if not isinstance(said, dict):
        return choice["text"] if isinstance(choice.get("text"), str) else ""
    if len(said) == 1 and isinstance(content := said.get("content"), str):
        return content  # as in almost every event of a stream
    found = [text for key in _SAID if isinstance(text := said.get(key), str)]
    calls = said.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            found += [function[key] for key in ("name", "arguments") if isinstance(function.get(key), str)]
    return "".join(found)


def _strings(output: list[Any]) -> list[str]:
    """What the items of a response say."""
    found: list[str] = []
    for item in output:
        if not isinstance(item, dict):
            continue
        found += [item[key] for key in ("name", "arguments") if isinstance(item.get(key), str)]
        content = item.get("content")
        for part in content if isinstance(content, list) else []:
            if isinstance(part, dict):
                found += [part[key] for key in ("text", "refusal") if isinstance(part.get(key), str)]
    return found


def _usage(usage: Any) -> tuple[int | None, int | None]:
    if not isinstance(usage, dict):
        return None, None
    return (
        _count(usage.get("prompt_tokens", usage.get("input_tokens"))),
        _count(usage.get("completion_tokens", usage.get("output_tokens"))),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
