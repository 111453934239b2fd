"""Separation of duties: who has changed a rule a moment ago does not approve under it. Pure.

A rule has changed when anything of its meaning has: what it matches (named patterns included), what it demands, who is in
the groups that it asks, whose word is taken for that (``issuers``, ``saml``, ``teams``), the defaults that it falls back on,
or the section ``authority``. Where it stands, how it is laid out and what its patterns are called is no change. A rule that
was taken out and put back has changed twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace

from holdpoint.errors import MayNotDecide
from holdpoint.model import Requirement, Reviewer, Role
from holdpoint.policy import people
from holdpoint.policy.authority import Right
from holdpoint.policy.document import Document
from holdpoint.policy.groups import Group
from holdpoint.policy.rules import PAUSE


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One version of the policy: the ids of the rules that it changed, and the principals of who had it put in force.

    ``rules`` None: it cannot be known any more which. ``aliases`` are other principals of these people.
    """

    rules: frozenset[str] | None
    by: tuple[str, ...]
    at_ms: int
    aliases: tuple[str, ...] = ()


def meanings(document: Document) -> Mapping[str, str]:
    """Rule id → a digest of all that the rule means; the hits that no rule makes, too."""
    every = (document.authority, document.issuers, document.saml, document.teams)
    fallback = _digest(*every, document.defaults, _groups(document, _asked(document.defaults.requirements)))
    found = dict.fromkeys(("default", "uninspectable"), fallback)
    admins = document.roles.get(Role.ADMIN, frozenset())
    found[PAUSE] = _digest(*every, document.defaults, admins, _groups(document, admins))
    for rule in document.rules:
        asked = [*_asked(rule.requirements), *(step.group for step in rule.escalations)]
        found[rule.id] = _digest(*every, replace(rule, line=0), _groups(document, asked))
    return found


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> frozenset[str]:
    """The rules that are new, gone or different."""
    return frozenset(rule for rule in before.keys() | after.keys() if before.get(rule) != after.get(rule))


def check(
    reviewer: Reviewer,
    right: Right,
    changes: Iterable[RuleChange],
    *,
    rules: Collection[str],
    separation_ms: int,
    now_ms: int,
) -> None:
    """Refuse an approval under ``rules`` by who has changed one of them, or in the place of somebody who has.

    Raises:
        MayNotDecide: with a sentence for the person.
    """
    deciding = people.of_reviewer(reviewer) | (people.of_absent(right.absent) if right.absent else frozenset())
    for change in changes:
        if change.at_ms + separation_ms <= now_ms:
            continue
        if change.rules is None:
            raise MayNotDecide(
                "It cannot be known who has changed these rules lately, so that nobody may approve under them yet."
            )
        theirs = sorted(change.rules.intersection(rules))
        if theirs and people.is_among(deciding, (*change.by, *change.aliases)):
            raise MayNotDecide(
                f"Rule {theirs[0]} was changed by {' and '.join(change.by)} too recently;"
                " somebody else has to approve under it."
            )


def _asked(requirements: Iterable[Requirement]) -> list[str]:
    return [group for each in requirements for group in (each.group, *each.alternates)]


def _groups(document: Document, names: Iterable[str]) -> tuple[Group | None, ...]:
    return tuple(document.groups.get(name) for name in sorted(set(names)))


def _digest(*values: object) -> str:
    return hashlib.sha256("\n".join(map(_plain, values)).encode("utf-8", "surrogatepass")).hexdigest()


def _plain(value: object) -> str:
    """The same text for the same value, whatever order its sets and mappings are in."""
    if is_dataclass(value):
        return f"{type(value).__name__}{[_plain(getattr(value, each.name)) for each in fields(value) if each.compare]}"
    if isinstance(value, Mapping):
        return repr(sorted((_plain(key), _plain(inner)) for key, inner in value.items()))
    if isinstance(value, frozenset):
        return repr(sorted(map(_plain, value)))
    if isinstance(value, tuple):
        return repr([_plain(each) for each in value])
    return repr(value)
