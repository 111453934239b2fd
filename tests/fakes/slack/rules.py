"""Slack's rules for blocks and views, as strict as the documentation reads; what slack_sdk's models miss as well.

Pure: `message_problems` and `view_problems` return one sentence for each broken rule, none when all is well. Lengths
are counted in UTF-16 units, the stricter of the two readings of "characters".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.fakes.slack.text import utf16

Json = dict[str, Any]

MESSAGE_BLOCKS = frozenset({"section", "divider", "header", "context", "actions", "rich_text", "image"})
VIEW_BLOCKS = MESSAGE_BLOCKS | {"input"}
RICH_CONTAINERS = frozenset({"rich_text_section", "rich_text_preformatted", "rich_text_quote", "rich_text_list"})
RICH_KEYS = {
    "text": {"text"}, "link": {"url", "text", "unsafe"}, "emoji": {"name", "unicode"}, "user": {"user_id"},
    "usergroup": {"usergroup_id"}, "channel": {"channel_id"}, "broadcast": {"range"},
    "date": {"timestamp", "format", "url", "fallback"}, "color": {"value"},
}  # fmt: skip
STYLES = frozenset({"bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"})
BLOCK_KEYS = {
    "section": {"text", "fields", "accessory", "expand"}, "divider": set(), "header": {"text", "level"},
    "context": {"elements"}, "actions": {"elements"}, "rich_text": {"elements"},
    "image": {"image_url", "alt_text", "title"},
    "input": {"label", "element", "dispatch_action", "hint", "optional"},
}  # fmt: skip
BUTTON_KEYS = {"type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"}
INPUT_KEYS = {
    "type", "action_id", "initial_value", "multiline", "min_length", "max_length", "dispatch_action_config",
    "focus_on_load", "placeholder",
}  # fmt: skip
VIEW_KEYS = {
    "type", "title", "blocks", "close", "submit", "private_metadata", "callback_id", "clear_on_close",
    "notify_on_close", "external_id", "submit_disabled",
}  # fmt: skip
# Not documented as a number ("msg_blocks_too_long"); what people report for all texts of a message together.
MESSAGE_TEXT_UNITS = 13_000
VIEW_BYTES = 250_000


def message_problems(blocks: Any) -> list[str]:
    """What is wrong with the blocks of a message."""
    if not isinstance(blocks, list):
        return ["blocks: must be an array"]
    problems = [f"blocks: {len(blocks)} items, at most 50"] if len(blocks) > 50 else []
    problems += _blocks(blocks, MESSAGE_BLOCKS)
    units = sum(utf16(text) for text in _texts(blocks))
    if units > MESSAGE_TEXT_UNITS:
        problems.append(f"blocks: {units} characters in all")
    return problems


def view_problems(view: Any) -> list[str]:
    """What is wrong with a modal view."""
    if not isinstance(view, dict) or view.get("type") != "modal":
        return ["view: must be an object of type modal"]
    problems = [f"view: unknown key {key}" for key in sorted(view.keys() - VIEW_KEYS)]
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= 100:
        return [*problems, "view.blocks: 1 to 100 items"]
    problems += _blocks(blocks, VIEW_BLOCKS)
    for key in ("title", "submit", "close"):
        if key in view or key == "title":
            problems += _text(view.get(key), f"view.{key}", 24, plain=True)
    problems += _length(view.get("private_metadata", ""), "view.private_metadata", 3000, least=0)
    problems += _length(view.get("callback_id", ""), "view.callback_id", 255, least=0)
    problems += _length(view.get("external_id", ""), "view.external_id", 255, least=0)
    if any(block.get("type") == "input" for block in blocks if isinstance(block, dict)) and "submit" not in view:
        problems.append("view.submit: required with an input block")
    return problems


def view_bytes(view: Any) -> int:
    return len(json.dumps(view).encode())


def _blocks(blocks: list[Any], allowed: frozenset[str]) -> list[str]:
    problems: list[str] = []
    ids: set[str] = set()
    for index, block in enumerate(blocks):
        at = f"blocks[{index}]"
        if not isinstance(block, dict) or block.get("type") not in allowed:
            problems.append(f"{at}: unknown type")
            continue
        problems += [
            f"{at}: unknown key {k}" for k in sorted(block.keys() - BLOCK_KEYS[block["type"]] - {"type", "block_id"})
        ]
        if "block_id" in block:
            problems += _length(block["block_id"], f"{at}.block_id", 255)
            if block["block_id"] in ids:
                problems.append(f"{at}.block_id: not unique")
            ids.add(block["block_id"])
        problems += _block(block, at)
    return problems


def _block(block: Json, at: str) -> list[str]:
    match block["type"]:
        case "header":
            return _text(block.get("text"), f"{at}.text", 150, plain=True)
        case "section":
            return _section(block, at)
        case "context":
            elements = block.get("elements")
            problems = _count(elements, f"{at}.elements", 10)
            return problems or [p for i, e in enumerate(elements) for p in _text(e, f"{at}.elements[{i}]", 3000)]  # type: ignore[arg-type]
        case "actions":
            return _actions(block, at)
        case "rich_text":
            return _rich(block.get("elements"), at)
        case "input":
            return _input(block, at)
        case "image":
            return _length(block.get("image_url"), f"{at}.image_url", 3000) + _length(
                block.get("alt_text"), f"{at}.alt_text", 2000
            )
        case _:
            return []


def _section(block: Json, at: str) -> list[str]:
    if "text" not in block and "fields" not in block:
        return [f"{at}: text or fields is required"]
    problems = _text(block["text"], f"{at}.text", 3000) if "text" in block else []
    if "fields" in block:
        wrong = _count(block["fields"], f"{at}.fields", 10)
        problems += wrong or [p for i, f in enumerate(block["fields"]) for p in _text(f, f"{at}.fields[{i}]", 2000)]
    if "accessory" in block:
        problems += _button(block["accessory"], f"{at}.accessory")
    return problems


def _actions(block: Json, at: str) -> list[str]:
    elements = block.get("elements")
    problems = _count(elements, f"{at}.elements", 25)
    if problems or not isinstance(elements, list):
        return problems
    for index, element in enumerate(elements):
        problems += _button(element, f"{at}.elements[{index}]")
    ids = [element.get("action_id") for element in elements if isinstance(element, dict)]
    if len(ids) != len(set(ids)):
        problems.append(f"{at}: action_id not unique")
    return problems


def _button(button: Any, at: str) -> list[str]:
    if not isinstance(button, dict) or button.get("type") != "button":
        return [f"{at}: must be a button"]
    problems = [f"{at}: unknown key {key}" for key in sorted(button.keys() - BUTTON_KEYS)]
    problems += _text(button.get("text"), f"{at}.text", 75, plain=True)
    for key, most in (("action_id", 255), ("value", 2000), ("url", 3000), ("accessibility_label", 75)):
        if key in button:
            problems += _length(button[key], f"{at}.{key}", most)
    if "style" in button and button["style"] not in ("primary", "danger"):
        problems.append(f"{at}.style: primary or danger")
    if "url" in button and not str(button["url"]).startswith(("http://", "https://")):
        problems.append(f"{at}.url: not a URL")
    if "confirm" in button:
        confirm = button["confirm"]
        for key, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
            problems += _text(confirm.get(key), f"{at}.confirm.{key}", most, plain=key != "text")
    return problems


def _input(block: Json, at: str) -> list[str]:
    problems = _text(block.get("label"), f"{at}.label", 2000, plain=True)
    if "hint" in block:
        problems += _text(block["hint"], f"{at}.hint", 2000, plain=True)
    element = block.get("element")
    if not isinstance(element, dict) or element.get("type") != "plain_text_input":
        return [*problems, f"{at}.element: must be a plain_text_input"]
    problems += [f"{at}.element: unknown key {key}" for key in sorted(element.keys() - INPUT_KEYS)]
    most = element.get("max_length", 3000)
    if not isinstance(most, int) or not 1 <= most <= 3000:
        problems.append(f"{at}.element.max_length: 1 to 3000")
    elif "initial_value" in element:
        problems += _length(element["initial_value"], f"{at}.element.initial_value", most, least=0)
    if "placeholder" in element:
        problems += _text(element["placeholder"], f"{at}.element.placeholder", 150, plain=True)
    return problems


def _rich(containers: Any, at: str) -> list[str]:
    if not isinstance(containers, list) or not containers:
        return [f"{at}.elements: must not be empty"]
    problems: list[str] = []
    for index, container in enumerate(containers):
        here = f"{at}.elements[{index}]"
        if not isinstance(container, dict) or container.get("type") not in RICH_CONTAINERS:
            problems.append(f"{here}: unknown type")
        elif container["type"] == "rich_text_list":
            problems += _rich(container.get("elements"), here)
        else:
            problems += [f"{here}: unknown key {k}" for k in sorted(container.keys() - {"type", "elements", "border"})]
            for number, element in enumerate(container.get("elements", [])):
                problems += _rich_element(element, f"{here}.elements[{number}]")
    return problems


def _rich_element(element: Any, at: str) -> list[str]:
    if not isinstance(element, dict) or element.get("type") not in RICH_KEYS:
        return [f"{at}: unknown type"]
    keys = RICH_KEYS[element["type"]]
    problems = [f"{at}: unknown key {key}" for key in sorted(element.keys() - keys - {"type", "style"})]
    if element["type"] == "text":
        problems += _length(element.get("text"), f"{at}.text", 12_000)
    style = element.get("style", {})
    if (
        not isinstance(style, dict)
        or not style.keys() <= STYLES
        or not all(isinstance(v, bool) for v in style.values())
    ):
        problems.append(f"{at}.style: booleans among {sorted(STYLES)}")
    return problems


def _text(thing: Any, at: str, most: int, *, plain: bool = False) -> list[str]:
    if not isinstance(thing, dict) or thing.get("type") not in ("plain_text", "mrkdwn"):
        return [f"{at}: must be a text object"]
    if plain and thing["type"] != "plain_text":
        return [f"{at}: must be plain_text"]
    allowed = {"type", "text", "emoji"} if thing["type"] == "plain_text" else {"type", "text", "verbatim"}
    problems = [f"{at}: unknown key {key}" for key in sorted(thing.keys() - allowed)]
    return problems + _length(thing.get("text"), at, most)


def _length(value: Any, at: str, most: int, *, least: int = 1) -> list[str]:
    if not isinstance(value, str):
        return [f"{at}: must be a string"]
    units = utf16(value)
    return [] if least <= units <= most else [f"{at}: {units} characters, {least} to {most} allowed"]


def _count(items: Any, at: str, most: int) -> list[str]:
    if not isinstance(items, list) or not 1 <= len(items) <= most:
        return [f"{at}: 1 to {most} items"]
    return []


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "text" and isinstance(item, str):
                yield item
            else:
                yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
