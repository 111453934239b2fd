"""The policy document as it was written, whole. Its types say what may stand there, and nothing of what that means: see `engine`.

::

    text ─ yaml_nodes (bounded tree with lines) ─ reading (typed values, every problem kept) ─ parse: section by section ─▶ Document

Each section has one file, with its types and the way from YAML to them: ``connections`` · ``groups`` (and ``teams``) ·
``roles`` (and ``changes``) · ``issuers`` · ``saml`` · ``authority_terms`` · ``defaults`` · ``names`` (``patterns`` and
``keywords``) · ``mask`` · ``limits`` · ``rules``, whose ``when`` is a ``condition_tree`` · ``routes`` · ``own_tests``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdpoint.errors import Problem
from holdpoint.model import Connection, Role, Route
from holdpoint.policy.authority_terms import USUAL_AUTHORITY, AuthorityTerms
from holdpoint.policy.defaults import Defaults
from holdpoint.policy.groups import USUAL_TEAMS, Group, TeamsTerms
from holdpoint.policy.issuers import Issuer
from holdpoint.policy.limits import Limit
from holdpoint.policy.mask import Mask
from holdpoint.policy.own_tests import PolicyTest
from holdpoint.policy.rules import Rule
from holdpoint.policy.saml import SamlProvider


@dataclass(frozen=True, slots=True)
class Document:
    """One whole policy document. ``warnings`` are what its author should look at, though it is valid.

    ``second_admin``: changes of policy and routes wait until another admin has confirmed them.
    """

    file: str
    defaults: Defaults
    connections: Mapping[str, Connection]
    groups: Mapping[str, Group]
    issuers: tuple[Issuer, ...]
    roles: Mapping[Role, frozenset[str]]
    masks: tuple[Mask, ...]
    rules: tuple[Rule, ...]
    routes: tuple[Route, ...]
    tests: tuple[PolicyTest, ...]
    warnings: tuple[Problem, ...] = ()
    second_admin: bool = False
    teams: TeamsTerms = USUAL_TEAMS
    limits: tuple[Limit, ...] = ()
    authority: AuthorityTerms = USUAL_AUTHORITY
    saml: tuple[SamlProvider, ...] = ()
