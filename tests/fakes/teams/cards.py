"""What a card may be for Teams to take and show it: `card_problems` names everything that is wrong.

Rules beside the vocabulary's: version at most 1.5; refresh.userIds at most 60; a verb on every Action.Execute; ids once;
six buttons in a row; no ShowCard inside a ShowCard; images by https; a required input has a label and says what is
missing; a dialog has Action.Submit, not Action.Execute.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.fakes.teams import vocabulary as words
from tests.fakes.teams.schema import schema_problems
from tests.fakes.teams.things import Json

MOST_REFRESHED = 60
MOST_BUTTONS = 6
VERSIONS = frozenset({"1.0", "1.1", "1.2", "1.3", "1.4", "1.5"})
_URL = re.compile(r"https?://[^\s/]+(/\S*)?", re.ASCII)
_MEMBER = re.compile(r"29:[\w-]+", re.ASCII)
_PARTS: Mapping[str, tuple[str, words.Kinds]] = {
    "columns": ("Column", words.COLUMN), "rows": ("TableRow", words.ROW), "cells": ("TableCell", words.CELL),
    "definitions": ("TableColumnDefinition", words.DEFINITION), "facts": ("Fact", words.FACT),
    "choices": ("Input.Choice", words.CHOICE),
}  # fmt: skip


def card_problems(card: Any, *, dialog: bool = False) -> list[str]:
    """Everything wrong with the card, also by the published schema where there is one; nothing: Teams takes it."""
    if not isinstance(card, dict):
        return ["a card is an object"]
    check = _Check(dialog=dialog)
    check.card(card, "card", nested=False)
    return check.problems or schema_problems(card)


class _Check:
    def __init__(self, *, dialog: bool) -> None:
        self.problems: list[str] = []
        self._dialog = dialog
        self._ids: dict[str, set[str]] = {"element": set(), "action": set()}
        self._nested = False
        self._in_fallback = 0

    def say(self, at: str, problem: str) -> None:
        self.problems.append(f"{at}: {problem}")

    def card(self, card: Json, at: str, *, nested: bool) -> None:
        if card.get("type") != "AdaptiveCard":
            self.say(at, f"type is {card.get('type')!r}")
        if (not nested or "version" in card) and card.get("version") not in VERSIONS:
            self.say(at, f"version is {card.get('version')!r}")
        if nested and card.keys() & {"refresh", "msteams"}:
            self.say(at, "refresh and msteams belong to the whole card")
        outer, self._nested = self._nested, nested
        self._properties(card, words.CARD, at)
        self._nested = outer

    def _properties(self, thing: Json, kinds: words.Kinds, at: str) -> None:
        for name in words.REQUIRED.get(str(thing.get("type")), ()):
            if name not in thing:
                self.say(at, f"no {name}")
        for name, value in thing.items():
            if name in kinds:
                self.value(value, kinds[name], f"{at}.{name}")
            else:
                self.say(at, f"{thing.get('type')} has no {name}")

    def value(self, value: Any, kind: str, at: str) -> None:
        """One property's value; what is walked into has a method of that name."""
        if "|" in kind:
            if not isinstance(value, str) or value.lower() not in kind.split("|"):
                self.say(at, f"is {value!r}, not one of {kind}")
        elif kind in _PARTS:
            self._parts(value, kind, at)
        elif kind in _SIMPLE:
            if not _SIMPLE[kind](value):
                self.say(at, f"is no {kind}")
        else:
            walk: Callable[[Any, str], None] = getattr(self, f"_{kind}")
            walk(value, at)

    def _each(self, values: Any, at: str) -> Iterator[tuple[Json, str]]:
        if not isinstance(values, list):
            self.say(at, "is no list")
            return
        for number, value in enumerate(values):
            if isinstance(value, dict):
                yield value, f"{at}[{number}]"
            else:
                self.say(f"{at}[{number}]", "is no object")

    def _parts(self, values: Any, kind: str, at: str) -> None:
        called, kinds = _PARTS[kind]
        for part, where in self._each(values, at):
            if part.get("type", called) != called:
                self.say(where, f"type is {part['type']!r}")
            self._properties({"type": called, **part}, kinds, where)

    def _known(self, thing: Json, table: Mapping[str, words.Kinds], at: str, family: str) -> bool:
        kind = thing.get("type")
        if not isinstance(kind, str) or kind not in table:
            self.say(at, f"{kind!r} is no {family} that Teams shows")
            return False
        taken, name = self._ids[family], thing.get("id")
        if isinstance(name, str) and not self._in_fallback:
            if name in taken or not name:
                self.say(at, f"the id {name!r} is there already" if name else "an empty id")
            taken.add(name)
        self._properties(thing, table[kind], at)
        return True

    def _elements(self, values: Any, at: str) -> None:
        for element, where in self._each(values, at):
            if self._known(element, words.ELEMENTS, where, "element"):
                self._input(element, where)

    def _images(self, values: Any, at: str) -> None:
        self._elements(values, at)

    def _input(self, element: Json, at: str) -> None:
        if element.get("isRequired") and not (element.get("label") and element.get("errorMessage")):
            self.say(at, "a required input has a label and an errorMessage")
        if element["type"] == "Input.ChoiceSet" and isinstance(element.get("choices"), list):
            offered = {str(choice.get("value")) for choice in element["choices"] if isinstance(choice, dict)}
            chosen = str(element.get("value", ""))
            parts = chosen.split(",") if element.get("isMultiSelect") else [chosen]
            if chosen and not offered.issuperset(parts):
                self.say(at, f"the value {chosen!r} is not offered")

    def _actions(self, values: Any, at: str) -> None:
        for action, where in self._each(values, at):
            self._action(action, where)
        if isinstance(values, list):
            shown = [a for a in values if isinstance(a, dict) and str(a.get("mode", "primary")).lower() == "primary"]
            if len(shown) > MOST_BUTTONS:
                self.say(at, f"{len(shown)} buttons, and {MOST_BUTTONS} are shown")

    def _action(self, action: Any, at: str) -> None:
        if not isinstance(action, dict):
            self.say(at, "is no object")
            return
        if action.get("type") == "Action.Execute" and self._dialog:
            self.say(at, "Action.Execute does nothing in a dialog")
        if action.get("type") == "Action.Execute" and action.get("verb") == "":
            self.say(at, "an empty verb")
        if action.get("type") == "Action.ShowCard" and self._nested:
            self.say(at, "a ShowCard inside a ShowCard")
        self._known(action, words.ACTIONS, at, "action")

    def _select(self, action: Any, at: str) -> None:
        self._action(action, at)
        if isinstance(action, dict) and action.get("type") == "Action.ShowCard":
            self.say(at, "a selectAction shows no card")

    def _fallback(self, value: Any, at: str) -> None:
        if isinstance(value, str):
            if value.lower() != "drop":
                self.say(at, f"is {value!r}")
            return
        self._in_fallback += 1
        if isinstance(value, dict) and str(value.get("type", "")).startswith("Action."):
            self._action(value, at)
        else:
            self._elements([value], at)
        self._in_fallback -= 1

    def _card(self, value: Any, at: str) -> None:
        if isinstance(value, dict):
            self.card(value, at, nested=True)
        else:
            self.say(at, "is no card")

    def _inlines(self, values: Any, at: str) -> None:
        if not isinstance(values, list):
            self.say(at, "is no list")
            return
        for number, run in enumerate(values):
            where = f"{at}[{number}]"
            if isinstance(run, dict) and run.get("type") == "TextRun":
                self._properties(run, words.RUN, where)
            elif not isinstance(run, str):
                self.say(where, "is no TextRun")

    def _targets(self, values: Any, at: str) -> None:
        if not isinstance(values, list) or not values:
            self.say(at, "is no list of elements")
            return
        for target in values:
            name = target.get("elementId") if isinstance(target, dict) else target
            if not isinstance(name, str):
                self.say(at, f"{target!r} is no element's id")

    def _refresh(self, value: Any, at: str) -> None:
        if not isinstance(value, dict) or value.keys() - {"type", "action", "userIds"} or "action" not in value:
            self.say(at, "is no refresh")
            return
        if not isinstance(value["action"], dict) or value["action"].get("type") != "Action.Execute":
            self.say(at, "refreshes by an Action.Execute")
        self._action(value["action"], f"{at}.action")
        users = value.get("userIds", [])
        if not isinstance(users, list) or not all(isinstance(u, str) and _MEMBER.fullmatch(u) for u in users):
            self.say(at, "userIds are ids 29:…")
        elif len(users) > MOST_REFRESHED or len(set(users)) < len(users):
            self.say(at, f"userIds: {len(users)}, or one of them twice")

    def _msteams(self, value: Any, at: str) -> None:
        if not isinstance(value, dict) or value.keys() - {"width", "entities"} or value.get("width", "Full") != "Full":
            self.say(at, "msteams has width Full and entities")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SIMPLE: Mapping[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    "number": _is_number,
    "object": lambda value: isinstance(value, dict),
    "any": lambda value: isinstance(value, str) or _is_number(value),
    "url": lambda value: isinstance(value, str) and _URL.fullmatch(value) is not None,
    "image": lambda value: (
        isinstance(value, str) and value.startswith("https://") and _URL.fullmatch(value) is not None
    ),
}
