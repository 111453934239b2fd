"""One entry of ``rules``: YAML nodes → `Rule`, with the reviewers, times and outcomes that defaults fill in. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from yaml.nodes import Node

from holdpoint.model import Escalation, OnTimeout, Requirement, Risk, Verdict
from holdpoint.policy.conditions import needs_text, replaced_patterns
from holdpoint.policy.document import Condition, Defaults, Rule, RuleMode
from holdpoint.policy.reading import Reader, line_of
from holdpoint.policy.terms import TERM_FIELDS, read_terms
from holdpoint.policy.when import Names, WhenReader

REDACTED = "[redacted]"
PAUSE = "pause"
RESERVED_IDS = ("default", "uninspectable", PAUSE)  # hits that no rule of a document makes carry these
MAX_APPROVALS = 20

_FIELDS = (
    "id", "description", "when", "verdict", "risk", "enabled", "mode",
    "reviewers", "timeout", "escalate", "on_timeout", *TERM_FIELDS, "modify",
)  # fmt: skip  # those of every rule, then those of one verdict
_ONLY_REVIEW = ("reviewers", "timeout", "escalate", "on_timeout", *TERM_FIELDS)


def read_rules(reader: Reader, node: Node | None, names: Names, defaults: Defaults) -> tuple[Rule, ...]:
    """Every enabled rule, in order."""
    rules = []
    ids: dict[str, int] = {}
    for item in _entries(reader, node):
        rule = _read_rule(reader, item, names, defaults, ids)
        reader.rule = None
        if rule is not None:
            rules.append(rule)
    _check_order(reader, rules, defaults.requirements)
    return tuple(rules)


def _entries(reader: Reader, node: Node | None) -> Sequence[Node]:
    if node is None or not node.value:
        reader.warn(node or 1, "there are no rules: every request gets defaults.verdict")
        return ()
    return reader.items(node, "rules") or ()


def _read_rule(reader: Reader, node: Node, names: Names, defaults: Defaults, ids: dict[str, int]) -> Rule | None:
    reader.rule = _id_of(node)
    fields = reader.fields(node, "a rule", _FIELDS, required=("id", "verdict"))
    if fields is None:
        return None
    rule_id = _read_id(reader, fields.get("id"), ids)
    verdict = reader.word(fields.get("verdict"), "verdict", Verdict)
    description = reader.text(fields.get("description"), "description", longest=500) or ""
    risk = reader.word(fields.get("risk"), "risk", Risk) or defaults.risk
    enabled = reader.flag(fields.get("enabled"), "enabled")
    mode = _read_mode(reader, fields.get("mode"))
    when = WhenReader(reader, names).condition(fields.get("when"))
    if not getattr(fields.get("when"), "value", None):
        reader.warn(node, "has no conditions: it matches every request")
    if verdict is Verdict.ALLOW:
        reader.warn(node, "verdict allow changes nothing, the strictest verdict wins: write exceptions as `unless`")
    if verdict is not None and verdict is not Verdict.REVIEW:
        _refuse(reader, fields, _ONLY_REVIEW, f"belongs to verdict review, not {verdict.value}")
    if verdict is not None and verdict is not Verdict.MODIFY:
        _refuse(reader, fields, ("modify",), f"belongs to verdict modify, not {verdict.value}")
    replacement = _read_modify(reader, node, fields, when) if verdict is Verdict.MODIFY else None
    rule = Rule(
        rule_id or "", description, when, verdict or Verdict.BLOCK, risk, line_of(node), replacement=replacement
    )
    if verdict is Verdict.REVIEW:
        rule = _read_review(reader, node, fields, names, defaults, rule)
    return None if enabled is False else replace(rule, mode=mode)


def _read_mode(reader: Reader, node: Node | None) -> RuleMode:
    mode = reader.word(node, "mode", RuleMode) or RuleMode.ENFORCE
    if node is not None and mode is RuleMode.SHADOW:
        reader.warn(node, "mode shadow: the rule is recorded where it matches, and changes nothing")
    return mode


def _id_of(node: Node) -> str | None:
    """The id, before anything is checked, so that every problem can name it."""
    for pair in node.value if isinstance(node.value, list) else ():
        if isinstance(pair, tuple) and pair[0].value == "id" and isinstance(pair[1].value, str):
            return str(pair[1].value)
    return None


def _read_id(reader: Reader, node: Node | None, ids: dict[str, int]) -> str | None:
    rule_id = reader.text(node, "id", longest=64)
    if node is None or rule_id is None:
        return None
    if not (
        rule_id[0].isalnum()
        and rule_id.isascii()
        and rule_id.replace("-", "").replace("_", "").replace(".", "").isalnum()
    ):
        reader.problem(node, "id is made of letters, digits, '-', '_' and '.', and starts with a letter or digit")
    elif rule_id in RESERVED_IDS:
        reader.problem(node, f"id {rule_id!r} is reserved for hits that no rule makes")
    elif rule_id in ids:
        reader.problem(node, f"id {rule_id!r} is taken by the rule in line {ids[rule_id]}")
    else:
        ids[rule_id] = line_of(node)
    return rule_id


def _refuse(reader: Reader, fields: dict[str, Node], names: Sequence[str], why: str) -> None:
    for name in names:
        if name in fields:
            reader.problem(fields[name], f"{name} {why}")


def _read_modify(reader: Reader, node: Node, fields: dict[str, Node], when: Condition) -> str | None:
    inner = reader.fields(fields.get("modify"), "modify", ("replace", "redact"))
    if inner is None:
        if "modify" not in fields:
            reader.problem(node, "verdict modify needs modify: {redact: true} or {replace: text}")
        return None
    if len(inner) != 1:
        reader.problem(fields["modify"], "modify is either {redact: true} or {replace: text}")
        return None
    replacement = reader.text(inner.get("replace"), "modify.replace", empty=True)
    if reader.flag(inner.get("redact"), "modify.redact") is False:
        reader.problem(inner["redact"], "modify.redact can only be true: leave the rule out instead")
    if "redact" in inner:
        replacement = REDACTED
    if not needs_text(when):
        reader.problem(node, "verdict modify needs a text condition that must hold: there is nothing to replace")
    elif replacement is not None and any(p.matches(replacement) for p in replaced_patterns(when)):
        reader.problem(fields["modify"], "what modify puts in place matches the rule's own pattern again")
    return replacement


def _read_review(
    reader: Reader, node: Node, fields: dict[str, Node], names: Names, defaults: Defaults, rule: Rule
) -> Rule:
    requirements = read_reviewers(reader, fields.get("reviewers"), names) if "reviewers" in fields else ()
    if "reviewers" not in fields:
        requirements = defaults.requirements
        if not requirements:
            reader.problem(node, "nobody may decide: name reviewers here, in defaults, or roles.admins")
    timeout_ms = reader.duration(fields.get("timeout"), "timeout") or defaults.timeout_ms
    escalations = _read_escalations(reader, fields.get("escalate"), names)
    on_timeout = reader.word(fields.get("on_timeout"), "on_timeout", OnTimeout) or defaults.on_timeout
    if on_timeout is OnTimeout.ESCALATE and not escalations:
        reader.problem(fields.get("on_timeout", node), "on_timeout escalate needs escalate: [{after, group}]")
    if on_timeout is OnTimeout.ALLOW:
        reader.warn(fields["on_timeout"], "on_timeout allow: what nobody looks at in time is released")
    if on_timeout is not OnTimeout.ESCALATE:
        for step in escalations:
            if step.after_ms >= timeout_ms:
                reader.warn(fields["escalate"], f"{step.group!r} never joins: the timeout comes first")
    return Rule(
        rule.id, rule.description, rule.when, rule.verdict, rule.risk, rule.line,
        requirements, timeout_ms, escalations, on_timeout, terms=read_terms(reader, fields),
    )  # fmt: skip  # the fields of every rule, then those of a review


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


def _check_order(reader: Reader, rules: Sequence[Rule], defaults: Sequence[Requirement]) -> None:
    """No two rules ask for the same groups in opposite orders: of a request that matches both, nobody's turn would come."""
    after: dict[str, set[str]] = {}
    for line, requirements in [(1, defaults), *((rule.line, rule.requirements) for rule in rules)]:
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


def read_group(reader: Reader, node: Node | None, names: Names) -> str | None:
    group = reader.text(node, "group", longest=200)
    if node is not None and group is not None:
        names.check_group(reader, node, group)
    return group


def _read_escalations(reader: Reader, node: Node | None, names: Names) -> tuple[Escalation, ...]:
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
