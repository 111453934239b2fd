"""``masks``: what the policy calls secret, taken out of a text that is shown and put back into one that was edited. Pure.

``pay with 4111 1111 1111 1111``  ─ mask ─▶  ``pay with ⟦card number 1⟧``  ─ restore ─▶  the first again

The same secret gets the same token within one text. A token that stands in the text already is never used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from yaml.nodes import Node

from holdpoint.policy.matchers import NotInspected, PatternSet, find
from holdpoint.policy.names import Names, read_named_sets, read_patterns
from holdpoint.policy.patterns import TextPattern, keyword, pattern
from holdpoint.policy.reading import Reader

_OPEN, _CLOSE = "⟦", "⟧"


@dataclass(frozen=True, slots=True)
class Mask:
    """What is a secret of one kind (``card number``), wherever text is shown."""

    name: str
    patterns: tuple[TextPattern, ...]


def read_masks(reader: Reader, node: Node | None, names: Names) -> tuple[Mask, ...]:
    """``masks``: ``[{name: card number, patterns: [cards]}]``."""
    found: dict[str, Mask] = {}
    known = ("name", "matches", "keywords", "patterns", "keyword_sets")
    for item in reader.items(node, "masks") or ():
        fields = reader.fields(item, "a mask", known, required=("name",))
        if fields is None:
            continue
        name = reader.text(fields.get("name"), "a mask's name", longest=60) or ""
        if name in found:
            reader.problem(item, f"there are two masks named {name!r}")
        if not name.isprintable() or "⟦" in name or "⟧" in name:
            reader.problem(item, "a mask's name is printable and has no ⟦ or ⟧")
        what = f"mask {name!r}"
        patterns = (
            *read_patterns(reader, names, fields.get("matches"), f"{what}: matches", pattern),
            *read_patterns(reader, names, fields.get("keywords"), f"{what}: keywords", keyword),
            *read_named_sets(reader, fields.get("patterns"), f"{what}: patterns", "patterns", names.patterns),
            *read_named_sets(reader, fields.get("keyword_sets"), f"{what}: keyword_sets", "keywords", names.keywords),
        )
        if not patterns and fields.keys() <= {"name"}:
            reader.problem(item, f"{what} says nothing about what to mask: name one of {', '.join(known[1:])}")
        found[name] = Mask(name, patterns)
    return tuple(found.values())


class Masks:
    """All masks of one policy, compiled. Immutable; safe for any number of threads."""

    __slots__ = ("_names", "_patterns")

    def __init__(self, masks: Sequence[Mask] = ()) -> None:
        """Raises BadPattern when the patterns are too large together."""
        pairs = [(mask.name, pattern) for mask in masks for pattern in mask.patterns]
        self._names = tuple(name for name, _ in pairs)
        self._patterns = PatternSet([pattern for _, pattern in pairs])

    def secrets(self, text: str) -> list[tuple[int, int, str]]:
        """The (start, end, name of the mask) of every secret, in order, without overlap.

        Overlapping and touching ones are one secret, of the mask that stands first in the document. A text that cannot
        be looked at is one secret as a whole.
        """
        if not self._names:
            return []
        try:
            found = find(self._patterns, text)
        except NotInspected:
            return [(0, len(text), "text that could not be inspected")] if text else []
        spans = sorted((start, end, order) for order, spans in enumerate(found) for start, end in spans)
        merged: list[tuple[int, int, int]] = []
        for start, end, order in spans:
            if merged and start <= merged[-1][1]:
                first, last, earliest = merged[-1]
                merged[-1] = first, max(last, end), min(earliest, order)
            else:
                merged.append((start, end, order))
        return [(start, end, self._names[order]) for start, end, order in merged]


@dataclass(frozen=True, slots=True)
class Masked:
    """``text`` with a token in place of each secret; ``originals`` maps each token to what it stands for."""

    text: str
    originals: Mapping[str, str] = field(default_factory=dict)


def mask(text: str, masks: Masks) -> Masked:
    """``text`` as it may be shown."""
    secrets = masks.secrets(text)
    if not secrets:
        return Masked(text)
    tokens: dict[tuple[str, str], str] = {}
    counts: dict[str, int] = {}
    pieces, position = [], 0
    for start, end, name in secrets:
        key = name, text[start:end]
        if key not in tokens:
            tokens[key] = _new_token(name, counts, text)
        pieces += [text[position:start], tokens[key]]
        position = end
    pieces.append(text[position:])
    return Masked("".join(pieces), {token: original for (_, original), token in tokens.items()})


def restore(text: str, originals: Mapping[str, str]) -> str:
    """``text`` with every token of ``originals`` replaced, in one pass: what is put in is not looked at again."""
    pieces, position = [], 0
    while (start := text.find(_OPEN, position)) >= 0:
        end = text.find(_CLOSE, start) + 1
        token = text[start:end] if end else ""
        if token in originals:
            pieces += [text[position:start], originals[token]]
            position = end
        else:
            pieces.append(text[position : start + 1])
            position = start + 1
    return "".join([*pieces, text[position:]])


def _new_token(name: str, counts: dict[str, int], text: str) -> str:
    while True:
        counts[name] = counts.get(name, 0) + 1
        token = f"{_OPEN}{name} {counts[name]}{_CLOSE}"
        if token not in text:
            return token
