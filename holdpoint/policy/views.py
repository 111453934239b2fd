"""The texts that patterns look at: the prompt, the tools, and the prompt of certain roles only. Pure.

::

    Catalogue (while compiling: number every pattern) ─ Views ─ look(parts) ─▶ Looked: hits, and spans by part

Each view joins the texts of its parts with newlines and runs one pattern set over them. The prompt's view is there for
every request; one for certain roles only where a rule asks for it. A content that is a list of several texts is looked at
once more as one text: many chat templates print them so. So is what a tool is called with, without the escapes of JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdpoint.model import Part, PartRole
from holdpoint.policy.matchers import PatternSet
from holdpoint.policy.patterns import TextPattern
from holdpoint.policy.spans import Inspected, Offsets, Search

_DEFINITION, _PARAMETER = PartRole.DEFINITION, PartRole.PARAMETER  # names of an enum take long to look up
_LISTS = ("/content/", "/output/")  # in the paths of what is said in a list: of a message, and by a tool


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
        found: list[_Reading] = []
        lists, escaped = _read_otherwise(parts)
        for view in self._views:
            roles = view.roles
            inspected = view.patterns.inspect("\n".join([part.text for part in parts if part.role in roles]))
            if inspected is not None:
                found.append(_Reading(view, inspected, None))
            runs = [run for run in lists if parts[run[0]].role in roles] if lists else None
            if runs:
                text = "\n".join(["".join([parts[place].text for place in run]) for run in runs])
                inspected = view.patterns.inspect(text)
                if inspected is not None:
                    found.append(_Reading(view, inspected, runs))
            runs = [[place] for place in escaped if parts[place].role in roles] if escaped else None
            if runs:
                inspected = view.patterns.inspect_escaped("\n".join([parts[place].text for (place,) in runs]))
                if inspected is not None:
                    found.append(_Reading(view, inspected, runs))
        return Looked(parts, found) if found else NOTHING


def _read_otherwise(parts: Sequence[Part]) -> tuple[list[list[int]], list[int]]:
    """The places of the texts of each content that is a list with several; and those of JSON that has escapes."""
    lists: dict[str, list[int]] = {}
    escaped: list[int] = []
    for place, part in enumerate(parts):
        path = part.path
        if part.role is _DEFINITION or path.endswith("/content"):  # nearly all of them
            continue
        if path.endswith("/arguments"):
            if "\\" in part.text:
                escaped.append(place)
        elif part.role is not _PARAMETER and not path.endswith("/type"):
            for member in _LISTS:
                if member in path:
                    lists.setdefault(path.rpartition(member)[0], []).append(place)
                    break
    return [places for places in lists.values() if len(places) > 1], escaped


class _Reading:
    """One text that a view has looked at: the parts one a line, or ``runs`` of them, which are places."""

    __slots__ = ("_layout", "_runs", "inspected", "view")

    def __init__(self, view: _View, inspected: Inspected, runs: list[list[int]] | None) -> None:
        self.view = view
        self.inspected = inspected
        self._runs = runs
        self._layout: tuple[list[int], Offsets] | None = None

    def layout(self, parts: Sequence[Part]) -> tuple[list[int], Offsets]:
        """The places of its texts, and where each of them stands."""
        if self._layout is None:
            runs = self._runs
            if runs is None:
                runs = [[place] for place, part in enumerate(parts) if part.role in self.view.roles]
            places = [place for run in runs for place in run]
            self._layout = places, Offsets.of([[parts[place].text for place in run] for run in runs])
        return self._layout


class Looked:
    """What the views found in the parts of one query."""

    __slots__ = ("_found", "_parts", "_shown", "hits")

    def __init__(self, parts: Sequence[Part], found: list[_Reading]) -> None:
        self._parts = parts
        self._shown = Search(for_edit=False)
        self._found: dict[int, list[tuple[_Reading, int]]] = {}
        for reading in found:
            for index in reading.inspected.hits:
                self._found.setdefault(reading.view.numbers[index], []).append((reading, index))
        self.hits = frozenset(self._found)

    def spans(self, number: int, search: Search | None = None) -> Iterator[tuple[int, int, int]]:
        """Where pattern ``number`` matched, as (index of the part, start, end); nothing when it did not match.

        Without ``search`` all calls share one bound on the work that goes into showing.
        """
        for reading, index in self._found.get(number, ()):
            places, offsets = reading.layout(self._parts)
            for start, end in reading.inspected.spans(index, search or self._shown):
                for text, first, last in offsets.split(start, end):
                    yield places[text], first, last


NOTHING = Looked((), [])
