"""What the document defines for its other sections to refer to: sets of ``patterns`` and ``keywords``, connections, groups. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from yaml.nodes import Node

from holdpoint.policy.patterns import MAX_PATTERNS, MAX_TOTAL_PROGRAM_SIZE, BadPattern, TextPattern, keyword
from holdpoint.policy.reading import Reader, suggestion

PatternSets = Mapping[str, tuple[TextPattern, ...]]


@dataclass
class Names:
    """What the rest of the document defines, for what is read after it to refer to."""

    patterns: PatternSets = field(default_factory=dict)
    keywords: PatternSets = field(default_factory=dict)
    connections: Collection[str] = ()
    environments: Collection[str] = ()
    groups: Collection[str] = ()
    warned_groups: set[str] = field(default_factory=set)
    pattern_count: int = 0
    program_size: int = 0

    def check_group(self, reader: Reader, node: Node, group: str) -> None:
        """Warn, once a group, of a name that only keys and tokens can carry."""
        if group not in self.groups and group not in self.warned_groups:
            self.warned_groups.add(group)
            hint = suggestion(group, self.groups) or ": only keys and tokens can carry it"
            reader.warn(node, f"group {group!r} has no entry under groups{hint}")


def read_group(reader: Reader, node: Node | None, names: Names) -> str | None:
    """The name of one group, which may have no entry of its own."""
    group = reader.text(node, "group", longest=200)
    if node is not None and group is not None:
        names.check_group(reader, node, group)
    return group


def read_sets(
    reader: Reader, node: Node | None, section: str, names: Names, make: Callable[[str], TextPattern]
) -> dict[str, tuple[TextPattern, ...]]:
    """``patterns`` or ``keywords``: name → list."""
    return {
        name: read_patterns(reader, names, value, f"{section}.{name}", make)
        for name, _, value in reader.entries(node, section) or ()
    }


def read_patterns(
    reader: Reader, names: Names, node: Node | None, what: str, make: Callable[[str], TextPattern]
) -> tuple[TextPattern, ...]:
    """The patterns (or keywords) of one list."""
    found = []
    for item in reader.items(node, what) or ():
        source = reader.raw(item, what) if make is keyword else reader.text(item, f"an item of {what}")
        if source is None:
            continue
        names.pattern_count += 1
        if names.pattern_count > MAX_PATTERNS:
            if names.pattern_count == MAX_PATTERNS + 1:
                reader.problem(item, f"{what}: the document has more than {MAX_PATTERNS} patterns and keywords")
            continue
        if names.program_size > MAX_TOTAL_PROGRAM_SIZE:
            continue  # reported when it was passed
        try:
            made = make(source)
        except BadPattern as error:
            shown = repr(source) if len(source) <= 60 else "the pattern"
            reader.problem(item, f"{what}: {shown} {error}")
            continue
        names.program_size += made.size
        if names.program_size > MAX_TOTAL_PROGRAM_SIZE:
            said = "all patterns together are too large once their counted repetitions are written out"
            reader.problem(item, f"{what}: {said}")
        if made.in_nothing:
            reader.warn(item, f"{what}: {source!r} matches every text, an empty one too")
        found.append(made)
    return tuple(found)


def read_named_sets(
    reader: Reader, node: Node | None, what: str, section: str, sets: PatternSets
) -> tuple[TextPattern, ...]:
    """The patterns of all the sets that a list names."""
    found: tuple[TextPattern, ...] = ()
    for item in reader.items(node, what) or ():
        name = reader.text(item, f"an item of {what}")
        if name is None:
            continue
        if name not in sets:
            reader.problem(item, f"{what}: there is no set {name!r} under {section}{suggestion(name, sets)}")
        found += sets.get(name, ())
    return found
