"""``rules``: their types, and YAML nodes → `Rule`, with the reviewers, times and outcomes that defaults fill in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from yaml.nodes import Node

from holdpoint.model import USUAL_TERMS, Escalation, OnTimeout, Requirement, ReviewTerms, Risk, Verdict
from holdpoint.policy.condition_tree import Condition, needs_text, replaced_patterns
from holdpoint.policy.defaults import Defaults
from holdpoint.policy.names import Names
from holdpoint.policy.reading import Reader, line_of
from holdpoint.policy.reviewers import check_order, read_escalations, read_reviewers
from holdpoint.policy.terms import TERM_FIELDS, read_terms
from holdpoint.policy.when import WhenReader

REDACTED = "[redacted]"
PAUSE = "pause"
RESERVED_IDS = ("default", "uninspectable", PAUSE)  # hits that no rule of a document makes carry these

_FIELDS = (
    "id", "description", "when", "verdict", "risk", "enabled", "mode",
    "reviewers", "timeout", "escalate", "on_timeout", *TERM_FIELDS, "modify",
)  # fmt: skip  # those of every rule, then those of one verdict
_ONLY_REVIEW = ("reviewers", "timeout", "escalate", "on_timeout", *TERM_FIELDS)


class RuleMode(StrEnum):
    """Whether a rule counts. In shadow it is evaluated and recorded, and changes nothing."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``replacement`` is what `modify` puts in place. ``requirements`` are resolved (never empty for `review`)."""

    id: str
    description: str
    when: Condition
    verdict: Verdict
    risk: Risk
    line: int
    requirements: tuple[Requirement, ...] = ()
    timeout_ms: int = 0
    escalations: tuple[Escalation, ...] = ()
    on_timeout: OnTimeout = OnTimeout.REJECT
    replacement: str | None = None
    terms: ReviewTerms = USUAL_TERMS
    mode: RuleMode = RuleMode.ENFORCE


def read_rules(reader: Reader, node: Node | None, names: Names, defaults: Defaults) -> tuple[Rule, ...]:
    """Every enabled rule, in order."""
    rules = []
    ids: dict[str, int] = {}
    for item in _entries(reader, node):
        rule = _read_rule(reader, item, names, defaults, ids)
        reader.rule = None
        if rule is not None:
            rules.append(rule)
    check_order(reader, [(1, defaults.requirements), *((rule.line, rule.requirements) for rule in rules)])
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
    escalations = read_escalations(reader, fields.get("escalate"), names)
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
