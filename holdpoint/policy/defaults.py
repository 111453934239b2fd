"""``defaults``: what holds where a rule says nothing. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from yaml.nodes import Node

from holdpoint.model import OnTimeout, Requirement, Risk, Verdict
from holdpoint.policy.names import Names
from holdpoint.policy.reading import Reader
from holdpoint.policy.reviewers import read_reviewers


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where a rule says nothing. ``requirements`` are the reviewers of last resort; empty when nobody is."""

    verdict: Verdict = Verdict.BLOCK
    uninspectable: Verdict = Verdict.REVIEW
    timeout_ms: int = 600_000
    on_timeout: OnTimeout = OnTimeout.REJECT
    risk: Risk = Risk.MEDIUM
    requirements: tuple[Requirement, ...] = ()


def read_defaults(reader: Reader, node: Node | None, names: Names, admins: tuple[str, ...]) -> Defaults:
    """``defaults``. Without ``reviewers``, any one person of the admins' groups may decide."""
    known = ("verdict", "uninspectable", "timeout", "on_timeout", "reviewers", "risk")
    fields = reader.fields(node, "defaults", known) or {}
    if "verdict" not in fields:
        reader.warn(node or 1, "defaults.verdict is missing: every request is blocked")
    standard = Defaults()
    if "reviewers" in fields:
        requirements = read_reviewers(reader, fields["reviewers"], names)
    else:
        requirements = (Requirement(admins[0], 1, admins[1:]),) if admins else ()
    word = reader.word
    found = Defaults(
        word(fields.get("verdict"), "defaults.verdict", Verdict, without=(Verdict.MODIFY,)) or standard.verdict,
        word(fields.get("uninspectable"), "defaults.uninspectable", Verdict, without=(Verdict.MODIFY,))
        or standard.uninspectable,
        reader.duration(fields.get("timeout"), "defaults.timeout") or standard.timeout_ms,
        _on_timeout(reader, fields.get("on_timeout")) or standard.on_timeout,
        word(fields.get("risk"), "defaults.risk", Risk) or standard.risk,
        requirements,
    )
    if not requirements and found.verdict is Verdict.REVIEW:
        reader.problem(fields["verdict"], "defaults.verdict review: nobody may decide: name reviewers or roles.admins")
    if not requirements and found.uninspectable is Verdict.REVIEW:
        reader.warn(
            fields.get("uninspectable", node or 1),
            "defaults.uninspectable review: nobody may decide, so such requests are blocked: name reviewers or roles.admins",
        )
    return found


def _on_timeout(reader: Reader, node: Node | None) -> OnTimeout | None:
    found = reader.word(node, "defaults.on_timeout", OnTimeout)
    if node is not None and found is OnTimeout.ALLOW:
        reader.problem(node, "defaults.on_timeout cannot be allow: only a rule itself may say so")
    return found
