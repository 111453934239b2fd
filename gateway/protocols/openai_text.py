"""Who says what in a body of the OpenAI protocol: messages, content parts, items of the Responses API, prompts."""

from __future__ import annotations

from typing import Any

from gateway.protocols.openai_leaves import Found, check_names, wrong_type
from gateway.protocols.openai_tools import definitions
from holdpoint.model import PartRole

_ROLES = {
    "system": PartRole.SYSTEM,
    "developer": PartRole.SYSTEM,
    "user": PartRole.USER,
    "assistant": PartRole.ASSISTANT,
    "tool": PartRole.TOOL,
    "function": PartRole.TOOL,
}
# The member of a content part that is its text, by the part's type.
_TEXTUAL = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
    "thinking": "thinking",
}
_ATTACHMENTS = {
    "image_url": "an image",
    "input_image": "an image",
    "image": "an image",
    "image_pil": "an image",
    "image_embeds": "an image",
    "audio_embeds": "audio",
    "video_embeds": "a video",
    "prompt_embeds": "embeddings",
    "input_audio": "audio",
    "audio_url": "audio",
    "audio": "audio",
    "video_url": "a video",
    "video": "a video",
    "file": "a file",
    "input_file": "a file",
}
_TEXT_NAMES = frozenset({"type", "uuid", "annotations", "logprobs", "cache_control", *_TEXTUAL.values(), *_ATTACHMENTS})
_CALL_NAMES = frozenset({"id", "type", "index", "function", "custom"})
_CALLED_NAMES = frozenset({"name", "arguments", "input"})
_PAYLOAD = frozenset({"data", "file_data", "url", "image_url", "audio_url", "video_url", "image"})
_LONGEST_SHOWN = 2048  # a longer string in an attachment is its payload; `uninspectable` speaks for it


def messages(found: Found, name: str, value: Any) -> None:
    """``messages`` of a chat."""
    if not isinstance(value, list):
        raise wrong_type(name, "a list")
    for index, message in enumerate(value):
        # A known role and a string: most messages are no more.
        if isinstance(message, dict) and len(message) == 2:
            said, by = message.get("content"), message.get("role")
            if isinstance(said, str) and isinstance(by, str) and by in _ROLES:
                found.text(f"{name}/{index}/content", _ROLES[by], said)
                continue
        _message(found, f"{name}/{index}", message)


def _message(found: Found, path: str, message: Any) -> None:
    if not isinstance(message, dict):
        raise wrong_type(path, "an object")
    role = _role(found, path, message)
    odd = False
    for key, item in message.items():
        if key == "content":
            content(found, f"{path}/content", item, role)
        elif key == "tool_calls":
            _tool_calls(found, f"{path}/tool_calls", item)
        elif key in ("role", "type") or item is None:
            continue
        elif key == "tools":
            definitions(found, f"{path}/tools", item)
        elif key == "audio":
            found.uninspectable.append(f"audio in {path}")
            found.leaves(f"{path}/audio", item, PartRole.PARAMETER)
        elif key in ("reasoning_content", "reasoning", "refusal") and isinstance(item, str):
            found.text(f"{path}/{key}", role, item)
        else:
            found.leaves(f"{path}/{_escaped(key)}", item, PartRole.PARAMETER)
            odd = odd or key not in _MESSAGE_KEYS
    if odd:
        check_names(message, _MESSAGE_NAMES)
        found.keys(path, message)
    kind = message.get("type")
    if kind is not None and kind != "message":
        found.leaves(f"{path}/type", kind, PartRole.PARAMETER)


_MESSAGE_KEYS = frozenset(
    {"name", "tool_call_id", "function_call", "id", "status", "reasoning_details", "prefix", "phase"}
)
_MESSAGE_NAMES = _MESSAGE_KEYS | {
    "role", "content", "type", "tool_calls", "audio", "reasoning_content", "reasoning", "refusal", "tools",
}  # fmt: skip
_ITEM_NAMES = frozenset(
    "type role id status call_id name arguments input output summary content encrypted_content".split()  # noqa: SIM905 - a table of words
)


def _role(found: Found, path: str, message: dict[str, Any]) -> PartRole:
    """Who speaks. Chat templates print a role that they do not know, so an unknown one is text."""
    name = message.get("role")
    if not isinstance(name, str):
        raise wrong_type(f"{path}/role", "a string")
    role = _ROLES.get(name)
    if role is None:
        found.text(f"{path}/role", PartRole.PARAMETER, name)
        return PartRole.USER
    return role


def _tool_calls(found: Found, path: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        raise wrong_type(path, "a list")
    for index, call in enumerate(value):
        here = f"{path}/{index}"
        if not isinstance(call, dict):
            raise wrong_type(here, "an object")
        found.odd_keys(here, call, _CALL_NAMES)
        for key, item in call.items():
            if key in ("function", "custom") and isinstance(item, dict):
                found.odd_keys(f"{here}/{key}", item, _CALLED_NAMES)
                for inner, argument in item.items():
                    role = PartRole.ASSISTANT if inner in ("arguments", "input") else PartRole.PARAMETER
                    found.leaves(f"{here}/{key}/{_escaped(inner)}", argument, role)
            elif key != "type" or item != "function":
                found.leaves(f"{here}/{_escaped(key)}", item, PartRole.PARAMETER)


def content(found: Found, path: str, value: Any, role: PartRole) -> None:
    """The content of a message or item: a string, or a list of content parts."""
    if isinstance(value, str):
        found.text(path, role, value)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            _content_part(found, f"{path}/{index}", part, role)
    elif value is not None:
        raise wrong_type(path, "a string or a list of content parts")


def _content_part(found: Found, path: str, part: Any, role: PartRole) -> None:
    if isinstance(part, str):
        found.text(path, role, part)
        return
    if not isinstance(part, dict):
        raise wrong_type(path, "a content part")
    kind = part.get("type", "text" if "text" in part else None)
    member = _TEXTUAL.get(kind) if isinstance(kind, str) else None
    if member is None:
        _attachment(found, path, kind, part)
        return
    if not isinstance(part.get(member), str):
        raise wrong_type(f"{path}/{member}", "a string")
    found.odd_keys(path, part, _TEXT_NAMES)
    for key, item in part.items():
        if key == member:
            found.text(f"{path}/{member}", role, item)
        elif key in _ATTACHMENTS and (item is not None or part.get("uuid") is not None):
            # Without a type, or with an id, vLLM takes the part for what this member names.
            found.uninspectable.append(f"{_ATTACHMENTS[key]} in {path}")
            found.leaves(f"{path}/{key}", _without_payload({key: item}).get(key), PartRole.PARAMETER)
        elif key != "type":
            found.leaves(f"{path}/{_escaped(key)}", item, PartRole.PARAMETER)


def _attachment(found: Found, path: str, kind: Any, part: dict[str, Any]) -> None:
    """Something that is no text, or that nobody knows. Its short strings are parts all the same."""
    what = _ATTACHMENTS.get(kind) if isinstance(kind, str) else None
    found.uninspectable.append(f"{what or 'a content part of an unknown type'} in {path}")
    found.leaves(path, _without_payload(part) if what else part, PartRole.PARAMETER)


def _without_payload(value: Any) -> Any:
    """``value`` without the long strings where an attachment keeps its bytes."""
    if isinstance(value, dict):
        return {
            key: _without_payload(item)
            for key, item in value.items()
            if not (key in _PAYLOAD and isinstance(item, str) and len(item) > _LONGEST_SHOWN)
        }
    return value


def prompt(found: Found, name: str, value: Any) -> None:
    """``prompt`` of a completion, ``input`` of embeddings: text, token ids, or a list of either."""
    if isinstance(value, str):
        found.text(name, PartRole.USER, value)
    elif isinstance(value, list):
        _prompt_list(found, name, value)
    elif isinstance(value, dict):
        found.uninspectable.append(f"an object in {name}")
        found.leaves(name, value, PartRole.USER)
    else:
        raise wrong_type(name, "text, token ids, or a list of either")


def _prompt_list(found: Found, path: str, value: list[Any]) -> None:
    ids = 0
    for index, item in enumerate(value):
        here = f"{path}/{index}"
        if isinstance(item, str):
            found.text(here, PartRole.USER, item)
        elif isinstance(item, int) and not isinstance(item, bool):
            ids += 1
        elif isinstance(item, list) and all(isinstance(each, int) and not isinstance(each, bool) for each in item):
            found.ids(here, len(item))
        elif isinstance(item, dict | list):
            found.uninspectable.append(f"an object in {here}")
            found.leaves(here, item, PartRole.USER)
        else:
            raise wrong_type(here, "text or token ids")
    if ids:
        found.ids(path, ids)


def suffix(found: Found, name: str, value: Any) -> None:
    """``suffix`` of a completion: the model sees it as text behind the gap."""
    if not isinstance(value, str):
        raise wrong_type(name, "a string")
    found.text(name, PartRole.USER, value)


def instructions(found: Found, name: str, value: Any) -> None:
    """``instructions`` of the Responses API."""
    if isinstance(value, str):
        found.text(name, PartRole.SYSTEM, value)
    else:
        items(found, name, value)


def items(found: Found, name: str, value: Any) -> None:
    """``input`` of the Responses API: text, or a list of items."""
    if isinstance(value, str):
        found.text(name, PartRole.USER, value)
        return
    if not isinstance(value, list):
        raise wrong_type(name, "a string or a list of items")
    for index, item in enumerate(value):
        _item(found, f"{name}/{index}", item)


def _item(found: Found, path: str, item: Any) -> None:
    if not isinstance(item, dict):
        raise wrong_type(path, "an object")
    kind = item.get("type", "message" if "role" in item else None)
    if kind == "message":
        _message(found, path, item)
    elif kind in ("function_call", "custom_tool_call"):
        _members(found, path, item, {"arguments": PartRole.ASSISTANT, "input": PartRole.ASSISTANT})
    elif kind in ("function_call_output", "custom_tool_call_output"):
        output = item.get("output")
        if isinstance(output, list):
            content(found, f"{path}/output", output, PartRole.TOOL)
        _members(found, path, item, {"output": PartRole.TOOL}, done="output" if isinstance(output, list) else "")
    elif kind == "reasoning":
        if item.get("encrypted_content") is not None:
            found.uninspectable.append(f"encrypted reasoning in {path}")
        _members(found, path, item, {"summary": PartRole.ASSISTANT, "content": PartRole.ASSISTANT})
    else:
        found.uninspectable.append(f"an item of an unknown type in {path}")
        found.leaves(path, item, PartRole.PARAMETER)


def _members(found: Found, path: str, item: dict[str, Any], roles: dict[str, PartRole], done: str = "") -> None:
    """All strings of an item, but for the member that is ``done``; those of the named members are said by somebody."""
    check_names(item, _ITEM_NAMES)
    found.odd_keys(path, item, _ITEM_NAMES)
    for key, value in item.items():
        if key not in ("type", done):
            found.leaves(f"{path}/{_escaped(key)}", value, roles.get(key, PartRole.PARAMETER))


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key
