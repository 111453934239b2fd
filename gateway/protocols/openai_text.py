"""Who says what in a body of the OpenAI protocol: the messages of a chat, and prompts."""

from __future__ import annotations

from typing import Any

from gateway.protocols.openai_content import content
from gateway.protocols.openai_leaves import Found, check_names, escaped, wrong_type
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
_CALL_NAMES = frozenset({"id", "type", "index", "function", "custom"})
_CALLED_NAMES = frozenset({"name", "arguments", "input"})


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
        one_message(found, f"{name}/{index}", message)


def one_message(found: Found, path: str, message: Any) -> None:
    """A message of a chat, or an item of the Responses API that is one."""
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
            found.leaves(f"{path}/{escaped(key)}", item, PartRole.PARAMETER)
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


def _role(found: Found, path: str, message: dict[str, Any]) -> PartRole:
    """Who speaks. Chat templates print a role that they do not know, so an unknown one is text; Ollama knows ``System``."""
    name = message.get("role")
    if not isinstance(name, str):
        raise wrong_type(f"{path}/role", "a string")
    role = _ROLES.get(name)
    if role is None:
        found.text(f"{path}/role", PartRole.PARAMETER, name)
        return _ROLES.get(name.casefold(), PartRole.USER)
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
                    found.leaves(f"{here}/{key}/{escaped(inner)}", argument, role)
            elif key != "type" or item != "function":
                found.leaves(f"{here}/{escaped(key)}", item, PartRole.PARAMETER)


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
