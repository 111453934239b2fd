"""What a card shows, as a value: the view model of every channel. Pure. `bot.cards` builds it, templates read it.

Every string is plain text with the policy's masks applied and hidden characters written out; whoever renders it escapes
it for the medium. Unless its field says so, a string is one line. What it is made of: `bot.pieces`. Cards for several
holds: `bot.shared_views`.
"""

from __future__ import annotations

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

PREVIEW = 90  # characters of the one-line summary of a prompt


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
