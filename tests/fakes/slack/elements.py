"""Slack's rules for what stands inside blocks: texts, buttons, menus, inputs. Pure; see rules.py."""

from __future__ import annotations

from typing import Any

from tests.fakes.slack.text import utf16

Json = dict[str, Any]

BUTTON_KEYS = {"type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"}
TEXT_INPUT_KEYS = {
    "type", "action_id", "initial_value", "multiline", "min_length", "max_length", "dispatch_action_config",
    "focus_on_load", "placeholder",
}  # fmt: skip
NUMBER_KEYS = {
    "type", "action_id", "is_decimal_allowed", "initial_value", "min_value", "max_value", "dispatch_action_config",
    "focus_on_load", "placeholder",
}  # fmt: skip
MENU_KEYS = {
    "overflow": {"options"},
    "static_select": {"options", "option_groups", "initial_option", "placeholder", "focus_on_load"},
    "multi_static_select": {
        "options", "option_groups", "initial_options", "placeholder", "focus_on_load", "max_selected_items",
    },
    "radio_buttons": {"options", "initial_option", "focus_on_load"},
    "checkboxes": {"options", "initial_options", "focus_on_load"},
    "users_select": {"initial_user", "placeholder", "focus_on_load"},
    "datepicker": {"initial_date", "placeholder", "focus_on_load"},
}  # fmt: skip
OPTIONS = {
    "overflow": (2, 5), "static_select": (1, 100), "multi_static_select": (1, 100), "radio_buttons": (1, 10),
    "checkboxes": (1, 10),
}  # fmt: skip
INPUTS = frozenset(MENU_KEYS) - {"overflow"} | {"plain_text_input", "number_input"}
ACTIONS = frozenset(
    {"button", "overflow", "static_select", "radio_buttons", "checkboxes", "users_select", "datepicker"}
)
ACCESSORIES = ACTIONS | {"multi_static_select", "image"}
IMAGE_KEYS = {"type", "image_url", "alt_text", "slack_file"}


def interactive(element: Any, at: str, allowed: frozenset[str]) -> list[str]:
    """A button or a menu, where it may be pressed or chosen from."""
    kind = element.get("type") if isinstance(element, dict) else None
    if kind not in allowed:
        return [f"{at}: must be one of {', '.join(sorted(allowed))}"]
    if kind == "button":
        return button(element, at)
    return image(element, at) if kind == "image" else menu(element, at)


def button(element: Any, at: str) -> list[str]:
    problems = unknown_keys(element, BUTTON_KEYS, at) + text(element.get("text"), f"{at}.text", 75, plain=True)
    for key, most in (("action_id", 255), ("value", 2000), ("url", 3000), ("accessibility_label", 75)):
        if key in element:
            problems += length(element[key], f"{at}.{key}", most)
    if "style" in element and element["style"] not in ("primary", "danger"):
        problems.append(f"{at}.style: primary or danger")
    if "url" in element and not str(element["url"]).startswith(("http://", "https://")):
        problems.append(f"{at}.url: not a URL")
    return problems + confirm(element, at)


def menu(element: Json, at: str) -> list[str]:
    kind = element["type"]
    problems = unknown_keys(element, MENU_KEYS[kind] | {"type", "action_id", "confirm"}, at)
    if "action_id" in element:
        problems += length(element["action_id"], f"{at}.action_id", 255)
    if "placeholder" in element:
        problems += text(element["placeholder"], f"{at}.placeholder", 150, plain=True)
    if kind in OPTIONS:
        problems += _options(element, at)
    return problems + confirm(element, at)


def _options(element: Json, at: str) -> list[str]:
    least, most = OPTIONS[element["type"]]
    options = element.get("options")
    if "option_groups" in element:
        groups = element["option_groups"]
        if options is not None or not isinstance(groups, list) or not 1 <= len(groups) <= 100:
            return [f"{at}.option_groups: 1 to 100, and no options beside them"]
        options = [option for group in groups for option in group.get("options", [])]
        problems = [p for g in groups for p in text(g.get("label"), f"{at}.option_groups.label", 75, plain=True)]
    else:
        problems = []
    if not isinstance(options, list) or not least <= len(options) <= most:
        return [*problems, f"{at}.options: {least} to {most}"]
    for index, option in enumerate(options):
        problems += _option(option, f"{at}.options[{index}]", element["type"])
    if problems:
        return problems
    values = [option["value"] for option in options]
    if len(values) != len(set(values)):
        problems.append(f"{at}.options: a value twice")
    initial = [element["initial_option"]] if "initial_option" in element else element.get("initial_options", [])
    if any(option not in options for option in initial) or element.get("initial_options") == []:
        problems.append(f"{at}: an initial option that is none of the options")
    return problems


def _option(option: Any, at: str, kind: str) -> list[str]:
    if not isinstance(option, dict):
        return [f"{at}: must be an object"]
    plain = kind not in ("radio_buttons", "checkboxes")
    problems = unknown_keys(option, {"text", "value", "description", "url"}, at)
    problems += text(option.get("text"), f"{at}.text", 75, plain=plain)
    problems += length(option.get("value"), f"{at}.value", 150)
    if "description" in option:
        problems += text(option["description"], f"{at}.description", 75, plain=plain)
    if "url" in option and kind != "overflow":
        problems.append(f"{at}.url: only in an overflow menu")
    return problems


def confirm(element: Json, at: str) -> list[str]:
    """The dialog that asks "are you sure?"."""
    if "confirm" not in element:
        return []
    dialog, problems = element["confirm"], []
    if not isinstance(dialog, dict):
        return [f"{at}.confirm: must be an object"]
    problems += unknown_keys(dialog, {"title", "text", "confirm", "deny", "style"}, f"{at}.confirm")
    for key, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        problems += text(dialog.get(key), f"{at}.confirm.{key}", most, plain=key != "text")
    return problems


def entry(element: Any, at: str) -> list[str]:
    """The element of an input block."""
    kind = element.get("type") if isinstance(element, dict) else None
    if kind not in INPUTS:
        return [f"{at}: must be one of {', '.join(sorted(INPUTS))}"]
    if kind == "plain_text_input":
        return _text_input(element, at)
    if kind != "number_input":
        return menu(element, at)
    problems = unknown_keys(element, NUMBER_KEYS, at)
    if not isinstance(element.get("is_decimal_allowed"), bool):
        problems.append(f"{at}.is_decimal_allowed: required")
    for key in ("initial_value", "min_value", "max_value"):
        if key in element:
            problems += length(element[key], f"{at}.{key}", 100)
    return problems


def _text_input(element: Json, at: str) -> list[str]:
    problems = unknown_keys(element, TEXT_INPUT_KEYS, at)
    most = element.get("max_length", 3000)
    if not isinstance(most, int) or not 1 <= most <= 3000:
        problems.append(f"{at}.max_length: 1 to 3000")
    elif "initial_value" in element:
        problems += length(element["initial_value"], f"{at}.initial_value", most, least=0)
    if "placeholder" in element:
        problems += text(element["placeholder"], f"{at}.placeholder", 150, plain=True)
    return problems


def image(element: Json, at: str) -> list[str]:
    """An image by its address, or by a file that was uploaded to Slack."""
    problems = length(element.get("alt_text"), f"{at}.alt_text", 2000)
    if ("image_url" in element) == ("slack_file" in element):
        return [*problems, f"{at}: image_url or slack_file"]
    if "image_url" in element:
        return problems + length(element["image_url"], f"{at}.image_url", 3000)
    file = element["slack_file"]
    if not isinstance(file, dict) or len(file.keys() & {"id", "url"}) != 1 or len(file) != 1:
        problems.append(f"{at}.slack_file: an id or a url")
    return problems


def text(thing: Any, at: str, most: int, *, plain: bool = False) -> list[str]:
    if not isinstance(thing, dict) or thing.get("type") not in ("plain_text", "mrkdwn"):
        return [f"{at}: must be a text object"]
    if plain and thing["type"] != "plain_text":
        return [f"{at}: must be plain_text"]
    allowed = {"type", "text", "emoji"} if thing["type"] == "plain_text" else {"type", "text", "verbatim"}
    return unknown_keys(thing, allowed, at) + length(thing.get("text"), at, most)


def length(value: Any, at: str, most: int, *, least: int = 1) -> list[str]:
    if not isinstance(value, str):
        return [f"{at}: must be a string"]
    units = utf16(value)
    return [] if least <= units <= most else [f"{at}: {units} characters, {least} to {most} allowed"]


def count(items: Any, at: str, most: int) -> list[str]:
    if not isinstance(items, list) or not 1 <= len(items) <= most:
        return [f"{at}: 1 to {most} items"]
    return []


def unknown_keys(thing: Json, known: set[str], at: str) -> list[str]:
    return [f"{at}: unknown key {key}" for key in sorted(thing.keys() - known)]
