"""The ``when`` of a rule: YAML nodes → `Condition`. One small reader per field; every problem is kept. Pure."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from yaml.nodes import Node, ScalarNode

from holdpoint.model import PartRole
from holdpoint.policy.condition_tree import (
    AllOf,
    AnyOf,
    Condition,
    Flag,
    FlagTest,
    NameTest,
    Not,
    Quantity,
    RangeTest,
    Subject,
    Test,
    TextTest,
    TimeTest,
)
from holdpoint.policy.names import Names, read_named_sets, read_patterns
from holdpoint.policy.patterns import keyword, pattern
from holdpoint.policy.reading import Reader, suggestion
from holdpoint.policy.schedule import DAYS, Window, parse_time_of_day, parse_zone

# Read by identity on the hot path: the roles that nearly every part has come first.
PROMPT_ROLES = (PartRole.USER, PartRole.SYSTEM, PartRole.ASSISTANT, PartRole.TOOL, PartRole.PARAMETER)
TOOL_ROLES = (PartRole.DEFINITION,)

_TEXT_FIELDS = ("matches", "keywords", "patterns", "keyword_sets")
_FIELDS = (
    "prompt", "tool_text", "any", "all", "not", "unless", "time",
    *(subject.value for subject in Subject),
    *(quantity.value for quantity in Quantity),
    *(flag.value for flag in Flag),
)  # fmt: skip  # grouped by kind


class WhenReader:
    """Reads conditions. ``exception`` is set below `unless` and `not`, where what holds makes the rule hold less."""

    def __init__(self, reader: Reader, names: Names) -> None:
        self._reader = reader
        self._names = names

    def condition(self, node: Node | None, what: str = "when", *, exception: bool = False) -> Condition:
        """One mapping of fields, and-ed."""
        fields = self._reader.fields(node, what, _FIELDS) or {}
        tests: list[Test | None] = []
        unless = None
        for name, value in fields.items():
            inner = f"{what}.{name}"
            match name:
                case "unless":
                    unless = self._not_empty(value, inner, exception=True)
                case "any" | "all":
                    conditions = self._conditions(value, inner, exception=exception)
                    tests.append(AnyOf(conditions) if name == "any" else AllOf(conditions))
                case "not":
                    tests.append(Not(self._not_empty(value, inner, exception=not exception)))
                case "prompt" | "tool_text":
                    if exception:
                        self._reader.warn(
                            value, f"{inner}: whoever writes the request can make this exception hold by its text"
                        )
                    tests.append(self._text(value, inner))
                case "time":
                    tests.append(self._time(value, inner))
                case _ if name in set(Subject):
                    tests.append(self._names_test(Subject(name), value, inner))
                case _ if name in set(Quantity):
                    tests.append(self._range(Quantity(name), value, inner))
                case _:
                    flag = self._reader.flag(value, inner)
                    tests.append(None if flag is None else FlagTest(Flag(name), flag))
        return Condition(tuple(test for test in tests if test is not None), unless)

    def _not_empty(self, node: Node, what: str, *, exception: bool) -> Condition:
        found = self.condition(node, what, exception=exception)
        if not found.tests and found.unless is None and not getattr(node, "value", True):
            self._reader.problem(node, f"{what} is empty: it would hold for every request")
        return found

    def _conditions(self, node: Node, what: str, *, exception: bool) -> tuple[Condition, ...]:
        items = self._reader.items(node, what) or []
        return tuple(self._not_empty(item, f"{what}[{i}]", exception=exception) for i, item in enumerate(items))

    def _text(self, node: Node, what: str) -> TextTest | None:
        in_prompt = what.endswith("prompt")
        known = (*_TEXT_FIELDS, "roles") if in_prompt else _TEXT_FIELDS
        fields = self._reader.fields(node, what, known)
        if fields is None:
            return None
        if not fields and not getattr(node, "value", ()):
            self._reader.problem(node, f"{what} is empty: name one of {', '.join(known)}")
        read, names = self._reader, self._names
        patterns = (
            *read_patterns(read, names, fields.get("matches"), f"{what}.matches", pattern),
            *read_patterns(read, names, fields.get("keywords"), f"{what}.keywords", keyword),
            *read_named_sets(read, fields.get("patterns"), f"{what}.patterns", "patterns", names.patterns),
            *read_named_sets(read, fields.get("keyword_sets"), f"{what}.keyword_sets", "keywords", names.keywords),
        )
        roles = self._roles(fields.get("roles"), f"{what}.roles") if in_prompt else TOOL_ROLES
        if not patterns and any(name in fields for name in _TEXT_FIELDS):
            return None  # every pattern was a problem of its own
        return TextTest(roles, patterns)

    def _roles(self, node: Node | None, what: str) -> tuple[PartRole, ...]:
        items = self._reader.items(node, what) or []
        words = {self._reader.word(item, what, PartRole, without=TOOL_ROLES) for item in items}
        return tuple(role for role in PROMPT_ROLES if role in words) or PROMPT_ROLES

    def _names_test(self, subject: Subject, node: Node, what: str) -> NameTest | None:
        items = self._reader.items(node, what)
        if items is None:
            return None
        found = []
        for item in items:
            name = self._reader.text(item, f"an item of {what}", longest=500)
            if name is None:
                continue
            self._check_name(subject, item, name, what)
            found.append(name)
        return NameTest(subject, tuple(found)) if found else None

    def _check_name(self, subject: Subject, node: Node, name: str, what: str) -> None:
        if subject is Subject.GROUPS:
            self._names.check_group(self._reader, node, name)
        elif subject is Subject.CONNECTIONS and name not in self._names.connections:
            self._reader.problem(node, f"{what}: no connection {name!r}{suggestion(name, self._names.connections)}")
        elif subject is Subject.ENVIRONMENTS and name not in self._names.environments:
            hint = suggestion(name, self._names.environments)
            self._reader.problem(node, f"{what}: no connection is in the environment {name!r}{hint}")

    def _range(self, quantity: Quantity, node: Node, what: str) -> RangeTest | None:
        known = ("over", "under", "missing") if quantity is Quantity.MAX_TOKENS else ("over", "under")
        fields = self._reader.fields(node, what, known)
        if fields is None:
            return None
        read = self._reader.size if quantity is Quantity.SIZE else self._reader.number
        over = read(fields.get("over"), f"{what}.over")
        under = read(fields.get("under"), f"{what}.under")
        missing = self._reader.flag(fields.get("missing"), f"{what}.missing")
        if not fields:
            self._reader.problem(node, f"{what} is empty: name over or under")
        if over is not None and under is not None and under <= over + 1:
            self._reader.problem(node, f"{what}: nothing is over {over} and under {under}")
        if missing is None:
            # A request without a limit may get any number of tokens: that is over every limit.
            missing = over is not None and under is None
        return RangeTest(quantity, over, under, missing)

    def _time(self, node: Node, what: str) -> TimeTest | None:
        fields = self._reader.fields(node, what, ("days", "between", "zone"))
        if fields is None:
            return None
        if "days" not in fields and "between" not in fields:
            self._reader.problem(node, f"{what}: name days or between")
        days = frozenset(self._days(fields.get("days"), f"{what}.days"))
        start, end = self._between(fields.get("between"), f"{what}.between")
        zone = self._reader.parsed(fields.get("zone"), f"{what}.zone", parse_zone) or ZoneInfo("UTC")
        return TimeTest(Window(days, start, end, zone))

    def _days(self, node: Node | None, what: str) -> list[int]:
        if node is None:
            return list(range(7))
        found = []
        for item in self._reader.items(node, what) or ():
            day = self._reader.raw(item, what)
            if day is not None and day.lower() in DAYS:
                found.append(DAYS.index(day.lower()))
            elif day is not None:
                self._reader.problem(item, f"{what}: {day!r} is not a day: it is one of {', '.join(DAYS)}")
        return found

    def _between(self, node: Node | None, what: str) -> tuple[int, int]:
        """``["22:00", "06:00"]`` or ``22:00-06:00``, in minutes."""
        if node is None:
            return 0, 24 * 60
        if isinstance(node, ScalarNode):
            texts: list[tuple[Node, str]] = [(node, part.strip()) for part in node.value.split("-")]
        else:
            texts = [(item, self._reader.raw(item, what) or "") for item in self._reader.items(node, what) or ()]
        if len(texts) != 2:
            self._reader.problem(node, f'{what} is two times: write ["22:00", "06:00"]')
            return 0, 24 * 60
        minutes = []
        for item, text in texts:
            try:
                minutes.append(parse_time_of_day(text))
            except ValueError as error:
                self._reader.problem(item, f"{what}: {text!r} {error}")
        if len(minutes) != 2:
            return 0, 24 * 60
        start, end = minutes
        if start in (end, 24 * 60):
            self._reader.problem(node, f"{what}: the window is empty")
        return start, end
