"""``parse_policy``: YAML text → `Document`, or every problem at once. Pure; nothing outside the text is looked at."""

from __future__ import annotations

from yaml.nodes import Node

from holdpoint.errors import PolicyError, Problem
from holdpoint.model import Role
from holdpoint.policy.authority_terms import read_authority
from holdpoint.policy.connections import read_connections
from holdpoint.policy.defaults import read_defaults
from holdpoint.policy.document import Document
from holdpoint.policy.groups import read_groups, read_teams
from holdpoint.policy.issuers import read_issuers
from holdpoint.policy.limits import read_limits
from holdpoint.policy.mask import read_masks
from holdpoint.policy.names import Names, read_sets
from holdpoint.policy.own_tests import read_tests
from holdpoint.policy.patterns import keyword, pattern
from holdpoint.policy.reading import Reader
from holdpoint.policy.roles import all_roles, read_roles, read_second_admin
from holdpoint.policy.routes import read_routes
from holdpoint.policy.rules import read_rules
from holdpoint.policy.saml import read_saml
from holdpoint.policy.yaml_nodes import BadYaml, compose

VERSION = 1

_FIELDS = (
    "version", "defaults", "connections", "groups", "issuers", "saml", "roles", "authority", "changes", "teams",
    "patterns", "keywords", "masks", "limits", "rules", "routes", "tests",
)  # fmt: skip  # as they usually stand


def parse_policy(text: str, file: str = "policy") -> Document:
    """The document in ``text``; ``file`` only names it in messages.

    Raises:
        PolicyError: with every problem, each with its line and rule.
    """
    try:
        root = compose(text)
    except BadYaml as error:
        raise PolicyError([error.problem], file) from None
    reader = Reader()
    document = _read(reader, root, file)
    if reader.problems or document is None:
        raise PolicyError(_in_order(reader.problems), file)
    return document


def _read(reader: Reader, root: Node, file: str) -> Document | None:
    fields = reader.fields(root, "the policy", _FIELDS, required=("version",))
    if fields is None:
        return None
    version = reader.number(fields.get("version"), "version")
    if version is not None and version != VERSION:
        reader.problem(fields["version"], f"version {version} is unknown: this release reads version {VERSION}")
    connections = read_connections(reader, fields.get("connections"))
    groups = read_groups(reader, fields.get("groups"))
    names = Names(
        connections=tuple(connections),
        environments=frozenset(connection.environment for connection in connections.values()),
        groups=tuple(groups),
    )
    names.patterns = read_sets(reader, fields.get("patterns"), "patterns", names, pattern)
    names.keywords = read_sets(reader, fields.get("keywords"), "keywords", names, keyword)
    roles = read_roles(reader, fields.get("roles"), names)
    defaults = read_defaults(reader, fields.get("defaults"), names, roles.get(Role.ADMIN, ()))
    rules = read_rules(reader, fields.get("rules"), names, defaults)
    limits = read_limits(reader, fields.get("limits"), names)
    return Document(
        file,
        defaults,
        connections,
        groups,
        read_issuers(reader, fields.get("issuers")),
        all_roles(roles, defaults, rules),
        read_masks(reader, fields.get("masks"), names),
        rules,
        read_routes(reader, fields.get("routes"), names),
        read_tests(reader, fields.get("tests"), tuple(connections)),
        second_admin=read_second_admin(reader, fields.get("changes"), roles.get(Role.ADMIN, ())),
        teams=read_teams(reader, fields.get("teams")),
        limits=limits,
        authority=read_authority(reader, fields.get("authority")),
        saml=read_saml(reader, fields.get("saml")),
        warnings=tuple(_in_order(reader.warnings)),  # last: everything above may add one
    )


def _in_order(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: problem.line)
