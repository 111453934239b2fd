"""How a person reads a card and fills it in: its texts, its buttons, its inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.teams.things import CannotBeDone, Json
from tests.fakes.teams.vocabulary import is_input

_READ = frozenset({"text", "title", "label", "placeholder", "errorMessage", "tooltip", "altText"})
_UNREAD = frozenset({"data", "refresh", "msteams", "fallback", "requires", "id", "type", "verb", "url"})


def texts_of(thing: Any) -> Iterator[str]:
    """Every text that a reader may see, in order, also in cards that a button shows."""
    if isinstance(thing, list):
        for each in thing:
            yield from texts_of(each)
        return
    if not isinstance(thing, dict):
        return
    for name, value in thing.items():
        if name == "inlines":
            yield "".join(run if isinstance(run, str) else str(run.get("text", "")) for run in value)
        elif name == "choices":
            yield from (str(choice.get("title")) for choice in value)
        elif isinstance(value, str) and (name in _READ or (name == "value" and _shows_value(thing))):
            yield value
        elif name not in _UNREAD:
            yield from texts_of(value)


def _shows_value(thing: Json) -> bool:
    """A fact's value is read, and what stands in a text field."""
    return str(thing.get("type", "Fact")) in {"Fact", "Input.Text"}


@dataclass(frozen=True)
class Button:
    """An action that a person can press, and the cards whose inputs go with it: the outermost first."""

    action: Json
    cards: tuple[Json, ...]

    @property
    def title(self) -> str:
        return str(self.action.get("title", ""))

    @property
    def verb(self) -> str:
        data = self.action.get("data")
        return str(self.action.get("verb") or (data.get("verb", "") if isinstance(data, dict) else ""))

    @property
    def names(self) -> set[str]:
        return {self.title, self.verb, str(self.action.get("id", ""))} - {""}


def buttons_of(card: Json, *, old: bool = False, outer: tuple[Json, ...] = ()) -> Iterator[Button]:
    """What can be pressed. ``old``: at a client without Action.Execute, which shows its fallback instead."""
    cards = (*outer, card)
    for element in _visible(card.get("body", [])):
        found = [element[name] for name in ("selectAction", "inlineAction") if name in element]
        for action in [*found, *element.get("actions", [])]:
            yield from _pressable(action, cards, old=old)
    for action in [*card.get("actions", []), *([card["selectAction"]] if "selectAction" in card else [])]:
        yield from _pressable(action, cards, old=old)


def _pressable(action: Json, cards: tuple[Json, ...], *, old: bool) -> Iterator[Button]:
    if old and action["type"] == "Action.Execute":
        fallback = action.get("fallback", "drop")
        if isinstance(fallback, dict):
            yield from _pressable(fallback, cards, old=old)
        return
    if not action.get("isEnabled", True):
        return
    yield Button(action, cards)
    if action["type"] == "Action.ShowCard":
        yield from buttons_of(action["card"], old=old, outer=cards)


def _visible(elements: list[Json]) -> Iterator[Json]:
    """Elements that are shown, with what is inside them."""
    for element in elements:
        if not element.get("isVisible", True):
            continue
        yield element
        yield from _visible(_inside(element))


def _inside(element: Json) -> list[Json]:
    inside = [*element.get("items", []), *element.get("images", [])]
    parts = [*element.get("columns", []), *element.get("rows", []), *element.get("cells", [])]
    return inside + [part for part in parts if part.keys() & {"items", "cells"}]


def inputs_of(card: Json) -> Iterator[Json]:
    """The inputs of one card, hidden ones too; not those of the cards that its buttons show."""
    todo = list(card.get("body", []))
    while todo:
        element = todo.pop(0)
        if is_input(element):
            yield element
        todo = _inside(element) + todo


def press(card: Json, wanted: str, *, old: bool = False) -> Button:
    """The one button of that title, verb or id; raises `CannotBeDone`."""
    everything = list(buttons_of(card, old=old))
    found = [button for button in everything if wanted in button.names and button.action["type"] != "Action.ShowCard"]
    if not found:
        raise CannotBeDone(f"no button {wanted!r}, only {[button.title for button in everything]}")
    if len(found) > 1:
        raise CannotBeDone(f"{len(found)} buttons {wanted!r}")
    return found[0]


def filled_in(button: Button, given: Mapping[str, Any]) -> Json:
    """The button's data with the inputs that go with it, as the client merges them; raises `CannotBeDone`."""
    data = dict(button.action.get("data", {}))
    if str(button.action.get("associatedInputs", "auto")).lower() == "none":
        if given:
            raise CannotBeDone(f"{button.title!r} takes no inputs")
        return data
    inputs = [each for card in button.cards for each in inputs_of(card)]
    strangers = given.keys() - {each["id"] for each in inputs}
    if strangers:
        raise CannotBeDone(f"no input {sorted(strangers)}, only {[each['id'] for each in inputs]}")
    for each in inputs:
        value = given.get(each["id"], each.get("value"))
        text = _typed(each, value)
        if text is not None:
            data[each["id"]] = text
    return data


def _typed(element: Json, value: Any) -> str | None:
    """What the client sends of one input; None: nothing."""
    name, kind = element["id"], element["type"]
    if kind == "Input.Toggle":
        on, off = element.get("valueOn", "true"), element.get("valueOff", "false")
        text = {True: on, False: off}.get(value, value) if value is not None else off
        if text not in {on, off}:
            raise CannotBeDone(f"{name} is {on} or {off}")
        if element.get("isRequired") and text == off:
            raise CannotBeDone(f"{name}: {element.get('errorMessage')}")
        return str(text)
    text = "" if value is None else str(value)
    if not text:
        if element.get("isRequired"):
            raise CannotBeDone(f"{name}: {element.get('errorMessage')}")
        return "" if kind == "Input.Text" else None
    _check(element, text)
    return text


def _check(element: Json, text: str) -> None:
    name, kind = element["id"], element["type"]
    if kind == "Input.Text":
        if len(text.encode("utf-16-le")) // 2 > element.get("maxLength", len(text) * 2):
            raise CannotBeDone(f"{name} takes {element['maxLength']} characters")
        if "regex" in element and re.search(element["regex"], text) is None:
            raise CannotBeDone(f"{name}: {element.get('errorMessage')}")
        if "\n" in text and not element.get("isMultiline"):
            raise CannotBeDone(f"{name} has one line")
    elif kind == "Input.ChoiceSet":
        offered = {choice["value"] for choice in element["choices"]}
        chosen = text.split(",") if element.get("isMultiSelect") else [text]
        if not offered.issuperset(chosen):
            raise CannotBeDone(f"{name} offers {sorted(offered)}")
    elif kind == "Input.Number":
        number = float(text)
        if not element.get("min", number) <= number <= element.get("max", number):
            raise CannotBeDone(f"{name}: {element.get('errorMessage')}")
