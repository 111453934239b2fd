"""What a card shows, as values: the view models of every channel. Pure. `bot.cards` builds them, templates read them.

Every string is plain text with the policy's masks applied and hidden characters written out; whoever renders it escapes
it for the medium. Unless its field says so, a string is one line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from bot.pieces import (
    Action,
    ClaimView,
    EditView,
    OutcomeView,
    PartView,
    ProgressView,
    QuestionView,
    RuleView,
    Tone,
)
from bot.timeline import TimelineLine
from holdpoint.model import GrantLimits, Risk, State

__all__ = [
    "Action", "BundleView", "CardView", "ClaimView", "DigestLine", "DigestView", "EditView", "OutcomeView", "PartView",
    "ProgressView", "QuestionView", "RuleView", "Tone", "digest_line", "plain_text",
]  # fmt: skip

PREVIEW = 90  # characters of the one-line summary of a prompt
DIGEST_LINES = 30  # holds on one digest card; what is beyond needs another card


@dataclass(frozen=True, slots=True)
class CardView:
    """Everything that a card of any channel may show. See the module's docstring.

    ``justification`` may have several lines. ``reason`` is what was said with the decision that ended the hold, or why
    it expired or was cancelled. ``took`` is how long the decision took, in words; empty while there is none. ``glass``
    says that an admin broke the glass. ``confirmation`` says what an edited text still needs: somebody else. ``confirming``
    says whose approvals wait until they have shown that it is them. ``masked``:
    something is hidden by a mask. ``revealed``: nothing is, this is for one reviewer alone. ``folded`` counts the parts
    of which nothing is shown, ``cut`` all characters that are left out. ``told`` says how the requester was told, where that
    was not in the usual place. ``senders`` are principals, for comparing and not for showing: who sent the request, and who owns
    the agent that did. ``off`` says that nobody is there of a group that has to decide; ``in_place_of`` in whose place who looks
    would decide. ``paths`` are those of all parts in the query's order, which numbers the inputs of dialogs.
    """

    id: str
    rev: int
    digest: str
    url: str
    state: State
    tone: Tone
    title: str
    state_sentence: str
    reason: str
    took: str
    requester: str
    requester_groups: tuple[str, ...]
    requester_line: str
    connection: str
    model: str
    environment: str
    justification: str
    address: str
    risk: Risk
    rules: tuple[RuleView, ...]
    similar: str
    warnings: tuple[str, ...]
    tools: tuple[str, ...]
    created_ms: int
    deadline_ms: int
    deadline_words: str
    paused_ms: int | None
    reminded_ms: int | None
    progress: tuple[ProgressView, ...]
    confirmation: str
    confirming: str
    claim: ClaimView | None
    questions: tuple[QuestionView, ...]
    grant: GrantLimits | None
    reasons: tuple[str, ...]
    glass: str
    parts: tuple[PartView, ...]
    cut: int
    folded: int
    masked: bool
    revealed: bool
    edits: tuple[EditView, ...]
    timeline: tuple[TimelineLine, ...]
    outcome: OutcomeView | None
    actions: tuple[Action, ...]
    may_not_decide: str
    count: int
    told: str
    senders: frozenset[str]
    question_pauses: bool
    paths: tuple[str, ...]
    off: str = ""
    in_place_of: str = ""

    @property
    def pending(self) -> bool:
        return self.state is State.PENDING

    @property
    def preview(self) -> str:
        """The first words of what was asked, on one line, for lists."""
        text = " ".join(self.parts[0].plain.split()) if self.parts else ""
        return text if len(text) <= PREVIEW else text[:PREVIEW].rstrip() + "…"

    @property
    def needs_full_view(self) -> bool:
        """Whether this view is not enough to approve by: the risk is high, and something is left out."""
        return self.risk is Risk.HIGH and self.cut > 0

    @property
    def left_out(self) -> str:
        """``4 more parts, 12,300 characters``; empty when everything is shown."""
        if not self.cut:
            return ""
        characters = f"{self.cut:,} character{'' if self.cut == 1 else 's'}"
        if not self.folded:
            return f"{characters} left out"
        return f"{self.folded} more part{'' if self.folded == 1 else 's'}, {characters}"

    @property
    def given_reason(self) -> str:
        """``reason``, unless the state sentence says it already."""
        return "" if self.state in (State.EXPIRED, State.CANCELLED) else self.reason

    @property
    def open_question(self) -> QuestionView | None:
        """The newest question that waits for an answer."""
        return next((question for question in reversed(self.questions) if question.is_open), None)


@dataclass(frozen=True, slots=True)
class BundleView:
    """One card for identical requests that came beside each other (same requester, connection and digest).

    ``card`` shows one of them: one that waits, while there is any. ``ids`` are those that wait, in the order in which
    they came: what the buttons of this drawing decide. ``ended`` counts the others by what became of them.
    """

    id: str
    card: CardView
    ids: tuple[str, ...]
    ended: tuple[tuple[State, int], ...] = ()

    @property
    def count(self) -> int:
        return len(self.ids) + sum(count for _, count in self.ended)

    @property
    def value(self) -> str:
        """What a button of the card carries: ``<bundle> <hash of the holds that wait, each with the digest shown>``."""
        return f"{self.id} {list_digest((hold, self.card.digest) for hold in self.ids)}"

    @property
    def line(self) -> str:
        """``12 identical requests: 9 wait, 2 cancelled, 1 expired. A decision covers exactly those that wait.``"""
        waiting = [f"{len(self.ids):,} wait{'s' if len(self.ids) == 1 else ''}"] if self.ids else []
        counts = [*waiting, *(f"{count:,} {state.value}" for state, count in self.ended)]
        covers = ". A decision covers exactly those that wait." if self.ids else ""
        return f"{self.count:,} identical requests: {', '.join(counts)}{covers}"


@dataclass(frozen=True, slots=True)
class DigestLine:
    """One hold on a digest card. ``preview``: its first words. ``sentence`` is empty while it waits; ``unread``: it must be read in full first.

    ``senders`` as in `CardView`.
    """

    id: str
    digest: str
    requester: str
    what: str
    preview: str
    risk: Risk
    deadline_ms: int
    sentence: str = ""
    unread: bool = False
    senders: frozenset[str] = frozenset()

    @property
    def pending(self) -> bool:
        return not self.sentence

    @property
    def plain(self) -> str:
        """What the line shows, for the record."""
        return f"{self.risk.value} risk  {self.requester}  {self.what}  “{self.preview}”  {self.sentence or 'waits'}"


@dataclass(frozen=True, slots=True)
class DigestView:
    """One card for many holds of a channel that is near its rate limit: at most `DIGEST_LINES` lines.

    ``more`` counts the holds that wait beyond this card.
    """

    id: str
    lines: tuple[DigestLine, ...]
    url: str
    more: int = 0

    @property
    def waiting(self) -> tuple[DigestLine, ...]:
        return tuple(line for line in self.lines if line.pending)

    @property
    def value(self) -> str:
        """What a button of the card carries: ``<card> <SHA-256 of the holds and digests that wait on it>``."""
        return f"{self.id} {list_digest((line.id, line.digest) for line in self.waiting)}"


def list_digest(holds: Iterable[tuple[str, str]]) -> str:
    """SHA-256 (hex) of pairs of hold and digest, in their order: which list somebody saw."""
    return hashlib.sha256("\n".join(f"{hold} {digest}" for hold, digest in holds).encode()).hexdigest()


def digest_line(view: CardView) -> DigestLine:
    """A hold's line on a digest card."""
    return DigestLine(
        id=view.id,
        digest=view.digest,
        requester=view.requester,
        what=f"{view.title} → {view.model or view.connection}",
        preview=view.preview,
        risk=view.risk,
        deadline_ms=view.deadline_ms,
        sentence="" if view.pending else view.state_sentence,
        unread=view.needs_full_view,
        senders=view.senders,
    )


def plain_text(view: CardView) -> str:
    """What the card shows, as plain text: for the record, and for channels without markup."""
    lines = [view.title, view.state_sentence, view.requester_line, f"Risk: {view.risk.value}"]
    lines += (f"Rule {rule.id}: {rule.description}" for rule in view.rules)
    lines += (sentence for sentence in (view.similar, view.glass, view.told) if sentence)
    lines += view.warnings
    lines += (progress.line for progress in view.progress)
    lines += (sentence for sentence in (view.confirming, view.off) if sentence)
    if view.claim:
        lines.append(f"{view.claim.name or view.claim.by} is on it")
    if view.justification:
        lines.append(f"Justification: {view.justification}")
    for question in view.questions:
        lines.append(f"{question.by} asked: {question.text}")
        if not question.is_open:
            lines.append(f"{question.answered_by} answered: {question.answer}")
    for part in (part for part in view.parts if part.shows_text):
        lines += ("", f"[{part.label}]", part.plain)
    if view.left_out:
        lines += ("", f"Not shown: {view.left_out}")
    for edit in view.edits:
        lines += ("", f"[{edit.label}, edited by {edit.by}]", *(f"{line.sign} {line.text}" for line in edit.lines))
    return "\n".join(lines)
