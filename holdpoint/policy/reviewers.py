"""Who has to decide, and who joins later: ``reviewers`` and ``escalate``, of a rule and of the defaults. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from yaml.nodes import Node

from holdpoint.model import Escalation, Requirement
from holdpoint.policy.names import Names, read_group
from holdpoint.policy.reading import Reader

MAX_APPROVALS = 20


def read_reviewers(reader: Reader, node: Node | None, names: Names) -> tuple[Requirement, ...]:
    """``[{group: leads}, {group: security, approvals: 2, after: leads}]``."""
    found: dict[str, Requirement] = {}
    for item in reader.items(node, "reviewers") or ():
        fields = reader.fields(item, "an entry of reviewers", ("group", "approvals", "after"), required=("group",))
        if fields is None:
            continue
        group = read_group(reader, fields.get("group"), names)
        approvals = reader.number(fields.get("approvals"), "approvals", least=1) or 1
        if approvals > MAX_APPROVALS:
            reader.problem(item, f"approvals must be at most {MAX_APPROVALS}")
        if group is None:
            continue
        if group in found:
            reader.problem(item, f"reviewers names the group {group!r} twice")
        found[group] = Requirement(group, approvals, after=_read_after(reader, fields.get("after"), found))
    return tuple(found.values())


def _read_after(reader: Reader, node: Node | None, before: Collection[str]) -> tuple[str, ...]:
    """``after: leads``, or a list: groups that the same list names further up, so that nobody waits for themselves."""
    if node is None:
        return ()
    single = isinstance(node.value, str)
    groups = (reader.text(node, "after") or "",) if single else reader.texts(node, "after") or ()
    for group in filter(None, groups):
        if group not in before:
            reader.problem(node, f"after names {group!r}: name a group that stands further up in the same reviewers")
    return tuple(dict.fromkeys(filter(None, groups)))


def check_order(reader: Reader, every: Iterable[tuple[int, Sequence[Requirement]]]) -> None:
    """No two rules ask for the same groups in opposite orders: of a request that matches both, nobody's turn would come.

    ``every``: the requirements of each rule and of the defaults, with the line that a problem is put in.
    """
    after: dict[str, set[str]] = {}
    for line, requirements in every:
        for each in requirements:
            for group in each.after:
                if each.group in _all_before(group, after):
                    reader.problem(line, f"reviewers: {each.group!r} comes after {group!r} here, and before elsewhere")
                else:
                    after.setdefault(each.group, set()).add(group)


def _all_before(group: str, after: Mapping[str, set[str]]) -> set[str]:
    """``group``, and whatever comes before it."""
    found: set[str] = set()
    waiting = [group]
    while waiting:
        found.add(each := waiting.pop())
        waiting += after.get(each, set()) - found
    return found


def read_escalations(reader: Reader, node: Node | None, names: Names) -> tuple[Escalation, ...]:
    """``[{after: 10m, group: leads}]``, the earliest first."""
    found = []
    for item in reader.items(node, "escalate") or ():
        fields = reader.fields(item, "an entry of escalate", ("after", "group"), required=("after", "group"))
        if fields is None:
            continue
        after_ms = reader.duration(fields.get("after"), "after")
        group = read_group(reader, fields.get("group"), names)
        if after_ms is not None and group is not None:
            found.append(Escalation(after_ms, group))
    return tuple(sorted(found, key=lambda step: (step.after_ms, step.group)))
