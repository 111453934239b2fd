"""Typed values out of YAML nodes. Every method answers None for what is wrong and keeps the problem, so that one run
reports them all. Pure.

Usage: ``fields = reader.fields(node, "defaults", known)``; then ``reader.text(fields.get("x"), "x")`` and so on. A field
that is absent (None in) is None out, without a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from holdpoint.errors import Problem
from holdpoint.policy.schedule import parse_duration, parse_size

_TAG = "tag:yaml.org,2002:"
_KINDS = {
    "str": "text",
    "int": "a number",
    "float": "a number with a point",
    "bool": "true or false",
    "null": "nothing",
}
MAX_TEXT = 10_000

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


def line_of(node: Node) -> int:
    return int(node.start_mark.line) + 1


def kind_of(node: Node) -> str:
    """What stands there, in plain words."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    return _KINDS.get(node.tag.removeprefix(_TAG), f"the tag {node.tag}")


def suggestion(word: str, known: Collection[str]) -> str:
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f": did you mean {close[0]!r}?" if close else ""


class Reader:
    """Collects ``problems`` and ``warnings`` while the document is read. ``rule`` is the id of the rule being read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.rule: str | None = None

    def problem(self, at: Node | int, message: str) -> None:
        self.problems.append(Problem(message, at if isinstance(at, int) else line_of(at), self.rule))

    def warn(self, at: Node | int, message: str) -> None:
        self.warnings.append(Problem(message, at if isinstance(at, int) else line_of(at), self.rule, warning=True))

    def fields(
        self, node: Node | None, what: str, known: Collection[str], *, required: Collection[str] = ()
    ) -> dict[str, Node] | None:
        """The fields of a mapping, only those in ``known``, by name."""
        entries = self.entries(node, what)
        if node is None or entries is None:
            return None
        found: dict[str, Node] = {}
        for name, key, value in entries:
            if name in known:
                found[name] = value
            elif name == "<<":
                self.problem(key, f"{what}: merge keys (<<) are not part of the policy language")
            else:
                self.problem(key, f"{what} has no field {name!r}{suggestion(name, known)}")
        for name in required:
            if name not in found:
                self.problem(node, f"{what} lacks {name!r}")
        return found

    def entries(self, node: Node | None, what: str) -> list[tuple[str, Node, Node]] | None:
        """The entries of a mapping with free names, as (name, key node, value node); no name twice."""
        if node is None:
            return None
        if not isinstance(node, MappingNode):
            self.problem(node, f"{what} must be a mapping, not {kind_of(node)}")
            return None
        first: dict[str, int] = {}
        entries: list[tuple[str, Node, Node]] = []
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.problem(key, f"{what}: a field's name must be text, not {kind_of(key)}")
            elif key.value in first:
                self.problem(key, f"{what} has {key.value!r} twice (first in line {first[key.value]})")
            else:
                first[key.value] = line_of(key)
                entries.append((key.value, key, value))
        return entries

    def items(self, node: Node | None, what: str) -> list[Node] | None:
        """The items of a list that is not empty."""
        if node is None:
            return None
        if not isinstance(node, SequenceNode):
            self.problem(node, f"{what} must be a list, not {kind_of(node)}: write [a, b]")
            return None
        if not node.value:
            self.problem(node, f"{what} is an empty list: name something or leave it out")
            return None
        return list(node.value)

    def text(self, node: Node | None, what: str, *, longest: int = MAX_TEXT, empty: bool = False) -> str | None:
        """A string. What YAML takes for a number or a truth value needs quotes."""
        if node is None:
            return None
        if not isinstance(node, ScalarNode) or node.tag != _TAG + "str":
            quotes = ": put it in quotes" if isinstance(node, ScalarNode) and node.value else ""
            self.problem(node, f"{what} must be text, not {kind_of(node)}{quotes}")
            return None
        if not empty and not node.value.strip():
            self.problem(node, f"{what} is empty")
            return None
        if len(node.value) > longest:
            self.problem(node, f"{what} is longer than {longest} characters")
            return None
        return str(node.value)

    def texts(self, node: Node | None, what: str) -> tuple[str, ...] | None:
        """A list of strings that is not empty; None when the list or any item is wrong."""
        items = self.items(node, what)
        if items is None:
            return None
        texts = [self.text(item, f"an item of {what}") for item in items]
        return None if None in texts else tuple(text for text in texts if text is not None)

    def number(self, node: Node | None, what: str, *, least: int = 0) -> int | None:
        """A whole number, written in digits."""
        if node is None:
            return None
        if not isinstance(node, ScalarNode) or node.tag != _TAG + "int" or not _is_number(node.value):
            self.problem(node, f"{what} must be a whole number, not {_shown(node)}")
            return None
        if int(node.value) < least:
            self.problem(node, f"{what} must be at least {least}")
            return None
        return int(node.value)

    def flag(self, node: Node | None, what: str) -> bool | None:
        if node is None:
            return None
        if not isinstance(node, ScalarNode) or node.tag != _TAG + "bool":
            self.problem(node, f"{what} must be true or false, not {_shown(node)}")
            return None
        return node.value.lower() in ("true", "yes", "on")

    def word(self, node: Node | None, what: str, words: type[E], *, without: Collection[E] = ()) -> E | None:
        """One of a closed set of words."""
        text = self.text(node, what)
        if node is None or text is None:
            return None
        allowed = [word for word in words if word not in without]
        if text not in allowed:
            names = [word.value for word in allowed]
            hint = suggestion(text, names) or f": it is one of {', '.join(names)}"
            self.problem(node, f"{what} cannot be {text!r}{hint}")
            return None
        return words(text)

    def raw(self, node: Node | None, what: str) -> str | None:
        """A plain scalar as it was typed, whatever YAML takes it for (``22:00`` is a number to YAML)."""
        if node is None:
            return None
        if not isinstance(node, ScalarNode):
            self.problem(node, f"{what} must be a single value, not {kind_of(node)}")
            return None
        return str(node.value)

    def duration(self, node: Node | None, what: str) -> int | None:
        """Milliseconds."""
        return self.parsed(node, what, parse_duration)

    def size(self, node: Node | None, what: str) -> int | None:
        """Bytes."""
        return self.parsed(node, what, parse_size)

    def parsed(self, node: Node | None, what: str, parse: Callable[[str], T], *, shown: bool = True) -> T | None:
        """A plain scalar that ``parse`` understands; its ValueError says what is wrong.

        ``shown`` False keeps the value out of the message: a secret may stand there by mistake.
        """
        text = self.raw(node, what)
        if node is None or text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.problem(node, f"{what}: {_shown(node)} {error}" if shown else f"{what} {error}")
            return None


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= 15 and (digits == "0" or digits[0] != "0")


def _shown(node: Node) -> str:
    """What stands there, for a message; long values by kind only."""
    if isinstance(node, ScalarNode) and 0 < len(node.value) <= 40:
        return repr(node.value)
    return kind_of(node)
