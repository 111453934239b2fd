"""How a review is held: the fields of a review rule beside who decides and by when. YAML nodes → `ReviewTerms`. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from yaml.nodes import Node

from holdpoint.model import USUAL_TERMS, GrantLimits, GrantScope, Mention, ReviewTerms
from holdpoint.policy.reading import Reader

TERM_FIELDS = ("reasons", "on_question", "confirm_edits", "remind", "mention", "grants")
MOST_REASONS = 20
LONGEST_REASON = 150  # what a menu of every chat platform shows whole
MOST_USES = 1_000
LONGEST_GRANT_MS = 7 * 24 * 3_600_000

E = TypeVar("E", bound=StrEnum)


class _OnQuestion(StrEnum):
    RUN = "run"
    PAUSE = "pause"


def read_terms(reader: Reader, fields: dict[str, Node]) -> ReviewTerms:
    """The terms of one rule; what it does not say is as in `ReviewTerms`."""
    usual = USUAL_TERMS
    on_question = reader.word(fields.get("on_question"), "on_question", _OnQuestion)
    remind = reader.flag(fields.get("remind"), "remind")
    return ReviewTerms(
        reasons=_read_reasons(reader, fields.get("reasons")),
        question_pauses=on_question is _OnQuestion.PAUSE,
        confirm_edits=bool(reader.flag(fields.get("confirm_edits"), "confirm_edits")),
        remind=usual.remind if remind is None else remind,
        mentions=_read_mentions(reader, fields["mention"]) if "mention" in fields else usual.mentions,
        grant=_read_grants(reader, fields["grants"]) if "grants" in fields else None,
    )


def _read_reasons(reader: Reader, node: Node | None) -> tuple[str, ...]:
    items = reader.items(node, "reasons") or []
    if node is not None and len(items) > MOST_REASONS:
        reader.problem(node, f"reasons has more than {MOST_REASONS} entries")
    found: dict[str, None] = {}
    for item in items:
        text = reader.text(item, "a reason", longest=LONGEST_REASON)
        if text is not None and text in found:
            reader.problem(item, "this reason stands there twice")
        found[text or ""] = None
    return tuple(found)


def _read_mentions(reader: Reader, node: Node) -> frozenset[Mention]:
    """``[reminder, escalation]``, or the one word ``never``."""
    if node.value == "never":
        return frozenset()
    return _read_words(reader, node, "mention", Mention)


def _read_words(reader: Reader, node: Node, what: str, words: type[E]) -> frozenset[E]:
    found = (reader.word(item, what, words) for item in reader.items(node, what) or ())
    return frozenset(word for word in found if word is not None)


def _read_grants(reader: Reader, node: Node) -> GrantLimits | None:
    fields = reader.fields(node, "grants", ("uses", "for", "to"), required=("uses", "for"))
    if fields is None:
        return None
    uses = reader.number(fields.get("uses"), "grants.uses", least=1)
    age_ms = reader.duration(fields.get("for"), "grants.for")
    scopes = frozenset({GrantScope.REQUESTER})
    if "to" in fields:
        scopes = _read_words(reader, fields["to"], "grants.to", GrantScope)
    if uses is not None and uses > MOST_USES:
        reader.problem(fields["uses"], f"grants.uses must be at most {MOST_USES}")
    if age_ms is not None and age_ms > LONGEST_GRANT_MS:
        reader.problem(fields["for"], "grants.for must be at most 7d")
    if uses is None or age_ms is None:
        return None
    return GrantLimits(uses, age_ms, scopes)
