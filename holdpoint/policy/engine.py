"""The policy at work: compiled once, evaluated for every request. Pure and synchronous; no state of its own.

::

    query ─ views.look (which patterns hit) ─ rules that these can make true, and those without patterns ─ verdicts.merge
                                                      └─ modify: rewrite, look again (three times at most)

What fails closed: an engine that could not look at the whole text gives `block` (`review` when the policy reviews what
is uninspectable); a text that still matches after three rewrites gives `block`; no policy gives `block`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from holdpoint.errors import PolicyError, Problem
from holdpoint.model import Connection, Evaluation, Query, Requester, Risk, Role, Route, RuleHit, Verdict
from holdpoint.policy.conditions import Context, Predicate, compile_condition
from holdpoint.policy.defaults import Defaults
from holdpoint.policy.document import Document
from holdpoint.policy.groups import Group
from holdpoint.policy.issuers import Issuer
from holdpoint.policy.mask import Masks
from holdpoint.policy.matchers import NotInspected
from holdpoint.policy.modify import rewrite
from holdpoint.policy.patterns import BadPattern
from holdpoint.policy.rules import Rule
from holdpoint.policy.rulings import default_ruling, ruling_of, shown
from holdpoint.policy.saml import SamlProvider
from holdpoint.policy.verdicts import Ruling, merge, strictest
from holdpoint.policy.views import NOTHING, Catalogue, Looked, Views

SMALL_BODY_BYTES: Final = 8 * 1024
LARGE_BODY_BYTES: Final = 64 * 1024
LARGEST_AT_ONCE_BYTES: Final = 256 * 1024  # plain text; half a millisecond for each set of patterns
_LARGEST_WORK: Final = 128 * 1024 * 1024  # bytes × RE2 instructions: what 50 usual patterns are for 28 KiB
_REWRITES: Final = 3
_NO_GROUPS: Final[frozenset[str]] = frozenset()


def compile_policy(document: Document, version: int) -> Policy:
    """The document, ready to evaluate. Slow for large ones (a second for 10,000 patterns): call it off the loop.

    Raises:
        PolicyError: the patterns are too large together.
    """
    try:
        return Policy(document, version)
    except BadPattern as error:
        raise PolicyError([Problem(str(error))], document.file) from None


class Policy:
    """One version of the policy. Immutable; any number of threads may evaluate at once."""

    __slots__ = (
        "_always", "_by_pattern", "_cannot_modify", "_clean", "_default", "_groups_of", "_not_inspected", "_predicates", "_rulings",
        "_uninspectable", "_views", "authority", "connections", "defaults", "groups", "issuers", "limits", "masks", "roles", "routes", "saml", "second_admin",
        "teams", "version",
    )  # fmt: skip  # private ones first

    def __init__(self, document: Document, version: int, *, default_reason: str = "No rule allows it") -> None:
        """Raises BadPattern when the patterns are too large together."""
        self.version = version
        self.defaults: Defaults = document.defaults
        self.connections: Mapping[str, Connection] = document.connections
        self.groups: Mapping[str, Group] = document.groups
        self.issuers: tuple[Issuer, ...] = document.issuers
        self.saml: tuple[SamlProvider, ...] = document.saml
        self.roles: Mapping[Role, frozenset[str]] = document.roles
        self.routes: tuple[Route, ...] = document.routes
        self.second_admin = document.second_admin
        self.authority = document.authority
        self.teams = document.teams
        self.limits = document.limits
        self.masks = Masks(document.masks)
        self._groups_of = _groups_by_member(document.groups.values())
        self._compile_rules(document.rules)
        self._compile_defaults(document.defaults, len(document.rules), default_reason)
        self._clean = merge((), version)

    @classmethod
    def refuse_all(cls) -> Policy:
        """The policy where there is none: it blocks every query."""
        nothing = Document("policy", Defaults(), {}, {}, (), {}, (), (), (), ())
        return cls(nothing, 0, default_reason="no policy is loaded")

    def groups_of(self, principal: str) -> frozenset[str]:
        """The groups that list ``principal`` among their members."""
        return self._groups_of.get(principal, None) or self._groups_of.get(principal.lower(), _NO_GROUPS)

    def roles_of(self, groups: Iterable[str]) -> frozenset[Role]:
        """The roles that any of ``groups`` gives."""
        having = frozenset(groups)
        return frozenset(role for role, named in self.roles.items() if not named.isdisjoint(having))

    def is_large(self, query: Query) -> bool:
        """Whether to evaluate in a thread, under a time limit: a hostile text of this size may take long.

        How long is bounded by the text's length times the patterns' size (about 4 ns each); other characters than ASCII
        are normalised first, at 50 ns each. A change of threads costs some 0.1 ms, so it is not for small bodies.
        """
        size = len(query.body)
        if size <= SMALL_BODY_BYTES or not self._views.size:
            return False
        if size * self._views.size > _LARGEST_WORK or size > LARGEST_AT_ONCE_BYTES:
            return True
        return size > LARGE_BODY_BYTES and not query.body.isascii()

    def evaluate(self, query: Query, requester: Requester, at_ms: int, *, uninspected: str = "") -> Evaluation:
        """What the policy says of ``query`` at ``at_ms``. Never waits, never raises for anything in a query.

        ``uninspected`` is why the texts cannot be looked at (a time limit passed); then no pattern matches, exceptions
        that depend on patterns do not hold, and the verdict is that of an inspection that failed.
        """
        rulings, looked = self._apply(query, requester, at_ms, uninspected)
        if not rulings:
            return self._clean
        verdict = strictest(rulings)
        if verdict in (Verdict.MODIFY, Verdict.REVIEW) and any(r.verdict is Verdict.MODIFY for r in rulings):
            evaluation = self._evaluate_modified(query, requester, at_ms, rulings, looked)
        else:
            evaluation = merge(rulings, self.version, spans=shown(rulings, looked, query))
        inspected = not any(hit.rule == self._uninspectable.hit.rule for hit in evaluation.hits)
        return self.authority.applied(evaluation, inspected=inspected)

    def _apply(self, query: Query, requester: Requester, at_ms: int, uninspected: str) -> tuple[list[Ruling], Looked]:
        """Every ruling on the query as it stands, in the order of the document."""
        looked, failed = NOTHING, bool(uninspected)
        if not failed:
            try:
                looked = self._views.look(query.parts)
            except NotInspected:
                failed = True
        candidates = self._candidates(looked.hits)
        matching = self._holding(candidates, query, requester, at_ms, looked) if candidates else []
        if failed:
            matching.append(self._not_inspected)
        elif query.uninspectable:
            matching.append(self._uninspectable)
        if self._default is not None:
            matching.append(self._default)
        return matching, looked

    def _holding(
        self, candidates: Sequence[int], query: Query, requester: Requester, at_ms: int, looked: Looked
    ) -> list[Ruling]:
        """The rulings of those ``candidates`` that hold."""
        connection = self.connections.get(query.connection)
        own = self.groups_of(requester.principal)
        context = Context(
            query,
            requester.principal,
            requester.groups | own if own else requester.groups,
            connection.environment if connection is not None else "",
            at_ms,
            looked.hits,
        )
        predicates, rulings = self._predicates, self._rulings
        return [rulings[index] for index in candidates if predicates[index](context)]

    def _candidates(self, hits: frozenset[int]) -> Sequence[int]:
        """The rules that can hold, by position: those that need no pattern, and those whose patterns hit."""
        if not hits:
            return self._always
        found = set(self._always)
        for number in hits:
            found.update(self._by_pattern.get(number, ()))
        return sorted(found)

    def _evaluate_modified(
        self, query: Query, requester: Requester, at_ms: int, rulings: list[Ruling], looked: Looked
    ) -> Evaluation:
        """Rewrite and look again, so that what is forwarded was inspected. What matched at first keeps its verdict."""
        every = {ruling.position: ruling for ruling in rulings}
        edits: dict[str, str] = {}
        for _ in range(_REWRITES):
            changed = rewrite(query.parts, [r for r in rulings if r.verdict is Verdict.MODIFY], looked)
            parts = tuple(
                replace(part, text=changed[place]) if place in changed else part
                for place, part in enumerate(query.parts)
            )
            edits.update((parts[place].path, text) for place, text in changed.items())
            query = replace(query, parts=parts)
            rulings, looked = self._apply(query, requester, at_ms, "")
            for ruling in rulings:
                every.setdefault(ruling.position, ruling)
            if not any(ruling.verdict is Verdict.MODIFY for ruling in rulings):
                break
            if strictest(every.values()) is Verdict.BLOCK:
                break
        else:
            every[self._cannot_modify.position] = self._cannot_modify
        return merge(list(every.values()), self.version, spans=shown(rulings, looked, query), edits=edits)

    def _compile_rules(self, rules: Sequence[Rule]) -> None:
        catalogue = Catalogue()
        predicates: list[Predicate] = []
        rulings, always = [], []
        by_pattern: dict[int, list[int]] = {}
        for position, rule in enumerate(rules):
            compiled = compile_condition(rule.when, catalogue)
            predicates.append(compiled.holds)
            rulings.append(ruling_of(position, rule, compiled.patterns))
            if compiled.needs is None:
                always.append(position)
            for number in compiled.needs or ():
                by_pattern.setdefault(number, []).append(position)
        self._views = Views(catalogue)
        self._predicates = tuple(predicates)
        self._rulings = tuple(rulings)
        self._always = tuple(always)
        self._by_pattern = {number: tuple(positions) for number, positions in by_pattern.items()}

    # Hits that no rule makes are listed after those of the rules, each at a position of its own.
    def _compile_defaults(self, defaults: Defaults, position: int, default_reason: str) -> None:
        uninspectable = defaults.uninspectable
        if uninspectable is Verdict.REVIEW and not defaults.requirements:
            uninspectable = Verdict.BLOCK  # nobody could ever decide
        failed = Verdict.REVIEW if uninspectable is Verdict.REVIEW else Verdict.BLOCK
        unread = "Parts of the request cannot be inspected"
        self._uninspectable = default_ruling(position, "uninspectable", unread, uninspectable, defaults)
        self._not_inspected = default_ruling(
            position + 1, "uninspectable", "The request could not be inspected", failed, defaults
        )
        self._cannot_modify = Ruling(
            position + 3, RuleHit("uninspectable", "The request could not be modified safely", Verdict.BLOCK, Risk.HIGH)
        )
        self._default = (
            None
            if defaults.verdict is Verdict.ALLOW
            else default_ruling(position + 2, "default", default_reason, defaults.verdict, defaults)
        )


def _groups_by_member(groups: Iterable[Group]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for group in groups:
        for member in group.members:
            found.setdefault(member, set()).add(group.name)
    return {member: frozenset(names) for member, names in found.items()}
