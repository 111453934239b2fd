"""The texts that patterns look at: the prompt, the tools, and the prompt of certain roles only. Pure.

::

    Catalogue (while compiling: number every pattern) ─ Views ─ look(parts) ─▶ Looked: hits, and spans by part

Each view joins the texts of its parts with newlines and runs one pattern set over them. The prompt's view is there for
every request; one for certain roles only where a rule asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdpoint.model import Part, PartRole
from holdpoint.policy.matchers import PatternSet
from holdpoint.policy.patterns import TextPattern
from holdpoint.policy.spans import Inspected, Offsets, Search


class Catalogue:
    """Numbers the patterns of all rules: the same pattern in the same view is one."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[tuple[PartRole, ...], str], int] = {}
        self.views: dict[tuple[PartRole, ...], tuple[list[int], list[TextPattern]]] = {}

    def number(self, roles: tuple[PartRole, ...], pattern: TextPattern) -> int:
        """The pattern's number, a new one when it is new in this view."""
        key = roles, pattern.regex
        if key not in self._numbers:
            number = self._numbers[key] = len(self._numbers)
            numbers, patterns = self.views.setdefault(roles, ([], []))
            numbers.append(number)
            patterns.append(pattern)
        return self._numbers[key]


class _View:
    __slots__ = ("numbers", "patterns", "roles")

    def __init__(self, roles: tuple[PartRole, ...], numbers: Sequence[int], patterns: PatternSet) -> None:
        self.roles = roles
        self.numbers = tuple(numbers)
        self.patterns = patterns


class Views:
    """All views of one policy. Immutable; safe for any number of threads. ``size`` counts all patterns' instructions."""

    __slots__ = ("_views", "size")

    def __init__(self, catalogue: Catalogue) -> None:
        """Raises BadPattern when the patterns of one view are too large together."""
        self._views = tuple(
            _View(roles, numbers, PatternSet(patterns)) for roles, (numbers, patterns) in catalogue.views.items()
        )
        self.size = sum(pattern.size for _, patterns in catalogue.views.values() for pattern in patterns)

    def look(self, parts: Sequence[Part]) -> Looked:
        """Run every view over the parts of one query.

        Raises:
            NotInspected: the engine could not look at all of it.
        """
        found: list[tuple[_View, Inspected]] = []
        for view in self._views:
            roles = view.roles
            inspected = view.patterns.inspect("\n".join([part.text for part in parts if part.role in roles]))
            if inspected is not None:
                found.append((view, inspected))
        return Looked(parts, found) if found else NOTHING


class Looked:
    """What the views found in the parts of one query."""

    __slots__ = ("_found", "_layouts", "_parts", "_shown", "hits")

    def __init__(self, parts: Sequence[Part], found: list[tuple[_View, Inspected]]) -> None:
        self._parts = parts
        self._layouts: dict[tuple[PartRole, ...], tuple[list[int], Offsets]] = {}
        self._shown = Search(for_edit=False)
        self._found: dict[int, tuple[_View, Inspected, int]] = {
            view.numbers[index]: (view, inspected, index) for view, inspected in found for index in inspected.hits
        }
        self.hits = frozenset(self._found)

    def spans(self, number: int, search: Search | None = None) -> Iterator[tuple[int, int, int]]:
        """Where pattern ``number`` matched, as (index of the part, start, end); nothing when it did not match.

        Without ``search`` all calls share one bound on the work that goes into showing.
        """
        if number not in self._found:
            return
        view, inspected, index = self._found[number]
        if view.roles not in self._layouts:
            places = [place for place, part in enumerate(self._parts) if part.role in view.roles]
            self._layouts[view.roles] = places, Offsets.of([self._parts[place].text for place in places])
        places, offsets = self._layouts[view.roles]
        for start, end in inspected.spans(index, search or self._shown):
            for text, first, last in offsets.split(start, end):
                yield places[text], first, last


NOTHING = Looked((), [])
