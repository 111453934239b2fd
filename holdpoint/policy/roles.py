"""``roles`` (whose members are admins, auditors and reviewers) and ``changes`` (what needs a second admin). Pure."""

from __future__ import annotations

from collections.abc import Collection

from yaml.nodes import Node

from holdpoint.model import Role
from holdpoint.policy.defaults import Defaults
from holdpoint.policy.names import Names
from holdpoint.policy.reading import Reader
from holdpoint.policy.rules import Rule

_ROLE_NAMES = {"admins": Role.ADMIN, "auditors": Role.AUDITOR, "reviewers": Role.REVIEWER}


def read_roles(reader: Reader, node: Node | None, names: Names) -> dict[Role, tuple[str, ...]]:
    """``roles``: which groups have them, in the order of the document."""
    found = {}
    fields = reader.fields(node, "roles", tuple(_ROLE_NAMES)) or {}
    for name, value in fields.items():
        groups = reader.texts(value, f"roles.{name}") or ()
        for group in groups:
            names.check_group(reader, value, group)
        found[_ROLE_NAMES[name]] = groups
    return found


def all_roles(
    roles: dict[Role, tuple[str, ...]], defaults: Defaults, rules: tuple[Rule, ...]
) -> dict[Role, frozenset[str]]:
    """Who may decide on something by any rule is a reviewer without being named under ``roles``."""
    deciding = {r.group for rule in rules for r in rule.requirements} | {
        step.group for rule in rules for step in rule.escalations
    }
    for requirement in defaults.requirements:
        deciding |= {requirement.group, *requirement.alternates}
    found = {role: frozenset(groups) for role, groups in roles.items()}
    found[Role.REVIEWER] = found.get(Role.REVIEWER, frozenset()) | deciding
    return found


def read_second_admin(reader: Reader, node: Node | None, admins: Collection[str]) -> bool:
    """``changes: {second_admin: true}``."""
    fields = reader.fields(node, "changes", ("second_admin",))
    if fields is None:
        return False
    wanted = bool(reader.flag(fields.get("second_admin"), "changes.second_admin"))
    if wanted and not admins:
        reader.problem(fields["second_admin"], "changes.second_admin needs roles.admins: nobody could confirm a change")
    return wanted
