"""Slack's rules for blocks and views, as strict as the documentation reads; what slack_sdk's models miss as well.

Pure: `message_problems` and `view_problems` return one sentence for each broken rule, none when all is well. Lengths
are counted in UTF-16 units, the stricter of the two readings of "characters".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.fakes.slack.elements import ACCESSORIES, ACTIONS, count, entry, image, interactive, length, text
from tests.fakes.slack.text import utf16

Json = dict[str, Any]

MESSAGE_BLOCKS = frozenset(
    {"section", "divider", "header", "context", "actions", "rich_text", "image", "markdown", "table"}
)
VIEW_BLOCKS = MESSAGE_BLOCKS - {"markdown", "table"} | {"input"}
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
    "image": {"image_url", "alt_text", "title", "slack_file"}, "markdown": {"text"},
    "table": {"rows", "column_settings"},
    "input": {"label", "element", "dispatch_action", "hint", "optional"},
}  # fmt: skip
VIEW_KEYS = {
    "type", "title", "blocks", "close", "submit", "private_metadata", "callback_id", "clear_on_close",
    "notify_on_close", "external_id", "submit_disabled",
}  # fmt: skip
HOME_KEYS = {"type", "blocks", "private_metadata", "callback_id", "external_id"}
# Not documented as a number ("msg_blocks_too_long"); what people report for all texts of a message together.
MESSAGE_TEXT_UNITS = 13_000
MARKDOWN_UNITS = 12_000  # over all markdown blocks of a message
POSTED_UNITS = 13_200  # of what `posted_units` counts
VIEW_BYTES = 250_000


def message_problems(blocks: Any) -> list[str]:
    """What is wrong with the blocks of a message."""
    if not isinstance(blocks, list):
        return ["blocks: must be an array"]
    problems = [f"blocks: {len(blocks)} items, at most 50"] if len(blocks) > 50 else []
    problems += _blocks(blocks, MESSAGE_BLOCKS)
    known = [block for block in blocks if isinstance(block, dict)]
    markdown = sum(utf16(str(block.get("text", ""))) for block in known if block.get("type") == "markdown")
    if markdown > MARKDOWN_UNITS:
        problems.append(f"blocks: {markdown} characters of markdown, at most {MARKDOWN_UNITS}")
    if sum(block.get("type") == "table" for block in known) > 1:
        problems.append("blocks: more than one table")
    units = sum(utf16(text) for text in _texts(blocks))
    if units > MESSAGE_TEXT_UNITS:
        problems.append(f"blocks: {units} characters in all")
    return problems


def view_problems(view: Any, *, kind: str = "modal") -> list[str]:
    """What is wrong with a view; ``kind`` is modal or home."""
    if not isinstance(view, dict) or view.get("type") != kind:
        return [f"view: must be an object of type {kind}"]
    problems = [
        f"view: unknown key {key}" for key in sorted(view.keys() - (VIEW_KEYS if kind == "modal" else HOME_KEYS))
    ]
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= 100:
        return [*problems, "view.blocks: 1 to 100 items"]
    problems += _blocks(blocks, VIEW_BLOCKS)
    for key in ("title", "submit", "close"):
        if key in view or (key == "title" and kind == "modal"):
            problems += text(view.get(key), f"view.{key}", 24, plain=True)
    problems += length(view.get("private_metadata", ""), "view.private_metadata", 3000, least=0)
    problems += length(view.get("callback_id", ""), "view.callback_id", 255, least=0)
    problems += length(view.get("external_id", ""), "view.external_id", 255, least=0)
    has_input = any(block.get("type") == "input" for block in blocks if isinstance(block, dict))
    if kind == "modal" and has_input and "submit" not in view:
        problems.append("view.submit: required with an input block")
    return problems


def posted_units(blocks: list[Json]) -> int:
    """What Slack counts of a posted message's blocks: their JSON, with an id for each.

    Not documented. Slack's people speak of 12,000 characters of text "with a buffer for block containers"; others have
    measured that a header takes some 100 besides its text, and that blocks with 11,341 characters of text are too long.
    """
    return utf16(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) + 19 * len(blocks)


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
            problems += length(block["block_id"], f"{at}.block_id", 255)
            if block["block_id"] in ids:
                problems.append(f"{at}.block_id: not unique")
            ids.add(block["block_id"])
        problems += _block(block, at)
    return problems


def _block(block: Json, at: str) -> list[str]:
    match block["type"]:
        case "header":
            return text(block.get("text"), f"{at}.text", 150, plain=True)
        case "section":
            return _section(block, at)
        case "context":
            return _context(block.get("elements"), f"{at}.elements")
        case "actions":
            return _actions(block, at)
        case "rich_text":
            return _rich(block.get("elements"), at)
        case "input":
            return _input(block, at)
        case "image":
            title = text(block["title"], f"{at}.title", 2000, plain=True) if "title" in block else []
            return image(block, at) + title
        case "markdown":
            return length(block.get("text"), f"{at}.text", MARKDOWN_UNITS)
        case "table":
            return _table(block.get("rows"), f"{at}.rows")
        case _:
            return []


def _context(elements: Any, at: str) -> list[str]:
    problems = count(elements, at, 10)
    for index, element in enumerate(elements if not problems else ()):
        here = f"{at}[{index}]"
        is_image = isinstance(element, dict) and element.get("type") == "image"
        problems += image(element, here) if is_image else text(element, here, 3000)
    return problems


def _table(rows: Any, at: str) -> list[str]:
    problems = count(rows, at, 100)
    for index, row in enumerate(rows if not problems else ()):
        problems += count(row, f"{at}[{index}]", 20)
        for number, cell in enumerate(row if isinstance(row, list) else ()):
            here = f"{at}[{index}][{number}]"
            if not isinstance(cell, dict) or cell.get("type") not in ("raw_text", "rich_text"):
                problems.append(f"{here}: raw_text or rich_text")
            elif cell["type"] == "raw_text":
                problems += length(cell.get("text"), here, 3000)
            else:
                problems += _rich(cell.get("elements"), here)
    return problems


def _section(block: Json, at: str) -> list[str]:
    if "text" not in block and "fields" not in block:
        return [f"{at}: text or fields is required"]
    problems = text(block["text"], f"{at}.text", 3000) if "text" in block else []
    if "fields" in block:
        wrong = count(block["fields"], f"{at}.fields", 10)
        problems += wrong or [p for i, f in enumerate(block["fields"]) for p in text(f, f"{at}.fields[{i}]", 2000)]
    if "accessory" in block:
        problems += interactive(block["accessory"], f"{at}.accessory", ACCESSORIES)
    return problems


def _actions(block: Json, at: str) -> list[str]:
    elements = block.get("elements")
    problems = count(elements, f"{at}.elements", 25)
    if problems or not isinstance(elements, list):
        return problems
    for index, element in enumerate(elements):
        problems += interactive(element, f"{at}.elements[{index}]", ACTIONS)
    ids = [element.get("action_id") for element in elements if isinstance(element, dict)]
    if len(ids) != len(set(ids)):
        problems.append(f"{at}: action_id not unique")
    return problems


def _input(block: Json, at: str) -> list[str]:
    problems = text(block.get("label"), f"{at}.label", 2000, plain=True)
    if "hint" in block:
        problems += text(block["hint"], f"{at}.hint", 2000, plain=True)
    return problems + entry(block.get("element"), f"{at}.element")


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
        problems += length(element.get("text"), f"{at}.text", 12_000)
    style = element.get("style", {})
    if (
        not isinstance(style, dict)
        or not style.keys() <= STYLES
        or not all(isinstance(v, bool) for v in style.values())
    ):
        problems.append(f"{at}.style: booleans among {sorted(STYLES)}")
    return problems


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
