"""One rule's ``mode`` changed in the text of a document, and not a character more: comments and layout stay. Pure."""

from __future__ import annotations

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from holdpoint.errors import PolicyError, Problem
from holdpoint.policy.document import Document
from holdpoint.policy.parse import parse_policy
from holdpoint.policy.rules import RuleMode
from holdpoint.policy.yaml_nodes import BadYaml, compose


def with_mode(text: str, rule_id: str, mode: RuleMode) -> str:
    """``text``, a valid document, with ``mode`` for the rule; unchanged when the rule has this mode already.

    Raises:
        PolicyError: there is no such rule, or it is written in a way that only a person can edit.
    """
    before = parse_policy(text)
    if _mode_of(before, rule_id) is mode:
        return text
    changed = _edited(text, rule_id, mode)
    # The edit is made in the text: whatever was misread there shows when the new text is read.
    try:
        after = parse_policy(changed)
    except PolicyError:
        raise _by_hand(rule_id) from None
    if _mode_of(after, rule_id) is not mode or len(after.rules) != len(before.rules):
        raise _by_hand(rule_id)
    return changed


def _by_hand(rule_id: str) -> PolicyError:
    return PolicyError(
        [Problem("is written in a way in which its mode cannot be changed: edit the document", rule=rule_id)]
    )


def _mode_of(document: Document, rule_id: str) -> RuleMode:
    for rule in document.rules:
        if rule.id == rule_id:
            return rule.mode
    raise PolicyError([Problem(f"there is no rule {rule_id!r} in force (or it has `enabled: false`)")])


def _edited(text: str, rule_id: str, mode: RuleMode) -> str:
    rule = _rule_node(text, rule_id)
    fields = {key.value: (key, value) for key, value in rule.value if isinstance(key, ScalarNode)}
    if "mode" in fields:
        node = fields["mode"][1]
        return text[: node.start_mark.index] + mode.value + text[node.end_mark.index :]
    key, value = fields["id"]
    if rule.flow_style:
        at = value.end_mark.index
        return f"{text[:at]}, mode: {mode.value}{text[at:]}"
    return _with_line(text, value.end_mark.index, f"{' ' * key.start_mark.column}mode: {mode.value}")


def _with_line(text: str, after: int, line: str) -> str:
    """``text`` with ``line`` below the line in which position ``after`` stands, with that line's own end."""
    end = text.find("\n", after)
    if end < 0:
        return f"{text}\n{line}\n"
    ending = "\r\n" if text[end - 1 : end] == "\r" else "\n"
    return text[: end + 1] + line + ending + text[end + 1 :]


def _rule_node(text: str, rule_id: str) -> MappingNode:
    """The rule in the tree whose marks count characters of ``text``.

    Raises:
        PolicyError: it is not to be found.
    """
    try:
        compose(text)  # bounds the document first: the loader below recurses
    except BadYaml as error:
        raise PolicyError([error.problem]) from None
    # libyaml's marks are of its own buffer; those of the loader in Python are positions in the text itself.
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    rules = _value(root, "rules")
    for rule in rules.value if isinstance(rules, SequenceNode) else ():
        found = _value(rule, "id")
        if isinstance(rule, MappingNode) and isinstance(found, ScalarNode) and found.value == rule_id:
            return rule
    raise _by_hand(rule_id)


def _value(node: Node | None, name: str) -> Node | None:
    for key, value in node.value if isinstance(node, MappingNode) else ():
        if isinstance(key, ScalarNode) and key.value == name:
            found: Node = value
            return found
    return None
