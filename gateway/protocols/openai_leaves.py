"""What is collected from one body, and the walk over values whose shape nobody promised: every string, every odd key."""

from __future__ import annotations

from typing import Any

from holdpoint import canonical
from holdpoint.canonical import join
from holdpoint.errors import Refusal
from holdpoint.model import Part, PartRole, RefusalCode

# Keys that are structure. Objects with any other key get a part that lists all their keys: a key is text, too.
_STRUCTURE = frozenset(
    """$defs $ref $schema additionalProperties allOf anyOf arguments const content data default definitions description
    detail enum examples exclusiveMaximum exclusiveMinimum file_data file_id filename format function id image_url
    include_usage index input_audio items json_schema maxItems maxLength maximum minItems minLength minimum multipleOf
    name nullable oneOf output parameters pattern patternProperties properties refusal required role schema strict
    summary text title tool_call_id tool_calls type uniqueItems url""".split()  # noqa: SIM905 - a table of words
)
_SHORT_PATH = 200  # characters; every string repeats the path of what it is in
_MOST_LONG_PATHS = 4 * 1024 * 1024  # characters, of all that are longer
_MANY_NUMBERS = 8  # a run of numbers that long may be token ids or an embedding


def wrong_type(where: str, expected: str) -> Refusal:
    """The refusal of a known field that has an unknown shape. ``where`` is made of our words and of indexes."""
    return Refusal(RefusalCode.UNINSPECTABLE, f"{where} is missing or is not {expected}.", status=400, param=where)


def check_names(value: dict[str, Any], known: frozenset[str]) -> None:
    """Refuse a name that differs from one of the ``known`` only in the case of its letters.

    Servers in Go (Ollama) and C# take it for that one, and of two fields the last: another one than was inspected.
    """
    if known.issuperset(value):
        return
    for name in value:
        folded = name.casefold()
        if folded != name and folded in known:
            reason = f"A name in the body differs from {folded} only in the case of its letters."
            raise Refusal(RefusalCode.UNINSPECTABLE, reason, status=400, param=folded)


def escaped(key: str) -> str:
    """``key`` as a step of a path."""
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


class Found:
    """What was found in one body so far."""

    __slots__ = ("_counted", "_long", "parts", "tools", "uninspectable")

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.tools: list[str] = []
        self.uninspectable: list[str] = []
        self._counted = 0
        self._long = 0

    def text(self, path: str, role: PartRole, text: str) -> None:
        """A string whose speaker is known. An empty one says nothing."""
        if text:
            self.parts.append(Part(path, role, text))

    def ids(self, path: str, count: int) -> None:
        """Token ids in place of text: counted, but not readable without the model's own vocabulary."""
        self._counted += count
        self.uninspectable.append(f"token ids in {path}")

    def leaves(self, path: str, value: Any, role: PartRole) -> None:
        """Every string below ``value``, and the keys of each object that has one that is not structure."""
        if isinstance(value, str):
            self.text(path, role, value)
        elif isinstance(value, dict):
            self._below_object(path, value, role)
        elif isinstance(value, list):
            self._below_list(path, value, role)

    # The two call each other as deep as the body is nested; `canonical.parse` bounds that. A string is nearly always what
    # they find, so they take it themselves.

    def _below_object(self, path: str, value: dict[str, Any], role: PartRole) -> None:
        if len(path) > _SHORT_PATH:
            self._repeat(path, len(value))
        if not _STRUCTURE.issuperset(value):
            self.keys(path, value, role)
        for key, item in value.items():
            if isinstance(item, str):
                if item:
                    self.parts.append(Part(f"{path}/{key}" if key in _STRUCTURE else join(path, key), role, item))
            elif isinstance(item, dict):
                self._below_object(join(path, key), item, role)
            elif isinstance(item, list):
                self._below_list(join(path, key), item, role)

    def _below_list(self, path: str, value: list[Any], role: PartRole) -> None:
        if len(path) > _SHORT_PATH:
            self._repeat(path, len(value))
        if role is PartRole.PARAMETER and len(value) >= _MANY_NUMBERS and _is_run_of_numbers(value):
            self.uninspectable.append(f"numbers in {path}")
        for index, item in enumerate(value):
            if isinstance(item, str):
                if item:
                    self.parts.append(Part(f"{path}/{index}", role, item))
            elif isinstance(item, dict):
                self._below_object(f"{path}/{index}", item, role)
            elif isinstance(item, list):
                self._below_list(f"{path}/{index}", item, role)

    def _repeat(self, path: str, times: int) -> None:
        """Refuse what would make far more of a body than there is in it."""
        self._long += len(path) * times
        if self._long > _MOST_LONG_PATHS:
            raise Refusal(RefusalCode.UNINSPECTABLE, "The names in the body are too long for its depth.", status=400)

    def odd_keys(self, path: str, value: dict[str, Any], known: frozenset[str]) -> None:
        """The keys of an object that has another one than those that are ``known`` there."""
        if not known.issuperset(value):
            self.keys(path, value)

    def keys(self, path: str, value: dict[str, Any], role: PartRole = PartRole.PARAMETER) -> None:
        """The keys of one object as a part of their own, one per line."""
        self.text(f"{path}/{canonical.KEYS}" if path else canonical.KEYS, role, "\n".join(value))

    def tokens(self) -> int:
        """An estimate, four bytes each; token ids are exact."""
        size = 0
        for part in self.parts:
            text = part.text
            size += len(text) if text.isascii() else len(text.encode())
        return -(-size // 4) + self._counted


def _is_run_of_numbers(item: list[Any]) -> bool:
    return all(isinstance(each, int | canonical.Decimals) for each in item)
