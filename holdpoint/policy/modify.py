"""What `modify` rules put in place of what they matched. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from holdpoint.model import Part
from holdpoint.policy.spans import Search
from holdpoint.policy.verdicts import Ruling
from holdpoint.policy.views import Looked


def rewrite(parts: Sequence[Part], rulings: Sequence[Ruling], looked: Looked) -> dict[int, str]:
    """New texts by index of the part, with every match of the rulings' patterns replaced; only the parts that change.

    Overlapping and touching matches are replaced together, by what the first of their rules puts in place.
    """
    search = Search(for_edit=True)
    found: dict[int, list[tuple[int, int, int]]] = {}
    for order, ruling in enumerate(rulings):
        for number in sorted(ruling.patterns & looked.hits):
            for place, start, end in looked.spans(number, search):
                found.setdefault(place, []).append((start, end, order))
    changed = {}
    for place, spans in found.items():
        text = parts[place].text
        new = _replaced(text, spans, [ruling.replacement or "" for ruling in rulings])
        if new != text:
            changed[place] = new
    return changed


def _replaced(text: str, spans: list[tuple[int, int, int]], replacements: Sequence[str]) -> str:
    merged: list[tuple[int, int, int]] = []
    for start, end, order in sorted(spans):
        if merged and start <= merged[-1][1]:
            first, last, earliest = merged[-1]
            merged[-1] = first, max(last, end), min(earliest, order)
        else:
            merged.append((start, end, order))
    pieces, position = [], 0
    for start, end, order in merged:
        pieces += [text[position:start], replacements[order]]
        position = end
    return "".join([*pieces, text[position:]])
