"""A person fills in the inputs of a view: what the client lets through, and how it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.slack.text import utf16
from tests.fakes.slack.things import Json

Given = Mapping[str, Any]  # block id → text, a chosen value, or a list of chosen values


def fill(blocks: list[Json], given: Given, *, submitting: bool = True) -> Json:
    """``state.values``. What is not given keeps its initial value; ``submitting`` checks what a client checks."""
    filled: Json = {}
    for block in blocks:
        element = block.get("element") if block["type"] == "input" else None
        if element is None:
            continue
        name = block["block_id"]
        value, state = _entered(element, given.get(name, _initial(element)), name)
        if submitting:
            assert value or block.get("optional"), f"the client does not submit {name} empty"
        filled[name] = {element["action_id"]: state}
    assert given.keys() <= filled.keys(), f"no such inputs: {given.keys() - filled.keys()}"
    return filled


def _initial(element: Json) -> Any:
    for key in ("initial_value", "initial_user", "initial_date"):
        if key in element:
            return element[key]
    if "initial_option" in element:
        return element["initial_option"]["value"]
    return [option["value"] for option in element["initial_options"]] if "initial_options" in element else None


def _entered(element: Json, value: Any, name: str) -> tuple[Any, Json]:
    kind = element["type"]
    match kind:
        case "plain_text_input":
            text = value or ""
            most, least = element.get("max_length", 3000), element.get("min_length", 0)
            assert utf16(text) <= most, f"{name} is too long for the client"
            assert not text or utf16(text) >= least, f"{name} is too short for the client"
            return value, {"type": kind, "value": value or None}
        case "number_input":
            assert value is None or _is_number(element, str(value)), f"{name} is no number that the client takes"
            return value, {"type": kind, "value": None if value is None else str(value)}
        case "static_select" | "radio_buttons":
            chosen = option_of(element, value) if value is not None else None
            return value, {"type": kind, "selected_option": chosen}
        case "multi_static_select" | "checkboxes":
            chosen_ones = [option_of(element, one) for one in value or ()]
            assert len(chosen_ones) <= element.get("max_selected_items", 100), f"{name}: too many for the client"
            return value, {"type": kind, "selected_options": chosen_ones}
        case "users_select":
            return value, {"type": kind, "selected_user": value}
        case "datepicker":
            return value, {"type": kind, "selected_date": value}
        case _:
            raise AssertionError(f"nobody can fill in a {kind}")


def _is_number(element: Json, text: str) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    if not element["is_decimal_allowed"] and not number.is_integer():
        return False
    least, most = element.get("min_value"), element.get("max_value")
    return (least is None or number >= float(least)) and (most is None or number <= float(most))


def option_of(element: Json, value: Any) -> Json:
    """The option with that value, as it is sent: text and value."""
    groups = element.get("option_groups") or [{"options": element.get("options", [])}]
    for group in groups:
        for option in group["options"]:
            if option["value"] == value:
                return {"text": option["text"], "value": option["value"]}
    raise AssertionError(f"there is no option {value}")
