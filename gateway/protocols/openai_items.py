"""The items of the Responses API: messages, calls of tools and what these said, reasoning."""

from __future__ import annotations

from typing import Any

from gateway.protocols.openai_content import content
from gateway.protocols.openai_leaves import Found, check_names, escaped, wrong_type
from gateway.protocols.openai_text import one_message
from holdpoint.model import PartRole

_ITEM_NAMES = frozenset(
    "type role id status call_id name arguments input output summary content encrypted_content".split()  # noqa: SIM905 - a table of words
)


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
        one_message(found, path, item)
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
            found.leaves(f"{path}/{escaped(key)}", value, roles.get(key, PartRole.PARAMETER))
